"""`kinema finetune text` and `kinema predict text`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.learning import learning_options, table_plan
from kinema.cli.output import FILE, FOLDER, Output, common_options, print_notices, print_rejects, project_option, table
from kinema.cli.tasks.choice_options import choice_options

if TYPE_CHECKING:
    from kinema.steps.finetuning_options import Asked
    from kinema.steps.finetuning_text import TextReport

_SHARE = click.FloatRange(0, 1)


@click.command()
@click.option("--train", type=FILE, required=True, help="Table to learn from: CSV, JSON lines or Parquet, or .gz.")
@click.option("--valid", type=FILE, help="Rows that decide when to stop. Default: a tenth of --train, at random.")
@click.option("--test", type=FILE, help="Rows to measure on, once, at the end.")
@click.option("--text", default="text", show_default=True, help="Column of the text, or of the first one of a pair.")
@click.option("--pair", default="", help="Column of the second text of a pair.")
@click.option("--label", default="label", show_default=True, help="Column to predict, two values or more.")
@click.option("--to", type=FOLDER, required=True, help="Folder of the model.")
@click.option("--encoder", default="packaged:minilm", show_default=True, help="Packaged name, hub name or folder.")
@click.option(
    "--head",
    type=click.Choice(["linear", "lstm"]),
    default="linear",
    show_default=True,
    help="Over the first token, as BertForSequenceClassification, or an LSTM over all of them.",
)
@click.option("--augment", type=_SHARE, default=0.0, show_default=True, help="Share of words that synonyms replace.")
@click.option("--synonyms", type=FILE, help="Table with word and synonyms (a|b). Default: the encoder's nearest words.")
@click.option(
    "--back-translate", type=_SHARE, default=0.0, show_default=True, help="Share of texts added in other words."
)
@click.option("--there", type=FOLDER, help="Translation model into another language, for --back-translate.")
@click.option("--back", type=FOLDER, help="Translation model from there.")
@click.option("--max-tokens", type=click.IntRange(16), default=128, show_default=True, help="Read of a text.")
@choice_options
@learning_options
@project_option
@common_options
def finetune(
    output: Output,
    *,
    folder: Path | None,
    train: Path,
    valid: Path | None,
    test: Path | None,
    text: str,
    pair: str,
    label: str,
    to: Path,
    augment: float,
    synonyms: Path | None,
    back_translate: float,
    there: Path | None,
    back: Path | None,
    choice: dict[str, Any],
    asked: "Asked",
    **options: Any,
) -> None:
    """Learn the label of a text, or of a pair of texts, from any table. Only what was learnt is stored, without the encoder.

    The run is kept beside the model, in TO-run: what was interrupted goes on. [finetune.text] counts where a project is near.

    \b
    Examples:
      kinema finetune text --train reviews.csv --text review --label stars --to models/stars
      kinema finetune text --train pairs.csv --text watched --pair shown --label clicked --learn top --to models/pairs
      kinema finetune text --train reviews.csv --head lstm --learn frozen --augment 0.1 --to models/lstm --json
      kinema predict text models/stars --table new.csv --to labels.csv
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.steps.finetuning_text import TextTraining, finetune_text  # noqa: PLC0415  # keeps the start light
    from kinema.steps.text_changes import TextChanges  # noqa: PLC0415  # as above
    from kinema.steps.text_rows import TextColumns  # noqa: PLC0415  # as above
    from kinema.training.text_learning import read_synonyms  # noqa: PLC0415  # as above

    words = None if synonyms is None else read_synonyms(synonyms)
    changes = TextChanges(augment, words, back_translate, there, back)
    with output.progress("finetune text") as progress:
        plan = table_plan("text", folder, to=to, asked=asked, progress=progress)
        report = finetune_text(
            train=train,
            valid=valid,
            test=test,
            columns=TextColumns(text, pair, label),
            folder=to,
            training=TextTraining(changes=changes, **options),
            plan=plan.with_network(**choice),
        )
    output.show(report, lambda console: _people(console, report))


def _people(console: Console, report: "TextReport") -> None:
    print_notices(console, report.notices)
    print_rejects(console, report.rejects)
    rows = [
        [name, report.num_rows[name], found["accuracy"], found["most_common"], found["log_loss"], found.get("auc", "")]
        for name, found in report.metrics.items()
    ]
    heads = ["table", "rows", "accuracy", "of the most common", "log loss", "AUC"]
    console.print(table(f"{len(report.classes)} labels", heads, rows))
    console.print(
        f"best after epoch {report.best_epoch} of {report.epochs}; {report.num_rows['train']:,} training rows; "
        f"{report.delta.num_parameters:,} of {report.num_all:,} numbers stored, {report.delta.size_bytes:,} bytes; "
        f"{report.seconds:.1f} s",
        markup=False,
    )
    console.print(f"model: {report.folder}", markup=False)
    console.print(f"next: kinema predict text {report.folder} --table NEW.csv --to labels.csv", markup=False)


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--table", "rows", type=FILE, required=True, help="Rows with the columns the model has learnt from.")
@click.option("--to", type=FILE, required=True, help="Result: .parquet, .jsonl, or else CSV.")
@common_options
def predict(output: Output, *, folder: Path, rows: Path, to: Path) -> None:
    """Write a table with a label for each row in a column predicted, and its probability in predicted_prob.

    \b
    Example:
      kinema predict text models/stars --table new.csv --to labels.csv
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    from kinema.steps.finetuning_text import predict_text  # noqa: PLC0415  # as above

    num_rows = predict_text(folder=folder, table=rows, to=to)
    output.show_written(num_rows, to)
