"""`kinema serve`: a project's world, engine and application, run by uvicorn until it is told to stop."""

from typing import TYPE_CHECKING

from kinema.extras import require
from kinema.steps.live_world import ProjectWorlds, ServedProject

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kinema.serving.engine import Engine


def make_engine(project: ServedProject) -> "Engine":
    """An engine for a project, started."""
    from kinema.serving.engine import Engine  # noqa: PLC0415  # brings the web framework

    serving = project.settings.serving
    engine = Engine(
        store=project.store,
        worlds=ProjectWorlds(project),
        follow_seconds=serving.follow_seconds,
        wait_seconds=serving.wait_seconds,
    )
    engine.start()
    return engine


def make_app(project: ServedProject) -> "FastAPI":
    """The application of a project.

    Raises:
        MissingExtraError: The extra ``serve`` is not installed.
    """
    require("fastapi")
    from kinema.serving.app import create_app  # noqa: PLC0415  # the same

    serving = project.settings.serving
    return create_app(make_engine(project), threads=serving.threads, max_batch=serving.max_batch)


def serve_project(project: ServedProject, *, host: str | None = None, port: int | None = None) -> None:
    """Serve a project until interrupted.

    Args:
        project: Open.
        host: Address to listen on; None takes the settings'.
        port: Port; None takes the settings', 0 a free one.
    """
    require("uvicorn")
    import uvicorn  # noqa: PLC0415  # the same

    serving = project.settings.serving
    uvicorn.run(
        make_app(project),
        host=serving.host if host is None else host,
        port=serving.port if port is None else port,
        log_level="warning",
        timeout_graceful_shutdown=10,
    )
