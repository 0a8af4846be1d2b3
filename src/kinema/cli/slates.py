"""`kinema recommend`, `kinema similar` and `kinema audience`."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, project_option, table
from kinema.schema import BRANCHES, Branch, Slate

if TYPE_CHECKING:
    from kinema.recommend.audience import Audience

_NUM = click.option("-n", "--num-items", default=10, show_default=True, help="How many, 1 to 1000.")


def print_slate(console: Console, title: str, slate: Slate, *, explain: bool) -> None:
    """Print a slate, with reasons and trace where asked for."""
    columns = ["place", "item", "title", "score"]
    rows: list[list[Any]] = [[one.position + 1, one.id, one.title, one.score] for one in slate.items]
    if explain:
        columns.append("because")
        rows = [[*row, one.reason] for row, one in zip(rows, slate.items, strict=True)]
    console.print(table(title, columns, rows))
    if slate.notice:
        console.print(f"note: {slate.notice}", markup=False)
    if explain:
        steps = [
            [one.stage, one.num_in, one.num_out, f"{one.milliseconds:.1f}", _brief(one.detail)] for one in slate.trace
        ]
        console.print(table("how it came about", ["stage", "in", "out", "ms", "detail"], steps))


def print_audience(console: Console, found: "Audience") -> None:
    """Print who should see an item."""
    rows = [[one.position + 1, one.user, one.score, one.reason] for one in found.members]
    console.print(table(f"who should see {found.item} ({found.title})", ["place", "user", "score", "because"], rows))
    if found.notice:
        console.print(f"note: {found.notice}", markup=False)


def _brief(detail: Mapping[str, Any]) -> str:
    """The counts of a trace step; lists of examples are for --json."""
    parts: list[str] = []
    for name, value in detail.items():
        if isinstance(value, Mapping):
            inner = ", ".join(f"{key} {count}" for key, count in value.items() if count)
            parts += [f"{name}: {inner}"] if inner else []
        elif not isinstance(value, list | tuple):
            parts.append(f"{name} {value}")
    return "; ".join(parts)


@click.command()
@click.argument("user")
@_NUM
@click.option("--explain", is_flag=True, help="Say why each item is here and what each stage did.")
@click.option("--exclude", multiple=True, metavar="ITEM", help="An item that must not appear; may repeat.")
@click.option(
    "--scenario",
    default="home",
    show_default=True,
    help="Whose rules hold: home, related, search or one of kinema.toml.",
)
@click.option("--branch", type=click.Choice(BRANCHES), help="One side of the model answers alone, unfused.")
@project_option
@common_options
def recommend(
    output: Output,
    *,
    folder: Path | None,
    user: str,
    num_items: int,
    explain: bool,
    exclude: tuple[str, ...],
    scenario: str,
    branch: Branch | None,
) -> None:
    """Recommend items to a user. An unknown user gets what is popular now, and is told so.

    \b
    Example:
      kinema recommend u17 -n 5 --explain
      kinema recommend u17 --scenario kids --explain
      kinema recommend u17 --branch content
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        slate = project.recommend(user, num_items=num_items, exclude=exclude, scenario=scenario, branch=branch)
    output.show(slate, lambda console: print_slate(console, f"for {user}", slate, explain=explain))


@click.command()
@click.argument("item")
@_NUM
@click.option("--explain", is_flag=True, help="Say in which way each item is near.")
@project_option
@common_options
def similar(output: Output, *, folder: Path | None, item: str, num_items: int, explain: bool) -> None:
    """Find the items nearest to an item. Works for items nobody has watched yet.

    \b
    Example:
      kinema similar clip_0042 -n 5
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        slate = project.similar(item, num_items=num_items)
    output.show(slate, lambda console: print_slate(console, f"like {item}", slate, explain=explain))


@click.command()
@click.argument("item")
@click.option("-n", "--num-users", default=10, show_default=True, help="How many, 1 to 1000.")
@project_option
@common_options
def audience(output: Output, *, folder: Path | None, item: str, num_users: int) -> None:
    """Find the users who should see an item, a new one above all.

    \b
    Example:
      kinema audience clip_0399 -n 20
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        found = project.audience(item, num_users=num_users)

    output.show(found, lambda console: print_audience(console, found))
