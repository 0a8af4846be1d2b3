"""Headers that tell browsers what not to do with an answer, and which other sites may ask at all (none, by default)."""

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kinema.errors import ConfigError

API_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_SAME_FOR_ALL: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=()",
}
_HSTS: Final = "max-age=31536000; includeSubDomains"
_INLINE: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


class SecurityHeaders:
    """Middleware that adds them. What an answer says itself is left as it is.

    Args:
        app: Whose answers.
        tls: TLS ends in front of the service: browsers are told to use nothing else for a year.
        policies: Path prefix -> content security policy of pages that need one of their own.
    """

    def __init__(self, app: ASGIApp, *, tls: bool = False, policies: Mapping[str, str] | None = None) -> None:
        self._app = app
        told = _SAME_FOR_ALL | ({"strict-transport-security": _HSTS} if tls else {})
        self._always = [(name.encode(), value.encode()) for name, value in told.items()]
        self._policies = [(prefix, text.encode()) for prefix, text in (policies or {}).items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its answer with the headers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": self._complete(scope["path"], message.get("headers", ()))}
            await send(message)

        await self._app(scope, receive, guarded)

    def _complete(self, path: str, given: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        headers = list(given)
        there = {name.lower(): value for name, value in headers}
        headers += [one for one in self._always if one[0] not in there]
        is_page = there.get(b"content-type", b"").startswith(b"text/html")
        if b"content-security-policy" not in there:
            headers.append((b"content-security-policy", self._policy(path, is_page=is_page)))
        if not is_page and b"cache-control" not in there:
            headers.append((b"cache-control", b"no-store"))
        return headers

    def _policy(self, path: str, *, is_page: bool) -> bytes:
        if not is_page:
            return _API_BYTES
        return next((text for prefix, text in self._policies if path.startswith(prefix)), _PAGE_BYTES)


_API_BYTES: Final = API_POLICY.encode()
_PAGE_BYTES: Final = PAGE_POLICY.encode()


def page_policy(html: str, *, origins: Sequence[str] = ()) -> str:
    """A policy under which a page's own inline scripts run, and no others: each is allowed by its hash.

    Args:
        html: The page as it is sent, such as FastAPI's ``/docs``.
        origins: From where it loads scripts, styles and pictures beside its own.

    Example:
        >>> page_policy("<script>start()</script>").split(";")[1].strip()
        "script-src 'self' 'sha256-DIm7WJS6ZKDYe5qFLPy+h4JFI9Bol5QmYC57mt3Fb00='"
    """
    hashes = [base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in _INLINE.findall(html)]
    script = " ".join(["'self'", *origins, *(f"'sha256-{one}'" for one in hashes)])
    others = " ".join(["'self'", *origins])
    return (
        f"default-src 'none'; script-src {script}; style-src {others} 'unsafe-inline'; img-src {others} data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    )


def allow_origins(app: ASGIApp, origins: Sequence[str]) -> ASGIApp:
    """Let pages of other sites ask; without origins nothing is allowed, and the application is returned as it is.

    Keys travel in headers, not in cookies, so no credentials of the browser are ever allowed.

    Args:
        app: Whom they may ask.
        origins: Such as ``https://shop.example``.

    Raises:
        ConfigError: One is no origin; ``*`` is refused.
    """
    check_origins(origins)
    if not origins:
        return app
    return CORSMiddleware(
        app,
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["authorization", "x-api-key", "content-type", "x-request-id"],
        expose_headers=["x-request-id", "retry-after"],
        max_age=600,
    )


def check_origins(origins: Iterable[str]) -> None:
    """Refuse what is no origin.

    Raises:
        ConfigError: One has a path, no scheme, or is ``*``.

    Example:
        >>> check_origins(["https://shop.example", "http://localhost:5173"])
    """
    for one in origins:
        parts = urlsplit(one)
        if (
            parts.scheme not in {"http", "https"}
            or not parts.netloc
            or one != f"{parts.scheme}://{parts.netloc}"
            or "*" in one
        ):
            raise ConfigError(f"an allowed origin must be like 'https://shop.example', is '{one}'")
