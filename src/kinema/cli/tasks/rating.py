"""`kinema finetune rating`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, project_option, table

if TYPE_CHECKING:
    from kinema.steps.finetuning_rating import RatingReport


@click.command()
@click.option("--epochs", type=click.IntRange(1), default=40, show_default=True, help="At most.")
@click.option("--patience", type=click.IntRange(1), default=3, show_default=True, help="Epochs without gain.")
@click.option(
    "--loss", type=click.Choice(["mse", "mae"]), default="mse", show_default=True, help="Tells mean or median."
)
@click.option(
    "--coverage",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.9,
    show_default=True,
    help="Of intervals.",
)
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the run.")
@project_option
@common_options
def finetune(
    output: Output, *, folder: Path | None, epochs: int, patience: int, loss: str, coverage: float, seed: int
) -> None:
    """Learn what a user would rate an item, with an interval, from the ratings of a project's log.

    The oldest four fifths are learnt from, the next tenth decides, the newest tenth is measured on.

    \b
    Examples:
      kinema finetune rating
      kinema finetune rating --loss mae --coverage 0.8 --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    from kinema.project import Project  # noqa: PLC0415  # as above
    from kinema.steps.finetuning_rating import finetune_rating  # noqa: PLC0415  # as above
    from kinema.tasks.rating import RatingConfig  # noqa: PLC0415  # as above

    config = RatingConfig(dropout=0.5, l2=0.01, loss=loss, coverage=coverage)
    options = {"max_epochs": epochs, "patience": patience}
    with Project.find(folder) as project, output.progress("finetune rating") as progress:
        report = finetune_rating(
            project.store,
            project.dataset(),
            artifacts=project.artifacts,
            config=config,
            options=options,
            seed=seed,
            progress=progress,
        )
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
    console.print(f"model: {report.folder}", markup=False)
