"""What goes over the wire to those who look at the catalogue and steer it."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from kinema.schema import EventKind
from kinema.serving.wire import Answer, MediaJob, Wire


class PlacementIn(Wire):
    """What is decided of an item; what is left out goes back to the item itself."""

    hidden: bool = Field(default=False, description="it appears nowhere, searches included")
    boost: Annotated[float, Field(ge=-1, le=1, allow_inf_nan=False)] = Field(
        default=0.0,
        description="added to its relevance, where 1 is the best candidate of a request and 0 the last; above 0 it is always a candidate",
    )
    position: Annotated[int, Field(ge=0, lt=1000)] | None = Field(
        default=None, description="its place in every slate, from 0; it leaves it to others where it may not appear"
    )


class PlacementOut(Answer):
    """What is decided of an item. It holds in every scenario."""

    item_id: str
    hidden: bool
    boost: float
    position: int | None
    updated_ms: int | None = Field(description="null where nothing is decided")


class CatalogueRow(Answer):
    """An item in the table of the catalogue."""

    item_id: str
    title: str
    categories: list[str]
    tags: list[str]
    language: str
    published_at: int | None
    duration_ms: int | None
    has_media: bool
    hidden: bool = Field(description="by itself or by decision")
    recommendable: bool
    events: int = Field(description="interactions that the serving model knows; 0: a cold item")
    popularity: float = Field(description="interactions, older ones counting less; to three decimals")
    placement: PlacementOut | None = Field(description="null where nothing is decided")


class CataloguePage(Answer):
    """A page of the catalogue."""

    total: int = Field(description="items that fit, on all pages")
    offset: int
    items: list[CatalogueRow]


class CatalogueCounts(Answer):
    """What can be filtered by, and how much there is of it."""

    total: int
    categories: Mapping[str, int] = Field(description="the most frequent first")
    languages: Mapping[str, int]
    states: Mapping[str, int]


class FrameOut(Answer):
    """A moment of a clip that the encoders see."""

    number: int
    time_ms: int = Field(description="from the first frame")
    weight: float | None = Field(
        description="how much of the model's attention it has; all sum to 1; null where not known"
    )
    url: str = Field(description="of its picture")


class FramesOut(Answer):
    """The moments of a clip that the encoders see."""

    item_id: str
    duration_ms: int
    attention: Literal["learnt", "mean", "none"] = Field(
        description="learnt: the model has learnt where to look; mean: all moments count alike; none: nothing is known of them"
    )
    frames: list[FrameOut]


class MotionField(Answer):
    """Movement at one moment, in cells: rows from the top, columns from the left."""

    time_ms: int = Field(description="from the first frame")
    right: list[list[float]] = Field(description="frame widths per second")
    down: list[list[float]] = Field(description="frame widths per second")
    trust: list[list[float]] = Field(description="how far each cell can be believed, in [0, 1]")


class MotionOut(Answer):
    """How things move in a clip; nothing for a single picture."""

    item_id: str
    duration_ms: int
    fields: list[MotionField]


class ItemName(Answer):
    """An item by id and title."""

    item_id: str
    title: str


class LenderOut(ItemName):
    """An item that lends its vector."""

    weight: float = Field(description="share of what is borrowed; all sum to 1")


class DayOut(Answer):
    """What happened with an item on one day."""

    day: str = Field(description="of UTC, as 2026-01-31")
    counts: Mapping[EventKind, int]


class InsightOut(Answer):
    """What the recommender knows of an item."""

    item_id: str
    model_version: str
    cold: bool = Field(description="the model has learnt from no event of it")
    events: int = Field(description="interactions that the model has learnt from")
    popularity: float = Field(description="interactions, older ones counting less; to three decimals")
    imputed_weight: float | None = Field(
        description="share of its vector that is borrowed from items with like content; null where no model says"
    )
    borrowed_from: list[LenderOut]
    near_duplicates: list[ItemName] = Field(description="other items with the same clip")
    modalities: Mapping[str, bool] = Field(description="whether it has each")
    days: list[DayOut] = Field(description="oldest first; days without events are left out")


class RejectOut(Answer):
    """Something that was set aside so that the rest could go on."""

    kind: str = Field(description="item, user, event, clip or transcript")
    file: str
    row: int | None = Field(description="from 1, without the header; null for a file as a whole")
    reason: str
    raw: str = Field(description="the first 200 characters of the row; masked where it may tell of people")


class RejectsOut(Answer):
    """What was set aside."""

    total: int = Field(description="that fit, on all pages")
    offset: int
    kinds: Mapping[str, int] = Field(description="how many of each kind there are in all")
    rejects: list[RejectOut]


class UploadOut(MediaJob):
    """An uploaded clip and how far it has come."""

    title: str


class UploadsOut(Answer):
    """The clips that were uploaded last, newest first."""

    statuses: Mapping[str, int] = Field(description="how many of each status there are in all")
    uploads: list[UploadOut]


class HistoryEvent(Answer):
    """Something a person did."""

    item_id: str
    title: str = Field(description="empty for an item that is gone")
    kind: EventKind
    timestamp_ms: int
    value: float | None
    watch_ms: int | None
    recommendation_id: str | None
    position: int | None
    context: Mapping[str, object]


class HistoryOut(Answer):
    """What a person did, newest first."""

    user_id: str
    events: list[HistoryEvent]
    next_cursor: str | None = Field(description="give it as cursor for what was before; null at the beginning")
