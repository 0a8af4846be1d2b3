"""One shape for every error the service answers with: ``{"error": {"code", "message", "field"}}``.

Codes are for programs, messages for people. What went wrong inside is logged with the request's id and told as nothing but
that: a trace could name paths, settings or people.
"""

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse

from kinema.errors import BusyError, ConfigError, ConflictError, DataError, KinemaError, NotBuiltError
from kinema.logs import get_logger
from kinema.serving.wire import FORMS

NOT_BUILT = "not_built"
"""Code of what an earlier step has to make first."""
_LOG = get_logger("serving")
_CODES: Final = {
    400: "bad_request",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "timeout",
    409: "conflict",
    411: "length_required",
    413: "too_large",
    415: "unsupported_media_type",
    416: "range_not_satisfiable",
    422: "invalid",
    429: "too_many_requests",
    503: "unavailable",
}
_SHOWN: Final = 3
_BUSY_SECONDS: Final = "2"
_PLACES: Final = ("body", "query", "path", "header", *FORMS)
_CHOICES: Final = ("enum", "literal_error")
_STATUS: Final[tuple[tuple[type[KinemaError], int], ...]] = (
    (ConflictError, 409),
    (BusyError, 503),
    (DataError, 422),
    (ConfigError, 422),
    (NotBuiltError, 409),
)


class Problem(Exception):  # noqa: N818  # the word of RFC 9457 for what an API answers
    """An answer that is an error.

    Args:
        status: HTTP status, 400..599.
        message: For people: subject, what it must be, what it is; the remedy.
        code: For programs; None takes the status's.
        field: Path of the field it is about, such as ``items.3.id``; empty for none.
        headers: Beside the answer's own.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        field: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code or _CODES.get(status, "error")
        self.field = field
        self.headers = headers

    def response(self) -> JSONResponse:
        """The answer."""
        return JSONResponse(problem_body(self.code, self.message, self.field), self.status, self.headers)


def problem_body(code: str, message: str, field: str = "") -> dict[str, Any]:
    """The JSON of an error.

    Example:
        >>> problem_body("not_found", "unknown item 'v9'", "item_id")
        {'error': {'code': 'not_found', 'message': "unknown item 'v9'", 'field': 'item_id'}}
    """
    return {"error": {"code": code, "message": message, "field": field or None}}


def not_found(kind: str, its_id: str, *, field: str) -> Problem:
    """What is answered where an id is unknown."""
    return Problem(404, f"unknown {kind} '{its_id[:80]}'", field=field)


def install_problem_handlers(app: FastAPI) -> None:
    """Make every error of an application one of these."""

    @app.exception_handler(Problem)
    async def problem(_: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        return _of_validation(error).response()

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers) if error.headers else {}
        if error.status_code == 404:
            return Problem(404, f"no path '{request.url.path[:200]}'; all paths: /docs", headers=headers).response()
        if error.status_code == 405:
            headers["Allow"] = ", ".join(_allowed(request)) or headers.get("Allow", "")
        return Problem(error.status_code, str(error.detail), headers=headers).response()

    @app.exception_handler(ClientDisconnect)
    async def gone(_: Request, error: ClientDisconnect) -> JSONResponse:
        del error
        return Problem(400, "the client hung up before its body was whole").response()

    @app.exception_handler(KinemaError)
    async def kinema(_: Request, error: KinemaError) -> JSONResponse:
        return problem_of(error).response()

    @app.exception_handler(Exception)
    async def failure(_: Request, error: Exception) -> JSONResponse:
        return _of_failure(error).response()


def problem_of(error: KinemaError) -> Problem:
    """What an error of ours is answered with."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if status == 500:
        return _of_failure(error)
    headers = {"Retry-After": _BUSY_SECONDS} if isinstance(error, BusyError) else None
    return Problem(status, str(error), code=NOT_BUILT if isinstance(error, NotBuiltError) else None, headers=headers)


def _allowed(request: Request) -> list[str]:
    """Methods of a path; the framework names those of the first route that has it."""
    paths = request.app.openapi()["paths"]
    path = request.scope["path"].rstrip("/")
    if path in paths:
        return sorted(method.upper() for method in paths[path])
    asked, found = path.split("/"), set[str]()
    for template, operations in paths.items():
        parts = template.split("/")
        if len(parts) == len(asked) and all(
            one == other or one.startswith("{") for one, other in zip(parts, asked, strict=True)
        ):
            found.update(method.upper() for method in operations)
    return sorted(found)


def invalid_field(error: Mapping[str, Any]) -> tuple[str, str]:
    """What one error of pydantic says: the field's path and a sentence.

    Example:
        >>> invalid_field({"type": "missing", "loc": ("body", "item_id"), "msg": "Field required"})
        ('item_id', 'item_id is required')
    """
    field = ".".join(str(part) for part in error["loc"] if part not in _PLACES)
    name = field or "the request"
    if error["type"] == "missing":
        return field, f"{name} is required" if field else "the body is required"
    if error["type"] == "extra_forbidden":
        return field, f"unknown field '{name}'"
    message = str(error["msg"]).removeprefix("Value error, ")
    for prefix, begins in (("Input should be ", "must be "), ("Input should ", "must "), ("String should ", "must ")):
        if message.startswith(prefix):
            given = f", is '{str(error['input'])[:80]}'" if error["type"] in _CHOICES else ""
            return field, f"{name} {begins}{message.removeprefix(prefix)}{given}"
    return field, f"{name} must be {message}" if error["type"] == "value_error" else f"{name}: {message}"


def _of_validation(error: RequestValidationError) -> Problem:
    errors = error.errors()
    first = errors[0]
    if first["type"] == "json_invalid":
        return Problem(400, f"the body must be JSON: {first['ctx'].get('error', 'it is not')}", code="invalid_json")
    field, message = invalid_field(first)
    others = [invalid_field(one)[0] or "the request" for one in errors[1 : 1 + _SHOWN]]
    more = f"; wrong as well: {', '.join(others)}" if others else ""
    return Problem(422, message + more, field=field)


def _of_failure(error: Exception) -> Problem:
    _LOG.error("request failed", error=type(error).__name__, exc_info=error)
    return Problem(500, "the service failed to answer; its log has the reason under this request's id", code="internal")
