"""`kinema finetune engagement`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.learning import learning_options
from kinema.cli.output import Output, common_options, print_notices, project_option, table
from kinema.cli.robustness import augment_option

if TYPE_CHECKING:
    from kinema.steps.finetuning_engagement import EngagementReport
    from kinema.steps.finetuning_options import Asked


@click.command()
@click.option(
    "--sharing",
    type=click.Choice(["mmoe", "ple", "shared_bottom", "separate"]),
    help="What heads share. Default: mmoe.",
)
@click.option(
    "--weighting",
    type=click.Choice(["fixed", "uncertainty", "conflicts"]),
    help="How losses are combined. Default: fixed.",
)
@click.option("--compare", is_flag=True, help="Also train a model per head, and say whether sharing helps.")
@learning_options
@augment_option
@project_option
@common_options
def finetune(
    output: Output, *, folder: Path | None, compare: bool, augment: str | None, asked: "Asked", **network: str | None
) -> None:
    """Learn clicks, likes, shares, finishing and watch time of a project's log together.

    Watch time is learnt as its place among clips of similar length, so that long clips are not favoured for being long.

    \b
    Examples:
      kinema finetune engagement
      kinema finetune engagement --sharing ple --compare --json
      kinema finetune engagement --set network.dropout=0.1 --set clip_norm=5 --tensorboard
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    extras: dict[str, Any] = {} if augment is None else {"augment": augment}
    with Project.find(folder) as project, output.progress("finetune engagement") as progress:
        learning = asked.options(progress, **network) | extras
        report = project.finetune.engagement(compare=compare, **learning)
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
    print_notices(console, report.notices)
    console.print(f"model: {report.folder}", markup=False)
