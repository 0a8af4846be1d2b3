"""`kinema ingest` and `kinema check`."""

from pathlib import Path

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, facts_table, print_notices, project_option, table
from kinema.errors import ConfigError


def _mapping(pairs: tuple[str, ...]) -> dict[str, str]:
    mapping = {}
    for pair in pairs:
        theirs, equals, ours = pair.partition("=")
        if not (theirs and equals and ours):
            raise ConfigError(f"--map must have the form THEIRS=OURS, is '{pair}'; example: --map movie=item")
        mapping[theirs] = ours
    return mapping


_FILE = click.Path(path_type=Path)


@click.command()
@click.option(
    "--videos",
    type=_FILE,
    help="Folder of video files, with --live also one file; each becomes an item, sidecar JSON is read.",
)
@click.option("--items", type=_FILE, help="Table of items: CSV, JSON lines or Parquet.")
@click.option("--users", type=_FILE, help="Table of users.")
@click.option("--events", type=_FILE, help="Table of events.")
@click.option(
    "--source", nargs=2, type=(str, _FILE), help="A named data set and its folder, such as movielens-100k DIR."
)
@click.option(
    "--map", "pairs", multiple=True, metavar="THEIRS=OURS", help="A column of theirs that is one of ours; may repeat."
)
@click.option("--strict", is_flag=True, help="A bad row is an error instead of being set aside.")
@click.option("--live", is_flag=True, help="Understand the clips of --videos at once; nothing is trained.")
@project_option
@common_options
def ingest(
    output: Output,
    *,
    folder: Path | None,
    videos: Path | None,
    items: Path | None,
    users: Path | None,
    events: Path | None,
    source: tuple[str, Path] | None,
    pairs: tuple[str, ...],
    strict: bool,
    live: bool,
) -> None:
    """Read videos, items, users and events into the store.

    The same file twice changes nothing; a run that was killed goes on behind its last durable row. Bad rows are set
    aside in rejects/ with file, row and reason. Column names of gorse, RecBole and Personalize are understood.

    \b
    Examples:
      kinema ingest --videos clips/ --items items.csv --users users.csv --events events.parquet
      kinema ingest --source movielens-100k ml-100k/
      kinema ingest --events log.csv --map viewer=user --map film=item
      kinema ingest --videos new.mp4 --live
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light
    from kinema.store.protocols import WriteCounts  # noqa: PLC0415  # the same

    mapping = _mapping(pairs)
    if live:
        if videos is None or items or users or events or source:
            raise ConfigError(
                "--live must come with --videos and nothing else to read; give a clip or a folder of them"
            )
        _take_in(output, folder, videos)
        return
    with Project.find(folder) as project, output.progress("ingest") as progress:
        report = project.ingest(
            videos=videos,
            items=items,
            users=users,
            events=events,
            source=source,
            mapping=mapping,
            strict=strict,
            progress=progress,
        )
        summary = project.store.summary()

    def people(console: Console) -> None:
        rows = [[kind, counts.new, counts.known, counts.rejected] for kind, counts in report.counts.items()]
        console.print(table("read", ["kind", "new", "known", "set aside"], rows))
        console.print(
            f"in the store: {summary.num_items:,} items, {summary.num_users:,} users, {summary.num_events:,} events"
        )
        for file in report.files:
            if not file.skipped and file.counts == WriteCounts():
                console.print(f"note: nothing to read in '{file.file}'", markup=False)
        for one in report.examples:
            row = "" if one.row is None else f" row {one.row}"
            console.print(f"set aside: '{one.file}'{row}: {one.reason}", markup=False)
        if report.examples:
            console.print(f"all of them: {report.rejects_folder}", markup=False)
        console.print("next: kinema check, then kinema extract")

    output.show(report, people)


def _take_in(output: Output, folder: Path | None, videos: Path) -> None:
    """Clips that are recommendable when the command ends."""
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project, output.progress("clips") as progress:
        report = project.take_in(videos, progress=progress)

    def people(console: Console) -> None:
        rows = [[one.id, ", ".join(one.similar), ", ".join(one.audience), one.reason] for one in report.items]
        if rows:
            console.print(table("new clips", ["item", "nearest items", "users it fits", "problem"], rows))
        console.print(", ".join(f"{stage} {seconds:.1f} s" for stage, seconds in report.seconds.items()))
        for notice in report.notices:
            console.print(f"note: {notice}", markup=False)

    output.show(report, people)


@click.command()
@click.option("--rejects", "num_rejects", default=10, show_default=True, help="Rows set aside that are shown.")
@project_option
@common_options
def check(output: Output, *, folder: Path | None, num_rejects: int) -> None:
    """Show what is in the store: counts, time range, sparsity, broken rows and where they are.

    \b
    Example:
      kinema check --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        report = project.check()

    def people(console: Console) -> None:
        console.print(facts_table("store", report.facts()))
        if report.rejects:
            shown = [
                [one.file, "" if one.row is None else one.row, one.kind, one.reason]
                for one in report.rejects[:num_rejects]
            ]
            title = f"set aside: {len(report.rejects):,}, the first {len(shown)}; all of them in rejects/"
            console.print(table(title, ["file", "row", "kind", "reason"], shown))
        print_notices(console, report.notices)

    output.show(report, people)
