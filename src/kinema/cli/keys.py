"""`kinema keys create`, `list` and `revoke`."""

from pathlib import Path
from typing import Any

import click
from rich.console import Console

from kinema.cli.output import Output, common_options, plain, project_option, table


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def keys() -> None:
    """Keys with which programs ask the service: make one, list them, revoke one.

    The scopes of a key are exactly those named: read (recommendations, search), write (events, items, users, clips), admin (keys,
    models, people's deletion and export), personal (sees personal fields). Only a hash is stored.

    \b
    Examples:
      kinema keys create --name shop --scope read --scope write
      kinema keys create --name auditor --scope read --scope personal --expires-days 7
      kinema keys list
      kinema keys revoke abcdefghij
    """  # noqa: D301  # \b tells click to keep the lines


@keys.command()
@click.option("--name", required=True, help="What people call it.")
@click.option("--scope", "scopes", multiple=True, required=True, help="read, write, admin or personal; may repeat.")
@click.option("--expires-days", type=float, help="Days after which it is refused.  [default: never]")
@project_option
@common_options
def create(
    output: Output, *, folder: Path | None, name: str, scopes: tuple[str, ...], expires_days: float | None
) -> None:
    """Make a key and print it, once: keep it where secrets are kept.

    \b
    Example:
      kinema keys create --name shop --scope read --scope write
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light
    from kinema.steps.keys import issue_key  # noqa: PLC0415  # as above

    with Project.find(folder) as project:
        made = issue_key(project.store, name=name, scopes=scopes, expires_days=expires_days)

    def people(console: Console) -> None:
        until = f", until {made.expires}" if made.expires else ""
        console.print(
            f"key {made.id} ({made.name}) with {', '.join(made.scopes)}{until}; it is shown only now:", markup=False
        )
        console.print(made.key, markup=False)

    output.show(made, people)


@keys.command(name="list")
@project_option
@common_options
def list_them(output: Output, *, folder: Path | None) -> None:
    """Show all keys without their secrets, the oldest first.

    \b
    Example:
      kinema keys list --json
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light
    from kinema.steps.keys import key_reports  # noqa: PLC0415  # as above

    with Project.find(folder) as project:
        found = key_reports(project.store)

    def people(console: Console) -> None:
        heads = ["id", "name", "scopes", "state", "created", "expires", "last used"]
        rows = [
            [one.id, one.name, ", ".join(one.scopes), one.state, one.created, one.expires, one.last_used]
            for one in found
        ]
        if found:
            console.print(table("keys", heads, rows))
        else:
            console.print("no keys; make one: kinema keys create --name NAME --scope read")

    output.show([_without_key(one) for one in found], people)


@keys.command()
@click.argument("key_id", metavar="ID")
@project_option
@common_options
def revoke(output: Output, *, folder: Path | None, key_id: str) -> None:
    """Revoke a key for good; running services refuse it within five seconds.

    \b
    Example:
      kinema keys revoke abcdefghij
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light
    from kinema.steps.keys import withdraw_key  # noqa: PLC0415  # as above

    with Project.find(folder) as project:
        done = withdraw_key(project.store, key_id)
    output.show(
        _without_key(done), lambda console: console.print(f"key {done.id} ({done.name}) is revoked", markup=False)
    )


def _without_key(report: Any) -> dict[str, Any]:
    rows: dict[str, Any] = plain(report)
    del rows["key"]
    return rows
