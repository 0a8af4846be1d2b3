"""Requests of those who look at the catalogue and steer it; see `kinema.client.calls`."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel

from kinema.client.calls import Call, as_json, at, made
from kinema.serving.console_wire import (
    CatalogueCounts,
    CataloguePage,
    FramesOut,
    HistoryOut,
    InsightOut,
    MotionOut,
    PlacementIn,
    PlacementOut,
    RejectsOut,
    UploadsOut,
)

File = Literal["media", "poster", "strip"]
"""What can be had of a clip as a file."""


def catalogue(words: str, filters: dict[str, Any]) -> Call[CataloguePage]:
    """A page of the catalogue."""
    return Call("GET", at("catalogue"), CataloguePage, {"q": words or None, **filters})


def counts() -> Call[CatalogueCounts]:
    """What it can be filtered by."""
    return Call("GET", at("catalogue", "counts"), CatalogueCounts)


def placement(item_id: str) -> Call[PlacementOut]:
    """What is decided of an item."""
    return Call("GET", at("items", item_id, "placement"), PlacementOut)


def place(item_id: str, decided: dict[str, Any]) -> Call[PlacementOut]:
    """Decide."""
    return Call("PUT", at("items", item_id, "placement"), PlacementOut, body=as_json(made(PlacementIn, **decided)))


def insight(item_id: str, *, days: int) -> Call[InsightOut]:
    """What is known of an item."""
    return Call("GET", at("items", item_id, "insight"), InsightOut, {"days": days})


def frames(item_id: str) -> Call[FramesOut]:
    """The frames that are seen of a clip."""
    return Call("GET", at("items", item_id, "frames"), FramesOut)


def motion(item_id: str) -> Call[MotionOut]:
    """How things move in a clip."""
    return Call("GET", at("items", item_id, "motion"), MotionOut)


def file(item_id: str, what: File) -> Call[BaseModel]:
    """The clip or one of its pictures."""
    return Call("GET", at("items", item_id, what), BaseModel)


def frame(item_id: str, number: int) -> Call[BaseModel]:
    """The picture of a moment."""
    return Call("GET", at("items", item_id, "frames", str(number)), BaseModel)


def rejects(words: str, kind: str | None, *, offset: int, limit: int) -> Call[RejectsOut]:
    """What was set aside."""
    return Call("GET", at("rejects"), RejectsOut, {"q": words or None, "kind": kind, "offset": offset, "limit": limit})


def uploads(status: Sequence[str], *, limit: int) -> Call[UploadsOut]:
    """The clips that were uploaded last."""
    return Call("GET", at("uploads"), UploadsOut, {"status": list(status), "limit": limit})


def history(user_id: str, cursor: str | None, *, limit: int) -> Call[HistoryOut]:
    """A page of what a user did."""
    return Call("GET", at("users", user_id, "history"), HistoryOut, {"cursor": cursor, "limit": limit})
