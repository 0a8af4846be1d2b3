"""Events of a MongoDB store one by one, with the ids of their users and items."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl

from kinema.schema import Event
from kinema.store.event_pages import DAY_MS, activity_frame
from kinema.store.mongo_reads import as_event
from kinema.store.mongo_turn import Turn
from kinema.store.mongo_writes import found_in


def newest_events(database: Any, where: dict[str, Any], *, user_id: str, limit: int) -> list[Event]:
    """The newest events of one user, oldest first."""
    docs = list(database.events.find(where).sort([("timestamp_ms", -1), ("seq", -1)]).limit(limit))
    items = _by_number(database.items, [doc["item"] for doc in docs])
    return [as_event(doc, user=user_id, item=items[doc["item"]]["id"]) for doc in reversed(docs)]


def event_page(database: Any, where: dict[str, Any], *, after: int, end: int, limit: int) -> list[tuple[int, Event]]:
    """Events behind an arrival number and before another, in order; those of deleted items are left out."""
    page: list[tuple[int, Event]] = []
    while len(page) < limit:
        between = {"seq": {"$gt": after, "$lt": end}}
        docs = list(database.events.find(where | between).sort([("seq", 1)]).limit(limit))
        items = _by_number(database.items, [doc["item"] for doc in docs])
        users = _by_number(database.users, [doc["user"] for doc in docs])
        page += [
            (doc["seq"], as_event(doc, user=users[doc["user"]]["id"], item=items[doc["item"]]["id"]))
            for doc in docs
            if not items[doc["item"]].get("deleted")
        ]
        if len(docs) < limit:
            break
        after = docs[-1]["seq"]
    return page[:limit]


def item_activity(database: Any, where: dict[str, Any]) -> pl.DataFrame:
    """Counts of events by day and kind."""
    docs = database.events.find(where, {"timestamp_ms": 1, "kind": 1})
    counts = Counter((doc["timestamp_ms"] // DAY_MS, doc["kind"]) for doc in docs)
    return activity_frame((day, kind, count) for (day, kind), count in counts.items())


def delete_events(turn: Turn, seqs: Sequence[int]) -> int:
    """Take events back by their arrival numbers; how many there were."""
    turn.keep()
    chosen = {"seq": {"$in": [seq for seq in seqs if seq < turn.state["seq"]]}}
    gone = int(turn.database.events.delete_many(chosen).deleted_count)
    turn.commit(version=int(gone > 0), users=int(gone > 0))
    return gone


def _by_number(table: Any, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    return {doc["_id"]: doc for doc in found_in(table, "_id", list(dict.fromkeys(numbers)), ["id", "deleted"])}
