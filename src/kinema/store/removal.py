"""Deleting an item and erasing a user."""

import uuid
from typing import Final

from sqlalchemy import Connection, delete, or_, select, update

from kinema.schema import Reject
from kinema.store import bookkeeping
from kinema.store.aside import names_user
from kinema.store.catalogue import read_number
from kinema.store.tables import EVENTS, ITEMS, REJECTS, SLATES, USERS
from kinema.store.vocabulary import log_removals

_KEPT: Final = frozenset({"num", "id", "deleted", "hidden"})


def delete_item(connection: Connection, item_id: str) -> bool:
    """Delete an item; False where there was none."""
    number = read_number(connection, ITEMS, item_id)
    if number is None:
        return False
    nothing = {column.name: None for column in ITEMS.c if column.name not in _KEPT}
    gone = update(ITEMS).where(ITEMS.c.num == number).values(**nothing, hidden=True, deleted=True)
    connection.execute(gone)
    log_removals(connection, ITEMS, [number])
    bookkeeping.raise_counters(connection, version=1, items=1)
    return True


def erase_user(connection: Connection, user_id: str) -> int | None:
    """Erase a user, their events, slates and the rows of theirs that were set aside.

    The number stays taken; beside it stands a random text, because the column must have one.

    Returns:
        How many events are gone; None where nothing was known of such a user.
    """
    slates = connection.execute(delete(SLATES).where(SLATES.c.user == user_id)).rowcount
    rejects = _forget_rejects(connection, user_id)
    number = read_number(connection, USERS, user_id)
    if number is None:
        return 0 if slates + rejects else None
    events = connection.execute(delete(EVENTS).where(EVENTS.c.user == number)).rowcount
    nobody = {"id": nobody_id(), "attributes": None, "source": None, "deleted": True}
    connection.execute(update(USERS).where(USERS.c.num == number).values(**nobody))
    log_removals(connection, USERS, [number])
    bookkeeping.raise_counters(connection, version=1, users=1)
    return events


def nobody_id() -> str:
    """An id that nobody has."""
    return f"erased:{uuid.uuid4().hex}"


def _forget_rejects(connection: Connection, user_id: str) -> int:
    """Forget the rows set aside that name a user; the database finds them roughly, case and all is compared here."""
    roughly = or_(*[column.contains(user_id, autoescape=True) for column in (REJECTS.c.raw, REJECTS.c.reason)])
    statement = select(REJECTS).where(REJECTS.c.kind.in_(("event", "user")), roughly)
    found = [
        row.num
        for row in connection.execute(statement)
        if names_user(Reject(row.kind, row.file, row.row, row.reason, row.raw), user_id)
    ]
    for number in found:
        connection.execute(delete(REJECTS).where(REJECTS.c.num == number))
    return len(found)
