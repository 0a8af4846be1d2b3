"""`kinema delta list`, `merge`, `apply` and `remove`."""

from pathlib import Path
from typing import Any, Literal

import click
from rich.console import Console

from kinema.cli.output import FOLDER, Output, common_options, project_option, table

_DELTA = click.option(
    "--delta",
    "place",
    type=FOLDER,
    metavar="FOLDER",
    help="Where the delta lies. Default: artifacts/flm-delta of the project.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def delta() -> None:
    """What was learnt beside networks that belong to others: list it, put it on, take it off, merge it.

    list and merge are for all deltas: kinema finetune text and rerank and kinema adapt store theirs without the encoder.

    apply and remove are for FLM's: kinema pretrain --from FOLDER starts from a model theta and ends with phi; the delta is phi - theta, over all that
    belongs to no single item. One catalogue's delta fits every model bound from the same theta.

    \b
    Examples:
      kinema delta list
      kinema delta merge models/stars --to encoders/stars
      kinema delta remove
      kinema delta apply
      kinema delta apply --delta ../other-shop/artifacts/flm-delta --json
    """  # noqa: D301  # \b tells click to keep the lines


@delta.command(name="list")
@click.argument("place", required=False, type=FOLDER)
@project_option
@common_options
def list_them(output: Output, *, folder: Path | None, place: Path | None) -> None:
    """Show the deltas in a folder and below: of which base, how many numbers, how many bytes. Default: the project's artefacts.

    \b
    Examples:
      kinema delta list
      kinema delta list models --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    from kinema.project import Project  # noqa: PLC0415  # as above
    from kinema.steps.deltas import list_all  # noqa: PLC0415  # as above

    if place is None:
        with Project.find(folder) as project:
            place = project.artifacts
    found = list_all(place)

    def people(console: Console) -> None:
        rows = [
            [one.place, one.model, one.base, one.method, one.parameters, one.of_head, one.size_bytes] for one in found
        ]
        heads = ["in", "makes", "of", "what learnt", "numbers", "of the head", "bytes"]
        if found:
            console.print(table(f"deltas in {place}", heads, rows))
        else:
            console.print(
                f"no deltas in {place}; kinema finetune text, finetune rerank and adapt make some", markup=False
            )

    output.show(found, people)


@delta.command()
@click.argument("model", type=FOLDER)
@click.option("--to", type=FOLDER, required=True, help="A new folder.")
@common_options
def merge(output: Output, *, model: Path, to: Path) -> None:
    """Write the encoder with what a model of kinema finetune text or rerank has taught it, as [encoders] text can load it.

    Adapters and prefixes stand beside the weights and cannot be merged.

    \b
    Example:
      kinema delta merge models/stars --to encoders/stars
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    from kinema.steps.deltas import merge_delta  # noqa: PLC0415  # as above

    report = merge_delta(model, to)

    def people(console: Console) -> None:
        console.print(
            f"{report.parameters:,} numbers of {report.method} are now in the weights of {report.base}: "
            f"{report.size_bytes:,} bytes in {report.folder}",
            markup=False,
        )
        console.print(
            f'next: text = "{report.folder}" under [encoders] in kinema.toml, then kinema extract', markup=False
        )

    output.show(report, people)


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
