"""`kinema serve`: a project's world, engine and application, run by uvicorn until it is told to stop."""

from typing import TYPE_CHECKING, Protocol

from kinema.extras import require
from kinema.steps.live_world import ProjectWorlds, ServedProject
from kinema.steps.uploads import MediaProject, ProjectClips

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kinema.serving.engine import Engine


class WholeProject(ServedProject, MediaProject, Protocol):
    """The part of `kinema.project.Project` that the service needs."""


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


def make_app(project: WholeProject) -> "FastAPI":
    """The application of a project.

    Raises:
        MissingExtraError: The extra ``serve`` is not installed.
    """
    require("fastapi")
    from kinema.serving.app import create_app  # noqa: PLC0415  # the same

    if project.media_root is None:
        project.store.set_meta("media_root", "media")
    serving = project.settings.serving
    return create_app(
        make_engine(project),
        clips=ProjectClips(project),
        threads=serving.threads,
        max_batch=serving.max_batch,
        max_upload_bytes=serving.max_upload_mb << 20,
        feedback_kinds=project.settings.gorse.feedback_kinds,
    )


def serve_project(project: WholeProject, *, host: str | None = None, port: int | None = None) -> None:
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
