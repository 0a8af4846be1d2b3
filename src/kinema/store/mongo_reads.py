"""Documents of a MongoDB store as frames and records."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import polars as pl

from kinema.schema import EVENT_COLUMNS, ITEM_COLUMNS, Event, EventKind, Item, Reject, User
from kinema.store.service_protocols import Arrival, Document, LoggedSlate
from kinema.store.tables import KIND_CODES
from kinema.store.text_json import read_object

ALIVE: Final = {"deleted": {"$exists": False}}
NAMES: Final = {code: kind.value for kind, code in KIND_CODES.items()}
_EMPTY_ITEM: Final[dict[str, Any]] = {
    "title": "",
    "description": "",
    "categories": [],
    "tags": [],
    "language": "",
    "hidden": False,
    "attributes": "{}",
}
_LISTS: Final = pl.List(pl.String)
_ITEM_TYPES: Final[dict[str, Any]] = dict.fromkeys(("num", *ITEM_COLUMNS), pl.String) | {
    "num": pl.Int32,
    "categories": _LISTS,
    "tags": _LISTS,
    "published_at": pl.Int64,
    "duration_ms": pl.Int64,
    "hidden": pl.Boolean,
}
EVENT_TYPES: Final[dict[str, Any]] = dict.fromkeys(EVENT_COLUMNS, pl.String) | {
    "seq": pl.Int64,
    "user": pl.Int32,
    "item": pl.Int32,
    "timestamp_ms": pl.Int64,
    "value": pl.Float64,
    "watch_ms": pl.Int64,
    "position": pl.Int32,
    "propensity": pl.Float64,
}


def item_frame(docs: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pl.DataFrame:
    """Items with some of their columns."""
    rows = [[doc["_id"] if name == "num" else doc.get(name, _EMPTY_ITEM.get(name)) for name in columns] for doc in docs]
    return pl.DataFrame(rows, schema={name: _ITEM_TYPES[name] for name in columns}, orient="row")


def user_frame(docs: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Users."""
    rows = [(doc["_id"], doc["id"], doc.get("attributes", "{}")) for doc in docs]
    return pl.DataFrame(rows, schema={"num": pl.Int32, "id": pl.String, "attributes": pl.String}, orient="row")


def event_frame(docs: Iterable[Mapping[str, Any]], columns: Sequence[str]) -> pl.DataFrame:
    """Events with some of their columns."""
    rows = [[NAMES[doc["kind"]] if name == "kind" else doc.get(name) for name in columns] for doc in docs]
    frame = pl.DataFrame(rows, schema={name: EVENT_TYPES[name] for name in columns}, orient="row")
    empty = {"id": "", "context": "{}"}
    return frame.with_columns(pl.col(name).fill_null(value) for name, value in empty.items() if name in columns)


def as_item(doc: Mapping[str, Any]) -> Item:
    """An item."""
    content = {name: doc.get(name, _EMPTY_ITEM.get(name)) for name in ITEM_COLUMNS}
    lists = {name: tuple(content[name]) for name in ("categories", "tags")}
    return Item(**content | lists | {"attributes": read_object(doc.get("attributes"))})


def as_user(doc: Mapping[str, Any]) -> User:
    """A user."""
    return User(doc["id"], read_object(doc.get("attributes")))


def as_event(doc: Mapping[str, Any], *, user: str, item: str) -> Event:
    """An event, with ids for its numbers."""
    content = {name: doc.get(name) for name in EVENT_COLUMNS}
    given = {"user": user, "item": item, "kind": EventKind(NAMES[doc["kind"]]), "id": doc.get("id", "")}
    return Event(**content | given | {"context": read_object(doc.get("context"))})


def as_arrival(doc: Mapping[str, Any]) -> Arrival:
    """An event by numbers."""
    return Arrival._make(NAMES[doc["kind"]] if name == "kind" else doc.get(name) for name in Arrival._fields)


def slate_doc(slate: LoggedSlate, *, order: int) -> dict[str, Any]:
    """A slate as it is kept; ``order`` breaks ties of time."""
    content = {name: getattr(slate, name) for name in LoggedSlate.__dataclass_fields__ if name != "id"}
    lists = {
        "items": list(slate.items),
        "propensities": list(slate.propensities),
        "context": json.dumps(dict(slate.context)),
    }
    return {"_id": slate.id, "order": order} | content | lists


def as_slate(doc: Mapping[str, Any]) -> LoggedSlate:
    """A slate."""
    content = {name: doc[name] for name in LoggedSlate.__dataclass_fields__ if name != "id"}
    lists = {"items": tuple(doc["items"]), "propensities": tuple(doc["propensities"])}
    return LoggedSlate(id=doc["_id"], **content | lists | {"context": json.loads(doc["context"])})


def slate_frame(docs: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Slates."""
    names = ("user", "timestamp_ms", "scenario", "variant", "model_version", "items", "propensities")
    types: dict[str, Any] = dict.fromkeys(("id", *names), pl.String)
    types |= {"timestamp_ms": pl.Int64, "items": _LISTS, "propensities": pl.List(pl.Float64)}
    return pl.DataFrame([[doc["_id"], *[doc[name] for name in names]] for doc in docs], schema=types, orient="row")


def document_id(room: str, key: str) -> str:
    """The key of a document."""
    return json.dumps([room, key])


def as_document(doc: Mapping[str, Any]) -> Document:
    """A document; its value is text, because MongoDB does not take every name of a member."""
    return Document(doc["room"], doc["key"], json.loads(doc["value"]), doc["version"], doc["updated_ms"])


def read_rejects(database: Any) -> list[tuple[dict[str, Any], Reject]]:
    """Everything set aside, as it is kept and as it is told."""
    docs = database.rejects.find({})
    return [(doc, Reject(doc["kind"], doc["file"], doc["row"] or None, doc["reason"], doc["raw"])) for doc in docs]
