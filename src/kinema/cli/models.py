"""`kinema model list`, `show`, `rollback` and `publish`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.output import FOLDER, Output, common_options, print_notices, project_option, table

if TYPE_CHECKING:
    from kinema.steps.project_models import Listed, Published

_VERSION = click.argument("version", required=False, metavar="[ID]")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def model() -> None:
    """Versions of the model: what serves, what served before, and the way back.

    Every pretrain, refresh and publish makes a version and lets it serve; the newest of them are kept ([serving]
    keep_versions). A running service takes up what serves within a second.

    \b
    Examples:
      kinema model list
      kinema model show
      kinema model rollback
      kinema model publish ../trained-elsewhere
    """  # noqa: D301  # \b tells click to keep the lines


@model.command(name="list")
@project_option
@common_options
def list_them(output: Output, *, folder: Path | None) -> None:
    """Show the versions that are kept, newest first.

    \b
    Examples:
      kinema model list
      kinema model list --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        found = project.models.list()

    def people(console: Console) -> None:
        if not found:
            console.print("no model yet; run: kinema pretrain")
            return
        heads = ["", "version", "age", "made by", "NDCG@10", "items", "interactions", "before it"]
        console.print(table("models", heads, [_line(one) for one in found]))

    output.show(found, people)


@model.command()
@_VERSION
@project_option
@common_options
def show(output: Output, *, folder: Path | None, version: str | None) -> None:
    """Show all that is known of a version; without an id, of the one that serves. A beginning or an end of an id will do.

    \b
    Examples:
      kinema model show
      kinema model show 3f9a21bc --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        found = project.models.show(version)

    def people(console: Console) -> None:
        one = found.version
        rows: list[list[Any]] = [
            ["serves", "yes" if found.serving else "no"],
            ["made", f"{one.made_at}, {_age(one.made_at)} ago"],
            ["by", one.command or "not known"],
            ["seed", "" if one.seed is None else str(one.seed)],
            ["trained for", "" if one.training_seconds is None else f"{one.training_seconds:g} s"],
            *([f"validation, {name}", f"{value:.4f}"] for name, value in one.validation.items()),
            *([name, str(value)] for name, value in one.data.items()),
            ["before it", one.parent or "none"],
            ["sha256", one.sha256],
            *([name, str(value)] for name, value in one.notes.items()),
        ]
        console.print(table(one.id, ["what", "value"], rows))

    output.show(found, people)


@model.command()
@_VERSION
@project_option
@common_options
def rollback(output: Output, *, folder: Path | None, version: str | None) -> None:
    """Let another version serve: without an id the one that served before. Nothing is trained and nothing is lost.

    The way forward again is the same command with the id of what was rolled back from.

    \b
    Examples:
      kinema model rollback
      kinema model rollback 20261123T041500000-3f9a21bc
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        done = project.models.rollback(version)
    _show_done(output, done)


@model.command()
@click.argument("place", type=FOLDER, metavar="FOLDER")
@project_option
@common_options
def publish(output: Output, *, folder: Path | None, place: Path) -> None:
    """Let a model serve that was trained elsewhere on this catalogue: an FLM artefact, or a project with one.

    It is checked first: whole files, the kind and version of the artefact, the store's items in their order, the encoders of
    its vectors, and that a few users get an answer. A model of another catalogue is started from instead: kinema pretrain
    --from FOLDER.

    \b
    Examples:
      kinema model publish ../big-machine/artifacts/flm
      kinema model publish ../big-machine --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        done = project.models.publish(place)
    _show_done(output, done)


def _show_done(output: Output, done: "Published") -> None:
    def people(console: Console) -> None:
        before = "" if done.before is None else f"; the way back: kinema model rollback {done.before.id}"
        console.print(f"version {done.version.id} serves{before}", markup=False)
        print_notices(console, done.notices)

    output.show(done, people)


def _line(listed: "Listed") -> list[Any]:
    one = listed.version
    value = one.validation.get("fused")
    return [
        "serves" if listed.serving else "",
        one.id,
        _age(one.made_at),
        one.command,
        "" if value is None else f"{value:.4f}",
        str(one.data.get("items", "")),
        str(one.data.get("interactions", "")),
        one.parent or "",
    ]


def _age(made_at: str) -> str:
    """Since a moment, in one unit."""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(made_at)).total_seconds()
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"
