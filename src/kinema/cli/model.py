"""`kinema extract`, `kinema pretrain` and `kinema evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, project_option, table

if TYPE_CHECKING:
    from kinema.steps.evaluating import EvaluationReport

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
        for notice in report.notices:
            console.print(f"note: {notice}", markup=False)
        for one in report.rejects[:10]:
            console.print(f"set aside: {one.file}: {one.reason}", markup=False)
        console.print(f"{report.seconds:.1f} s; next: kinema pretrain")

    output.show(report, people)


@click.command()
@_SEED
@project_option
@common_options
def pretrain(output: Output, *, folder: Path | None, seed: int | None) -> None:
    """Pre-train FLM on the project's histories and vectors.

    Writes the artefact that recommend, similar and audience serve from. A run that was killed goes on from its last
    checkpoint and ends with the same numbers.

    \b
    Example:
      kinema pretrain --seed 7
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress("pretrain") as progress:
        report = project.pretrain(seed=seed, progress=progress)

    def people(console: Console) -> None:
        rows: list[list[Any]] = [[name, str(value)] for name, value in report.facts.items()]
        console.print(table(f"FLM in {report.folder}", ["what", "value"], rows))
        console.print("next: kinema evaluate --protocol leave-one-out, or kinema recommend USER -n 10 --explain")

    output.show(report, people)


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
