"""What every command shares: the options for project, JSON and quiet, progress on standard error, tables on standard output."""

import contextlib
import dataclasses
import functools
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from pydantic_core import to_jsonable_python
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table

from kinema import logs
from kinema.progress import Progress, silent

if TYPE_CHECKING:
    from kinema.schema import Reject


FILE: Any = click.Path(path_type=Path, dir_okay=False)
FOLDER: Any = click.Path(path_type=Path, file_okay=False)
_MOST_REJECTS: Final = 10


@dataclasses.dataclass(frozen=True)
class Output:
    """How a command answers: for people or as JSON, with or without progress."""

    as_json: bool
    quiet: bool

    def show(self, value: Any, people: Callable[[Console], None]) -> None:
        """Print the result once: ``value`` as JSON, or what ``people`` writes to the console."""
        if self.as_json:
            click.echo(json.dumps(plain(value), ensure_ascii=False, indent=2))
        else:
            wide = None if Console().is_terminal else 150
            people(Console(highlight=False, soft_wrap=True, width=wide))

    def show_written(self, num_rows: int, to: Path) -> None:
        """Say how many rows a table that was written has."""
        self.show(
            {"rows": num_rows, "file": to}, lambda console: console.print(f"{num_rows:,} rows in {to}", markup=False)
        )

    @contextlib.contextmanager
    def progress(self, title: str) -> Iterator[Progress]:
        """A progress bar on standard error; silent with --quiet."""
        if self.quiet:
            yield silent
            return
        console = Console(stderr=True)
        columns = (
            SpinnerColumn(),
            TextColumn(title),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
        )
        with Bar(*columns, console=console, transient=not console.is_terminal, refresh_per_second=4) as bar:
            task = bar.add_task(title, total=None, note="")

            def report(done: int, total: int, note: str = "") -> None:
                bar.update(task, completed=done, total=total or None, note=note)

            yield report


def common_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --json, --quiet and --log-level; the command receives an `Output` as its first argument."""

    @click.option("--json", "as_json", is_flag=True, help="Answer as JSON on standard output.")
    @click.option("-q", "--quiet", is_flag=True, help="No progress on standard error.")
    @click.option(
        "--log-level",
        type=click.Choice(["debug", "info", "warning", "error"]),
        default="warning",
        show_default=True,
        help="Detail of the log on standard error.",
    )
    @functools.wraps(command)
    def wrapped(*args: Any, as_json: bool, quiet: bool, log_level: str, **kwargs: Any) -> Any:
        logs.configure(level=log_level, as_json=as_json)
        return command(Output(as_json, quiet), *args, **kwargs)

    return wrapped


def project_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --project; the command receives the folder or None."""
    return click.option(
        "-p",
        "--project",
        "folder",
        type=FOLDER,
        envvar="KINEMA_PROJECT",
        help="Project folder. Default: the one this folder is in, or the only one in it.",
    )(command)


def plain(value: Any) -> Any:
    """Turn dataclasses, enums, paths and NumPy values into what JSON knows; not-a-number becomes null."""
    return to_jsonable_python(value, inf_nan_mode="null", fallback=lambda one: plain(one.tolist()))


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table:
    """A table; columns whose cells are numbers are aligned right."""
    made = Table(title=title, title_justify="left", title_style="bold", header_style="bold", box=None, pad_edge=False)
    for place, name in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[place], int | float) for row in rows)
        made.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        made.add_row(*(_cell(one) for one in row))
    return made


def facts_table(title: str, facts: Mapping[str, Any]) -> Table:
    """What a report says of one thing, a line each; values that hold others are written out."""
    return table(title, ["what", "value"], [[name.replace("_", " "), in_words(value)] for name, value in facts.items()])


def in_words(value: Any) -> str:
    """A value as a person reads it.

    Examples:
        >>> in_words({"sequential": 0.5365999937057495, "popularity": 0.3512})
        'sequential 0.537, popularity 0.351'
        >>> in_words({"frames": True, "motion": False, "text": True})
        'frames, text; not motion'
        >>> in_words([14853, "a", None, 2.0])
        '14,853, a, none, 2'
    """
    if isinstance(value, Mapping):
        if value and all(isinstance(one, bool) for one in value.values()):
            named = [", ".join(name for name, one in value.items() if one is wanted) for wanted in (True, False)]
            return "; not ".join(named).removesuffix("; not ") if named[0] else f"none: not {named[1]}"
        return ", ".join(f"{name} {in_words(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(in_words(one) for one in value) or "none"
    if isinstance(value, float):
        return f"{value:,.0f}" if value.is_integer() else f"{value:,.3g}" if abs(value) < 1 else f"{value:,.2f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return {None: "none", True: "yes", False: "no"}.get(value, str(value))


def print_notices(console: Console, notices: Iterable[str]) -> None:
    """A line for each thing that a person should know."""
    for notice in notices:
        console.print(f"note: {notice}", markup=False)


def print_rejects(console: Console, rejects: "Sequence[Reject]") -> None:
    """The first lines of tables that were left out, and how many more there are."""
    for one in rejects[:_MOST_REJECTS]:
        console.print(f"left out: {one.file} row {one.row}: {one.reason}", markup=False)
    if len(rejects) > _MOST_REJECTS:
        console.print(f"left out: {len(rejects) - _MOST_REJECTS:,} more", markup=False)


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4f}"
    return escape(str(value))
