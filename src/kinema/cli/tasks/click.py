"""`kinema finetune click` and `kinema predict click`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.learning import learning_options, table_plan
from kinema.cli.output import FILE, FOLDER, Output, common_options, print_notices, print_rejects, project_option, table
from kinema.cli.robustness import ensemble_options, show_slices
from kinema.errors import ConfigError

if TYPE_CHECKING:
    from kinema.steps.finetuning import ClickReport
    from kinema.steps.finetuning_log import LogClickReport
    from kinema.steps.finetuning_options import Asked


@click.command()
@click.option(
    "--train", type=FILE, help="Table to learn from: CSV, JSON lines or Parquet, or .gz. Default: the project's log."
)
@click.option("--valid", type=FILE, help="Rows that decide when to stop. Default: a tenth of --train, at random.")
@click.option("--test", type=FILE, help="Rows to measure on, once, at the end.")
@click.option("--label", help="Column to predict, 0 or 1, default label; in a log the kind of event, default click.")
@click.option("--to", type=FOLDER, help="Folder of the model of a table.")
@click.option("--from", "start", type=FOLDER, help="Model of a table to start from: known values keep their vectors.")
@click.option(
    "--field",
    "fields",
    multiple=True,
    metavar="NAME=KIND",
    help="What a column is: category, number, list, cross or ignore, with options behind commas. Repeatable.",
)
@click.option("--min-count", type=click.IntRange(1), default=2, show_default=True, help="Rows a value must be in.")
@click.option(
    "--model",
    type=click.Choice(["lr", "fm", "deepfm", "dcn", "din"]),
    help="Network of a table, default deepfm; din reads a list with its target in view.",
)
@click.option("--width", type=click.IntRange(1), help="Of the vector of a value. Default: 10; on a log 32.")
@click.option("--hidden", help="Units of the deep part's layers. Default: 400,400,400; on a log 128,64.")
@click.option("--cross-layers", type=click.IntRange(1), help="Of dcn, default 3; on a log 2.")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), help="Of units. Default: 0.2; on a log 0.1.")
@click.option(
    "--l2", type=click.FloatRange(0), help="On the vectors of a table's values. Default: 0.01; 1e-5 for lr and fm."
)
@learning_options
@ensemble_options
@project_option
@common_options
def finetune(
    output: Output,
    *,
    folder: Path | None,
    to: Path | None,
    start: Path | None,
    label: str | None,
    fields: tuple[str, ...],
    min_count: int,
    hidden: str | None,
    l2: float | None,
    asked: "Asked",
    augment: str | None,
    ensemble: int | None,
    distil: bool | None,
    clean: bool | None,
    train: Path | None,
    valid: Path | None,
    test: Path | None,
    **network: Any,
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
      kinema finetune click --find-rate --set schedule=cosine --set network.width=64 --tensorboard
      kinema finetune click --ensemble 3 --distil --augment crop=0.2,mask=0.1 --clean
      kinema finetune click --train train.csv.gz --valid valid.csv.gz --test test.csv.gz --label label --to models/click
      kinema finetune click --train newer.csv --label label --from models/click --to models/click2
      kinema predict click models/click --table new.csv --to scores.csv
    """  # noqa: D301  # \b tells click to keep the lines
    wished = {"augment": augment, "ensemble": ensemble, "distil": distil, "clean": clean}
    extras = {name: one for name, one in wished.items() if one is not None}
    network |= {"hidden": None if hidden is None else _sizes(hidden), "embedding_l2": l2}
    if train is None:
        if to is not None or start is not None or fields or valid is not None or test is not None:
            raise ConfigError(
                "--to, --from, --valid, --test and --field must come with --train, the table they belong to; give it"
            )
        _finetune_on_log(output, folder, label or "click", extras=extras, asked=asked, network=network)
        return
    if extras:
        raise ConfigError(
            "--augment, --ensemble, --distil and --clean are of a project's log; leave them out with --train"
        )
    if to is None:
        raise ConfigError("--train must come with --to, the folder of the model; give one")
    from kinema.steps.finetuning import finetune_click  # noqa: PLC0415  # keeps the start of other commands light
    from kinema.tasks.field_specs import parse_spec  # noqa: PLC0415  # as above

    with output.progress("finetune click") as progress:
        plan = table_plan("click_table", folder, to=to, asked=asked, progress=progress)
        report = finetune_click(
            train=train,
            valid=valid,
            test=test,
            label=label or "label",
            folder=to,
            specs=[parse_spec(one) for one in fields],
            min_count=min_count,
            start=start,
            plan=plan.with_network(**network),
        )
    output.show(report, lambda console: _people(console, report))


def _finetune_on_log(
    output: Output,
    folder: Path | None,
    label: str,
    *,
    extras: dict[str, Any],
    asked: "Asked",
    network: dict[str, Any],
) -> None:
    """A click model on the project's own log."""
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress("finetune click") as progress:
        learning = asked.options(progress, **network) | extras
        report = project.finetune.click(label, **learning)
    output.show(report, lambda console: _people_of_log(console, report))


def _people_of_log(console: Console, report: "LogClickReport") -> None:
    from kinema.tasks.history_artifact import FACTS  # noqa: PLC0415  # brings torch

    names = ("auc", "grouped_auc", "log_loss", "calibrated_error")
    rows = [
        [part, *(counts[part.split()[-1]] for counts in (report.num_examples, report.num_positive))]
        + [found.get(name, "") for name in names]
        for part, found in report.metrics.items()
    ]
    heads = ["part", "examples", report.label, "AUC", "AUC within users", "log loss", "calibration error"]
    console.print(table(f"{report.label} on the log, by time", heads, rows))
    show_slices(console, report.slices, report=report.folder / FACTS)
    console.print(
        f"best after epoch {report.best_epoch} of {report.epochs}; {report.num_parameters:,} parameters, "
        f"{report.num_examples['train']:,} training examples, {report.seconds:.1f} s"
    )
    print_notices(console, report.notices)
    console.print('next: ranker = "click" under [recommend] in kinema.toml', markup=False)


def _sizes(text: str) -> tuple[int, ...]:
    if not all(one.strip().isdecimal() for one in text.split(",")):
        raise ConfigError(f"--hidden must be whole numbers with commas between them, as in 400,400, is '{text}'")
    return tuple(int(one) for one in text.split(","))


def _people(console: Console, report: "ClickReport") -> None:
    rows: list[list[Any]] = [
        [one["name"], f"{one['kind']}{' (guessed)' if one['guessed'] else ''}", one["values"]] for one in report.fields
    ]
    console.print(table("fields", ["column", "is a", "values"], rows))
    print_notices(console, report.notices)
    print_rejects(console, report.rejects)
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


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--table", "rows", type=FILE, required=True, help="Rows with the columns the model has learnt from.")
@click.option("--to", type=FILE, required=True, help="Result: .parquet, .jsonl, or else CSV.")
@common_options
def predict(output: Output, *, folder: Path, rows: Path, to: Path) -> None:
    """Write a table with the probability of a click in a column click_prob.

    \b
    Example:
      kinema predict click models/click --table new.csv --to scores.csv
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    from kinema.steps.finetuning import predict_click  # noqa: PLC0415  # as above

    num_rows = predict_click(folder=folder, table=rows, to=to)
    output.show_written(num_rows, to)
