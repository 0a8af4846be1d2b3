"""Public keys of an issuer of tokens, from a file that may be written anew while the service runs."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from kinema.errors import ConfigError
from kinema.logs import get_logger

_WEAKEST_RSA: Final = 2_048
_LOOK_SECONDS: Final = 1.0
_LOG = get_logger("serving.issuer_keys")


class IssuerKeys:
    """The keys of a file as it is now: one that was written anew is read within a second, one that cannot be read changes nothing.

    Args:
        path: PEM or JWKS, see `read_public_keys`.
        now: Seconds of a clock that only rises.

    Raises:
        ConfigError: As `read_public_keys`; or a key is not RSA (2048 bits or more), EC P-256 or Ed25519.
    """

    def __init__(self, path: Path, *, now: Callable[[], float] = time.monotonic) -> None:
        self._path, self._now = path, now
        self._state, self._looked = _state(path), now()
        self._keys = with_algorithms(read_public_keys(path))

    def current(self) -> Mapping[str, tuple[Any, str]]:
        """Key id -> public key and the algorithm that it verifies."""
        if self._now() - self._looked < _LOOK_SECONDS:
            return self._keys
        self._looked = self._now()
        state = _state(self._path)
        if state == self._state:
            return self._keys
        self._state = state
        try:
            self._keys = with_algorithms(read_public_keys(self._path))
        except ConfigError as error:
            _LOG.error("the issuer's keys cannot be read; those from before go on", error=str(error))
        else:
            _LOG.info("the issuer's keys were read again", keys=sorted(self._keys))
        return self._keys


def with_algorithms(keys: Mapping[str, Any]) -> Mapping[str, tuple[Any, str]]:
    """Each key with the one algorithm that it verifies.

    Raises:
        ConfigError: A key is not RSA (2048 bits or more), EC P-256 or Ed25519.
    """
    return {key_id: (key, _algorithm(key)) for key_id, key in keys.items()}


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


def _state(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file is written or replaced; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
