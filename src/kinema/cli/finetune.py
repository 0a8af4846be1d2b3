"""`kinema finetune click` and `kinema predict click`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, table

if TYPE_CHECKING:
    from kinema.steps.finetuning import ClickReport

_FILE: Any = click.Path(path_type=Path, dir_okay=False)
_FOLDER: Any = click.Path(path_type=Path, file_okay=False)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def finetune() -> None:
    """Learn one task from labelled examples.

    \b
    Examples:
      kinema finetune click --train train.csv.gz --valid valid.csv.gz --label clicked --to models/click
      kinema finetune click --train log.parquet --label liked --model dcn --to models/like --json
    """  # noqa: D301  # \b tells click to keep the lines


@finetune.command("click")
@click.option(
    "--train", type=_FILE, required=True, help="Table to learn from: CSV, JSON lines or Parquet; text may be .gz."
)
@click.option("--valid", type=_FILE, help="Rows that decide when to stop. Default: a tenth of --train, at random.")
@click.option("--test", type=_FILE, help="Rows to measure on, once, at the end.")
@click.option("--label", default="label", show_default=True, help="Column to predict, 0 or 1.")
@click.option("--to", "folder", type=_FOLDER, required=True, help="Folder of the model.")
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
@common_options
def finetune_click_command(
    output: Output,
    *,
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
    """Learn the probability of a click, a like or a purchase from the columns of a table.

    What a column is gets guessed: lists where cells are lists or have a |, numbers where there are fractions or whole numbers
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
    Example:
      kinema finetune click --train train.csv.gz --valid valid.csv.gz --test test.csv.gz --label label --to models/click
      kinema predict click models/click --table new.csv --to scores.csv
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
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
            config=config, specs=[parse_spec(one) for one in fields], training=training, progress=progress, **files
        )
    output.show(report, lambda console: _people(console, report))


def _sizes(text: str) -> tuple[int, ...]:
    from kinema.errors import ConfigError  # noqa: PLC0415  # keeps the start of other commands light

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
