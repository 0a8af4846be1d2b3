"""`kinema experiment`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, print_notices, project_option, table

if TYPE_CHECKING:
    from kinema.evaluation.experiments import ExperimentReport


@click.command()
@click.argument("scenario")
@click.option("--since", metavar="DATE", help="Slates shown from then on, such as 2026-01-31. Default: all.")
@project_option
@common_options
def experiment(output: Output, *, folder: Path | None, scenario: str, since: str | None) -> None:
    """Compare the variants of a scenario: clicks, watch time and likes of the slates that the service has shown.

    Users are compared, with 95 % intervals. What is said of each measure is a sentence under the table; decide before the
    start how long it runs, since looking every day until something shows up finds what is not there.

    \b
    Examples:
      kinema experiment home
      kinema experiment home --since 2026-01-31 --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        report = project.experiment(scenario, since=since)
    output.show(report, lambda console: _people(console, report))


def _people(console: Console, report: "ExperimentReport") -> None:
    rows: list[list[Any]] = [
        [one.variant, f"{one.share:.0%}", one.users, one.slates, one.impressions, one.clicks, one.likes]
        for one in report.variants
    ]
    columns = ["variant", "asked for", "users", "slates", "items shown", "clicks", "likes"]
    console.print(table(f"experiment on {report.scenario}", columns, rows))
    measures = list(report.variants[0].measures)
    values = [[measure, *(_interval(one.measures[measure]) for one in report.variants)] for measure in measures]
    console.print(table("", ["measure", *(one.variant for one in report.variants)], values))
    for one in report.comparisons:
        console.print(f"{one.measure}: {one.conclusion}", markup=False)
    print_notices(console, [one.text for one in report.notices])


def _interval(found: Any) -> str:
    return f"{found.mean:.4g} [{found.low:.4g}, {found.high:.4g}]"
