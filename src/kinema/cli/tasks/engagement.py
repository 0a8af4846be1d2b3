"""`kinema finetune engagement`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, project_option, table

if TYPE_CHECKING:
    from kinema.steps.finetuning_engagement import EngagementReport


@click.command()
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
def finetune(output: Output, *, folder: Path | None, epochs: int, seed: int, **how: Any) -> None:
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
