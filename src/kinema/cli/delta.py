"""`kinema delta apply` and `kinema delta remove`."""

from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, project_option

_DELTA = click.option(
    "--delta",
    "place",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where the delta lies. Default: artifacts/flm-delta of the project.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def delta() -> None:
    """Put what a training from another model has changed on the model, or take it off.

    kinema pretrain --from FOLDER starts from a model theta and ends with phi; the delta is phi - theta, over all that
    belongs to no single item. One catalogue's delta fits every model bound from the same theta.

    \b
    Examples:
      kinema delta remove
      kinema delta apply
      kinema delta apply --delta ../other-shop/artifacts/flm-delta --json
    """  # noqa: D301  # \b tells click to keep the lines


@delta.command()
@_DELTA
@project_option
@common_options
def apply(output: Output, **options: Any) -> None:
    """Add the delta to the project's model, whose parameters must be those it was taken from.

    \b
    Example:
      kinema delta apply
    """  # noqa: D301  # \b tells click to keep the lines
    _run("apply", output, **options)


@delta.command()
@_DELTA
@project_option
@common_options
def remove(output: Output, **options: Any) -> None:
    """Take the delta off the project's model: what it shares with its source is the source's again.

    \b
    Example:
      kinema delta remove
    """  # noqa: D301  # \b tells click to keep the lines
    _run("remove", output, **options)


def _run(action: Literal["apply", "remove"], output: Output, *, folder: Path | None, place: Path | None) -> None:
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        report = project.delta(action, folder=place)

    def people(console: Console) -> None:
        done, back = ("put on", "remove") if action == "apply" else ("taken off", "apply")
        console.print(
            f"delta {done}: {report.numbers:,} numbers ({report.size_bytes:,} bytes) of source {report.source}",
            markup=False,
        )
        console.print(f"model: {report.folder}; the way back: kinema delta {back}", markup=False)

    output.show(report, people)
