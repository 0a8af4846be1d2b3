"""What a write of items, users or events does in a MongoDB store, in an order that a crash cannot harm.

First what nobody sees yet (`kinema.store.mongo_turn`), then changes of known rows, then the commit, then the mark of the source: a
block whose mark is missing is written again and changes nothing.
"""

import json
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Final

import polars as pl

from kinema.schema import EVENT_COLUMNS, ITEM_COLUMNS, USER_COLUMNS, Reject
from kinema.store.aside import refuse, repeated, set_aside, unknown_item
from kinema.store.event_keys import event_key
from kinema.store.event_log import stored_event
from kinema.store.mongo_turn import Turn
from kinema.store.protocols import SourceMark, WriteCounts
from kinema.store.vocabulary import check_lengths

WHOLE_FILE: Final = 0
_AT_ONCE: Final = 1_000
_KINDS: Final = {"items": "item", "users": "user"}
_COLUMNS: Final = {"items": ITEM_COLUMNS, "users": USER_COLUMNS}
_BOOKKEEPING: Final = frozenset({"_id", "id", "source", "listed", "deleted"})


def write_catalogue(
    turn: Turn,
    name: str,
    frame: pl.DataFrame,
    *,
    mark: SourceMark | None,
    rejects: Sequence[Reject],
    fill: bool = False,
    strict: bool,
) -> WriteCounts:
    """Write items or users; see `kinema.store.protocols.Store` for what the arguments mean."""
    table = turn.database[name]
    rows = frame.to_dicts()
    known = by_ids(table, [row["id"] for row in rows])
    listed = _listed(turn, mark)
    first: dict[str, dict[str, Any]] = {}
    again = []
    for row in rows:
        if row["id"] in first or _is_listed(known.get(row["id"]), mark, listed):
            again.append(row)
        else:
            first[row["id"]] = row
    found = [*rejects, *set_aside(again, _KINDS[name], mark, partial(repeated, kind=_KINDS[name]))]
    refuse(found, strict=strict)
    _start_over(turn, mark, _KINDS[name])
    tag = {} if mark is None else {"source": mark.key, "listed": mark.next_row}
    new = [its for its in first if its not in known]
    check_lengths(pl.Series(new, dtype=pl.String), of=_KINDS[name])
    taken = turn.state[f"num_{name}"]
    fresh = [{"_id": taken + place, "id": its} | _content(first[its], name) | tag for place, its in enumerate(new)]
    returned = [known[its] for its in first if its in known and known[its].get("deleted")]
    changes, changed = [], 0
    for its, row in first.items():
        old = known.get(its)
        if old is None:
            continue
        doc, differs = _merged(old, row, name, fill=fill)
        changed += differs
        if doc | tag != old:
            changes.append(doc | tag)
    _save(turn, table, fresh, changes)
    grown = int(len(new) + changed > 0)
    counts = {f"num_{name}": len(new), "version": grown, name: grown}
    finish(turn, mark, found, **counts)
    return WriteCounts(len(new) + len(returned), len(first) - len(new) - len(returned), len(found))


def write_events(
    turn: Turn,
    frame: pl.DataFrame,
    *,
    mark: SourceMark | None,
    rejects: Sequence[Reject],
    create_items: bool,
    strict: bool,
) -> WriteCounts:
    """Append events."""
    database, rows = turn.database, frame.to_dicts()
    items, added, returned = _numbers(turn, "items", [row["item"] for row in rows], create=create_items)
    unknown = [row for row in rows if row["item"] not in items]
    found = [*rejects, *set_aside(unknown, "event", mark, unknown_item)]
    refuse(found, strict=strict)
    good = [row for row in rows if row["item"] in items]
    users, newcomers, _ = _numbers(turn, "users", [row["user"] for row in good], create=True)
    events = [
        stored_event(
            {name: row[name] for name in EVENT_COLUMNS if name in row}
            | {"user": users[row["user"]], "item": items[row["item"]]}
        )
        for row in good
    ]
    check_lengths(pl.Series([one["id"] for one in events if "id" in one], dtype=pl.String), of="event")
    new = _new_events(database, events)
    numbered = [event | {"seq": seq} for seq, event in enumerate(new, turn.state["seq"])]
    _start_over(turn, mark, "event")
    _save(turn, database.items, added, returned)
    _save(turn, database.users, newcomers, [])
    _save(turn, database.events, numbered, [])
    finish(
        turn,
        mark,
        found,
        curable=len(unknown),
        seq=len(new),
        version=int(len(new) + len(added) + len(returned) + len(newcomers) > 0),
        items=int(len(added) + len(returned) > 0),
        num_items=len(added),
        num_users=len(newcomers),
    )
    return WriteCounts(len(new), len(good) - len(new), len(found))


def finish(turn: Turn, mark: SourceMark | None, found: Sequence[Reject], *, curable: int = 0, **by: int) -> None:
    """Commit, then save the mark and give the turn back."""
    database = turn.database
    if found:
        turn.keep()
        save_rejects(database, found, source=None if mark is None else mark.key)
    turn.commit(is_last=mark is None, **by)
    if mark is not None:
        old = database.sources.find_one({"_id": mark.key}) if mark.next_row else None
        sums = {"rejected": len(found), "curable": curable}
        if old is not None:
            sums = {name: value + old[name] for name, value in sums.items()}
        place = {"file": mark.file, "next_row": mark.next_row, "position": mark.position, "done": mark.done}
        put(database.sources, {"_id": mark.key} | place | sums)


def _start_over(turn: Turn, mark: SourceMark | None, kind: str) -> None:
    """A mark at row 0 forgets what was set aside for its file, and lets the source list its rows anew."""
    if mark is None or mark.next_row:
        return
    turn.keep()
    turn.database.rejects.delete_many({"$or": [{"source": mark.key}, {"file": mark.file, "kind": kind}]})
    if kind != "event":
        turn.database[f"{kind}s"].update_many({"source": mark.key}, {"$unset": {"source": "", "listed": ""}})


def save_rejects(database: Any, rejects: Iterable[Reject], *, source: str | None = None) -> int:
    """Record rejects, one per file, kind and row; a known one gets the new reason. Returns how many are new."""
    docs = {}
    for one in rejects:
        place = {"kind": one.kind, "file": one.file, "row": one.row or WHOLE_FILE}
        docs[json.dumps(list(place.values()))] = place | {"reason": one.reason, "raw": one.raw}
    known = {doc["_id"]: doc for doc in found_in(database.rejects, "_id", list(docs))}
    for its, doc in docs.items():
        owner = source if source is not None else known.get(its, {}).get("source")
        put(database.rejects, {"_id": its} | doc | {"source": owner})
    return len(docs) - len(known)


def put(table: Any, doc: dict[str, Any]) -> None:
    """Write one document, whether it is there or not."""
    table.replace_one({"_id": doc["_id"]}, doc, upsert=True)


def found_in(table: Any, name: str, values: Sequence[Any], fields: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Documents one of whose fields is among some values."""
    shown = dict.fromkeys(fields, 1) or None
    parts = [values[start : start + _AT_ONCE] for start in range(0, len(values), _AT_ONCE)]
    return [doc for part in parts for doc in table.find({name: {"$in": list(part)}}, shown)]


def by_ids(table: Any, ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Items or users by id, deleted ones too."""
    return {doc["id"]: doc for doc in found_in(table, "id", list(dict.fromkeys(ids)))}


def _listed(turn: Turn, mark: SourceMark | None) -> int:
    """Rows of the source that were durable, mark and all, before this write; -1 where it starts over."""
    old = None if mark is None or mark.next_row == 0 else turn.database.sources.find_one({"_id": mark.key})
    return -1 if old is None else int(old["next_row"])


def _is_listed(doc: dict[str, Any] | None, mark: SourceMark | None, listed: int) -> bool:
    """Whether this very source has listed a row already, in an earlier block; not in this one, before a crash."""
    return doc is not None and mark is not None and doc.get("source") == mark.key and doc["listed"] <= listed


def _content(row: dict[str, Any], name: str) -> dict[str, Any]:
    """What a row says; what is empty is left out."""
    given = {column: row[column] for column in _COLUMNS[name] if column in row and column != "id"}
    return {column: value for column, value in given.items() if value not in (None, "", [], "{}")}


def _merged(old: dict[str, Any], row: dict[str, Any], name: str, *, fill: bool) -> tuple[dict[str, Any], bool]:
    """A known row with what is new, and whether its content differs; a deleted one comes back."""
    kept = {} if old.get("deleted") else {key: value for key, value in old.items() if key not in _BOOKKEEPING}
    given = _content(row, name)
    content = given | kept if fill else {key: value for key, value in kept.items() if key not in row} | given
    return {"_id": old["_id"], "id": old["id"]} | content, content != kept or bool(old.get("deleted"))


def _numbers(
    turn: Turn, name: str, ids: Sequence[str], *, create: bool
) -> tuple[dict[str, int], list[dict[str, Any]], list[dict[str, Any]]]:
    """The number of each id, the documents to add for those that had none, and those of removed ones that come back."""
    known = by_ids(turn.database[name], ids)
    numbers = {its: doc["_id"] for its, doc in known.items() if not doc.get("deleted")}
    added: list[dict[str, Any]] = []
    returned: list[dict[str, Any]] = []
    for its in dict.fromkeys(ids) if create else ():
        if its in numbers:
            continue
        doc = {"_id": known[its]["_id"] if its in known else turn.state[f"num_{name}"] + len(added), "id": its}
        (returned if its in known else added).append(doc)
        numbers[its] = doc["_id"]
    check_lengths(pl.Series([doc["id"] for doc in added], dtype=pl.String), of=_KINDS[name])
    return numbers, added, returned


def _new_events(database: Any, events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that are not there yet, neither by content nor by id, each under the key that says so."""
    keyed = [event | {"_id": f"{event['timestamp_ms']}/{event_key(event)}"} for event in events]
    seen = {doc["_id"] for doc in found_in(database.events, "_id", [event["_id"] for event in keyed], ["_id"])}
    ids = [event["id"] for event in events if "id" in event]
    seen_ids = {doc["id"] for doc in found_in(database.events, "id", ids, ["id"])}
    new = []
    for event in keyed:
        if event["_id"] not in seen and event.get("id") not in seen_ids:
            new.append(event)
            seen.add(event["_id"])
            seen_ids |= {event["id"]} if "id" in event else set()
    return new


def _save(turn: Turn, table: Any, new: Sequence[dict[str, Any]], changed: Sequence[dict[str, Any]]) -> None:
    for start in range(0, len(new), _AT_ONCE):
        turn.keep()
        table.insert_many(list(new[start : start + _AT_ONCE]), ordered=False)
    for place, doc in enumerate(changed):
        if place % _AT_ONCE == 0:
            turn.keep()
        put(table, doc)
