"""The console without ids: whoever is signed in and may not see personal data meets people by their pseudonyms alone.

This is one place for all routes. A request of such a session may name somebody by their pseudonym wherever the API takes a user's
id: in the path, in the query, in a body. The routes get the id and never know. On its way out every answer is walked: a field that
names people has pseudonyms instead, and so has a text that quotes whom the request was about. Programs, which send a key or a
token, need ids and get them; their answers are not touched.

Paths for gorse's clients are closed to such sessions: their forms do not say which ids are people's.
"""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import orjson
from anyio.to_thread import run_sync
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kinema.serving.auth import Principal
from kinema.serving.bodies import Again, received
from kinema.serving.bounds import parse_json
from kinema.serving.people_names import PeopleNames
from kinema.serving.privacy import PEOPLE, PSEUDONYM
from kinema.serving.problems import Problem, not_found
from kinema.serving.segments import read_segment

_JSON: Final = b"application/json"
_PERSON: Final = re.compile(r"(/v1/users/)([^/]+)(.*)", re.DOTALL)
_FIELD: Final = "user_id"
_TEXTS: Final = frozenset(("notice", "message", "reason", "text"))
"""Fields whose texts may quote whom a request is about."""
_ITEM: Final = "item_id"
_OWN: Final = "attributes"
_STATE: Final = "veil"
MOST: Final = 100
"""People in one request; to find each of them takes time."""


class Veil:
    """What one request is told of people.

    Args:
        names: Of everybody.
    """

    def __init__(self, names: PeopleNames) -> None:
        self._names = names
        self._quoted: dict[str, str] = {}
        self._meant: dict[str, str] = {}

    def meant(self, given: str) -> str:
        """The id of whom a request names: by a pseudonym, or by an id that its sender knows already.

        Raises:
            Problem: 404, nobody has that pseudonym; 422, it is one of too many.
        """
        if given not in self._meant:
            if len(self._meant) >= MOST:
                raise Problem(422, f"a request of a session must name at most {MOST} people", field=_FIELD)
            self._meant[given] = self._found(given)
        return self._meant[given]

    def _found(self, given: str) -> str:
        user = given
        if PSEUDONYM.fullmatch(given):
            found = self._names.id_of(given)
            if found is None:
                raise not_found("user", given, field=_FIELD)
            user = found
        self._quoted[f"'{user}'"] = self._quoted[f"'{user[:80]}'"] = f"'{self._names.of(user)}'"
        return user

    def shown(self, value: Any, name: str = "") -> Any:
        """An answer, or a part of it, with pseudonyms for ids.

        Args:
            value: JSON.
            name: Of the field that holds it.
        """
        if isinstance(value, str):
            if name.lower() in PEOPLE:
                return self._names.of(value) if value else value
            return self._unquoted(value) if name in _TEXTS else value
        if isinstance(value, list):
            return [self.shown(one, name) for one in value]
        if not isinstance(value, dict):
            return value
        is_item = _ITEM in value
        return {field: one if is_item and field == _OWN else self.shown(one, field) for field, one in value.items()}

    def _unquoted(self, text: str) -> str:
        for real, name in self._quoted.items():
            text = text.replace(real, name)
        return text


def veil_of(scope: Scope) -> Veil | None:
    """The veil of a request; None where ids are shown."""
    found: Veil | None = scope.get("state", {}).get(_STATE)
    return found


class Veiled:
    """Middleware within the guard, see the module docstring.

    Args:
        app: What it stands before.
        names: Of everybody.
    """

    def __init__(self, app: ASGIApp, *, names: PeopleNames) -> None:
        self._app, self._names = app, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on; through the veil where who asks may not see ids."""
        principal: Principal | None = scope.get("state", {}).get("principal")
        if scope["type"] != "http" or principal is None or principal.sees_ids:
            await self._app(scope, receive, send)
            return
        veil = Veil(self._names)
        sent = _Shown(send, veil)
        try:
            receive = await _named_by_ids(scope, receive, veil)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        scope["state"][_STATE] = veil
        await self._app(scope, receive, sent)


async def _named_by_ids(scope: Scope, receive: Receive, veil: Veil) -> Receive:
    """Have a request name people by ids; where its body comes from now."""
    if scope["path"].startswith("/api/"):
        raise Problem(403, "a session needs the scope 'personal' for the paths of gorse: they name people by ids")
    await run_sync(_name_by_ids, scope, veil)
    return await _read_body(scope, receive, veil)


def _name_by_ids(scope: Scope, veil: Veil) -> None:
    """Have the path and the query name people by ids. In place: what logs and counts finds the route in the same scope."""
    found = _PERSON.fullmatch(scope["path"])
    if found is not None:
        user = veil.meant(read_segment(found[2])).replace("%", "%25").replace("/", "%2F")
        scope["path"] = f"{found[1]}{user}{found[3]}"
    pairs = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    if any(name == _FIELD and value for name, value in pairs):
        meant = [(name, veil.meant(value) if name == _FIELD and value else value) for name, value in pairs]
        scope["query_string"] = urlencode(meant).encode()


async def _read_body(scope: Scope, receive: Receive, veil: Veil) -> Receive:
    """The body with ids; one that is no JSON is left to whom it is for."""
    kinds = [value for name, value in scope["headers"] if name == b"content-type"]
    if not kinds or kinds[0].partition(b";")[0].strip().lower() != _JSON:
        return receive
    messages = await received(receive)
    if messages[-1]["type"] == "http.request":
        body = b"".join(one.get("body", b"") for one in messages)
        meant = await run_sync(_body_with_ids, body, veil)
        messages = [{"type": "http.request", "body": meant, "more_body": False}]
    return Again(messages, receive)


def _body_with_ids(body: bytes, veil: Veil) -> bytes:
    """JSON whose user, or the user of each of its events, is an id; other fields of that name are their sender's own."""
    try:
        value = parse_json(body)
    except Problem:
        return body  # whoever reads it says what is wrong
    if not isinstance(value, dict):
        return body
    events = value.get("events")
    for one in (value, *(events if isinstance(events, list) else ())):
        if isinstance(one, dict) and isinstance(one.get(_FIELD), str) and one[_FIELD]:
            one[_FIELD] = veil.meant(one[_FIELD])
    return orjson.dumps(value)


class _Shown:
    """Sends an answer on; one that is JSON when it is whole, and without ids."""

    def __init__(self, send: Send, veil: Veil) -> None:
        self._send, self._veil = send, veil
        self._start: Message | None = None
        self._body: list[bytes] = []

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_json(message.get("headers", ())):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body.append(message.get("body", b""))
            if not message.get("more_body", False):
                await self._finish(self._start, b"".join(self._body))

    async def _finish(self, start: Message, body: bytes) -> None:
        if body:
            value = await run_sync(orjson.loads, body)
            body = orjson.dumps(self._veil.shown(value))
            headers = [(name, one) for name, one in start["headers"] if name.lower() != b"content-length"]
            start = {**start, "headers": [*headers, (b"content-length", b"%d" % len(body))]}
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body})


def _is_json(headers: Any) -> bool:
    kinds: Mapping[bytes, bytes] = {name.lower(): value for name, value in headers}
    return kinds.get(b"content-type", b"").partition(b";")[0].strip().lower() == _JSON
