"""`kinema search`."""

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from kinema.cli.output import FILE, Output, common_options, project_option, table

if TYPE_CHECKING:
    from kinema.recommend.search import SearchResult

_MOST_OF_TEXT = 60


def print_search(console: Console, found: "SearchResult", *, title: str, explain: bool) -> None:
    """Print an answer, with what each signal counts; the parts of the scores and the trace where asked for."""
    rows = [[one.position + 1, one.id, one.title, one.score, one.why] for one in found.items]
    console.print(table(title, ["place", "item", "title", "score", "because"], rows))
    weights = ", ".join(f"{name} {weight:g}" for name, weight in found.weights.items())
    taste = f"; taste of {found.user}: {found.user_weight:.0%} of the score" if found.user_weight else ""
    if weights:
        console.print(f"weights: {weights}{taste}", markup=False)
    if found.bridges:
        console.print(f"pictures were searched {' and '.join(found.bridges)}", markup=False)
    if found.reranked:
        console.print(f"the first places were read again by a {found.reranked}", markup=False)
    if found.notice:
        console.print(f"note: {found.notice}", markup=False)
    if explain and found.items:
        names = list(found.items[0].parts)
        parts = [[one.position + 1, one.id, *one.parts.values()] for one in found.items]
        console.print(table("what adds up to the score", ["place", "item", *names], parts))
        steps = [[one.stage, one.num_in, one.num_out, f"{one.milliseconds:.1f}"] for one in found.trace]
        console.print(table("how it came about", ["stage", "in", "out", "ms"], steps))


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


@click.command()
@click.argument("text", default="")
@click.option("--image", type=FILE, help="Find clips that look like this picture.")
@click.option("--clip", type=FILE, help="Find clips like this one, which need not be in the catalogue.")
@click.option("--user", default="", help="Let this user's taste count a little.")
@click.option(
    "--user-weight",
    type=click.FloatRange(0, 1),
    help="How much of the score it is; without it, as in kinema.toml.",
)
@click.option("-n", "--num-items", default=10, show_default=True, help="How many, 1 to 1000.")
@click.option("--category", "categories", multiple=True, help="Only items with this category; may repeat.")
@click.option("--language", "languages", multiple=True, help="Only items in this language; may repeat.")
@click.option("--min-seconds", type=click.FloatRange(min=0), help="Only items that last at least so long.")
@click.option("--max-seconds", type=click.FloatRange(min=0), help="Only items that last at most so long.")
@click.option("--published-since", metavar="DATE", help="Only items published since, such as 2026-01-31.")
@click.option("--hide-seen", is_flag=True, help="Leave out what the user has watched.")
@click.option("--explain", is_flag=True, help="Show what adds up to each score and what each stage did.")
@project_option
@common_options
def search(
    output: Output,
    *,
    folder: Path | None,
    text: str,
    image: Path | None,
    clip: Path | None,
    user: str,
    user_weight: float | None,
    num_items: int,
    categories: tuple[str, ...],
    languages: tuple[str, ...],
    min_seconds: float | None,
    max_seconds: float | None,
    published_since: str | None,
    hide_seen: bool,
    explain: bool,
) -> None:
    """Search the catalogue by words, by a picture, by a clip, or by several of them.

    \b
    Example:
      kinema search "otters in the river" --user u17
      kinema search --image photo.jpg -n 5
      kinema search --clip upload.mp4 --category nature
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        found = project.search(
            text,
            image=image,
            clip=clip,
            user=user,
            user_weight=user_weight,
            num_items=num_items,
            categories=categories,
            languages=languages,
            min_duration_ms=_milliseconds(min_seconds),
            max_duration_ms=_milliseconds(max_seconds),
            published_since=published_since,
            hide_seen=hide_seen,
        )
    asked = [f"'{found.text[:_MOST_OF_TEXT]}{'...' if len(found.text) > _MOST_OF_TEXT else ''}'"] if found.text else []
    title = " and ".join([*asked, *(path.name for path in (image, clip) if path is not None)])
    output.show(found, lambda console: print_search(console, found, title=f"for {title}", explain=explain))
