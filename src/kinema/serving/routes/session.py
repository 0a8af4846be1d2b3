"""``/v1/session``: signing in to the console with a key, and out again."""

from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from kinema.serving.auth import OPEN, Principal
from kinema.serving.json_route import JsonRoute
from kinema.serving.keys import Key, KeyRing
from kinema.serving.problems import Problem
from kinema.serving.rates import Rates
from kinema.serving.routes.parts import Parts
from kinema.serving.session_wire import SessionIn, SessionOut
from kinema.serving.sessions import COOKIE, Session, Sessions, check_console, check_origin, session_cookie

router = APIRouter(prefix="/v1", tags=["session"], route_class=JsonRoute)


@dataclass(frozen=True, eq=False)
class SignIn:
    """What signing in needs; lies in the application's state.

    Attributes:
        ring: Verifies keys.
        sessions: Begins and ends them.
        rates: How often an address may try; None for no limit.
        is_open: Nobody needs to.
        tls: The cookie is sent over TLS alone.
        on_failure: Told ``invalid`` at each wrong key.
    """

    ring: KeyRing
    sessions: Sessions
    rates: Rates | None
    is_open: bool
    tls: bool
    on_failure: Callable[[str], None]


@router.get("/session", summary="Who is signed in")
async def get_session(parts: Parts, request: Request) -> SessionOut:
    """Whether the service is open, whether somebody is signed in, and what they may do. Anybody may ask."""
    desk = _desk(request)
    known: Principal | None = getattr(request.state, "principal", None)
    if desk.is_open:
        return _open()
    if known is not None:
        return SessionOut(open=False, active=True, scopes=sorted(known.scopes))
    token = session_cookie(request.scope)
    found = None if token is None else await parts.run(desk.sessions.find, token)
    return _nobody() if found is None else _of(*found)


@router.post("/session", summary="Sign in")
async def begin_session(parts: Parts, request: Request, response: Response, body: SessionIn) -> SessionOut:
    """Show a key once; a cookie that scripts cannot read stands for it from then on, for some hours."""
    desk = _desk(request)
    check_origin(request.scope, needed=False)
    if desk.is_open:
        return _open()
    address = request.client.host if request.client else ""
    wait = 0 if desk.rates is None else await desk.rates.wait_for_login(address)
    if wait:
        raise Problem(429, f"too many attempts to sign in; come again in {wait} s", headers={"retry-after": str(wait)})
    key = await parts.run(desk.ring.verify, body.key)
    if key is None:
        desk.on_failure("invalid")
        raise Problem(401, "the key is unknown, expired or revoked", field="key")
    session, token = await parts.run(desk.sessions.begin, key)
    response.set_cookie(
        COOKIE,
        token,
        max_age=(session.expires_ms - session.created_ms) // 1000,
        path="/",
        secure=_is_secure(desk, request),
        httponly=True,
        samesite="strict",
    )
    return _of(session, key)


@router.delete("/session", summary="Sign out")
async def end_session(parts: Parts, request: Request, response: Response) -> SessionOut:
    """End the session of the cookie and remove the cookie; without one nothing happens."""
    desk = _desk(request)
    if desk.is_open:
        return _open()
    token = session_cookie(request.scope)
    if token is not None:
        check_console(request.scope)
        await parts.run(desk.sessions.end, token)
        response.delete_cookie(COOKIE, path="/", secure=_is_secure(desk, request), httponly=True, samesite="strict")
    return _nobody()


def _desk(request: Request) -> SignIn:
    found: SignIn = request.app.state.sign_in
    return found


def _open() -> SessionOut:
    return SessionOut(open=True, active=True, scopes=sorted(OPEN.scopes))


def _nobody() -> SessionOut:
    return SessionOut(open=False, active=False, scopes=[])


def _of(session: Session, key: Key) -> SessionOut:
    return SessionOut(
        open=False,
        active=True,
        scopes=sorted(key.scopes),
        key_id=key.id,
        name=key.name,
        expires_ms=session.expires_ms,
    )


def _is_secure(desk: SignIn, request: Request) -> bool:
    return desk.tls or request.url.scheme == "https"
