"""`kinema serve`."""

import json
from pathlib import Path
from typing import Any

import click

from kinema.cli.output import project_option


@click.command(
    epilog="\b\nExamples:\n  kinema keys create --name shop --scope read --scope write\n  kinema serve\n"
    "  kinema serve --open --port 9000\n"
    "  curl -H 'X-API-Key: KEY' 'http://127.0.0.1:8000/v1/users/u1/recommendations?n=5'"
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1, or kinema.toml]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.  [default: 8000, or kinema.toml]"
)
@click.option("--open", "is_open", is_flag=True, help="Ask for no key; only on this machine (loopback).")
@click.option(
    "--log",
    type=click.Choice(["json", "text", "off"]),
    help="Form of the log of requests.  [default: json, or kinema.toml]",
)
@click.option(
    "--workers", type=click.IntRange(1, 64), help="Processes that share the port.  [default: 1, or kinema.toml]"
)
@click.option("--worker", type=int, hidden=True)
@click.option("--counts", type=click.Path(path_type=Path), hidden=True)
@click.option("--json", "as_json", is_flag=True, help="Say the address as JSON on standard output.")
@project_option
def serve(folder: Path | None, *, as_json: bool, **how: Any) -> None:
    """Answer recommendations and search over HTTP, and take events in, until interrupted.

    The API is described at /docs. Who asks needs a key of kinema keys, unless --open. Requires the extra 'serve'.
    """
    from kinema.project import Project  # noqa: PLC0415
    from kinema.steps.serving import serve_project  # noqa: PLC0415

    def started(address: str) -> None:
        if as_json:
            click.echo(json.dumps({"project": opened.folder.name, "address": address, "docs": f"{address}/docs"}))
            return
        click.echo(
            f"Kinema serves '{opened.folder.name}' at {address}; the API is described at {address}/docs", err=True
        )

    with Project.find(folder) as opened:
        serve_project(opened, **how, started=started)
