"""Routes that read JSON by our own rules: what `kinema.serving.bounds.parse_json` refuses never reaches a model.

The framework's parser takes NaN, lone surrogates and numbers of any size, and answers a form of its own where it fails.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from fastapi import Request, Response
from fastapi.routing import APIRoute

from kinema.serving.bounds import parse_json
from kinema.serving.problems import Problem

JSON: Final = "application/json"


class JsonRoute(APIRoute):
    """A route whose body, where it has one, is JSON."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The framework's handler, given a body that is read already."""
        handle = super().get_route_handler()
        if self.body_field is None:
            return handle
        is_needed = self.body_field.field_info.is_required()

        async def read_first(request: Request) -> Response:
            given = _Read(request.scope, request.receive)
            if is_needed or await given.body():
                await given.read()
            return await handle(given)

        return read_first


class _Read(Request):
    """A request whose JSON was read."""

    async def read(self) -> None:
        body = await self.body()
        if body:
            check_type(self, JSON)
        self._json = parse_json(body)


def media_type(request: Request) -> str:
    """What a body is said to be, in small letters and without parameters; empty where nothing is said.

    Example:
        >>> media_type(Request({"type": "http", "headers": [(b"content-type", b"Application/JSON; charset=utf-8")]}))
        'application/json'
    """
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_type(request: Request, *wanted: str) -> None:
    """Refuse a body that is said to be something else, or nothing.

    Pages of other sites can have a browser send bodies of other types, or of none, without asking first.

    Raises:
        Problem: 415.
    """
    given = media_type(request)
    if given not in wanted and not (JSON in wanted and given.startswith("application/") and given.endswith("+json")):
        told = f"is '{given[:80]}'" if given else "is missing"
        raise Problem(415, f"the Content-Type must be {' or '.join(wanted)}, {told}")
