"""`kinema refresh`: train on what is new, and publish only if it is no worse."""

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, plain, print_notices, project_option, table

if TYPE_CHECKING:
    from kinema.steps.refresh_report import RefreshReport

KEPT: Final = 3
"""Exit code where the serving model stays."""


@click.command()
@click.option("--dry-run", is_flag=True, help="Train and compare, publish nothing.")
@click.option("--force", is_flag=True, help="Publish whatever the comparison says.")
@click.option("--min-events", type=click.IntRange(min=0), metavar="N", help="Overrides [refresh] min_events.")
@click.option("--extract/--no-extract", default=True, show_default=True, help="First read new items' media and texts.")
@click.option("--every", metavar="TIME", help="Go on for ever, so long from one round to the next: 30m, 6h, 1d.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Overrides [runtime] seed.")
@project_option
@common_options
def refresh(output: Output, *, folder: Path | None, every: str | None, **options: Any) -> None:
    """Train on the events as they are now, and publish the model only if it is no worse.

    The newest events are held out, and a candidate and the model that serves are asked about them. The candidate is published if
    the 95 % interval of the difference lies above minus a margin; see docs/models.md and [refresh] in kinema.toml.

    Exit code 0: published (with --dry-run: would be). 3: the serving model stays, because the candidate may be worse or too
    little is new. 1: an error.

    With --every, an error of one round is logged and the next round comes as if there was none; SIGTERM ends it with code 0.

    \b
    Examples:
      kinema refresh --dry-run
      kinema refresh --every 6h
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light
    from kinema.steps.refresh_schedule import refresh_every, seconds_of  # noqa: PLC0415  # as above

    def one_round() -> "RefreshReport":
        with Project.find(folder) as project, output.progress("refresh") as progress:
            return project.refresh(**options, progress=progress)

    if every is not None:
        seconds = seconds_of(every)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        refresh_every(seconds, one_round, told=lambda report: _tell_round(output, report))
    report = one_round()
    output.show(report, lambda console: _tell(console, report))
    if not (report.decision == "published" or (report.dry_run and report.good)):
        sys.exit(KEPT)


def _tell(console: Console, report: "RefreshReport") -> None:
    if report.comparison is not None:
        rows = [
            [
                name,
                row.questions,
                row.serving,
                row.candidate,
                row.difference.mean,
                row.difference.low,
                row.difference.high,
            ]
            for name, row in report.comparison.rows.items()
        ]
        heads = ["asked about", "questions", "serving", "candidate", "difference", "low", "high"]
        console.print(table(f"NDCG@10 on what happened from {report.asked_from} on", heads, rows))
    console.print(f"{report.decision}: {report.why}", markup=False)
    print_notices(console, report.notices)
    if report.version is not None:
        console.print(f"version {report.version} serves; the way back: kinema model rollback", markup=False)
    console.print(f"report: {report.file}", markup=False)


def _tell_round(output: Output, report: "RefreshReport") -> None:
    """One line for each round, flushed: whoever collects a service's lines sees it at once."""
    click.echo(json.dumps(plain(report)) if output.as_json else f"{report.decision}: {report.why}")
    sys.stdout.flush()
