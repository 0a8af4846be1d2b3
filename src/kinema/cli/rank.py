"""`kinema rank`."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.output import FILE, Output, common_options, project_option, table

if TYPE_CHECKING:
    from kinema.steps.ranking_items import RankedItems


@click.command()
@click.argument("user")
@click.option("--items", help="Item ids with commas between them.")
@click.option(
    "--table",
    "rows",
    type=FILE,
    help="Table with a column of item ids: CSV, JSON lines or Parquet, or .gz.",
)
@click.option("--column", default="item", show_default=True, help="Of --table.")
@click.option(
    "--scenario",
    default="home",
    show_default=True,
    help="Whose weights blend the heads: home, related, search or one of kinema.toml.",
)
@click.option(
    "--at", "now_ms", type=click.IntRange(0), metavar="MS", help="The moment, UTC milliseconds. Default: now."
)
@project_option
@common_options
def rank(
    output: Output, *, folder: Path | None, user: str, items: str | None, rows: Path | None, column: str, **how: Any
) -> None:
    """Put given candidates of a user in order: FLM's score, each head of the ranker, and what they come to.

    The ranker is the one in kinema.toml: ranker = "click" or "engagement" under [recommend], FLM alone without. Nothing is
    left out and nothing is moved for variety, as it would be in a slate.

    \b
    Examples:
      kinema rank u17 --items v12,v80,v7
      kinema rank u17 --table candidates.csv --column video --scenario related --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light
    from kinema.steps.ranking_items import candidates_of  # noqa: PLC0415  # as above

    wanted = candidates_of(items, rows, column=column)
    with Project.find(folder) as project:
        found = project.rank(user, wanted, **how)
    output.show(found, lambda console: _people(console, found))


def _people(console: Console, found: "RankedItems") -> None:
    heads = list(found.items[0].heads)
    ranked: list[list[Any]] = [
        [
            one.position + 1,
            one.id,
            one.title,
            one.score,
            one.flm,
            *([] if one.value is None else [one.value]),
            *(one.heads[head] for head in heads),
            "seen" if one.seen else "",
        ]
        for one in found.items
    ]
    columns = ["place", "item", "title", "score", "FLM", *(["value"] if heads else []), *heads, ""]
    by = found.ranker if found.ranker == "flm" else f"FLM and {found.ranker}, weight {found.weight:g}"
    console.print(table(f"for {found.user}, by {by}", columns, ranked))
    if found.notice:
        console.print(f"note: {found.notice}", markup=False)
