"""`kinema duplicates`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, print_notices, project_option, table

if TYPE_CHECKING:
    from kinema.steps.duplicates import DuplicateReport


@click.command()
@project_option
@common_options
def duplicates(output: Output, *, folder: Path | None) -> None:
    """Find clips that show the same: re-encoded, scaled, cropped, letterboxed, brightened or uploaded again.

    From then on a slate shows one of each group. Run it again after new videos; finished clips are kept.

    \b
    Example:
      kinema duplicates
      kinema duplicates --json > groups.json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress("duplicates") as progress:
        report = project.duplicates(progress=progress)
    output.show(report, lambda console: print_duplicates(console, report))


def print_duplicates(console: Console, report: "DuplicateReport") -> None:
    """Print groups, counts and notices."""
    rows: list[list[Any]] = [
        [
            number if place == 0 else "",
            one.item,
            one.title,
            one.file,
            one.interactions,
            f"{one.quality:.0%}",
            f"{one.alike:.3f}",
            "keep" if place == 0 else "",
        ]
        for number, group in enumerate(report.groups, start=1)
        for place, one in enumerate(group)
    ]
    if rows:
        columns = ["group", "item", "title", "file", "interactions", "whole", "alike", ""]
        console.print(table("copies of one clip", columns, rows))
    copies = sum(len(group) - 1 for group in report.groups)
    console.print(
        f"{len(report.groups):,} {'group' if len(report.groups) == 1 else 'groups'} with {copies:,} copies to spare among {report.num_clips:,} clips; "
        f"{report.num_made:,} fingerprints made, {report.num_compared:,} pairs compared, {report.seconds:.1f} s"
    )
    if report.num_empty:
        console.print(
            f"note: clips that show nothing (black or of one colour) and are compared by file only: {report.num_empty:,}"
        )
    print_notices(console, report.notices)
