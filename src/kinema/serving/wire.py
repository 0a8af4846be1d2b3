"""What goes over the wire: requests and answers of the API, checked. The client uses the same models.

Ids are strings, moments UTC milliseconds since the epoch; a moment may be given as an ISO 8601 text, too.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    JsonValue,
    Tag,
    WithJsonSchema,
)

from kinema.notices import Code
from kinema.schema import EventKind

MAX_ID: Final = 256
MAX_TEXT: Final = 20_000
LAST_MS: Final = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def _as_ms(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.isascii() and value.isdecimal() and len(value) < 40:
        return int(value)  # of a query, which has nothing but texts
    try:
        moment = datetime.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"a moment, UTC milliseconds or ISO 8601, is '{value[:40]}'") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(moment.timestamp() * 1000)


def plain(text: str) -> str:
    """A text without control characters.

    Raises:
        ValueError: It has one.
    """
    if any(ord(sign) < 32 or 0xD800 <= ord(sign) <= 0xDFFF for sign in text):
        raise ValueError("free of control characters")
    return text


def storable(text: str) -> str:
    """A text that stores can hold.

    Raises:
        ValueError: It has a null character, or half of one.
    """
    if any(sign == "\0" or 0xD800 <= ord(sign) <= 0xDFFF for sign in text):
        raise ValueError("free of null characters")
    return text


NO_CONTROL: Final = {"pattern": "^[^\\u0000-\\u001f]*$"}
NO_NUL: Final = {"pattern": "^[^\\u0000]*$"}
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID, json_schema_extra=NO_CONTROL), AfterValidator(plain)]
Mark = Annotated[str, Field(max_length=MAX_ID, json_schema_extra=NO_CONTROL), AfterValidator(plain)]
"""An id that may be empty."""
Text = Annotated[str, Field(max_length=MAX_TEXT, json_schema_extra=NO_NUL), AfterValidator(storable)]
Word = Annotated[str, Field(min_length=1, max_length=200, json_schema_extra=NO_NUL), AfterValidator(storable)]
_WRITTEN: Final = {
    "anyOf": [{"type": "integer", "minimum": 0, "maximum": LAST_MS}, {"type": "string", "format": "date-time"}]
}
Moment = Annotated[int, Field(ge=0, le=LAST_MS), BeforeValidator(_as_ms), WithJsonSchema(_WRITTEN, mode="validation")]
Count = Annotated[int, Field(ge=1, le=1000)]
Length = Annotated[int, Field(ge=0, le=1 << 40)]
Attributes = Annotated[
    dict[Annotated[str, Field(max_length=100, json_schema_extra=NO_NUL)], JsonValue], Field(max_length=200)
]


class Wire(BaseModel):
    """A request: unknown fields are refused, so that a misspelt one is not lost in silence."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """An answer: may grow by fields."""

    model_config = ConfigDict(frozen=True, protected_namespaces=())


class EventIn(Wire):
    """One thing that happened."""

    user_id: Id = Field(description="who did it; an unknown user is made")
    item_id: Id = Field(description="with which item")
    kind: EventKind = Field(description="what")
    timestamp_ms: Moment | None = Field(default=None, description="when; the moment of arrival where left out")
    event_id: Mark = Field(
        default="", description="yours: the same id again changes nothing, so that a request can be repeated safely"
    )
    value: Annotated[float, Field(allow_inf_nan=False)] | None = Field(default=None, description="rating, price, ...")
    watch_ms: Annotated[int, Field(ge=0, le=1 << 40)] | None = Field(default=None, description="time watched")
    session_id: Mark | None = None
    recommendation_id: Mark | None = Field(
        default=None,
        description="of the answer in which the item was shown; what clicks and watch time are credited to",
    )
    position: Annotated[int, Field(ge=0, lt=1_000_000)] | None = Field(default=None, description="its place there")
    context: Attributes = Field(default={}, description="device, placement, ...")


class EventsIn(Wire):
    """Several events at once."""

    events: list[dict[str, Any]] = Field(min_length=1, description="each as in a request with one event")


def _form(body: Any) -> str:
    return "batch" if isinstance(body, EventsIn) or (isinstance(body, dict) and "events" in body) else "one"


FORMS: Final = ("one", "batch")
EventBody = Annotated[Annotated[EventIn, Tag("one")] | Annotated[EventsIn, Tag("batch")], Discriminator(_form)]
"""One event, or several under ``events``."""


class RejectedEvent(Answer):
    """An event that was not taken."""

    index: int = Field(description="its place in the request, from 0")
    code: str
    message: str
    field: str | None = None


class EventsOut(Answer):
    """What became of events. The accepted ones are durable, and in the users' next answers."""

    accepted: int = Field(description="durable now, those included that were before")
    rejected: list[RejectedEvent] = []


class ItemIn(Wire):
    """An item as it is to be; what is left out becomes empty."""

    title: Text = ""
    description: Text = ""
    categories: Annotated[list[Word], Field(max_length=100)] = Field(default=[], description="most general first")
    tags: Annotated[list[Word], Field(max_length=200)] = []
    language: Annotated[str, Field(max_length=35, json_schema_extra=NO_CONTROL), AfterValidator(plain)] = Field(
        default="", description="BCP 47"
    )
    published_at: Moment | None = Field(default=None, description="not recommended before; None: always published")
    duration_ms: Annotated[int, Field(gt=0, le=1 << 40)] | None = None
    hidden: bool = Field(default=False, description="never recommended while true")
    attributes: Attributes = {}


class ItemOut(Answer):
    """An item."""

    item_id: str
    title: str
    description: str
    categories: list[str]
    tags: list[str]
    language: str
    published_at: int | None
    duration_ms: int | None
    hidden: bool
    attributes: Mapping[str, Any]
    has_media: bool = Field(description="there is a video file")
    recommendable: bool = Field(description="known to the recommender and not hidden")
    events: int | None = Field(default=None, description="interactions that the serving model knows; 0: a cold item")


class UserIn(Wire):
    """A user as they are to be."""

    attributes: Attributes = {}


class UserOut(Answer):
    """A user."""

    user_id: str
    attributes: Mapping[str, Any]


class ItemPage(Answer):
    """Some items, and where the next ones begin."""

    items: list[ItemOut]
    next_cursor: str | None = Field(description="give it as cursor; None at the end")


class UserPage(Answer):
    """Some users, and where the next ones begin."""

    users: list[UserOut]
    next_cursor: str | None


class SessionEvent(Wire):
    """Something a guest did in this session; it is not stored."""

    item_id: Id
    kind: EventKind = EventKind.CLICK
    timestamp_ms: Moment | None = None


class RecommendIn(Wire):
    """What is asked, beyond what fits into an address."""

    n: Count = 10
    scenario: Annotated[str, Field(min_length=1, max_length=64)] = "home"
    exclude: Annotated[list[Id], Field(max_length=10_000)] = Field(default=[], description="items not to be shown")
    session: Annotated[list[SessionEvent], Field(max_length=1000)] = Field(
        default=[], description="what happened in this session, oldest first; counts as if it were stored"
    )
    session_id: Mark | None = Field(default=None, description="of a guest: keeps them in one variant of an experiment")
    context: Attributes = Field(default={}, description="kept with the logged slate")
    explain: bool = True
    debug: bool = False


class NoticeOut(Answer):
    """What a person should know of an answer, to be said in any language."""

    model_config = ConfigDict(frozen=True, from_attributes=True)

    code: Code
    text: str = Field(description="in English")
    values: Mapping[str, Any] = Field(default={}, description="what the sentence names: ids, words, counts")


class RecommendedItem(Answer):
    """One place of a slate."""

    item_id: str
    title: str
    position: int
    score: float
    propensity: float = Field(description="probability with which it was shown there")
    reason: str | None = None
    evidence: Mapping[str, Any] | None = None
    sources: list[str] | None = None


class RecommendOut(Answer):
    """A slate."""

    recommendation_id: str = Field(description="name it in events that follow from this answer")
    scenario: str
    variant: str = ""
    model_version: str
    items: list[RecommendedItem]
    notice: str | None = Field(default=None, description="why the answer is weaker than usual")
    notices: list[NoticeOut] = Field(default=[], description="the same, one by one")
    trace: list[dict[str, Any]] | None = None


class SimilarOut(Answer):
    """Items like an item."""

    item_id: str
    recommendation_id: str
    variant: str = ""
    model_version: str
    items: list[RecommendedItem]
    notice: str | None = None
    notices: list[NoticeOut] = []


class AudienceMember(Answer):
    """A user an item fits."""

    user_id: str
    score: float


class AudienceOut(Answer):
    """Users who should see an item."""

    item_id: str
    model_version: str
    users: list[AudienceMember]
    notice: str | None = None
    notices: list[NoticeOut] = []


class SearchIn(Wire):
    """A search by words."""

    q: Annotated[str, Field(max_length=1000), AfterValidator(storable)] = Field(description="words to look for")
    user_id: Id | None = Field(default=None, description="whose taste counts a little")
    user_weight: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Count = 10
    categories: Annotated[list[Word], Field(max_length=100, description="only items with one of these")] = []
    languages: Annotated[list[Word], Field(max_length=100, description="only items in one of these")] = []
    min_duration_ms: Length | None = Field(default=None, description="only items that last at least so long")
    max_duration_ms: Length | None = Field(default=None, description="only items that last at most so long")
    published_since: Moment | None = None
    hide_seen: bool = False


class SearchHit(Answer):
    """One found item."""

    item_id: str
    title: str
    position: int
    score: float
    parts: Mapping[str, float]
    reason: str
    evidence: Mapping[str, Any] = {}


class SearchOut(Answer):
    """What was found."""

    recommendation_id: str
    query: str
    model_version: str
    items: list[SearchHit]
    user_weight: float
    notice: str | None = None
    notices: list[NoticeOut] = []


class ExportedEvent(Answer):
    """An event of a person."""

    item_id: str
    kind: EventKind
    timestamp_ms: int
    event_id: str
    value: float | None
    watch_ms: int | None
    session_id: str | None
    recommendation_id: str | None
    position: int | None
    context: Mapping[str, Any]


class ExportedSlate(Answer):
    """A slate that was shown to a person."""

    recommendation_id: str
    timestamp_ms: int
    scenario: str
    variant: str
    model_version: str
    items: list[str]
    context: Mapping[str, Any]


class Export(Answer):
    """Everything that is kept of a person."""

    user_id: str
    attributes: Mapping[str, Any]
    topics: Mapping[str, float] = Field(description="weights that they have set")
    modalities: Mapping[str, float] = Field(description="weights that they have set")
    events: list[ExportedEvent]
    slates: list[ExportedSlate]


class MediaJob(Answer):
    """How far an uploaded clip has come."""

    job_id: str
    item_id: str
    status: Literal["queued", "decoding", "encoding", "recommendable", "failed"]
    message: str | None = Field(default=None, description="why it failed, or what is partial")
    created_ms: int
    updated_ms: int


class Deleted(Answer):
    """What is gone."""

    deleted: bool = True
    events: int | None = None
