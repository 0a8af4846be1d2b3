"""`kinema finetune several`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.learning import learning_options
from kinema.cli.output import Output, common_options, print_notices, project_option, table
from kinema.errors import ConfigError

if TYPE_CHECKING:
    from kinema.steps.finetuning_options import Asked
    from kinema.steps.finetuning_several import SeveralReport


@click.command()
@click.option(
    "--tasks",
    default="click,next",
    show_default=True,
    help="With commas: click, like, share, comment, follow, purchase, rating, next.",
)
@click.option(
    "--weighting",
    type=click.Choice(["fixed", "uncertainty", "conflicts"]),
    default="fixed",
    show_default=True,
    help="How losses are combined.",
)
@click.option("--weights", default="", metavar="TASK=NUMBER,...", help="Of the losses. Default: 1 each.")
@click.option("--compare", is_flag=True, help="Also train a model per task, and say whether sharing helps.")
@learning_options
@project_option
@common_options
def finetune(output: Output, *, folder: Path | None, tasks: str, weights: str, asked: "Asked", **how: Any) -> None:
    """Learn several tasks of a project's log in one run: one trunk over histories and FLM's item vectors, a head per task.

    All tasks are cut at the same two moments: what lies before the first is learnt from, the newest tenth is measured on.
    uncertainty learns how hard each task is, conflicts cuts the part in which two tasks pull against each other.

    \b
    Examples:
      kinema finetune several
      kinema finetune several --tasks click,rating,next --weights click=1,rating=0.3
      kinema finetune several --tasks click,like,next --weighting uncertainty --compare --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    how |= {"tasks": named_tasks(tasks), "weights": given_weights(weights)}
    with Project.find(folder) as project, output.progress("finetune several") as progress:
        report = project.finetune.several(**how, **asked.options(progress))
    output.show(report, lambda console: _people(console, report))


def named_tasks(text: str) -> list[str]:
    """What ``--tasks`` says."""
    return [one.strip() for one in text.split(",") if one.strip()]


def given_weights(text: str) -> dict[str, float]:
    """What ``--weights`` says.

    Raises:
        ConfigError: It is not written as weights are.
    """
    found = {}
    for one in filter(None, (part.strip() for part in text.split(","))):
        name, _, number = one.partition("=")
        try:
            found[name.strip()] = float(number)
        except ValueError as error:
            raise ConfigError(f"--weights must be as in click=1,rating=0.3, has '{one}'; write TASK=NUMBER") from error
    return found


def _people(console: Console, report: "SeveralReport") -> None:
    rows = []
    for name, found in report.metrics.items():
        for metric, value in found.items():
            row = [name, metric, value]
            rows.append([*row, report.alone[name][metric]] if report.alone else row)
    columns = ["task", "on the newest tenth", "together", *(["alone"] if report.alone else [])]
    console.print(table(f"several tasks, weighting {report.weighting}", columns, rows))
    for line in report.advice.splitlines():
        console.print(line, markup=False)
    counted = ", ".join(f"{name} {parts['train']:,}" for name, parts in report.num_examples.items())
    console.print(
        f"best after epoch {report.best_epoch} of {report.epochs}; training examples: {counted}; {report.seconds:.1f} s"
    )
    print_notices(console, report.notices)
    console.print(f"model: {report.folder}", markup=False)
    console.print('next: ranker = "several" under [recommend] in kinema.toml', markup=False)
