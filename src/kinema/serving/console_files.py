"""The console's files, at ``/`` and at the addresses of its pages.

They are read once, when the service starts: what is served is what was packaged, whatever lies in the folder later. A page's address
(``/items/v1``) has no file; a browser that goes there gets the start page, whose script shows what is meant.
"""

import gzip
import hashlib
import mimetypes
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

FOLDER: Final = Path(__file__).with_name("console")
RESERVED: Final = ("/v1", "/api", "/health", "/metrics", "/docs", "/openapi.json")
"""Addresses below which nothing is the console's."""
_START: Final = "/index.html"
_TYPES: Final = {".js": "text/javascript", ".mjs": "text/javascript", ".webmanifest": "application/manifest+json"}
_PACKED: Final = re.compile(r"text/|application/(json|manifest\+json|xml|wasm)|image/svg\+xml")
_LEAST_PACKED: Final = 512
_HASHED: Final = re.compile(r"-(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{8}\.\w+$")
"""A name with a hash of the content, as Vite writes it: what is behind it never changes."""
_FOREVER: Final = "public, max-age=31536000, immutable"
_ABSENT: Final = b"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Kinema</title></head>
<body>
<h1>The console is not part of this installation</h1>
<p>The service itself works: <a href="/docs">its API</a>, <a href="/health/ready">its state</a>.</p>
<p>A wheel of Kinema has the console in it. In a clone of the source it is built by
<code>npm ci &amp;&amp; npm run build</code> in the folder <code>web</code>; then start the service again.</p>
</body>
</html>
"""


@dataclass(frozen=True)
class Place:
    """What logs and metrics name in place of a route.

    Attributes:
        path: Its template.
    """

    path: str = "(console)"


@dataclass(frozen=True)
class ConsoleFile:
    """A file as it is sent.

    Attributes:
        plain: Its bytes.
        packed: The same by gzip; empty where that is no shorter.
        media_type: What it is.
        etag: Changes with the bytes.
        is_forever: Its name changes with its bytes, too.
    """

    plain: bytes = field(repr=False)
    packed: bytes = field(repr=False)
    media_type: str
    etag: str
    is_forever: bool = False


def read_files(folder: Path) -> dict[str, ConsoleFile]:
    """The files of a built console by address; empty where it was not built.

    Args:
        folder: With `index.html` and whatever it names.

    Example:
        >>> read_files(Path("nowhere"))
        {}
    """
    if not (folder / "index.html").is_file():
        return {}
    paths = sorted(one for one in folder.rglob("*") if one.is_file() and not one.name.startswith("."))
    return {f"/{one.relative_to(folder).as_posix()}": _read(one) for one in paths}


class Console:
    """Middleware that answers with the console's files, and passes everything else on.

    Nobody needs a key for them: there is nothing in them that is not in the package.

    Args:
        app: The service.
        files: See `read_files`.
    """

    def __init__(self, app: ASGIApp, *, files: dict[str, ConsoleFile]) -> None:
        self._app, self._files = app, files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or pass on."""
        found = self._find(scope) if scope["type"] == "http" and scope["method"] in ("GET", "HEAD") else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = Place()
        answer = _answer(found, scope)
        if scope["method"] == "HEAD":
            answer.body = b""
        await answer(scope, receive, send)

    def _find(self, scope: Scope) -> ConsoleFile | None:
        path = scope["path"]
        if any(path == one or path.startswith(f"{one}/") for one in RESERVED):
            return None
        if path in self._files and path != _START:
            return self._files[path]
        if path != "/" and b"text/html" not in _header(scope, b"accept"):
            return None
        return self._files.get(_START, _NOT_BUILT)


def _answer(file: ConsoleFile, scope: Scope) -> Response:
    is_packed = bool(file.packed) and _takes_gzip(_header(scope, b"accept-encoding"))
    etag = f'"{file.etag}{"-gzip" if is_packed else ""}"'
    headers = {
        "etag": etag,
        "cache-control": _FOREVER if file.is_forever else "no-cache",
        "content-type": file.media_type,
        "vary": "Accept, Accept-Encoding",
    }
    if file is _NOT_BUILT:
        return Response(file.plain, 404, {"content-type": file.media_type, "cache-control": "no-store"})
    asked = [one.strip().removeprefix("W/") for one in _header(scope, b"if-none-match").decode("latin-1").split(",")]
    if etag in asked or asked == ["*"]:
        return Response(status_code=304, headers=headers)
    if is_packed:
        headers["content-encoding"] = "gzip"
    return Response(file.packed if is_packed else file.plain, headers=headers)


def _header(scope: Scope, name: bytes) -> bytes:
    return b",".join(value for key, value in scope["headers"] if key == name)


def _takes_gzip(accepted: bytes) -> bool:
    """Whether a client takes gzip; ``gzip;q=0`` says that it does not."""
    for one in accepted.decode("latin-1").lower().split(","):
        name, _, quality = one.partition(";")
        if name.strip() in ("gzip", "*"):
            return not re.fullmatch(r"\s*q\s*=\s*0(\.0*)?\s*", quality)
    return False


def _read(path: Path) -> ConsoleFile:
    plain = path.read_bytes()
    media_type = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    is_text = bool(_PACKED.match(media_type))
    packed = gzip.compress(plain, 9, mtime=0) if is_text and len(plain) >= _LEAST_PACKED else b""
    return ConsoleFile(
        plain,
        packed if len(packed) < len(plain) else b"",
        f"{media_type}; charset=utf-8" if media_type.startswith("text/") else media_type,
        hashlib.sha256(plain).hexdigest()[:32],
        is_forever=bool(_HASHED.search(path.name)),
    )


_NOT_BUILT: Final = ConsoleFile(_ABSENT, b"", "text/html; charset=utf-8", "")
