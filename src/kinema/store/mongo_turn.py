"""Writers of a MongoDB store take turns, and what they write becomes visible by one change of one document.

A server without replicas has no transactions, so none are used. The document ``state`` holds the lock, the numbers that are
taken and the counters. A writer takes the lock, writes, and then raises the counters: that is its commit. New items, users and
events carry numbers behind the counters and no reader looks there, so they appear all at once; a known item or user, or a
deletion, is seen when its own document is written.

A writer that dies leaves the lock behind. Whoever sees it stand still for `LEASE_S` takes it over, removes the rows that were
not committed and raises every counter, so that all read again. A writer that stood still for that long and wakes up finds the
lock gone and fails at its commit.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from kinema.errors import BusyError

LEASE_S: Final = 10.0
STATE: Final = "state"
COUNTERS: Final = ("version", "seq", "items", "users", "documents", "num_items", "num_users")
NUMBERED: Final = {"items": ("_id", "num_items"), "users": ("_id", "num_users"), "events": ("seq", "seq")}
"""Collection -> (the field with its number, the counter of numbers that are taken)."""

_FIRST_WAIT_S: Final = 0.002
_LONGEST_WAIT_S: Final = 0.05


@dataclass
class Turn:
    """A writer's turn.

    Attributes:
        database: Of pymongo.
        owner: Whose turn it is.
        state: The counters as they were when it began.
        is_touched: Something was written.
        is_over: The lock was given back.
    """

    database: Any
    owner: str
    state: dict[str, int] = field(default_factory=dict)
    is_touched: bool = False
    is_over: bool = False

    def keep(self) -> None:
        """Say, before each step that writes, that this writer is alive.

        Raises:
            BusyError: Another one has taken over.
        """
        self.is_touched = True
        self._change({"$inc": {"beat": 1}})

    def commit(self, *, is_last: bool = True, **by: int) -> None:
        """Raise counters; what was written is visible from now on.

        Args:
            is_last: Give the lock back.
            by: Sums by counter.

        Raises:
            BusyError: Another one has taken over.
        """
        change: dict[str, Any] = {"$inc": {"beat": 1} | {name: value for name, value in by.items() if value}}
        if is_last:
            change["$set"] = {"owner": None}
        self._change(change)
        self.is_touched, self.is_over = False, is_last

    def _change(self, change: dict[str, Any]) -> None:
        if self.database.meta.update_one({"_id": STATE, "owner": self.owner}, change).matched_count == 0:
            self.is_over = True
            raise BusyError("this process stood still while it wrote and another one has taken over; write again")


@contextmanager
def taking_turn(database: Any, *, patience_s: float) -> Iterator[Turn]:
    """Wait for one's turn and give it back; where the body fails its uncommitted rows are removed.

    Raises:
        BusyError: Other writers took longer than ``patience_s``.
    """
    turn = _take(database, patience_s)
    try:
        yield turn
    except BaseException:
        if turn.is_touched and not turn.is_over:
            _clean(turn)
        raise
    finally:
        if not turn.is_over:
            turn.commit()


def make_state(database: Any, *, schema: int) -> int:
    """Make the document that everything hangs on, if it is not there; returns the version of the store's layout."""
    new = dict.fromkeys((*COUNTERS, "beat"), 0) | {"owner": None, "schema": schema}
    database.meta.update_one({"_id": STATE}, {"$setOnInsert": {"_id": STATE} | new}, upsert=True)
    return int(database.meta.find_one({"_id": STATE})["schema"])


def _take(database: Any, patience_s: float) -> Turn:
    turn = Turn(database, uuid.uuid4().hex)
    until, wait_s = time.monotonic() + patience_s, _FIRST_WAIT_S
    seen, seen_at = None, time.monotonic()
    while True:
        found = _swap(turn, {"owner": None})
        if found is not None:
            turn.state = found
            return turn
        holder = database.meta.find_one({"_id": STATE}, {"owner": 1, "beat": 1})
        now, place = time.monotonic(), (holder["owner"], holder["beat"])
        if place != seen:
            seen, seen_at = place, now
        elif now - seen_at > LEASE_S:
            found = _swap(turn, {"owner": holder["owner"], "beat": holder["beat"]})
            if found is not None:
                turn.state = found
                _clean(turn)
                turn.state = database.meta.find_one({"_id": STATE})
                return turn
        if now > until:
            raise BusyError("the store is being written by another process; wait for it, then try again")
        time.sleep(wait_s)
        wait_s = min(2 * wait_s, _LONGEST_WAIT_S)


def _swap(turn: Turn, expected: dict[str, Any]) -> dict[str, int] | None:
    """The state, if the lock was as expected and is ours now."""
    change = {"$set": {"owner": turn.owner}, "$inc": {"beat": 1}}
    found: dict[str, int] | None = turn.database.meta.find_one_and_update(
        {"_id": STATE} | expected, change, return_document=True
    )
    return found


def _clean(turn: Turn) -> None:
    """Remove rows that were not committed, and make everybody read again: known ones may have changed."""
    for name, (number, taken) in NUMBERED.items():
        turn.database[name].delete_many({number: {"$gte": turn.state[taken]}})
    turn.commit(is_last=False, version=1, items=1, users=1, documents=1)
