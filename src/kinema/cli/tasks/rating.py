"""`kinema finetune rating`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from kinema.cli.learning import learning_options
from kinema.cli.output import Output, common_options, print_notices, project_option, table

if TYPE_CHECKING:
    from kinema.steps.finetuning_options import Asked
    from kinema.steps.finetuning_rating import RatingReport


@click.command()
@click.option("--loss", type=click.Choice(["mse", "mae"]), help="Tells mean or median. Default: mse.")
@click.option(
    "--coverage", type=click.FloatRange(0, 1, min_open=True, max_open=True), help="Of intervals. Default: 0.9."
)
@learning_options
@project_option
@common_options
def finetune(output: Output, *, folder: Path | None, loss: str | None, coverage: float | None, asked: "Asked") -> None:
    """Learn what a user would rate an item, with an interval, from the ratings of a project's log.

    The oldest four fifths are learnt from, the next tenth decides, the newest tenth is measured on.

    \b
    Examples:
      kinema finetune rating
      kinema finetune rating --loss mae --coverage 0.8 --json
      kinema finetune rating --epochs 60 --set network.width=32 --set schedule=cosine
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress("finetune rating") as progress:
        report = project.finetune.rating(**asked.options(progress, loss=loss, coverage=coverage))
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
    print_notices(console, report.notices)
    console.print(f"model: {report.folder}", markup=False)
