"""Who asks, and whether they may: a key of ours, a session of the console or an issuer's token; a scope, a rate.

Nobody asks anonymously but in the open mode, which is for one's own machine: it takes a loopback address to listen on, and
refuses what a web page on another site has its reader's browser send there.
"""

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Final, Literal, Self

from anyio.to_thread import run_sync
from fastapi import Depends, Request
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from kinema.errors import ConfigError
from kinema.serving.access import Access
from kinema.serving.keys import PREFIX, Key, KeyRing, Scope
from kinema.serving.problems import Problem
from kinema.serving.rates import Rates
from kinema.serving.sessions import Sessions, check_console, session_cookie
from kinema.serving.tokens import Tokens

_WHO: Final = "/v1/session"
"""Where anybody may ask who they are: without a key, too."""
_CHALLENGE: Final = 'Bearer realm="kinema"'


@dataclass(frozen=True)
class Principal:
    """Who asks.

    Attributes:
        id: ``key:<id>``, also of a session of the console that stands for the key; ``jwt:<subject>`` or ``open``.
        scopes: What they may do.
        rate_key: What their requests are counted under.
        kind: How they are known.
    """

    id: str
    scopes: frozenset[Scope]
    rate_key: str
    kind: Literal["key", "session", "jwt", "open"]

    @classmethod
    def of_key(cls, key: Key, kind: Literal["key", "session"] = "key") -> Self:
        """Who asks with a key, or with a session that stands for it."""
        return cls(f"key:{key.id}", key.scopes, f"key:{key.id}", kind)

    def may(self, scope: Scope) -> bool:
        """Whether a scope is theirs."""
        return scope in self.scopes

    @property
    def sees_personal(self) -> bool:
        """Whether personal fields are shown to them."""
        return Scope.PERSONAL in self.scopes or Scope.ADMIN in self.scopes

    @property
    def sees_ids(self) -> bool:
        """Whether people are named to them by their ids: programs need these, somebody who looks at the console may not."""
        return self.kind != "session" or self.sees_personal


OPEN: Final = Principal("open", frozenset(Scope), "open", "open")


def check_open(host: str, open: bool) -> None:  # noqa: A002, FBT001  # the option's name; it is called with both
    """Refuse the open mode where others can reach it.

    Raises:
        ConfigError: Open, and the host is not a loopback address.

    Example:
        >>> check_open("127.0.0.1", True)
        >>> check_open("0.0.0.0", False)
    """
    if open and not _is_loopback(host):
        raise ConfigError(
            f"--open serves without keys and must listen on loopback (127.0.0.1), is '{host}'; "
            "make a key instead: kinema keys create --name NAME --scope read"
        )


class Guard:
    """Middleware that lets a request through once it is known who asks, that they may, and not too often.

    Args:
        app: What it guards.
        access: Scopes by method and path.
        ring: Verifies keys; None where there are none.
        sessions: Of the console, whose cookie stands for a key; None where there are none.
        tokens: Verifies tokens; None where no issuer is configured.
        rates: Limits; None for none.
        open: Serve without keys; see `check_open`.
        on_failure: Told ``missing``, ``invalid`` or ``forbidden`` at each refusal.
        on_limited: Told the scope at each request that came too often.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        access: Access,
        ring: KeyRing | None = None,
        sessions: Sessions | None = None,
        tokens: Tokens | None = None,
        rates: Rates | None = None,
        open: bool = False,  # noqa: A002  # the option's name
        on_failure: Callable[[str], None] | None = None,
        on_limited: Callable[[str], None] | None = None,
    ) -> None:
        self._app, self._access, self._ring, self._tokens, self._rates = app, access, ring, tokens, rates
        self._sessions, self._open = sessions, open
        self._on_failure = on_failure or _silent
        self._on_limited = on_limited or _silent

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Let a request through, or answer why not."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] == "http":
            try:
                await self._check(scope)
            except Problem as problem:
                await problem.response()(scope, receive, send)
                return
        await self._app(scope, receive, send)

    async def _check(self, scope: Connection) -> None:
        needed = self._access.needed(scope["method"], scope["path"].removeprefix(scope.get("root_path", "")))
        if self._open:
            _check_site(scope)
            principal: Principal | None = OPEN
        elif needed is None:
            is_telling = scope["path"] == _WHO and scope["method"] != "POST" and _credentials(scope) is not None
            principal = await self._authenticate(scope) if is_telling else None
        else:
            principal = await self._authenticate(scope)
        scope.setdefault("state", {})["principal"] = principal
        if needed is None or principal is None:
            return
        if not principal.may(needed):
            self._on_failure("forbidden")
            raise Problem(
                403,
                f"this needs the scope '{needed}', the key has: {', '.join(sorted(principal.scopes)) or 'none'}",
                headers={"www-authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{needed}"'},
            )
        wait = 0 if self._rates is None else await self._rates.wait_for(needed, principal.rate_key)
        if wait:
            self._on_limited(needed.value)
            raise _too_often(wait)

    async def _authenticate(self, scope: Connection) -> Principal:
        text = _credentials(scope)
        token = session_cookie(scope) if text is None and self._sessions is not None else None
        if text is None and token is None:
            self._on_failure("missing")
            raise Problem(
                401,
                "a key is needed: send 'Authorization: Bearer KEY' or 'X-API-Key: KEY'",
                headers={"www-authenticate": _CHALLENGE},
            )
        if token is not None:
            check_console(scope)
        principal = await (self._principal(text) if text is not None else self._of_session(token or ""))
        if principal is not None:
            return principal
        self._on_failure("invalid")
        wait = 0
        if self._rates is not None and scope.get("client"):
            wait = await self._rates.wait_after_failure(scope["client"][0])
        if wait:
            raise _too_often(wait)
        raise Problem(
            401,
            "the session is over; sign in again"
            if token is not None
            else "the key or token is unknown, expired or revoked",
            headers={"www-authenticate": f'{_CHALLENGE}, error="invalid_token"'},
        )

    async def _of_session(self, token: str) -> Principal | None:
        sessions = self._sessions
        assert sessions is not None
        found = sessions.find(token) if sessions.remembers(token) else await run_sync(sessions.find, token)
        return None if found is None else Principal.of_key(found[1], "session")

    async def _principal(self, text: str) -> Principal | None:
        if text.startswith(PREFIX):
            if self._ring is None:
                return None
            remembered = self._ring.remembers(text)
            key = self._ring.verify(text) if remembered else await run_sync(self._ring.verify, text)
            return None if key is None else Principal.of_key(key)
        if self._tokens is None or text.count(".") != 2:
            return None
        claims = self._tokens.verify(text)
        name = "" if claims is None else f"jwt:{claims.subject}"
        return None if claims is None else Principal(name, claims.scopes, name, "jwt")


async def principal_of(request: Request) -> Principal:
    """Who asks; for `Depends`, which would run a plain function in a thread.

    Raises:
        Problem: 401: the path is public and nobody said who they are.
    """
    found: Principal | None = getattr(request.state, "principal", None)
    if found is None:
        raise Problem(401, "a key is needed here", headers={"www-authenticate": _CHALLENGE})
    return found


Asker = Annotated[Principal, Depends(principal_of)]
"""Parameter of a route: who asks."""


def _credentials(scope: Connection) -> str | None:
    """The key or token of a request, or None where there is none; one that cannot be read is an empty text."""
    api_key: str | None = None
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, text = value.decode("latin-1").partition(" ")
            return text.strip() if scheme.lower() == "bearer" else ""
        if name == b"x-api-key":
            api_key = value.decode("latin-1").strip()
    return api_key


def _too_often(wait: int) -> Problem:
    return Problem(429, f"too many requests; come again in {wait} s", headers={"retry-after": str(wait)})


def _check_site(scope: Connection) -> None:
    """In the open mode, refuse names that are not this machine's: a page elsewhere may have resolved its own to loopback."""
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        if name == b"host" and not _is_loopback(_host_of(text)):
            raise Problem(403, f"the open mode answers on loopback names alone, the request names '{text[:80]}'")
        if name == b"origin" and not _is_loopback(_host_of(text.partition("://")[2])):
            raise Problem(403, f"the open mode takes no requests of other sites, this one is of '{text[:80]}'")


def _host_of(text: str) -> str:
    """Host of ``host[:port]``, with or without brackets."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0]


@lru_cache(maxsize=1000)
def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _silent(_: str) -> None:
    """Nobody counts."""
