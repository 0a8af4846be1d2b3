"""The application: routes over one engine, one shape of errors, an OpenAPI document that says what is there."""

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI

from kinema import __version__
from kinema.schema import EventKind
from kinema.serving.engine import Engine
from kinema.serving.media import ClipRoom, MediaDesk
from kinema.serving.problems import install_problem_handlers
from kinema.serving.routes import events, gorse, items, media, search, users
from kinema.serving.routes.parts import ServiceParts

_ABOUT: Final = """Recommendations, search and explanations from a Kinema project.

Ids are strings, moments UTC milliseconds. Every error has the form `{"error": {"code", "message", "field"}}`. An event that was
accepted is durable, and in the user's next answer.
"""
_ERRORS: Final[dict[int | str, dict[str, Any]]] = {
    status: {
        "description": what,
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    for status, what in (
        ("4XX", "The request is not what it must be"),
        ("5XX", "The service cannot answer"),
    )
}
PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "field"],
            "properties": {
                "code": {"type": "string"},
                "message": {"type": "string"},
                "field": {"type": ["string", "null"]},
            },
        }
    },
}


def create_app(
    engine: Engine,
    *,
    clips: ClipRoom | None = None,
    threads: int = 2,
    max_batch: int = 1000,
    max_upload_bytes: int = 512 << 20,
    feedback_kinds: Mapping[str, EventKind] | None = None,
) -> FastAPI:
    """The application of an engine that is started already.

    Args:
        engine: Answers and keeps.
        clips: Where uploads are kept and understood; None takes none.
        threads: Answers computed at once.
        max_batch: Events in one request.
        max_upload_bytes: Of one clip.
        feedback_kinds: FeedbackType of gorse's clients -> what it is here, beside `kinema.serving.gorse_mapping.KINDS`.

    Returns:
        An ASGI application; it stops the engine when it is shut down.
    """
    pool = ThreadPoolExecutor(threads, thread_name_prefix="kinema-answer")
    desk = None if clips is None else MediaDesk(engine, clips)
    if desk is not None:
        desk.start()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        if desk is not None:
            desk.stop()
        pool.shutdown(wait=True)
        engine.stop()

    app = FastAPI(
        title="Kinema",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        responses=_ERRORS,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.parts = ServiceParts(engine, pool, desk, max_batch, max_upload_bytes)
    app.state.feedback_kinds = feedback_kinds or {}
    install_problem_handlers(app)
    for router in (events.router, items.router, users.router, users.guests, search.router, media.router, gorse.router):
        app.include_router(router)
    _say_problems(app)
    return app


def _say_problems(app: FastAPI) -> None:
    """The OpenAPI document names our form of errors in place of the framework's."""
    made = app.openapi

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            found = made()
            schemas = found["components"]["schemas"]
            for name in ("HTTPValidationError", "ValidationError"):
                schemas.pop(name, None)
            schemas["Problem"] = PROBLEM_SCHEMA
            for path in found["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)
            app.openapi_schema = found
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]  # the way the framework documents
