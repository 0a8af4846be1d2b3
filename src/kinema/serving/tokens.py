"""JSON Web Tokens of an issuer whose public key is known: who asks, without a key of ours.

Only asymmetric algorithms, and for each key exactly the one of its type: a token that names another is refused, so that
nobody can sign with the public key as if it were a shared secret, or with ``none``.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jwt

from kinema.errors import ConfigError
from kinema.serving.issuer_keys import IssuerKeys, with_algorithms
from kinema.serving.keys import Scope

LEEWAY_SECONDS: Final = 30
"""Clocks of issuer and service may differ by so much."""
_LONGEST: Final = 8_192
_MOST_CACHED: Final = 10_000
_SCOPES: Final = {scope.value: scope for scope in Scope}


@dataclass(frozen=True)
class Claims:
    """What a token says.

    Attributes:
        subject: Its ``sub``.
        scopes: Of ``scope`` (text) or ``scopes`` (list); names of others' scopes are left out.
        expires: Its ``exp``, seconds since the epoch.
    """

    subject: str
    scopes: frozenset[Scope]
    expires: float


class Tokens:
    """Verifies tokens.

    Args:
        issuer: What ``iss`` must be.
        audience: What ``aud`` must be or contain.
        keys: Key id -> public key, the id is empty for a lone PEM key; or where they are read, which is followed.
        keep_seconds: How long a verified token is remembered.
        now: Seconds since the epoch.

    Raises:
        ConfigError: Issuer or audience is empty, or a key is not RSA (2048 bits or more), EC P-256 or Ed25519.
    """

    def __init__(
        self,
        *,
        issuer: str,
        audience: str,
        keys: Mapping[str, Any] | IssuerKeys,
        keep_seconds: float = 5.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not issuer or not audience:
            raise ConfigError("jwt_issuer and jwt_audience must be set where jwt_public_key is")
        self._issuer, self._audience = issuer, audience
        if isinstance(keys, IssuerKeys):
            self._current = keys.current
        else:
            fixed = with_algorithms(keys)
            self._current = lambda: fixed
        self._keep, self._now = keep_seconds, now
        self._known: dict[bytes, tuple[float, Claims]] = {}

    def verify(self, text: str) -> Claims | None:
        """The claims of a token, or None where anything about it is wrong."""
        if len(text) > _LONGEST or not text.isascii():
            return None
        digest = hashlib.sha256(text.encode()).digest()
        found, now = self._known.get(digest), self._now()
        if found is not None and now < found[0]:
            return found[1]
        claims = self._decode(text)
        if claims is None:
            return None
        if len(self._known) >= _MOST_CACHED:
            self._known.clear()
        self._known[digest] = (min(now + self._keep, claims.expires), claims)
        return claims

    def _decode(self, text: str) -> Claims | None:
        try:
            key_id = jwt.get_unverified_header(text).get("kid", "")
            keys = self._current()
            key, algorithm = keys.get(key_id) or _only_key(keys)
            told = jwt.decode(
                text,
                key,
                algorithms=[algorithm],
                audience=self._audience,
                issuer=self._issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except (jwt.PyJWTError, _UnknownKeyError, ValueError, TypeError, RecursionError):
            return None
        subject, expires = told["sub"], told["exp"]
        if not isinstance(subject, str) or not 1 <= len(subject) <= 200 or not isinstance(expires, int | float):
            return None
        return Claims(subject, _scopes(told), float(expires))


class _UnknownKeyError(Exception):
    """A token names no key that is known."""


def _only_key(keys: Mapping[str, tuple[Any, str]]) -> tuple[Any, str]:
    """The lone key, which need not be named; of several, a token must name one."""
    if len(keys) != 1:
        raise _UnknownKeyError
    return next(iter(keys.values()))


def _scopes(told: dict[str, Any]) -> frozenset[Scope]:
    names = told.get("scope", told.get("scopes", ()))
    names = names.split() if isinstance(names, str) else names
    if not isinstance(names, list | tuple):
        return frozenset()
    return frozenset(_SCOPES[one] for one in names if isinstance(one, str) and one in _SCOPES)
