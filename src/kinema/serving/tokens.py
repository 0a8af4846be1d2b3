"""JSON Web Tokens of an issuer whose public key is known: who asks, without a key of ours.

Only asymmetric algorithms, and for each key exactly the one of its type: a token that names another is refused, so that
nobody can sign with the public key as if it were a shared secret, or with ``none``.
"""

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kinema.errors import ConfigError
from kinema.serving.keys import Scope

LEEWAY_SECONDS: Final = 30
"""Clocks of issuer and service may differ by so much."""
_LONGEST: Final = 8_192
_MOST_CACHED: Final = 10_000
_WEAKEST_RSA: Final = 2_048
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
        keys: Key id -> public key; the id is empty for a lone PEM key.
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
        keys: dict[str, Any],
        keep_seconds: float = 5.0,
        now: Callable[[], float] = time.time,
    ) -> None:
        if not issuer or not audience:
            raise ConfigError("jwt_issuer and jwt_audience must be set where jwt_public_key is")
        self._issuer, self._audience = issuer, audience
        self._keys = {key_id: (key, _algorithm(key)) for key_id, key in keys.items()}
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
            key, algorithm = self._keys.get(key_id) or self._only_key()
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

    def _only_key(self) -> tuple[Any, str]:
        """The lone key, which need not be named; of several, a token must name one."""
        if len(self._keys) != 1:
            raise _UnknownKeyError
        return next(iter(self._keys.values()))


class _UnknownKeyError(Exception):
    """A token names no key that is known."""


def read_public_keys(path: Path) -> dict[str, Any]:
    """Public keys of a PEM file (one key) or a JWKS file (JSON with ``keys``).

    Raises:
        ConfigError: The file is missing or holds no such key; a private or symmetric one is refused.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(
            f"jwt_public_key must be a PEM or JWKS file, '{path}' cannot be read: {error.strerror}"
        ) from None
    if b"PRIVATE KEY" in data:
        raise ConfigError(
            f"jwt_public_key must be a public key, '{path}' holds a private one; keep that with the issuer"
        )
    try:
        if data.lstrip().startswith(b"{"):
            return _of_jwks(json.loads(data))
        return {"": load_pem_public_key(data)}
    except (ValueError, TypeError, KeyError, jwt.PyJWTError) as error:
        raise ConfigError(f"jwt_public_key must be a PEM or JWKS file, '{path}' is not: {error}") from None


def _of_jwks(tree: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in tree["keys"]:
        if one.get("kty") == "oct" or "d" in one:
            raise ConfigError(f"a JWKS file must hold public keys alone, key '{one.get('kid', '')}' is a secret")
        if one.get("use", "sig") == "sig":
            found[str(one.get("kid", ""))] = jwt.PyJWK(one).key
    if not found:
        raise ValueError("it has no key to verify with")
    return found


def _algorithm(key: Any) -> str:
    if isinstance(key, RSAPublicKey) and key.key_size >= _WEAKEST_RSA:
        return "RS256"
    if isinstance(key, EllipticCurvePublicKey) and isinstance(key.curve, SECP256R1):
        return "ES256"
    if isinstance(key, Ed25519PublicKey):
        return "EdDSA"
    raise ConfigError(
        f"a JWT key must be RSA with {_WEAKEST_RSA} bits or more, EC P-256 or Ed25519, is {type(key).__name__}"
    )


def _scopes(told: dict[str, Any]) -> frozenset[Scope]:
    names = told.get("scope", told.get("scopes", ()))
    names = names.split() if isinstance(names, str) else names
    if not isinstance(names, list | tuple):
        return frozenset()
    return frozenset(_SCOPES[one] for one in names if isinstance(one, str) and one in _SCOPES)
