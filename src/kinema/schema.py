"""What the rooms talk about: items, users, events, requests, candidates, slates, and the names of their columns.

Every room imports these and none defines its own twin, so a field has one name from the file to the slate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final, Literal

from kinema.notices import Notice


class EventKind(StrEnum):
    """What a user did, or what was done to them (an impression)."""

    IMPRESSION = "impression"
    CLICK = "click"
    WATCH = "watch"
    LIKE = "like"
    DISLIKE = "dislike"
    SHARE = "share"
    COMMENT = "comment"
    FOLLOW = "follow"
    SKIP = "skip"
    RATING = "rating"
    PURCHASE = "purchase"


INTERACTION_KINDS: Final[tuple[EventKind, ...]] = (
    EventKind.CLICK,
    EventKind.WATCH,
    EventKind.LIKE,
    EventKind.SHARE,
    EventKind.COMMENT,
    EventKind.FOLLOW,
    EventKind.RATING,
    EventKind.PURCHASE,
)
"""Kinds that speak for an item. They make up a history unless the configuration says otherwise."""


@dataclass(frozen=True)
class Item:
    """What is recommended. The media file belongs to it; an item without one is served from its text.

    Attributes:
        id: Unique, non-empty, as the owner of the data spells it.
        title: Shown to people and read by the text encoder.
        description: Read by the text encoder.
        categories: From a fixed list of the owner, most general first.
        tags: Free words.
        language: BCP-47 code such as ``en``; empty where unknown.
        published_at: UTC milliseconds since the epoch; None where unknown (treated as always published).
        duration_ms: Length of the video, milliseconds, > 0; None where unknown.
        media_path: Path inside the media root, with forward slashes; None for an item without a file.
        hidden: Never recommended while true (taken down, not yet released).
        attributes: Anything else, JSON values.
    """

    id: str
    title: str = ""
    description: str = ""
    categories: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    language: str = ""
    published_at: int | None = None
    duration_ms: int | None = None
    media_path: str | None = None
    hidden: bool = False
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class User:
    """Who asks. Attributes are JSON values: text, numbers or lists of text."""

    id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Event:
    """One logged fact.

    Attributes:
        user: User id.
        item: Item id.
        timestamp_ms: UTC milliseconds since the epoch.
        kind: What happened.
        id: The owner's id of the event; empty where there is none (then its content identifies it).
        value: Rating, price or any number the kind carries.
        watch_ms: Time watched, milliseconds, >= 0.
        session_id: The session the event belongs to.
        slate_id: The slate the item was shown in.
        position: Place in that slate, from 0.
        propensity: Probability with which the item was shown there, in (0, 1].
        context: JSON values: device, placement, ...
    """

    user: str
    item: str
    timestamp_ms: int
    kind: EventKind
    id: str = ""
    value: float | None = None
    watch_ms: int | None = None
    session_id: str | None = None
    slate_id: str | None = None
    position: int | None = None
    propensity: float | None = None
    context: Mapping[str, Any] = field(default_factory=dict)


ITEM_COLUMNS: Final[tuple[str, ...]] = tuple(Item.__dataclass_fields__)
USER_COLUMNS: Final[tuple[str, ...]] = tuple(User.__dataclass_fields__)
EVENT_COLUMNS: Final[tuple[str, ...]] = tuple(Event.__dataclass_fields__)


@dataclass(frozen=True)
class Reject:
    """A row or clip that was set aside so that the good ones could go on.

    Attributes:
        kind: ``item``, ``user``, ``event``, ``clip`` or ``transcript``.
        file: The file it came from, as the caller named it.
        row: Its row, counted from 1 without the header; None where the file as a whole is meant.
        reason: Subject, what it must be, what it is.
        raw: The first 200 characters of the row.
    """

    kind: str
    file: str
    row: int | None
    reason: str
    raw: str = ""


Branch = Literal["content", "collaborative", "sequential", "memory", "popularity"]
BRANCHES: Final[tuple[Branch, ...]] = ("content", "collaborative", "sequential", "memory", "popularity")
"""Sides from which the model can be asked alone."""


@dataclass(frozen=True)
class Request:
    """One question to the recommender.

    Attributes:
        user: User id; unknown ids are answered as new users.
        num_items: Length of the slate asked for, 1..1000.
        scenario: The placement: home, related, search, or one of the project's own.
        exclude: Item ids that must not appear, beside what the user has seen.
        timestamp_ms: When it is asked, UTC milliseconds; None means now.
    """

    user: str
    num_items: int = 10
    scenario: str = "home"
    exclude: Sequence[str] = ()
    timestamp_ms: int | None = None


@dataclass(frozen=True)
class Candidate:
    """An item that a retriever proposes.

    Attributes:
        item: Item number in the catalogue.
        source: The retriever that found it.
        score: That source's number; comparable only within the source.
    """

    item: int
    source: str
    score: float


@dataclass(frozen=True, init=False)
class SlateItem:
    """One place of a slate.

    A request makes ten of them, and of `TraceStep`; they write their fields at once, which costs a tenth of one by one.

    Attributes:
        id: Item id.
        title: Item title.
        position: Place, from 0.
        score: The blended value the slate was ordered by before diversification.
        sources: The retrievers that proposed it.
        reason: Why it is here, in plain words.
        evidence: What the reason rests on: nearest watched item, modality, similarity, popularity rank.
        propensity: Probability with which it took this place, given what stands above it, in (0, 1]; 1 where nothing was
            left to chance.
    """

    id: str
    title: str
    position: int
    score: float
    sources: tuple[str, ...] = ()
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)
    propensity: float = 1.0

    def __init__(  # noqa: PLR0917  # in the order of the fields
        self,
        id: str,  # noqa: A002  # the field's name
        title: str,
        position: int,
        score: float,
        sources: tuple[str, ...] = (),
        reason: str = "",
        evidence: Mapping[str, Any] | None = None,
        propensity: float = 1.0,
    ) -> None:
        self.__dict__.update(
            id=id,
            title=title,
            position=position,
            score=score,
            sources=sources,
            reason=reason,
            evidence={} if evidence is None else evidence,
            propensity=propensity,
        )


@dataclass(frozen=True, init=False)
class TraceStep:
    """What one stage of the pipeline did: how many candidates went in and came out, and a few of those it dropped."""

    stage: str
    num_in: int
    num_out: int
    milliseconds: float
    detail: Mapping[str, Any] = field(default_factory=dict)

    def __init__(
        self, stage: str, num_in: int, num_out: int, milliseconds: float, detail: Mapping[str, Any] | None = None
    ) -> None:
        self.__dict__.update(
            stage=stage,
            num_in=num_in,
            num_out=num_out,
            milliseconds=milliseconds,
            detail={} if detail is None else detail,
        )


@dataclass(frozen=True)
class Slate:
    """An ordered answer, with the trace that shows how it came about.

    Attributes:
        user: User id of the request; empty for slates about an item.
        items: In order.
        trace: One step per stage.
        notice: Why the answer is weaker than usual (unknown user, no model, ...); empty when it is not.
        notices: The same, one by one.
    """

    user: str
    items: tuple[SlateItem, ...]
    trace: tuple[TraceStep, ...] = ()
    notice: str = ""
    notices: tuple[Notice, ...] = ()
