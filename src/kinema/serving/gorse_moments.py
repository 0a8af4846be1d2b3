"""Moments and lengths of time as gorse and its clients write them."""

import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from kinema.serving.wire import LAST_MS

NO_MOMENT: Final = "0001-01-01T00:00:00Z"
"""How gorse writes a moment that was not given."""
_UNITS: Final = {"h": 3_600_000.0, "m": 60_000.0, "s": 1000.0, "ms": 1.0, "us": 1e-3, "µs": 1e-3, "ns": 1e-6}
_GO_TIME: Final = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(?:\.\d+)?) ([+-]\d{4})(?: [A-Z]+)?")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_moment(text: str) -> int | None:
    """UTC milliseconds of a moment as clients of gorse write it; None for one that was not given.

    Taken are ISO 8601, a date alone, seconds or finer units since 1970, Go's own form, and that of e-mails. What is before 1970
    counts as its first moment.

    Raises:
        ValueError: It is no moment.

    Example:
        >>> read_moment("1970-01-02"), read_moment("86400"), read_moment("1970-01-02 00:00:00 +0000 UTC"), read_moment("")
        (86400000, 86400000, 86400000, None)
    """
    text = text.strip()
    if text in ("", NO_MOMENT):
        return None
    if text.isdecimal() and text.isascii():
        number = int(text)
        moment_ms = number * 1000 if len(text) <= 11 else number // 1000 ** ((len(text) - 11) // 3)
    else:
        moment = _read_words(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        moment_ms = (moment - _EPOCH) // timedelta(milliseconds=1)
    if moment_ms > LAST_MS:
        raise ValueError(f"a moment before the year 10000, is '{text[:40]}'")
    return max(moment_ms, 0)


def _read_words(text: str) -> datetime:
    go = _GO_TIME.fullmatch(text)
    try:
        return datetime.fromisoformat(f"{go[1]}{go[2]}" if go else text)
    except ValueError:
        pass
    try:
        return parsedate_to_datetime(text)
    except ValueError as error:
        raise ValueError(f"a moment such as 2026-01-31T12:00:00Z, is '{text[:40]}'") from error


def write_moment(moment_ms: int | None) -> str:
    """A moment as gorse writes it.

    Example:
        >>> write_moment(86_400_250), write_moment(86_400_000), write_moment(None)
        ('1970-01-02T00:00:00.25Z', '1970-01-02T00:00:00Z', '0001-01-01T00:00:00Z')
    """
    if moment_ms is None:
        return NO_MOMENT
    moment = _EPOCH + timedelta(milliseconds=moment_ms)
    text = f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}".rstrip("0").rstrip(".")
    return text + "Z"


def read_duration(text: str) -> int:
    """Milliseconds of a length of time as Go writes it, such as ``1h30m``; 0 for an empty text.

    Raises:
        ValueError: It is none.

    Example:
        >>> read_duration("1h30m"), read_duration("1.5s"), read_duration("0"), read_duration("")
        (5400000, 1500, 0, 0)
    """
    if text in ("", "0"):
        return 0
    parts = re.findall(r"(\d+(?:\.\d+)?|\.\d+)(h|ms|m|us|µs|ns|s)", text)
    if "".join(number + unit for number, unit in parts) != text or len(text) > 40:
        raise ValueError(f"a length of time such as 10m or 1h30m, is '{text[:40]}'")
    return int(sum(float(number) * _UNITS[unit] for number, unit in parts))
