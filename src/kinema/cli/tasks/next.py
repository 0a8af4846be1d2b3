"""`kinema finetune next`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.learning import learning_options
from kinema.cli.output import FOLDER, Output, common_options, print_notices, project_option, table

if TYPE_CHECKING:
    from kinema.steps.finetuning_next import NextReport
    from kinema.steps.finetuning_options import Asked


@click.command()
@click.option(
    "--from",
    "source",
    type=FOLDER,
    metavar="FOLDER",
    help="Model of another catalogue: a project, or an FLM artefact. Default: this project's own model.",
)
@click.option(
    "--learn",
    type=click.Choice(["full", "frozen", "top", "lora", "adapters", "prefix"]),
    default="full",
    show_default=True,
    help="What learns beside the items' own vectors, which always do.",
)
@click.option("--layers", type=click.IntRange(1), default=1, show_default=True, help="Of top.")
@click.option("--rank", type=click.IntRange(1), default=8, show_default=True, help="Of lora.")
@learning_options
@project_option
@common_options
def finetune(output: Output, *, folder: Path | None, asked: "Asked", **how: Any) -> None:
    """Let a pre-trained FLM learn on, on what comes next in this project's histories.

    From another catalogue the content path comes along and the vectors of its items do not. What was learnt is kept alone
    in artifacts/next/deltas, one per choice; model = "next" under [recommend] in kinema.toml lets the result serve.

    \b
    Examples:
      kinema finetune next --from ../other-shop
      kinema finetune next --from ../other-shop --learn lora --rank 4
      kinema finetune next --learn adapters --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress("finetune next") as progress:
        report = project.finetune.next(**how, **asked.options(progress))
    output.show(report, lambda console: _people(console, report))


def _people(console: Console, report: "NextReport") -> None:
    rows = [
        [name, row, found["ndcg@10"], found["recall@10"]]
        for name, by_row in report.metrics.items()
        for row, found in by_row.items()
    ]
    title = f"next item on the newest tenth: {report.cases['test']:,} cases, {report.cases['cold']:,} of them of items new to training"
    console.print(table(title, ["", "items", "NDCG@10", "Recall@10"], rows))
    console.print(report.verdict, markup=False)
    console.print(
        f"{report.learn}: {report.num_learning:,} of {report.num_all:,} numbers learnt, {report.num_own:,} of them the items' own; "
        f"best after epoch {report.best_epoch} of {report.epochs}, {report.seconds:.1f} s"
    )
    kept = [[one.name, one.num_parameters, one.num_heads, one.size_bytes] for one in report.deltas]
    console.print(table("deltas", ["learnt", "numbers", "of the items", "bytes"], kept))
    print_notices(console, report.notices)
    console.print(f"model: {report.folder}", markup=False)
    console.print('next: model = "next" under [recommend] in kinema.toml', markup=False)
