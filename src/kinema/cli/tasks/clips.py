"""`kinema finetune clips` and `kinema predict clips`."""

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.learning import learning_options, table_plan
from kinema.cli.output import Output, common_options, project_option, table
from kinema.errors import ConfigError

if TYPE_CHECKING:
    from kinema.steps.finetuning_clips import ClipClassReport
    from kinema.steps.finetuning_options import Asked
    from kinema.steps.predicting_clips import PredictionReport

_FILE: Any = click.Path(path_type=Path, dir_okay=False)
_FOLDER: Any = click.Path(path_type=Path, file_okay=False)
_SHOWN = 10


@click.command()
@click.option("--labels", "table", type=_FILE, help="Table with a label per clip: CSV, JSON lines or Parquet.")
@click.option("--column", help="Of the label, in --labels; without --labels a column of the catalogue, as category.")
@click.option("--key", help="Column of --labels that names the clip. Default: item, id, media_path, path, file, ...")
@click.option(
    "--name-pattern",
    "pattern",
    default="auto",
    show_default=True,
    help="Labels from names: ucf (v_Label_g01_c01.avi), folder (label/clip.mp4), numbered (label_12.mp4), "
    "or a regular expression with (?P<label>...) and perhaps (?P<group>...).",
)
@click.option("--clips", type=_FOLDER, help="Folder of clips that belong to no project.")
@click.option("--to", type=_FOLDER, help="Folder of the model. Default: artifacts/clip-classes of the project.")
@click.option(
    "--inputs", type=click.Choice(["both", "frames", "motion"]), help="What is read of a clip. Default: both."
)
@click.option("--min-clips", type=click.IntRange(3), default=5, show_default=True, help="Of a class, to be learnt.")
@click.option("--balance", type=click.FloatRange(0, 1), help="0 counts every clip alike, 1 every class. Default: 0.5.")
@click.option("--smoothing", type=click.FloatRange(0, 1, max_open=True), help="Of labels. Default: 0.05.")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), help="Of units. Default: 0.3.")
@click.option(
    "--augment",
    callback=lambda _, __, given: None if given is None else tuple(filter(None, given.replace(" ", "").split(","))),
    metavar="WAY,...",
    help="Learn from changed clips as well. Pictures: crop, light, colour, blur, noise, compress, turn, and flip, which mirrors what "
    "moves to the left. Moments: drop, span, jitter. Default: none.",
)
@click.option("--copies", type=click.IntRange(1), help="Of a clip with changed pictures, made once. Default: 4.")
@learning_options
@project_option
@common_options
def finetune(
    output: Output,
    *,
    folder: Path | None,
    clips: Path | None,
    to: Path | None,
    min_clips: int,
    asked: "Asked",
    **how: Any,
) -> None:
    """Learn the class of a clip, an action or a topic, from clips with a label each.

    Three fifths of the clips are learnt from, 15 % decide, a quarter is measured on; every class is divided alike, and clips that
    belong together (g01 of v_Label_g01_c01.avi, copies of one file) stay together. Classes with few clips and clips that cannot be read
    are set aside and counted.

    Changed pictures (--augment) are read and encoded once, so the first run with them takes as much longer as extracting --copies times
    would; validation and test clips stay as they are. Under [finetune.clips.network]: augment = ["crop", "light"].

    \b
    Examples:
      kinema finetune clips --column category
      kinema finetune clips --labels labels.csv --column action --json
      kinema finetune clips --name-pattern ucf --inputs motion --set network.width=96
      kinema finetune clips --clips UCF-101/ --to models/actions
      kinema finetune clips --column category --augment crop,light,drop
      kinema predict clips models/actions --clips new/ --to classes.csv
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light
    from kinema.steps.clip_library import AskedClips, labelled_clips  # noqa: PLC0415  # as above
    from kinema.steps.finetuning_clips import USUAL, finetune_clips  # noqa: PLC0415  # as above

    labels = {name: how.pop(name) for name in ("table", "column", "key", "pattern")}
    with output.progress("finetune clips") as progress:
        if clips is None:
            with Project.find(folder) as project:
                labels["labels"] = labels.pop("table")
                learning = asked.options(progress, **how)
                report = project.finetune.clips(**labels, to=to, min_clips=min_clips, **learning)
        elif to is None:
            raise ConfigError("--clips must come with --to, the folder of the model; give one")
        else:
            plan = table_plan("clips", folder, to=to, asked=asked, progress=progress).with_network(**how)
            inputs = plan.network(USUAL).inputs
            library, found = labelled_clips(AskedClips(clips, to, **labels), inputs=inputs, progress=progress)
            report = finetune_clips(library, found, folder=to, min_clips=min_clips, plan=plan)
    output.show(report, lambda console: _people_of_classes(console, report))


def _people_of_classes(console: Console, report: "ClipClassReport") -> None:
    names = ("accuracy", "top5_accuracy", "macro_f1", "log_loss", "calibration_error")
    rows = [[part, *(found.get(name, "") for name in names)] for part, found in report.metrics.items()]
    sizes = ", ".join(f"{count:,} {name}" for name, count in report.num_clips.items())
    heads = ["", "accuracy", "top 5", "macro F1", "log loss", "calibration error"]
    console.print(table(f"{len(report.classes)} classes, {sizes}", heads, rows))
    if len(report.classes) <= _SHOWN:
        lines: list[list[Any]] = [[name, *row] for name, row in zip(report.classes, report.confusion, strict=True)]
        console.print(table("test clips: what they are, what they were taken for", ["", *report.classes], lines))
    console.print(f"labels: {report.labels}; divided: {report.split}", markup=False)
    aside = ", ".join(f"{count:,} {why}" for why, count in report.set_aside.items() if count)
    if aside:
        console.print(f"set aside: {aside}", markup=False)
    for notice in report.notices:
        console.print(f"note: {notice}", markup=False)
    _print_rejects(console, report.rejects)
    if report.confusion_plot is not None:
        console.print(f"confusions: {report.confusion_plot}", markup=False)
    console.print(
        f"best after epoch {report.best_epoch} of {report.epochs}, temperature {report.temperature:.2f}, "
        f"{report.seconds:.1f} s; model: {report.folder}",
        markup=False,
    )


def _print_rejects(console: Console, rejects: Any) -> None:
    for one in rejects[:_SHOWN]:
        console.print(f"not read: {one.file}: {one.reason}", markup=False)
    if len(rejects) > _SHOWN:
        console.print(f"and {len(rejects) - _SHOWN:,} more", markup=False)


@click.command()
@click.argument("model", type=_FOLDER)
@click.option(
    "--clips",
    "places",
    type=click.Path(path_type=Path),
    multiple=True,
    help="File or folder; repeatable. Default: all items of the project.",
)
@click.option("--to", type=_FILE, required=True, help="Table to write: .csv, .jsonl or .parquet.")
@click.option("--cache", type=_FOLDER, help="Keep what was computed of --clips here, for the next time.")
@project_option
@common_options
def predict(
    output: Output, *, folder: Path | None, model: Path, places: tuple[Path, ...], to: Path, cache: Path | None
) -> None:
    """Write the class of each clip, its probability, and the three most likely ones.

    A clip that cannot be read is named and set aside; the others go on.

    \b
    Examples:
      kinema predict clips models/actions --clips new/ --to classes.csv
      kinema predict clips models/actions --clips one.mp4 --clips two.mp4 --to classes.jsonl --json
      kinema predict clips shop/artifacts/clip-classes --project shop --to classes.csv
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    from kinema.project import Project  # noqa: PLC0415  # as above
    from kinema.steps.project_predict import classes_of_clips  # noqa: PLC0415  # as above

    with ExitStack() as stack:
        progress = stack.enter_context(output.progress("predict clips"))
        project = stack.enter_context(Project.find(folder)) if folder is not None or not places else None
        report = classes_of_clips(model, to=to, clips=places, cache=cache, project=project, progress=progress)
    output.show(report, lambda console: _people_of_predictions(console, report))


def _people_of_predictions(console: Console, report: "PredictionReport") -> None:
    rows = [[name, count] for name, count in sorted(report.counts.items(), key=lambda one: -one[1])]
    console.print(table(f"{report.num_clips:,} clips", ["class", "clips"], rows))
    if report.num_unreadable:
        console.print(f"not read: {report.num_unreadable:,} clips", markup=False)
    _print_rejects(console, report.rejects)
    console.print(f"table: {report.to}", markup=False)
