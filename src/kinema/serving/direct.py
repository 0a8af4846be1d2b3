"""The two requests that come most, answered without the framework: recommendations by an address, and one event.

Finding a route, solving its dependencies and checking each parameter by a model takes a millisecond of the one thread that all
requests share. Here only what is plain is read; whatever is not, wrong requests among them, goes on to the framework, whose routes
say the same. So there is one meaning, one document and one form of errors, and no rule is written twice.
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from pydantic import ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kinema.errors import KinemaError
from kinema.serving.bodies import Again, received
from kinema.serving.bounds import parse_json
from kinema.serving.engine import now_ms
from kinema.serving.problems import Problem, problem_of
from kinema.serving.routes.events import take
from kinema.serving.routes.parts import ServiceParts
from kinema.serving.routes.users import recommended
from kinema.serving.wire import EventIn, EventsOut
from kinema.serving.world import Asked

_EVENTS: Final = "/v1/events"
_RECOMMENDATIONS: Final = re.compile(r"/v1/users/([A-Za-z0-9._~:@+ -]{1,256})/recommendations")
_QUERY: Final = {
    "n": re.compile(r"[1-9][0-9]{0,2}|1000"),
    "scenario": re.compile(r"[A-Za-z0-9_.-]{1,64}"),
    "explain": re.compile(r"true|false"),
    "debug": re.compile(r"true|false"),
}
_ACCEPTED: Final = EventsOut(accepted=1).model_dump_json().encode()


class _Route:
    """What logs and metrics name."""

    def __init__(self, path: str) -> None:
        self.path = path


_EVENTS_ROUTE: Final = _Route(_EVENTS)
_RECOMMENDATIONS_ROUTE: Final = _Route("/v1/users/{user_id}/recommendations")


class DirectPaths:
    """Middleware within all others, see the module docstring.

    Args:
        app: Answers everything else.
        parts: What answers are made with.
    """

    def __init__(self, app: ASGIApp, *, parts: ServiceParts) -> None:
        self._app, self._parts = app, parts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the framework answer."""
        if scope["type"] != "http" or scope.get("root_path"):
            await self._app(scope, receive, send)
        elif scope["method"] == "GET":
            await self._recommend(scope, receive, send)
        elif scope["method"] == "POST" and scope["path"] == _EVENTS:
            await self._take(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _recommend(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = _RECOMMENDATIONS.fullmatch(scope["path"])
        query = None if found is None else plain_query(scope["query_string"])
        if found is None or query is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = _RECOMMENDATIONS_ROUTE
        asked = Asked(
            found[1],
            int(query.get("n", 10)),
            query.get("scenario", "home"),
            now_ms(),
            reasons=query.get("explain") != "false",
        )
        try:
            body = await recommended(self._parts, asked, debug=query.get("debug") == "true")
        except (Problem, KinemaError) as error:
            await _refuse(error, scope, receive, send)
        else:
            await _answer(body, send)

    async def _take(self, scope: Scope, receive: Receive, send: Send) -> None:
        messages = await received(receive)
        event = plain_event(scope["headers"], messages)
        if event is None:
            await self._app(scope, Again(messages, receive), send)
            return
        scope["route"] = _EVENTS_ROUTE
        try:
            await take(self._parts.engine, event)
        except (Problem, KinemaError) as error:
            await _refuse(error, scope, receive, send)
        else:
            await _answer(_ACCEPTED, send)


def plain_query(text: bytes) -> dict[str, str] | None:
    """The parameters of a request for recommendations; None where one of them is not plain.

    Example:
        >>> plain_query(b"n=5&scenario=home"), plain_query(b"n=0"), plain_query(b"n=1&other=2")
        ({'n': '5', 'scenario': 'home'}, None, None)
    """
    found: dict[str, str] = {}
    for part in text.decode("latin-1").split("&") if text else ():
        name, _, value = part.partition("=")
        pattern = _QUERY.get(name)
        if pattern is None or name in found or not pattern.fullmatch(value):
            return None
        found[name] = value
    return found


def plain_event(headers: Sequence[tuple[bytes, bytes]], messages: Sequence[Message]) -> EventIn | None:
    """The one event of a body; None where it is none, or several."""
    kinds = [value for name, value in headers if name == b"content-type"]
    if len(kinds) != 1 or kinds[0].partition(b";")[0].strip().lower() != b"application/json":
        return None
    if messages[-1]["type"] != "http.request":
        return None
    try:
        value = parse_json(b"".join(one.get("body", b"") for one in messages))
        return EventIn.model_validate(value) if isinstance(value, dict) and "events" not in value else None
    except (Problem, ValidationError):
        return None


async def _answer(body: bytes, send: Send) -> None:
    headers: list[Any] = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _refuse(error: Problem | KinemaError, scope: Scope, receive: Receive, send: Send) -> None:
    problem = error if isinstance(error, Problem) else problem_of(error)
    await problem.response()(scope, receive, send)
