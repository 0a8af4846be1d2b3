"""The application: routes over one engine, one shape of errors, an OpenAPI document that says what is there."""

from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Final, Protocol

from fastapi import Depends, FastAPI

from kinema import __version__
from kinema.serving.access import Access, default_rules
from kinema.serving.administration import Administration
from kinema.serving.auth import Guard
from kinema.serving.bounds import Bounds
from kinema.serving.console_files import FOLDER, Console, read_files
from kinema.serving.direct import DirectPaths
from kinema.serving.document import ERRORS, install_document
from kinema.serving.documentation import install_documentation
from kinema.serving.engine import Engine
from kinema.serving.gallery import Gallery, ViewDesk
from kinema.serving.headers import SecurityHeaders, allow_origins, page_policy
from kinema.serving.health_series import HealthRecorder
from kinema.serving.keys import KeyRing
from kinema.serving.media import ClipRoom, MediaDesk
from kinema.serving.options import ServiceOptions
from kinema.serving.parameters import known_parameters
from kinema.serving.people_names import PeopleNames
from kinema.serving.problems import install_problem_handlers
from kinema.serving.request_log import RequestLog
from kinema.serving.routes import (
    admin,
    catalogue,
    events,
    gorse,
    health_plots,
    insights,
    items,
    media,
    scenarios,
    search,
    session,
    users,
    views,
)
from kinema.serving.routes.health import Readiness, health_routes
from kinema.serving.routes.parts import ServiceParts
from kinema.serving.routes.session import SignIn
from kinema.serving.segments import Segments
from kinema.serving.sessions import Sessions
from kinema.serving.telemetry import RequestMeter
from kinema.serving.veil import Veiled

_ABOUT: Final = """Recommendations, search and explanations from a Kinema project.

Ids are strings, moments UTC milliseconds. Every error has the form `{"error": {"code", "message", "field"}}`. An event that was
accepted is durable, and in the user's next answer.
"""


class Feed(Protocol):
    """Something that runs beside the requests."""

    def start(self) -> None:
        """Begin."""

    def stop(self) -> None:
        """Finish what was begun, then stop."""


def create_app(
    engine: Engine,
    options: ServiceOptions,
    *,
    clips: ClipRoom | None = None,
    gallery: Gallery | None = None,
    administration: Administration | None = None,
    feeds: Sequence[Feed] = (),
) -> FastAPI:
    """The application of an engine that is started already.

    Args:
        engine: Answers and keeps.
        options: How.
        clips: Where uploads are kept and understood; None takes none.
        gallery: Shows clips; None shows none.
        administration: Models, scenarios and experiments; None has no routes for them.
        feeds: What else brings events; started here, stopped with the application.

    Returns:
        An ASGI application; it stops the engine when it is shut down.
    """
    pool = ThreadPoolExecutor(options.threads, thread_name_prefix="kinema-answer")
    long_pool = ThreadPoolExecutor(1, thread_name_prefix="kinema-long")
    desk = None if clips is None else MediaDesk(engine, clips)
    shown = None if gallery is None else ViewDesk(gallery)
    health = HealthRecorder(engine.telemetry, ready=lambda: engine.keeper.is_ready)
    own: list[Feed] = [*feeds, *(one for one in (desk, shown) if one is not None), health]
    for one in own:
        one.start()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        for one in own:
            one.stop()
        pool.shutdown(wait=True)
        long_pool.shutdown(wait=True, cancel_futures=True)
        engine.stop()
        if options.rates is not None:
            await options.rates.close()

    app = FastAPI(
        title="Kinema",
        version=__version__,
        description=_ABOUT,
        lifespan=lifespan,
        responses=ERRORS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.parts = ServiceParts(
        engine,
        pool,
        long_pool,
        PeopleNames(options.pseudonyms, lambda: engine.world.people),
        media=desk,
        views=shown,
        max_batch=options.max_batch,
        max_upload_bytes=options.max_upload_bytes,
        max_image_bytes=options.max_image_bytes,
        max_body_bytes=options.limits.max_body_bytes,
        personal=options.personal,
    )
    app.state.feedback_kinds = options.feedback_kinds
    app.state.health = health
    install_problem_handlers(app)
    _add_routes(app, engine, administration)
    install_documentation(app)
    access = Access(default_rules(metrics_scope=options.metrics_scope))
    install_document(app, access=access, is_open=options.is_open)
    _surround(app, engine, options, access)
    return app


def _add_routes(app: FastAPI, engine: Engine, administration: Administration | None) -> None:
    own = [
        one.router for one in (session, events, items, users, search, media, views, insights, catalogue, health_plots)
    ]
    if administration is not None:
        app.state.administration = administration
        own += [admin.router, scenarios.router]
    for router in (*own, users.guests):
        app.include_router(router, dependencies=[Depends(known_parameters)])
    app.include_router(gorse.router)  # its clients may send what only gorse knows
    app.include_router(health_routes(lambda: readiness(engine), engine.telemetry))


def readiness(engine: Engine) -> Readiness:
    """Whether requests can be answered, and what is not as it should be."""
    engine.store.state()
    checks = {"world": "ok" if engine.keeper.is_ready else "starting", "reading": engine.keeper.trouble or "ok"}
    return Readiness(ready=engine.keeper.is_ready, checks=checks)


def _sign_in(engine: Engine, options: ServiceOptions) -> SignIn:
    ring = KeyRing(engine.store)
    return SignIn(
        ring=ring,
        sessions=Sessions(engine.store, ring, hours=options.session_hours),
        rates=options.rates,
        is_open=options.is_open,
        tls=options.tls,
        on_failure=engine.telemetry.count_auth_failure,
    )


def _surround(app: FastAPI, engine: Engine, options: ServiceOptions, access: Access) -> None:
    """Middleware, from the inside out: what people are called, who asks, within which bounds, headers, the log, what is counted."""
    told, desk = engine.telemetry, _sign_in(engine, options)
    app.state.sign_in = desk
    app.add_middleware(DirectPaths, parts=app.state.parts)
    app.add_middleware(Veiled, names=app.state.parts.names)
    app.add_middleware(
        Guard,
        access=access,
        ring=desk.ring,
        sessions=desk.sessions,
        tokens=options.tokens,
        rates=options.rates,
        open=options.is_open,
        on_failure=told.count_auth_failure,
        on_limited=told.count_rate_limited,
    )
    app.add_middleware(Console, files=read_files(FOLDER))
    app.add_middleware(Bounds, limits=options.limits)
    app.add_middleware(Segments)
    if options.cors_origins:
        app.add_middleware(partial(allow_origins, origins=options.cors_origins))
    app.add_middleware(SecurityHeaders, tls=options.tls, policies={"/docs": page_policy("")})
    if options.pseudonyms is not None:
        app.add_middleware(RequestLog, pseudonyms=options.pseudonyms)
    app.add_middleware(RequestMeter, telemetry=told)
