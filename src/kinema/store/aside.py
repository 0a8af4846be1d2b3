"""Rows that a write sets aside, with their place and the reason."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kinema.errors import DataError
from kinema.schema import Reject
from kinema.store.protocols import SourceMark


def set_aside(
    rows: Iterable[dict[str, Any]], kind: str, mark: SourceMark | None, reason: Callable[[dict[str, Any]], str]
) -> list[Reject]:
    """A reject for each row; its member ``row`` has the place in the file."""
    file = mark.file if mark else "direct write"
    found = []
    for row in rows:
        raw = ",".join("" if value is None else str(value) for name, value in row.items() if name != "row")
        found.append(Reject(kind, file, row.get("row"), reason(row), raw[:200]))
    return found


def unknown_item(row: dict[str, Any]) -> str:
    """Why an event is set aside."""
    return f"item must be in the catalogue, is {row['item']!r}; ingest its row, then this file again"


def repeated(row: dict[str, Any], kind: str) -> str:
    """Why an item or a user is set aside."""
    return f"{kind} id must occur once in a file, {row['id']!r} occurs again; the first row stands"


def refuse(found: Sequence[Reject], *, strict: bool) -> None:
    """Refuse the whole write where one row would be set aside.

    Raises:
        DataError: With ``strict``.
    """
    if strict and found:
        first = found[0]
        raise DataError(f"'{first.file}' row {first.row}: {first.reason}")


def names_user(reject: Reject, user_id: str) -> bool:
    """Whether a row that was set aside is of a user; whole ids are compared.

    Example:
        >>> row = Reject("event", "log.csv", 1, "bad time", "u1,a,x")
        >>> names_user(row, "u1"), names_user(row, "u")
        (True, False)
    """
    text = f"{reject.raw}\n{reject.reason}"
    places = [place for place in range(len(text)) if text.startswith(user_id, place)]
    ends = [(text[place - 1 : place], text[place + len(user_id) :][:1]) for place in places]
    return any(not (before.isalnum() or after.isalnum() or before == "_" or after == "_") for before, after in ends)
