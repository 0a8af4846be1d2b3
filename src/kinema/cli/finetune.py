"""`kinema finetune click` and `kinema predict click`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, project_option, table
from kinema.errors import ConfigError

if TYPE_CHECKING:
    from kinema.steps.finetuning import ClickReport
    from kinema.steps.finetuning_engagement import EngagementReport
    from kinema.steps.finetuning_log import LogClickReport
    from kinema.steps.finetuning_rating import RatingReport

_FILE: Any = click.Path(path_type=Path, dir_okay=False)
_FOLDER: Any = click.Path(path_type=Path, file_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def finetune() -> None:
    """Learn one task, from a project's log or from a table of labelled examples.

    \b
    Examples:
      kinema finetune click --project shop
      kinema finetune engagement --project shop
      kinema finetune rating --project shop
      kinema finetune click --train train.csv.gz --valid valid.csv.gz --label clicked --to models/click
      kinema finetune click --train log.parquet --label liked --model dcn --to models/like --json
    """  # noqa: D301  # \b tells click to keep the lines


@finetune.command("click")
@click.option(
    "--train", type=_FILE, help="Table to learn from: CSV, JSON lines or Parquet, or .gz. Default: the project's log."
)
@click.option("--valid", type=_FILE, help="Rows that decide when to stop. Default: a tenth of --train, at random.")
@click.option("--test", type=_FILE, help="Rows to measure on, once, at the end.")
@click.option("--label", help="Column to predict, 0 or 1, default label; in a log the kind of event, default click.")
@click.option("--to", type=_FOLDER, help="Folder of the model of a table.")
@click.option(
    "--model",
    type=click.Choice(["lr", "fm", "deepfm", "dcn", "din"]),
    default="deepfm",
    show_default=True,
    help="Network; din reads a list with its target in view.",
)
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=KIND",
    help="What a column is: category, number, list, cross or ignore, with options behind commas. Repeatable.",
)
@click.option("--width", type=click.IntRange(1), default=10, show_default=True, help="Of the vector of a value.")
@click.option("--hidden", default="400,400,400", show_default=True, help="Units of the deep part's layers.")
@click.option("--cross-layers", type=click.IntRange(1), default=3, show_default=True, help="Of dcn.")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.2, show_default=True, help="Of units.")
@click.option("--l2", type=click.FloatRange(0), help="On the vectors of values. Default: 0.01; 1e-5 for lr and fm.")
@click.option("--min-count", type=click.IntRange(1), default=2, show_default=True, help="Rows a value must be in.")
@click.option("--batch-size", type=click.IntRange(4), help="Rows per step. Default: by the size of the table.")
@click.option(
    "--learning-rate", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True, help="Step size."
)
@click.option(
    "--epochs", type=click.IntRange(1), default=30, show_default=True, help="At most, before and after refining."
)
@click.option("--patience", type=click.IntRange(1), default=2, show_default=True, help="Epochs without gain.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the run.")
@project_option
@common_options
def finetune_click_command(
    output: Output,
    *,
    folder: Path | None,
    to: Path | None,
    label: str | None,
    fields: tuple[str, ...],
    model: str,
    width: int,
    hidden: str,
    cross_layers: int,
    dropout: float,
    l2: float | None,
    epochs: int,
    min_count: int,
    batch_size: int | None,
    learning_rate: float,
    patience: int,
    seed: int,
    **files: Any,
) -> None:
    """Learn the probability of a click, a like or a purchase, from a project's log or from the columns of a table.

    From a log: what was shown and what came of it, the oldest four fifths to learn from; items are known by FLM's vectors.
    ranker = "click" under [recommend] in kinema.toml then lets the model move FLM's candidates.

    From a table, what a column is gets guessed: lists where cells are lists or have a |, numbers where there are fractions or whole numbers
    that hardly repeat, categories else; texts that hardly repeat are left out. --field says it:

    \b
      --field user=category                        one vector per value seen at least --min-count times
      --field city=category,buckets=1000           values hashed into 1000 vectors
      --field price=number                         scaled; missing has a vector of its own
      --field genres=list                          a|b|c, a JSON array or a list; the mean of its vectors
      --field seen=list,target=item                a history, oldest first; din reads it with the item in view
      --field pair=cross,of=user+hour              every pair of values as one category
      --field row=ignore                           left out

    \b
    Examples:
      kinema finetune click
      kinema finetune click --label like --epochs 5 --json
      kinema finetune click --train train.csv.gz --valid valid.csv.gz --test test.csv.gz --label label --to models/click
      kinema predict click models/click --table new.csv --to scores.csv
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    if files["train"] is None:
        if to is not None or fields or files["valid"] is not None or files["test"] is not None:
            raise ConfigError(
                "--to, --valid, --test and --field must come with --train, the table they belong to; give it"
            )
        _finetune_on_log(output, folder, label or "click", max_epochs=epochs, patience=patience, seed=seed)
        return
    if to is None:
        raise ConfigError("--train must come with --to, the folder of the model; give one")
    from kinema.steps.finetuning import ClickTraining, finetune_click  # noqa: PLC0415  # as above
    from kinema.tasks.click_networks import ClickConfig, usual_l2  # noqa: PLC0415  # as above
    from kinema.tasks.field_specs import parse_spec  # noqa: PLC0415  # as above

    config = ClickConfig(
        model=model,
        width=width,
        hidden=_sizes(hidden),
        cross_layers=cross_layers,
        dropout=dropout,
        embedding_l2=usual_l2(model) if l2 is None else l2,
    )
    training = ClickTraining(min_count, batch_size, learning_rate, epochs, patience, seed)
    with output.progress("finetune click") as progress:
        report = finetune_click(
            config=config,
            label=label or "label",
            folder=to,
            specs=[parse_spec(one) for one in fields],
            training=training,
            progress=progress,
            **files,
        )
    output.show(report, lambda console: _people(console, report))


def _finetune_on_log(output: Output, folder: Path | None, label: str, *, seed: int, **options: Any) -> None:
    """A click model on the project's own log."""
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress("finetune click") as progress:
        report = project.finetune_click(label, seed=seed, options=options, progress=progress)
    output.show(report, lambda console: _people_of_log(console, report))


def _people_of_log(console: Console, report: "LogClickReport") -> None:
    names = ("auc", "grouped_auc", "log_loss", "calibrated_error")
    rows = [
        [part, report.num_examples[part], report.num_positive[part], *(found[name] for name in names)]
        for part, found in report.metrics.items()
    ]
    heads = ["part", "examples", report.label, "AUC", "AUC within users", "log loss", "calibration error"]
    console.print(table(f"{report.label} on the log, by time", heads, rows))
    console.print(
        f"best after epoch {report.best_epoch} of {report.epochs}; {report.num_parameters:,} parameters, "
        f"{report.num_examples['train']:,} training examples, {report.seconds:.1f} s"
    )
    for notice in report.notices:
        console.print(f"note: {notice}", markup=False)
    console.print('next: ranker = "click" under [recommend] in kinema.toml', markup=False)


@finetune.command("rating")
@click.option("--epochs", type=click.IntRange(1), default=40, show_default=True, help="At most.")
@click.option("--patience", type=click.IntRange(1), default=3, show_default=True, help="Epochs without gain.")
@click.option(
    "--loss", type=click.Choice(["mse", "mae"]), default="mse", show_default=True, help="Tells mean or median."
)
@click.option(
    "--coverage",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Of intervals.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the run.")
@project_option
@common_options
def finetune_rating_command(
    output: Output, *, folder: Path | None, epochs: int, patience: int, loss: str, coverage: float, seed: int
) -> None:
    """Learn what a user would rate an item, with an interval, from the ratings of a project's log.

    The oldest four fifths are learnt from, the next tenth decides, the newest tenth is measured on.

    \b
    Examples:
      kinema finetune rating
      kinema finetune rating --loss mae --coverage 0.8 --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    from kinema.project import Project  # noqa: PLC0415  # as above
    from kinema.steps.finetuning_rating import finetune_rating  # noqa: PLC0415  # as above
    from kinema.tasks.rating import RatingConfig  # noqa: PLC0415  # as above

    config = RatingConfig(dropout=0.5, l2=0.01, loss=loss, coverage=coverage)
    options = {"max_epochs": epochs, "patience": patience}
    with Project.find(folder) as project, output.progress("finetune rating") as progress:
        report = finetune_rating(
            project.store,
            project.dataset(),
            artifacts=project.artifacts,
            config=config,
            options=options,
            seed=seed,
            progress=progress,
        )
    output.show(report, lambda console: _people_of_ratings(console, report))


def _people_of_ratings(console: Console, report: "RatingReport") -> None:
    found, mean = report.metrics["test"], report.metrics["mean"]
    rows = [
        ["this model", found["mse"], found["mae"], found["coverage"], found["width"]],
        ["the mean rating", mean["mse"], mean["mae"], "", ""],
    ]
    heads = ["on the newest tenth", "MSE", "MAE", "inside the interval", "its width"]
    console.print(table("ratings", heads, rows))
    console.print(
        f"best after epoch {report.best_epoch} of {report.epochs}; {report.num_ratings['train']:,} training ratings from "
        f"{report.scale[0]:g} to {report.scale[1]:g}, {report.seconds:.1f} s"
    )
    console.print(f"model: {report.folder}", markup=False)


@finetune.command("engagement")
@click.option(
    "--sharing",
    type=click.Choice(["mmoe", "ple", "shared_bottom", "separate"]),
    default="mmoe",
    show_default=True,
    help="What heads share.",
)
@click.option(
    "--weighting",
    type=click.Choice(["fixed", "uncertainty", "conflicts"]),
    default="fixed",
    show_default=True,
    help="How losses are combined.",
)
@click.option("--compare", is_flag=True, help="Also train a model per head, and say whether sharing helps.")
@click.option("--epochs", type=click.IntRange(1), default=20, show_default=True, help="At most.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the run.")
@project_option
@common_options
def finetune_engagement_command(output: Output, *, folder: Path | None, epochs: int, seed: int, **how: Any) -> None:
    """Learn clicks, likes, shares, finishing and watch time of a project's log together.

    Watch time is learnt as its place among clips of similar length, so that long clips are not favoured for being long.

    \b
    Examples:
      kinema finetune engagement
      kinema finetune engagement --sharing ple --compare --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    from kinema.project import Project  # noqa: PLC0415  # as above
    from kinema.steps.finetuning_engagement import finetune_engagement  # noqa: PLC0415  # as above
    from kinema.steps.slates import trained_profile_schema  # noqa: PLC0415  # as above

    with Project.find(folder) as project, output.progress("finetune engagement") as progress:
        dataset = project.dataset(profile_schema=trained_profile_schema(project.artifacts / "flm"))
        where: dict[str, Any] = {"artifacts": project.artifacts, "seed": seed, "options": {"max_epochs": epochs}}
        report = finetune_engagement(project.store, dataset, **where, **how, progress=progress)
    output.show(report, lambda console: _people_of_engagement(console, report))


def _people_of_engagement(console: Console, report: "EngagementReport") -> None:
    rows = [
        [head, found.get("auc", ""), found.get("log_loss", ""), found.get("mae_s", "")]
        for head, found in report.metrics.items()
    ]
    heads = ["on the newest tenth", "AUC", "log loss", "error, seconds"]
    console.print(table("engagement", heads, rows))
    for line in report.advice.splitlines():
        console.print(line, markup=False)
    console.print(
        f"best after epoch {report.best_epoch} of {report.epochs}; {report.num_examples['train']:,} training examples, "
        f"{report.seconds:.1f} s"
    )
    console.print(f"model: {report.folder}", markup=False)


def _sizes(text: str) -> tuple[int, ...]:
    if not all(one.strip().isdecimal() for one in text.split(",")):
        raise ConfigError(f"--hidden must be whole numbers with commas between them, as in 400,400, is '{text}'")
    return tuple(int(one) for one in text.split(","))


def _people(console: Console, report: "ClickReport") -> None:
    rows: list[list[Any]] = [
        [one["name"], f"{one['kind']}{' (guessed)' if one['guessed'] else ''}", one["values"]] for one in report.fields
    ]
    console.print(table("fields", ["column", "is a", "values"], rows))
    for notice in report.notices:
        console.print(f"note: {notice}", markup=False)
    for one in report.rejects[:10]:
        console.print(f"left out: {one.file} row {one.row}: {one.reason}", markup=False)
    measured = [
        [name, report.num_rows[name], found["auc"], found["log_loss"]] for name, found in report.metrics.items()
    ]
    console.print(table(f"{report.model}", ["table", "rows", "AUC", "log loss"], measured))
    size = report.num_parameters
    console.print(
        f"best after epoch {report.best_epoch} of {report.epochs}; {size['all']:,} parameters, {size['vectors']:,} of them "
        f"vectors of values; {report.num_rows['train']:,} training rows, {report.seconds:.1f} s"
    )
    console.print(f"model: {report.folder}", markup=False)
    console.print(f"next: kinema predict click {report.folder} --table NEW.csv --to scores.csv", markup=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def predict() -> None:
    """Apply a model of `kinema finetune` to a table.

    \b
    Examples:
      kinema predict click models/click --table new.csv --to scores.csv
      kinema predict click models/click --table new.parquet --to scores.parquet --json
    """  # noqa: D301  # \b tells click to keep the lines


@predict.command("click")
@click.argument("folder", type=_FOLDER)
@click.option("--table", "rows", type=_FILE, required=True, help="Rows with the columns the model has learnt from.")
@click.option("--to", type=_FILE, required=True, help="Result: .parquet, .jsonl, or else CSV.")
@common_options
def predict_click_command(output: Output, *, folder: Path, rows: Path, to: Path) -> None:
    """Write a table with the probability of a click in a column click_prob.

    \b
    Example:
      kinema predict click models/click --table new.csv --to scores.csv
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    from kinema.steps.finetuning import predict_click  # noqa: PLC0415  # as above

    num_rows = predict_click(folder=folder, table=rows, to=to)
    output.show(
        {"rows": num_rows, "file": to}, lambda console: console.print(f"{num_rows:,} rows in {to}", markup=False)
    )
