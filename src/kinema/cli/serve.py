"""`kinema serve`."""

from pathlib import Path

import click

from kinema.cli.output import project_option


@click.command(
    epilog="\b\nExamples:\n  kinema serve\n  kinema serve --port 9000 --project shop\n"
    "  curl http://127.0.0.1:8000/v1/users/u1/recommendations?n=5"
)
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1, or kinema.toml]")
@click.option(
    "--port", type=click.IntRange(0, 65535), help="Port; 0 takes a free one.  [default: 8000, or kinema.toml]"
)
@project_option
def serve(host: str | None, port: int | None, folder: Path | None) -> None:
    """Answer recommendations and search over HTTP, and take events in, until interrupted.

    The interface is described at /docs. Requires the extra 'serve'.
    """
    from kinema.project import Project  # noqa: PLC0415
    from kinema.steps.serving import serve_project  # noqa: PLC0415

    with Project.find(folder) as opened:
        serve_project(opened, host=host, port=port)
