"""One line per request, and the request's id in every line that is written on its way.

A line has the route's template, never the path, the query or a header: those have people and secrets in them. This is the
outermost middleware: what fails unexpectedly ends here, as an answer without a trace and a log line with one.
"""

import contextlib
import logging
import re
import sys
import time
import uuid
from collections.abc import Mapping
from typing import Any, Final

import orjson
import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bind_contextvars, merge_contextvars, reset_contextvars
from structlog.stdlib import ProcessorFormatter, add_log_level

from kinema.logs import get_logger
from kinema.serving.auth import Principal
from kinema.serving.privacy import Pseudonyms, Redaction
from kinema.serving.problems import Problem
from kinema.serving.templates import route_of

_LOG = get_logger("request")
_HEADER: Final = b"x-request-id"
_SANE: Final = re.compile(rb"[A-Za-z0-9._-]{1,64}")


class RequestLog:
    """Middleware that names each request, logs it, and answers 500 to what nobody caught.

    Args:
        app: What it logs.
        pseudonyms: Names for the subjects of tokens; keys are named by their public id.
        quiet: Paths whose successes are not worth a line, such as probes.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        pseudonyms: Pseudonyms,
        quiet: frozenset[str] = frozenset(("/health/live", "/health/ready", "/metrics")),
    ) -> None:
        self._app, self._pseudonyms, self._quiet = app, pseudonyms, quiet

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on and write its line."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id.decode()
        tokens = bind_contextvars(request_id=request_id.decode())
        status, started = 0, time.perf_counter()

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message.get("headers", ()), (_HEADER, request_id)]}
            await send(message)

        try:
            await self._app(scope, receive, named)
        except Exception as error:  # noqa: BLE001  # the last place where an answer can be made
            self._failed(error, scope)
            if not status:
                await _FAILURE.response()(scope, receive, named)
        finally:
            self._write(scope, status, time.perf_counter() - started)
            reset_contextvars(**tokens)

    def _failed(self, error: Exception, scope: Scope) -> None:
        _LOG.error("request failed", error=type(error).__name__, route=route_of(scope), exc_info=error)

    def _write(self, scope: Scope, status: int, seconds: float) -> None:
        if scope["path"] in self._quiet and status < 400:
            return
        _LOG.info(
            "request",
            method=scope["method"][:20],
            route=route_of(scope),
            status=status,
            ms=round(seconds * 1000, 2),
            principal=self._name(scope["state"].get("principal")),
        )

    def _name(self, principal: Principal | None) -> str:
        if principal is None:
            return ""
        return f"jwt:{self._pseudonyms.of(principal.id)}" if principal.kind == "jwt" else principal.id


_FAILURE: Final = Problem(
    500, "the service failed to answer; its log has the reason under this request's id", code="internal"
)


def configure_service_logs(*, level: str = "info", as_json: bool = True, redaction: Redaction) -> None:
    """Send every log line of the process through the redaction, those of libraries included.

    Args:
        level: debug, info, warning or error; libraries are heard from warning on.
        as_json: One JSON object a line instead of readable text.
        redaction: What takes out secrets and people.
    """
    number = logging.getLevelNamesMapping()[level.upper()]
    renderer: Any = structlog.processors.JSONRenderer(_json) if as_json else structlog.dev.ConsoleRenderer(colors=False)
    shared: list[Any] = [merge_contextvars, add_log_level, structlog.processors.TimeStamper(fmt="iso", utc=True)]
    structlog.configure(
        processors=[*shared, redaction, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=_to_standard_error,
        cache_logger_on_first_use=False,
    )
    handler = _StandardError()
    remove_own = ProcessorFormatter.remove_processors_meta
    handler.setFormatter(ProcessorFormatter(foreign_pre_chain=shared, processors=[remove_own, redaction, renderer]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


class _StandardError(logging.Handler):
    """Lines of libraries, to whatever standard error is at that moment, as our own."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line; a closed standard error stops nobody, and `handleError` would print what the redaction took out."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{self.format(record)}\n")


def _json(line: Mapping[str, Any], **_: Any) -> str:
    return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()


def _to_standard_error(*name: str) -> structlog.PrintLogger:
    del name
    return structlog.PrintLogger(sys.stderr)


def _request_id(scope: Scope) -> bytes:
    """The caller's id where it is sane, so that a request can be followed through several services; else a new one."""
    for name, value in scope["headers"]:
        if name == _HEADER and _SANE.fullmatch(value):
            return bytes(value)
    return uuid.uuid4().hex.encode()
