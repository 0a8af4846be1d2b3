"""What makes two events the same: a 64-bit key of their content, equal on every machine and in every release.

A few events, as a service writes them, get their keys without arrays: the same numbers in a tenth of the time.

The key is one half of the primary key; the time stamp is the other, so keys need to differ only within one millisecond.
Library hashes (Python's, Polars's) may change with a seed or a version, and then the same file would be new again.

Shape suffixes: N events, M bytes of text in all.
"""

import struct
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

_PLACES: Final = 64
_FIELDS: Final = (
    "user",
    "item",
    "kind",
    "value",
    "watch_ms",
    "session_id",
    "slate_id",
    "position",
    "propensity",
    "context",
)


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Spread 64-bit numbers over 64 bits, one to one.

    Source: the finaliser of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).

    Example:
        >>> len(np.unique(mix(np.arange(1000, dtype=np.uint64))))
        1000
    """
    mixed = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


_BYTE_TABLE: Final[NDArray[np.uint64]] = mix(
    np.arange(1, _PLACES * 256 + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
)


def text_keys(texts: pl.Series) -> NDArray[np.uint64]:
    """A 64-bit key for each text.

    Each (place, byte) pair has a random number and a text is their sum (Zobrist 1970); from place 64 on the numbers are
    reused with an odd factor.

    Args:
        texts: String, N; neither null nor empty.

    Returns:
        uint64 [N].

    Example:
        >>> a, b, c = text_keys(pl.Series(["s1", "s2", "s1"]))
        >>> bool(a == c), bool(a == b)
        (True, False)
    """
    lengths_N = texts.str.len_bytes().to_numpy().astype(np.int64)
    starts_N = np.cumsum(lengths_N) - lengths_N
    bytes_M = np.frombuffer(texts.str.join("").item().encode(), dtype=np.uint8)
    places_M = np.arange(len(bytes_M), dtype=np.int64) - np.repeat(starts_N, lengths_N)
    terms_M = _BYTE_TABLE[(places_M & (_PLACES - 1)) * 256 + bytes_M]
    if lengths_N.max(initial=0) > _PLACES:
        terms_M = terms_M * (2 * (places_M // _PLACES) + 1).astype(np.uint64)
    sums_N = np.add.reduceat(terms_M, starts_N) if len(starts_N) else np.empty(0, np.uint64)
    return mix(sums_N + lengths_N.astype(np.uint64))


def _column_keys(column: pl.Series) -> NDArray[np.uint64]:
    if column.dtype == pl.String:
        return text_keys(column)
    if column.dtype.is_float():
        # Adding 0.0 turns -0.0 into 0.0: the two are equal, so their keys are.
        return mix((column.cast(pl.Float64).to_numpy() + 0.0).view(np.uint64))
    return mix(column.cast(pl.Int64).to_numpy().view(np.uint64))


def event_keys(frame: pl.DataFrame) -> NDArray[np.int64]:
    """The key of each event, from its id where the owner gave one, else from its content without the time stamp.

    Args:
        frame: Any of the columns of ``events``; ``user``, ``item`` and ``kind`` as numbers. A column that is missing
            counts as null everywhere, so leaving it out changes no key.

    Returns:
        int64 [N].

    Example:
        >>> one = pl.DataFrame({"user": [1, 1], "item": [2, 2], "kind": [0, 0], "watch_ms": [None, 500]})
        >>> keys = event_keys(one)
        >>> bool(keys[0] == event_keys(one.drop("watch_ms"))[0]), bool(keys[0] == keys[1])
        (True, False)
    """
    keys_N = np.zeros(frame.height, dtype=np.uint64)
    for place, name in enumerate(_FIELDS):
        if name not in frame.columns:
            continue
        column = frame[name]
        seed = _BYTE_TABLE[place : place + 1]
        if column.null_count() == 0:
            keys_N += mix(_column_keys(column) ^ seed)
        elif column.null_count() < len(column):
            given_N = column.is_not_null().to_numpy()
            keys_N[given_N] += mix(_column_keys(column.drop_nulls()) ^ seed)
    if "id" in frame.columns and frame["id"].null_count() < frame.height:
        given_N = frame["id"].is_not_null().to_numpy()
        keys_N[given_N] = text_keys(frame["id"].drop_nulls())
    return mix(keys_N).view(np.int64)


_BITS: Final = (1 << 64) - 1
_ROWS_OF_TABLE: Final[list[int]] = _BYTE_TABLE.tolist()


def event_key(event: Mapping[str, Any]) -> int:
    """The key of one event, see `event_keys`; integers, floats and texts in the types of the table.

    Example:
        >>> one = {"user": 1, "item": 2, "kind": 0, "watch_ms": 500, "value": 0.5, "session_id": "ü"}
        >>> event_key(one) == int(event_keys(pl.DataFrame([one]))[0])
        True
    """
    if event.get("id") is not None:
        key = _value_key(event["id"])
    else:
        given = [
            (_ROWS_OF_TABLE[place], event[name]) for place, name in enumerate(_FIELDS) if event.get(name) is not None
        ]
        key = sum(_mix(_value_key(value) ^ seed) for seed, value in given)
    signed = _mix(key)
    return signed - (1 << 64) if signed >> 63 else signed


def _mix(value: int) -> int:
    value &= _BITS
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _BITS
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _BITS
    return value ^ (value >> 31)


def _value_key(value: Any) -> int:
    if isinstance(value, float):
        return _mix(int.from_bytes(struct.pack("<d", value + 0.0), "little"))
    if isinstance(value, int):
        return _mix(value)
    octets: bytes = value.encode()
    terms = (
        _ROWS_OF_TABLE[(place & (_PLACES - 1)) * 256 + octet] * (2 * (place // _PLACES) + 1)
        for place, octet in enumerate(octets)
    )
    return _mix(sum(terms) + len(octets))
