"""Ids with a slash in a path: ``/v1/items/films%2F7`` is the item ``films/7``, not two segments.

Servers decode a path before anybody routes it, and a slash that was part of an id then looks like one between segments. Here the
two signs that could be taken for something else stay encoded until the route has been found.
"""

import re
from typing import Final
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_KEPT: Final = re.compile(r"%(?=2[Ff5])")
_READ: Final = re.compile(r"%(2[Ff5])")


class Segments:
    """Middleware that decodes paths segment by segment; `read_segment` does the rest.

    Args:
        app: Whose paths.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        raw = scope.get("raw_path") if scope["type"] == "http" else None
        if raw and b"%2" in raw:
            scope = {**scope, "path": kept_path(raw)}
        await self._app(scope, receive, send)


def kept_path(raw: bytes) -> str:
    """A path as it was sent, decoded but for slashes and percent signs.

    Example:
        >>> kept_path(b"/v1/items/films%2F7%20%2525")
        '/v1/items/films%2F7 %2525'
    """
    return unquote(_KEPT.sub("%25", raw.decode("utf-8", "replace")))


def read_segment(text: str) -> str:
    """What a segment of such a path means.

    Example:
        >>> read_segment("films%2F7 %2525")
        'films/7 %25'
    """
    return _READ.sub(lambda found: unquote(found[0]), text)
