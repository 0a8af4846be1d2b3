"""`kinema serve`: a project's world, engine and application, run by uvicorn until it is told to stop."""

import math
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from kinema.errors import ConfigError
from kinema.extras import require
from kinema.steps.backstage import Backstage
from kinema.steps.live_world import ProjectWorlds, ServedProject
from kinema.steps.serving_workers import run_workers
from kinema.steps.showing import ProjectGallery
from kinema.steps.uploads import MediaProject, ProjectClips

if TYPE_CHECKING:
    from fastapi import FastAPI

    from kinema.serving.app import Feed
    from kinema.serving.engine import Engine
    from kinema.serving.options import ServiceOptions
    from kinema.serving.rates import Rates
    from kinema.serving.tokens import Tokens

_SWITCH_SECONDS: Final = 0.0005
"""After which a thread that computes lets others on. By default it is ten times as long, and whoever has waited for a matrix product
waits as long again for each of the other threads."""
_FORM_BYTES: Final = 64 << 10
"""What a form may have beside the clip in it."""


class WholeProject(ServedProject, MediaProject, Protocol):
    """The part of `kinema.project.Project` that the service needs."""


def make_engine(project: ServedProject, *, owns_process: bool = False) -> "Engine":
    """An engine for a project, started.

    Args:
        project: Open.
        owns_process: Nothing else happens in this process, see `kinema.serving.keeper.settle_memory`.
    """
    from kinema.serving.engine import Engine  # noqa: PLC0415  # brings the web framework
    from kinema.serving.keeper import settle_memory  # noqa: PLC0415  # the same

    serving = project.settings.serving
    how: dict[str, Any] = {"taken": settle_memory} if owns_process else {}
    engine = Engine(
        store=project.store,
        worlds=ProjectWorlds(project),
        follow_seconds=serving.follow_seconds,
        wait_seconds=serving.wait_seconds,
        **how,
    )
    engine.start()
    return engine


def make_app(
    project: WholeProject,
    *,
    is_open: bool = False,
    log: bool = False,
    owns_process: bool = False,
    counts: Path | None = None,
) -> "FastAPI":
    """The application of a project.

    Args:
        project: Open.
        is_open: Serve without keys.
        log: Write a line for each request.
        owns_process: See `make_engine`.
        counts: Folder where the processes behind one port leave what they count; None where there is one.

    Raises:
        MissingExtraError: The extra ``serve`` is not installed.
        ConfigError: Something of the settings cannot work.
    """
    require("fastapi")
    from kinema.serving.app import create_app  # noqa: PLC0415  # the same

    if project.media_root is None:
        project.store.set_meta("media_root", "media")
    options = service_options(project, is_open=is_open, log=log)
    engine = make_engine(project, owns_process=owns_process)
    return create_app(
        engine,
        options,
        clips=ProjectClips(project),
        gallery=ProjectGallery(project),
        administration=Backstage(project),
        feeds=[*_feeds(project, engine), *([] if counts is None else [engine.telemetry.share(counts)])],
    )


def _feeds(project: WholeProject, engine: "Engine") -> "list[Feed]":
    stream = project.settings.stream
    if not stream.redis_url:
        return []
    require("redis")
    from kinema.serving.stream import StreamReader  # noqa: PLC0415  # the same

    return [StreamReader(engine, url=stream.redis_url, stream=stream.name, group=stream.group)]


def service_options(project: WholeProject, *, is_open: bool, log: bool) -> "ServiceOptions":
    """What the settings say of a service, as the application takes it.

    Raises:
        ConfigError: Something of it cannot work.
    """
    from kinema.serving.bounds import Limits  # noqa: PLC0415  # the same
    from kinema.serving.options import ServiceOptions  # noqa: PLC0415  # the same
    from kinema.serving.privacy import Pseudonyms, read_pseudonym_key  # noqa: PLC0415  # the same

    serving = project.settings.serving
    upload_bytes, image_bytes = serving.max_upload_mb << 20, serving.max_image_mb << 20
    return ServiceOptions(
        threads=serving.threads,
        max_batch=serving.max_batch,
        max_upload_bytes=upload_bytes,
        max_image_bytes=image_bytes,
        limits=Limits(
            max_body_bytes=serving.max_body_kb << 10,
            body_bytes_by_path={
                "/v1/items/*/media": upload_bytes + _FORM_BYTES,
                "/v1/search": upload_bytes + image_bytes + _FORM_BYTES,
            },
            answer_seconds=serving.answer_seconds,
        ),
        is_open=is_open,
        tokens=_tokens(project),
        rates=None if is_open else _rates(project),
        pseudonyms=Pseudonyms(read_pseudonym_key(project.folder)) if log else None,
        personal=frozenset(name.lower() for name in serving.personal_fields),
        metrics_scope=serving.metrics_scope,
        cors_origins=serving.cors_origins,
        tls=serving.tls,
        session_hours=project.settings.auth.session_hours,
        feedback_kinds=project.settings.gorse.feedback_kinds,
    )


def _tokens(project: WholeProject) -> "Tokens | None":
    auth = project.settings.auth
    if not auth.jwt_public_key:
        return None
    from kinema.serving.issuer_keys import IssuerKeys  # noqa: PLC0415  # the same
    from kinema.serving.tokens import Tokens  # noqa: PLC0415  # the same

    keys = IssuerKeys(project.folder / auth.jwt_public_key)
    return Tokens(issuer=auth.jwt_issuer, audience=auth.jwt_audience, keys=keys)


def _rates(project: WholeProject) -> "Rates":
    from kinema.serving.keys import Scope  # noqa: PLC0415  # the same
    from kinema.serving.rates import Rate, Rates  # noqa: PLC0415  # the same

    chosen = project.settings.rates
    wanted = {
        Scope.READ: chosen.read_per_second,
        Scope.WRITE: chosen.write_per_second,
        Scope.ADMIN: chosen.admin_per_second,
    }
    allowed = {
        scope: Rate(per_second, max(1, math.ceil(per_second * chosen.burst_seconds)))
        for scope, per_second in wanted.items()
        if per_second
    }
    return Rates(allowed, redis_url=chosen.redis_url)


def serve_project(
    project: WholeProject,
    *,
    host: str | None = None,
    port: int | None = None,
    is_open: bool = False,
    log: str | None = None,
    workers: int | None = None,
    worker: int | None = None,
    counts: Path | None = None,
    started: Callable[[str], None] | None = None,
) -> None:
    """Serve a project until interrupted.

    Args:
        project: Open.
        host: Address to listen on; None takes the settings'.
        port: Port; None takes the settings', 0 a free one.
        is_open: Serve without keys; only on loopback.
        log: ``json``, ``text`` or ``off``; None takes the settings'.
        workers: Processes; None takes the settings'.
        worker: It is one of several: the file from which it takes connections.
        counts: And the folder where all of them leave what they count.
        started: Told the address once requests are answered.

    Raises:
        ConfigError: Open on an address that others reach, or the port is taken.
    """
    require("uvicorn")
    import uvicorn  # noqa: PLC0415  # the same

    from kinema.serving.auth import check_open  # noqa: PLC0415  # the same
    from kinema.serving.connections import BoundedProtocol  # noqa: PLC0415  # the same
    from kinema.serving.dealt import DealtServer, ToldServer  # noqa: PLC0415  # the same
    from kinema.serving.privacy import Pseudonyms, Redaction, read_pseudonym_key  # noqa: PLC0415  # the same
    from kinema.serving.request_log import configure_service_logs  # noqa: PLC0415  # the same

    serving = project.settings.serving
    address, form = host or serving.host, log or serving.log
    check_open(address, is_open)
    num = 1 if worker is not None else workers or serving.workers
    listener = bound_socket(address, serving.port if port is None else port) if worker is None else _dealer(worker)
    redaction = Redaction(Pseudonyms(read_pseudonym_key(project.folder)), serving.personal_fields)
    configure_service_logs(level="warning" if form == "off" else "info", as_json=form != "text", redaction=redaction)

    def ready() -> None:
        if started is not None:
            started(f"http://{f'[{address}]' if ':' in address else address}:{listener.getsockname()[1]}")

    if num > 1:
        command = [sys.executable, "-m", "kinema.cli.main", "serve", "--project", str(project.folder)]
        options = ["--host", address, "--log", form, *(["--open"] if is_open else [])]
        run_workers([*command, *options], listener, num=num, ready=ready)
        return
    sys.setswitchinterval(_SWITCH_SECONDS)
    app = make_app(project, is_open=is_open, log=form != "off", owns_process=True, counts=counts)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=10,
        http=BoundedProtocol,
    )
    if worker is None:
        ToldServer(config, ready).run(sockets=[listener])
    else:
        DealtServer(config, listener).run()


def _dealer(worker: int) -> socket.socket:
    """What a worker takes connections from.

    Raises:
        ConfigError: It was not started by the process that listens.
    """
    try:
        return socket.socket(fileno=worker)
    except OSError:
        raise ConfigError("--worker is for the processes that 'kinema serve --workers' starts") from None


def bound_socket(host: str, port: int) -> socket.socket:
    """A socket, bound before anything is loaded: a port that is taken is said at once.

    Args:
        host: Address.
        port: 0 takes a free one.

    Raises:
        ConfigError: It cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(f"cannot listen on {host}:{port}: {error.strerror}; choose another with --port") from error
    return listener
