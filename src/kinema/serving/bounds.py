"""Limits on what a request may be: its address, the size of its body, the time it takes, and the JSON in it.

Whatever is beyond them ends in a 4xx before it costs memory: a body is counted as it arrives, so one sent in chunks without
a length is stopped at the same byte as an honest one.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import unquote_to_bytes

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kinema.serving.access import path_pattern
from kinema.serving.problems import Problem

MAX_DEPTH: Final = 32
_RANGE: Final = 1 << 63
_SUSPECT: Final = re.compile(rb"\d{19}|\d[eE]\+?\d|\\u0000")
"""What a number out of range or a NUL character must contain; most bodies do not, and are not walked."""
_SPARE_SECONDS_PER_BYTE: Final = 1 / 65_536
"""A body may take so much longer for each byte: uploads over slow lines finish, senders of a byte a second do not."""


@dataclass(frozen=True)
class Limits:
    """What is allowed.

    Attributes:
        max_body_bytes: Largest body.
        body_bytes_by_path: Path (``*`` one segment, ``**`` any number) -> largest body there, such as of uploads.
        max_path_bytes: Longest path.
        max_query_bytes: Longest query.
        body_seconds: Time to send a body, more for large ones.
        answer_seconds: From the whole body to the first byte of the answer.
    """

    max_body_bytes: int = 2 << 20
    body_bytes_by_path: Mapping[str, int] = field(default_factory=dict)
    max_path_bytes: int = 8_192
    max_query_bytes: int = 8_192
    body_seconds: float = 20.0
    answer_seconds: float = 30.0


def parse_json(body: bytes, *, max_depth: int = MAX_DEPTH) -> Any:
    """Read JSON that everything behind can hold.

    Numbers beyond 64 bits (in size, whole or not), NaN and the NUL character are JSON to some parsers and break the stores; JSON nested a thousand
    deep breaks whoever walks it.

    Args:
        body: UTF-8.
        max_depth: Most objects and lists inside one another.

    Raises:
        Problem: 400: it is empty, no JSON, no UTF-8, too deep, or has a number or character that cannot be kept.

    Example:
        >>> parse_json(b'{"n": 10}')
        {'n': 10}
    """
    if not body:
        raise Problem(400, "the body must be JSON, is empty", code="invalid_json")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Problem(400, f"the body must be JSON: {error}", code="invalid_json") from None
    if body.count(b"[") + body.count(b"{") > max_depth or _SUSPECT.search(body):
        _check_tree(value, max_depth)
    return value


def _check_tree(value: Any, max_depth: int) -> None:
    """Walk level by level, so that depth costs no stack."""
    level, depth = [value], 0
    while level:
        below: list[Any] = []
        for one in level:
            kind = type(one)
            if kind is dict:
                below += one.values()
                below += one  # keys are text that must be kept too
            elif kind is list:
                below += one
            else:
                _check_leaf(one)
        depth += any(type(one) in (dict, list) for one in level)
        if depth > max_depth:
            raise Problem(400, f"JSON must be at most {max_depth} deep", code="invalid_json")
        level = below


def _check_leaf(value: Any) -> None:
    if isinstance(value, str):
        if "\0" in value:
            raise Problem(400, "text must not contain the NUL character", code="invalid_json")
    elif (isinstance(value, int) and not -_RANGE <= value < _RANGE) or (
        isinstance(value, float) and abs(value) >= _RANGE
    ):
        raise Problem(400, "a number must be within 64 bits", code="invalid_json")


class Bounds:
    """Middleware that holds requests to their limits.

    Args:
        app: What it protects.
        limits: What is allowed.
    """

    def __init__(self, app: ASGIApp, *, limits: Limits | None = None) -> None:
        self._app = app
        self._limits = limits or Limits()
        self._by_path = [(path_pattern(path), size) for path, size in self._limits.body_bytes_by_path.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body counted, or answer what is wrong with it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            _check_address(scope, self._limits)
            most = self._most(scope)
            length = _length(scope["headers"], most)
        except Problem as problem:
            await problem.response()(scope, receive, send)
            return
        await _Exchange(self._limits, most, length, receive, send).run(self._app, scope)

    def _most(self, scope: Scope) -> int:
        path = scope["path"]
        for pattern, size in self._by_path:
            if pattern.fullmatch(path):
                return size
        return self._limits.max_body_bytes


class _Exchange:
    """One request and its answer."""

    def __init__(self, limits: Limits, most: int, length: int | None, receive: Receive, send: Send) -> None:
        self._limits, self._most, self._receive, self._send = limits, most, receive, send
        self._seconds = limits.body_seconds + _SPARE_SECONDS_PER_BYTE * (length or 0)
        self._in_chunks, self._started = length is None, asyncio.get_running_loop().time()
        self._stage: Literal["body", "answer", "sending"] = "answer" if length == 0 else "body"
        self._received = 0
        self._refusal: Problem | None = None
        self._timeout = asyncio.timeout(self._seconds if self._stage == "body" else limits.answer_seconds)

    async def run(self, app: ASGIApp, scope: Scope) -> None:
        try:
            async with self._timeout:
                await app(scope, self.receive, self.send)
        except TimeoutError:
            if not self._timeout.expired() or self._stage == "sending":
                raise
            self._refusal = self._refusal or self._too_late()
        except Problem:
            if self._refusal is None:
                raise
        if self._refusal is not None and self._stage != "sending":
            await self._refusal.response()(scope, self._receive, self._send)

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self._most:
                self._refusal = _too_large(self._most)
                raise self._refusal
            if self._stage == "body":
                self._go_on(more=message.get("more_body", False))
        return message

    async def send(self, message: Message) -> None:
        if self._refusal is not None:
            return  # what the application makes of the broken body
        if self._stage != "sending":
            self._stage = "sending"
            self._timeout.reschedule(None)
        await self._send(message)

    def _go_on(self, *, more: bool) -> None:
        """Set the next moment by which something must have happened."""
        if not more:
            self._stage = "answer"
            self._timeout.reschedule(asyncio.get_running_loop().time() + self._limits.answer_seconds)
        elif self._in_chunks:  # what it earns it must send first: nobody has said how much there is
            self._seconds = self._limits.body_seconds + _SPARE_SECONDS_PER_BYTE * self._received
            self._timeout.reschedule(self._started + self._seconds)

    def _too_late(self) -> Problem:
        if self._stage == "body":
            return _closing(408, f"the body must arrive within {self._seconds:.0f} s")
        return Problem(503, f"no answer within {self._limits.answer_seconds:g} s", code="timeout")


def _check_address(scope: Scope, limits: Limits) -> None:
    query: bytes = scope["query_string"]
    path: bytes = scope.get("raw_path") or scope["path"].encode()
    for name, value, most in (("path", path, limits.max_path_bytes), ("query", query, limits.max_query_bytes)):
        if len(value) > most:
            raise Problem(414, f"the {name} must have at most {most} bytes, has {len(value)}", code="address_too_long")
        if b"%" in value and not _is_text(unquote_to_bytes(value)):
            raise Problem(400, f"the {name} must be UTF-8 without NUL characters once its %XX are read")
        if not value.isascii() and not _is_text(value):
            raise Problem(400, f"the {name} must be UTF-8")


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return b"\0" not in value


def _length(headers: Sequence[tuple[bytes, bytes]], most: int) -> int | None:
    """Announced length of the body; 0 for none, None where it comes in chunks."""
    length: int | None = 0
    for name, value in headers:
        if name == b"transfer-encoding":
            length = None
        elif name == b"content-length" and length is not None:
            if not value.isdigit() or len(value) > 18:
                raise Problem(400, "Content-Length must be a number of bytes")
            length = int(value)
            if length > most:
                raise _too_large(most)
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            told = value.decode("latin-1")[:40]
            raise _closing(415, f"a body must be sent as it is, has the Content-Encoding '{told}'")
    return length


def _too_large(most: int) -> Problem:
    return _closing(413, f"the body must have at most {most:,} bytes")


def _closing(status: int, message: str) -> Problem:
    """A refusal after which the rest of the body is not read."""
    return Problem(status, message, headers={"connection": "close"})
