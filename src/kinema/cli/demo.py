"""`kinema demo` and `kinema town`."""

import os
import shutil
import sys
from pathlib import Path

import click
from rich.console import Console

from kinema.cli.output import FOLDER, Output, common_options
from kinema.sources.town.rules import PLANTED, Rules


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Same seed, same town.")
@click.option("--clips", "num_clips", default=440, show_default=True, type=click.IntRange(20, 100_000))
@click.option("--users", "num_users", default=2000, show_default=True, type=click.IntRange(20, 1_000_000))
@click.option("--events", "num_events", default=60_000, show_default=True, type=click.IntRange(200, 100_000_000))
@click.option(
    "--taste",
    default="all",
    show_default=True,
    type=click.Choice(tuple(PLANTED)),
    help="What decides what people like: topic, style and motion, one thing alone, or the style of one short moment.",
)
@common_options
def town(
    output: Output, *, folder: Path, seed: int, num_clips: int, num_users: int, num_events: int, taste: str
) -> None:
    """Generate a streaming service whose right answers are known: clips, items, users and events as files.

    \b
    Example:
      kinema town town/ --seed 7
      kinema town moments/ --taste moment --clips 120 --users 400 --events 12000
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.sources.town.write import generate  # noqa: PLC0415  # keeps the start of other commands light

    with output.progress("town") as progress:
        report = generate(
            folder,
            seed=seed,
            num_clips=num_clips,
            num_users=num_users,
            num_events=num_events,
            rules=Rules.planted(taste),
            progress=progress,
        )

    def people(console: Console) -> None:
        console.print(f"a town of {num_clips:,} clips, {num_users:,} users and {num_events:,} events in {folder}")
        console.print(
            f"next: kinema ingest --videos {folder}/videos --items {folder}/items.csv --users {folder}/users.csv "
            f"--events {folder}/events.parquet"
        )

    output.show(report, people)


@click.command()
@click.argument("folder", type=FOLDER, default=Path("demo"))
@click.option("--seed", default=7, show_default=True, type=click.IntRange(0, 2**32 - 1), help="Same seed, same demo.")
@common_options
def demo(output: Output, *, folder: Path, seed: int) -> None:
    """Run the whole road on a generated streaming service: files, features, FLM, evaluation, slates and a report.

    A second run finds everything done and is quick.

    \b
    Example:
      kinema demo demo
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.recipes.demo import run_demo  # noqa: PLC0415  # keeps the start of other commands light

    report = run_demo(folder, seed=seed, step=output.progress)

    def people(console: Console) -> None:
        from kinema.cli.model import print_evaluation  # noqa: PLC0415  # the same table as `kinema evaluate`
        from kinema.cli.slates import print_audience, print_slate  # noqa: PLC0415  # the same slates as `kinema recommend`

        print_evaluation(console, report.evaluation)
        for slate in report.slates:
            print_slate(console, f"for {slate.user}", slate, explain=True)
        print_audience(console, report.audience)
        times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in report.seconds.items())
        console.print(f"time: {times}")
        console.print(f"report: {report.html}")
        console.print("type next:")
        for command in report.commands:
            console.print(f"  {_program()}{command.removeprefix('kinema')}", markup=False)

    output.show(report, people)


def _program() -> str:
    """How the reader can call this program from here: by name, or by its place where the environment is not active."""
    if shutil.which("kinema"):
        return "kinema"
    place = Path(sys.argv[0])
    return os.path.relpath(place) if place.is_file() else "kinema"
