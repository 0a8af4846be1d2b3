"""What the service does not tell: secrets at all, people only by a pseudonym, personal fields only to those who may see them.

A pseudonym is a keyed hash: the same person has the same one in all logs, so that a case can be followed, and nobody without
the key can find out whose it is by hashing all ids.
"""

import base64
import hashlib
import hmac
import os
import re
import secrets
import stat
import sys
import traceback
from collections.abc import Iterable, Mapping, MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from kinema.errors import ConfigError
from kinema.serving.auth import Principal

KEY_FILE: Final = "pseudonym.key"
KEY_VARIABLE: Final = "KINEMA_PSEUDONYM_KEY"
MASK: Final = "***"
PEOPLE: Final = frozenset(("user", "user_id", "userid", "users", "user_ids", "subject", "sub"))
"""Fields of a log line that name people."""
SECRETS: Final = re.compile(
    r"authorization|api[-_]?key|password|passwd|secret|token|cookie|credential|pseudonym_key", re.IGNORECASE
)
"""Fields that are never logged, wherever the word is in their name."""
_SECRET_TEXTS: Final = (
    (re.compile(r"\b(kins?_[a-z2-7]{10,16})_[A-Za-z0-9_-]+"), rf"\1_{MASK}"),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]*)?"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+"), rf"\1 {MASK}"),
    (re.compile(r"(?<=://)[^/\s'\"]+@"), f"{MASK}@"),
    (re.compile(r"(?i)([?&;](?:api[-_]?key|token|password|secret)=)[^&\s'\"]+"), rf"\1{MASK}"),
)
_SECRET_MARKS: Final = re.compile(r"kins?_|eyJ|://|(?i:bearer|basic)\s|=")
_QUOTED: Final = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"")
_SHORTEST_KEY: Final = 16
PSEUDONYM: Final = re.compile(r"p_[a-z2-7]{16}")
"""What one looks like."""


class Pseudonyms:
    """Names for people that tell nothing.

    Args:
        key: At least 16 bytes that nobody else knows.

    Raises:
        ConfigError: The key is shorter.

    Example:
        >>> names = Pseudonyms(b"sixteen bytes it is")
        >>> names.of("anna"), names.of("anna") == names.of("anna"), names.of("anna") == names.of("Anna")
        ('p_fratfcnp5uxu47o4', True, False)
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < _SHORTEST_KEY:
            raise ConfigError(
                f"the key of pseudonyms must have at least {_SHORTEST_KEY} bytes, has {len(key)} ({KEY_VARIABLE} or {KEY_FILE})"
            )
        self.of = lru_cache(maxsize=50_000)(lambda text: _pseudonym(key, text))


def read_pseudonym_key(folder: Path) -> bytes:
    """The project's key: of the environment, or of a file in the project folder that is made at first.

    Replicas without a common folder need the same one in the environment, else a person has a name per replica.

    Args:
        folder: Of the project.

    Raises:
        ConfigError: The key is too short, or others on the machine may read the file.
    """
    given = os.environ.get(KEY_VARIABLE)
    if given is not None:
        return _long_enough(given.encode(), KEY_VARIABLE)
    path = folder / KEY_FILE
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(
                f"'{path.name}' must be readable by its owner alone, has mode {mode:o}; run: chmod 600 {path}"
            ) from None
        return _long_enough(path.read_bytes().strip(), KEY_FILE)
    with os.fdopen(number, "wb") as file:
        file.write(secrets.token_urlsafe(32).encode())
    return path.read_bytes()


def mask_fields(attributes: Mapping[str, Any], personal: frozenset[str], principal: Principal) -> dict[str, Any]:
    """Attributes of a person as a principal may see them: personal ones are masked for who has neither ``personal`` nor ``admin``.

    Args:
        attributes: Name -> value, nested objects included.
        personal: Names of fields, in small letters.
        principal: Who asks.
    """
    if principal.sees_personal or not personal:
        return dict(attributes)
    return {name: _masked(name, value, personal) for name, value in attributes.items()}


class Redaction:
    """A step of the log that takes out secrets and people before a line is written.

    Texts of errors lose what stands in quotes: our own messages and those of databases quote the values they are about.

    Args:
        pseudonyms: Names for people.
        personal: Further fields that are masked, in small letters.
    """

    def __init__(self, pseudonyms: Pseudonyms, personal: Iterable[str] = ()) -> None:
        self._of = pseudonyms.of
        hidden = frozenset(personal)
        self._kind = lru_cache(maxsize=1000)(lambda name: _kind_of(name, hidden))

    def __call__(self, logger: Any, method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        """Called by structlog with each line."""
        del logger, method
        error = line.pop("exc_info", None)
        if isinstance(error, tuple):
            error = error[1]
        elif error is True:
            error = sys.exc_info()[1]
        for name in list(line):
            line[name] = self._told(name, line[name])
        if isinstance(error, BaseException):
            line["trace"] = error_trace(error)
        return line

    def _told(self, name: str, value: Any) -> Any:
        kind = self._kind(name)
        if kind == "secret":
            return MASK
        if kind == "person" and value is not None:
            return [self._of(str(one)) for one in value] if _is_list(value) else self._of(str(value))
        if isinstance(value, str):
            return without_secrets(value)
        if value is None or isinstance(value, bool | int | float):
            return value
        if isinstance(value, Mapping):
            return {str(key): self._told(str(key), one) for key, one in value.items()}
        return [self._told("", one) for one in value] if _is_list(value) else without_secrets(str(value))


def _kind_of(name: str, personal: frozenset[str]) -> str:
    """What a field holds, by its name: a ``secret``, a ``person`` or nothing that needs care."""
    if SECRETS.search(name) or name.lower() in personal:
        return "secret"
    return "person" if name.lower() in PEOPLE else ""


def _is_list(value: Any) -> bool:
    return isinstance(value, list | tuple | set | frozenset)


def without_secrets(text: str) -> str:
    """A text without keys, tokens and credentials in URLs.

    Example:
        >>> without_secrets("redis://me:hunter2@host failed, sent Bearer abc.def")
        'redis://***@host failed, sent Bearer ***'
    """
    if not _SECRET_MARKS.search(text):
        return text
    for pattern, instead in _SECRET_TEXTS:
        text = pattern.sub(instead, text)
    return text


def error_trace(error: BaseException) -> list[str]:
    """Where an error was raised, its kind, and what it says without what is quoted; its causes first."""
    chain: list[BaseException] = []
    one: BaseException | None = error
    while one is not None and one not in chain and len(chain) < 10:
        chain.append(one)
        one = one.__cause__ or (None if one.__suppress_context__ else one.__context__)
    lines: list[str] = []
    for each in reversed(chain):
        lines += [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(each.__traceback__)]
        lines.append(f"{type(each).__name__}: {_QUOTED.sub(repr(MASK), without_secrets(str(each)))}"[:1000])
    return lines


def _pseudonym(key: bytes, text: str) -> str:
    digest = hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).digest()
    return f"p_{base64.b32encode(digest[:10]).decode().lower()}"


def _long_enough(key: bytes, place: str) -> bytes:
    if len(key) < _SHORTEST_KEY:
        raise ConfigError(f"{place} must hold at least {_SHORTEST_KEY} bytes, has {len(key)}")
    return key


def _masked(name: str, value: Any, personal: frozenset[str]) -> Any:
    if name.lower() in personal:
        return MASK
    if isinstance(value, Mapping):
        return {key: _masked(key, one, personal) for key, one in value.items()}
    if isinstance(value, list):
        return [_masked("", one, personal) for one in value]
    return value
