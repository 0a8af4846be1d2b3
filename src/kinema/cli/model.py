"""`kinema extract`, `kinema pretrain` and `kinema evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.output import FOLDER, Output, common_options, facts_table, print_notices, project_option, table
from kinema.cli.searching import trial_rows

if TYPE_CHECKING:
    from kinema.steps.evaluating import EvaluationReport
    from kinema.tuning.report import TuningReport

_TOLD_BY_OTHERS = ("blend",)
"""Facts for programs: weights and cold ratios say the same to people."""
_SEED = click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Overrides [runtime] seed.")


@click.command()
@project_option
@common_options
def extract(output: Output, *, folder: Path | None) -> None:
    """Turn media and text into vectors.

    Resumable: finished clips are kept by content, so a second run reads only what is new. A clip that cannot be decoded
    is set aside with its reason; the item keeps its text.

    \b
    Example:
      kinema extract
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress("extract") as progress:
        report = project.extract(progress=progress)

    def people(console: Console) -> None:
        rows = [[name, one.computed, one.cached, one.missing, one.failed] for name, one in report.counts.items()]
        console.print(table("vectors", ["modality", "computed", "cached", "absent", "failed"], rows))
        print_notices(console, report.notices)
        for one in report.rejects[:10]:
            console.print(f"set aside: {one.file}: {one.reason}", markup=False)
        console.print(f"{report.seconds:.1f} s; next: kinema pretrain")

    output.show(report, people)


@click.command()
@click.option("--catalogue-only", is_flag=True, help="Learn from the items alone, without events.")
@click.option(
    "--from",
    "source",
    type=FOLDER,
    metavar="FOLDER",
    help="Start from the model of another catalogue: a project, or an FLM artefact.",
)
@click.option("--zero-shot", is_flag=True, help="With --from: use that model as it is, without any training.")
@click.option(
    "--tune",
    "tune_seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="First search for FLM's settings on validation for so long; kinema.toml's [flm] is kept as it is.",
)
@click.option("--tune-trials", type=click.IntRange(min=1), metavar="N", help="End the search after N trials as well.")
@click.option(
    "--tuned/--no-tuned", "use_tuned", default=True, show_default=True, help="Use what an earlier --tune has found."
)
@_SEED
@project_option
@common_options
def pretrain(
    output: Output,
    *,
    folder: Path | None,
    seed: int | None,
    **how: Any,
) -> None:
    """Pre-train FLM on the project's histories and vectors.

    Writes the artefact that recommend, similar and audience serve from. A run that was killed goes on from its last
    checkpoint and ends with the same numbers; a search goes on with its remaining time.

    From another catalogue comes all that belongs to no single item, where modality and encoder agree; what training
    changes of it is kept by itself, see: kinema delta.

    \b
    Example:
      kinema pretrain --seed 7
      kinema pretrain --tune 600
      kinema pretrain --catalogue-only
      kinema pretrain --from ../other-shop
      kinema pretrain --from ../other-shop --zero-shot
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress("pretrain") as progress:
        report = project.pretrain(seed=seed, **how, progress=progress)

    def people(console: Console) -> None:
        if report.tuning is not None:
            print_tuning(console, report.tuning)
        print_notices(console, report.notices)
        facts = {name: value for name, value in report.facts.items() if name not in _TOLD_BY_OTHERS}
        console.print(facts_table(f"FLM in {report.folder}", facts | {"seed": str(report.facts["seed"])}))
        if how["catalogue_only"] or how["zero_shot"]:
            console.print("next: kinema similar ITEM -n 10 --explain, or kinema recommend USER -n 10 --explain")
        else:
            console.print("next: kinema evaluate --protocol leave-one-out, or kinema recommend USER -n 10 --explain")

    output.show(report, people)


def print_tuning(console: Console, tuning: "TuningReport") -> None:
    """Print the trials of a search and its verdict."""
    rows = trial_rows(tuning, lambda one: one.value)
    title = (
        f"{len(rows)} trials on {tuning.cases:,} validation cases, {tuning.seconds:.0f} of {tuning.budget_seconds:g} s"
    )
    console.print(table(title, ["trial", "NDCG@10", "end", "s", "settings, where they are not the default"], rows))
    console.print(tuning.verdict, markup=False)


def print_evaluation(console: Console, report: "EvaluationReport") -> None:
    """Print the table of an evaluation and its verdict."""
    columns = list(report.summary[0])
    split = report.split
    title = f"{report.protocol}: {split['test_cases']:,} test cases, {split['items']:,} items, all of them candidates"
    console.print(table(title, columns, [[row.get(name, "") for name in columns] for row in report.summary]))
    console.print("* best, = not told apart from it (95 % interval of the paired difference)")
    console.print(report.verdict, markup=False)


@click.command()
@click.option(
    "--protocol",
    type=click.Choice(["leave-one-out", "temporal", "cold"]),
    default="leave-one-out",
    show_default=True,
    help="What is learnt from and what is asked.",
)
@click.option("--quick", is_flag=True, help="FLM, popularity, item-kNN and EASE only: no ablated models are trained.")
@_SEED
@project_option
@common_options
def evaluate(output: Output, *, folder: Path | None, protocol: str, quick: bool, seed: int | None) -> None:
    """Measure FLM against baselines under a protocol, and write a report.

    Models are trained on the protocol's training part only; settings are chosen on validation; all items are
    candidates, seen ones filtered, ties count against the model.

    \b
    Example:
      kinema evaluate --protocol temporal
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress("evaluate") as progress:
        report = project.evaluate(protocol, quick=quick, seed=seed, progress=progress)

    def people(console: Console) -> None:
        print_evaluation(console, report)
        console.print(f"report: {report.html}")
        console.print(f"numbers: {report.json}")

    output.show(report, people)
