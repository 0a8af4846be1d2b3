"""gorse's users, items and feedback as ours, and back.

gorse knows feedback of any name, labels of any form and one comment; what has no place of its own here is kept under its name,
so that a client reads back what it wrote.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import JsonValue

from kinema.schema import Event, EventKind, Item, User
from kinema.serving.gorse_forms import (
    FeedbackAnswer,
    FeedbackForm,
    ItemAnswer,
    ItemChange,
    UserAnswer,
    UserChange,
)
from kinema.serving.gorse_moments import read_moment, write_moment
from kinema.sources.values import KIND_ALIASES

KINDS: Final[Mapping[str, EventKind]] = {
    **KIND_ALIASES,
    "love": EventKind.LIKE,
    "read": EventKind.IMPRESSION,
}
"""FeedbackType in small letters -> what it is here; every other one is a click. In gorse, what was read was shown and no more."""

FEEDBACK_ID: Final = "gorse:"
"""Begin of the ids of events that came as feedback."""
_TYPE, _COMMENT, _LABELS, _SUBSCRIBE = "feedback_type", "Comment", "Labels", "Subscribe"


def changed_attributes(before: Mapping[str, Any], change: UserChange) -> dict[str, Any]:
    """A user's attributes after a change: an object of labels is the attributes, a list of them one called ``Labels``."""
    kept = {name: before[name] for name in (_COMMENT, _SUBSCRIBE) if name in before}
    labels = dict(before) if change.labels is None else _as_object(change.labels)
    given = {_COMMENT: change.comment, _SUBSCRIBE: change.subscribe}
    after = labels | kept | {name: value for name, value in given.items() if value is not None}
    return {name: value for name, value in after.items() if name not in given or value}


def user_answer(user: User) -> UserAnswer:
    """A user as gorse answers it."""
    others = {name: value for name, value in user.attributes.items() if name not in (_COMMENT, _SUBSCRIBE)}
    return UserAnswer(
        user_id=user.id,
        labels=_from_object(others),
        subscribe=user.attributes.get(_SUBSCRIBE),
        comment=str(user.attributes.get(_COMMENT, "")),
    )


def item_row(change: ItemChange, item: Item) -> dict[str, Any]:
    """Columns of an item after a change.

    Words in ``Labels`` are tags, an object is the attributes. The comment is the description of an item that has one, and else
    the title: gorse knows one text, which people see.
    """
    tags, attributes = list(item.tags), dict(item.attributes)
    if change.labels is not None:
        tags, attributes = _tags_and_attributes(change.labels)
    title, description = item.title, item.description
    if change.comment is not None:
        title, description = (title, change.comment) if description else (change.comment, "")
    return {
        "id": item.id,
        "title": title,
        "description": description,
        "categories": list(item.categories) if change.categories is None else change.categories,
        "tags": tags,
        "published_at": item.published_at if change.timestamp is None else read_moment(change.timestamp),
        "hidden": item.hidden if change.is_hidden is None else change.is_hidden,
        "attributes": attributes,
    }


def item_answer(item: Item) -> ItemAnswer:
    """An item as gorse answers it."""
    labels: JsonValue = list(item.tags)
    if item.attributes:
        labels = _from_object(dict(item.attributes) | ({"tags": list(item.tags)} if item.tags else {}))
    return ItemAnswer(
        item_id=item.id,
        is_hidden=item.hidden,
        categories=list(item.categories),
        timestamp=write_moment(item.published_at),
        labels=labels,
        comment=item.description or item.title,
    )


def _tags_and_attributes(labels: JsonValue) -> tuple[list[str], dict[str, Any]]:
    words = _words(labels)
    if words is not None:
        return words, {}
    attributes = _as_object(labels)
    words = _words(attributes.get("tags"))
    if words is None:
        return [], attributes
    return words, {name: value for name, value in attributes.items() if name != "tags"}


def _words(value: Any) -> list[str] | None:
    """A list of words; None for anything else."""
    is_one = isinstance(value, list) and all(isinstance(one, str) and 0 < len(one) <= 200 for one in value)
    return list(value) if is_one else None


def _as_object(labels: JsonValue) -> dict[str, Any]:
    if isinstance(labels, dict):
        return dict(labels)
    return {_LABELS: labels} if labels else {}


def _from_object(attributes: Mapping[str, Any]) -> JsonValue:
    if not attributes:
        return []
    return attributes[_LABELS] if set(attributes) == {_LABELS} else dict(attributes)


def kind_of(feedback_type: str, own: Mapping[str, EventKind]) -> EventKind:
    """What feedback of a type is here.

    Args:
        feedback_type: As the client writes it.
        own: What the project's settings say of types; wins over `KINDS`.

    Example:
        >>> [kind_of(one, {"zap": EventKind.SHARE}).value for one in ("star", "Read", "zap", "whatever")]
        ['like', 'impression', 'share', 'click']
    """
    found = own.get(feedback_type)
    return KINDS.get(feedback_type.lower(), EventKind.CLICK) if found is None else found


def kinds_of(feedback_type: str, own: Mapping[str, EventKind]) -> Sequence[EventKind]:
    """Kinds among which events of a type are found."""
    return sorted({kind_of(feedback_type, own), kind_of(feedback_type, {})})


def type_of(event: Event) -> str:
    """The FeedbackType of an event: the one it came with, or its kind."""
    return str(event.context.get(_TYPE, event.kind.value))


def feedback_id(feedback_type: str, user_id: str, item_id: str) -> str:
    """Id of the event of a piece of feedback: gorse keeps one for each type, user and item."""
    key = f"{feedback_type}\0{user_id}\0{item_id}"
    return FEEDBACK_ID + hashlib.sha256(key.encode()).hexdigest()[:40]


def event_of(given: FeedbackForm, own: Mapping[str, EventKind], *, arrived_ms: int) -> Event:
    """Feedback as an event; without a moment of its own it happened when it arrived."""
    moment = None if given.timestamp is None else read_moment(given.timestamp)
    context: dict[str, Any] = {}
    kind = kind_of(given.feedback_type, own)
    if given.feedback_type != kind.value:
        context[_TYPE] = given.feedback_type
    if given.comment:
        context[_COMMENT] = given.comment
    return Event(
        user=given.user_id,
        item=given.item_id,
        timestamp_ms=arrived_ms if moment is None else moment,
        kind=kind,
        id=feedback_id(given.feedback_type, given.user_id, given.item_id),
        value=given.value or (given.value if kind is EventKind.RATING else None),
        context=context,
    )


def feedback_answer(event: Event) -> FeedbackAnswer:
    """An event as gorse answers it."""
    return FeedbackAnswer(
        feedback_type=type_of(event),
        user_id=event.user,
        item_id=event.item,
        value=event.value or 0.0,
        timestamp=write_moment(event.timestamp_ms),
        comment=str(event.context.get(_COMMENT, "")),
    )
