"""Every request that the client knows, as plain values: both clients send these, each in its way."""

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Generic, TypeVar
from urllib.parse import quote

from pydantic import BaseModel, ValidationError

from kinema.client.errors import ClientError, InvalidRequestError, ServiceError, ServiceFailedError, UnsentEventsError
from kinema.serving.profile_wire import ProfileIn, ProfileOut
from kinema.serving.wire import (
    AudienceOut,
    Deleted,
    EventIn,
    EventsIn,
    EventsOut,
    Export,
    ItemIn,
    ItemOut,
    ItemPage,
    MediaJob,
    RecommendIn,
    RecommendOut,
    RejectedEvent,
    SearchIn,
    SearchOut,
    SessionEvent,
    SimilarOut,
    UserIn,
    UserOut,
    UserPage,
)
from kinema.setting_errors import keys_at, unknown_key

MAX_BATCH: Final = 1000
"""Events of one request; more are sent in parts."""
REFUSED: Final = (404, 422)
"""Not one of the events could be taken, and none will be."""
Answered = TypeVar("Answered", bound=BaseModel)
Made = TypeVar("Made", bound=BaseModel)
Weights = Mapping[str, float] | None
"""By name, each in 0..10; None leaves those that are set as they are."""


@dataclass(frozen=True)
class Call(Generic[Answered]):
    """One request.

    Attributes:
        method: Of HTTP.
        path: With ids quoted.
        answer: What comes back.
        params: Of the query; None leaves one out.
        body: JSON; None for none.
        repeatable: Sending it twice is as good as once.
        file: Sent as the body in place of JSON.
        done: What is answered where a second attempt finds nothing, because the first has done it.
    """

    method: str
    path: str
    answer: type[Answered]
    params: Mapping[str, Any] = field(default_factory=dict)
    body: bytes | None = None
    repeatable: bool = True
    file: Path | None = None
    done: Answered | None = None

    def read(self, body: bytes) -> Answered:
        """The answer in a body.

        Raises:
            ServiceFailedError: It is another one's.
        """
        try:
            return self.answer.model_validate_json(body)
        except ValidationError as error:
            text = f"the answer to {self.method} {self.path} is not the service's: {error.errors()[0]['msg']}"
            raise ServiceFailedError(text, status=200, code="unexpected") from error


def made(model: type[Made], **fields: Any) -> Made:
    """A request's body, checked before it is sent.

    Raises:
        InvalidRequestError: A field is not what it must be.

    Example:
        >>> made(RecommendIn, n=0)
        Traceback (most recent call last):
        ...
        kinema.client.errors.InvalidRequestError: n must be greater than or equal to 1 (422 invalid)
    """
    try:
        return model(**fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = [str(part) for part in first["loc"]]
        place = ".".join(path)
        if first["type"] == "extra_forbidden":
            text = unknown_key(place, keys_at(model, path[:-1]), "the request")
            raise InvalidRequestError(text, status=422, code="invalid", field=place) from error
        message = str(first["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
        raise InvalidRequestError(f"{place} must be {message}", status=422, code="invalid", field=place) from error


def as_json(body: BaseModel) -> bytes:
    """The JSON of a body, without what was left out."""
    return body.model_dump_json(exclude_unset=True).encode()


def at(*parts: str) -> str:
    """A path with its ids quoted.

    Raises:
        InvalidRequestError: An id is empty, or one that no address can name.

    Example:
        >>> at("items", "a b", "similar")
        '/v1/items/a%20b/similar'
    """
    for part in parts:
        if part in ("", ".", "..") or "/" in part:
            raise InvalidRequestError(
                f"an id in an address must not be empty or have a slash, is '{part}'", status=422, code="invalid"
            )
    return "/v1/" + "/".join(quote(part, safe="") for part in parts)


def asked(
    *,
    exclude: Iterable[str],
    session: Iterable[SessionEvent | str],
    context: Mapping[str, Any] | None,
    **others: Any,
) -> RecommendIn:
    """What is asked of a recommendation; in the session a text is an item that was clicked."""
    events = [made(SessionEvent, item_id=one) if isinstance(one, str) else one for one in session]
    return made(RecommendIn, exclude=list(exclude), session=events, context=dict(context or {}), **others)


def recommend(user_id: str, asked: RecommendIn) -> Call[RecommendOut]:
    """Items for a user."""
    return Call("POST", at("users", user_id, "recommendations"), RecommendOut, body=as_json(asked))


def recommend_guest(asked: RecommendIn) -> Call[RecommendOut]:
    """Items for a guest."""
    return Call("POST", at("recommendations"), RecommendOut, body=as_json(asked))


def similar(item_id: str, *, num_items: int, modality: str | None, user_id: str) -> Call[SimilarOut]:
    """Items like an item."""
    params = {"n": num_items, "modality": modality, "user_id": user_id or None}
    return Call("GET", at("items", item_id, "similar"), SimilarOut, params)


def audience(item_id: str, *, num_users: int) -> Call[AudienceOut]:
    """Users for an item."""
    return Call("GET", at("items", item_id, "audience"), AudienceOut, {"n": num_users})


def search(asked: SearchIn) -> Call[SearchOut]:
    """Items by words."""
    return Call("POST", at("search"), SearchOut, body=as_json(asked))


def put_item(item_id: str, item: ItemIn) -> Call[ItemOut]:
    """Write an item."""
    return Call("PUT", at("items", item_id), ItemOut, body=as_json(item))


def get_item(item_id: str) -> Call[ItemOut]:
    """Read an item."""
    return Call("GET", at("items", item_id), ItemOut)


def delete_item(item_id: str) -> Call[Deleted]:
    """Delete an item."""
    return Call("DELETE", at("items", item_id), Deleted, done=Deleted())


def list_items(cursor: str | None, limit: int) -> Call[ItemPage]:
    """A page of items."""
    return Call("GET", at("items"), ItemPage, {"cursor": cursor, "limit": limit})


def put_user(user_id: str, user: UserIn) -> Call[UserOut]:
    """Write a user."""
    return Call("PUT", at("users", user_id), UserOut, body=as_json(user))


def get_user(user_id: str) -> Call[UserOut]:
    """Read a user."""
    return Call("GET", at("users", user_id), UserOut)


def delete_user(user_id: str) -> Call[Deleted]:
    """Erase a user."""
    return Call("DELETE", at("users", user_id), Deleted, done=Deleted())


def list_users(cursor: str | None, limit: int) -> Call[UserPage]:
    """A page of users."""
    return Call("GET", at("users"), UserPage, {"cursor": cursor, "limit": limit})


def get_profile(user_id: str) -> Call[ProfileOut]:
    """What a user is interested in."""
    return Call("GET", at("users", user_id, "profile"), ProfileOut)


def put_profile(user_id: str, profile: ProfileIn) -> Call[ProfileOut]:
    """Set what a user wants more or less of."""
    return Call("PUT", at("users", user_id, "profile"), ProfileOut, body=as_json(profile))


def export_user(user_id: str) -> Call[Export]:
    """Everything that is kept of a user."""
    return Call("GET", at("users", user_id, "export"), Export)


def upload(item_id: str, file: Path, *, title: str) -> Call[MediaJob]:
    """Send a clip; sending it twice makes two jobs."""
    params = {"title": title or None}
    return Call("POST", at("items", item_id, "media"), MediaJob, params, repeatable=False, file=file)


def job(job_id: str) -> Call[MediaJob]:
    """How far a clip has come."""
    return Call("GET", at("media", job_id), MediaJob)


def log_one(event: EventIn) -> Call[EventsOut]:
    """Log an event that carries an id."""
    return Call("POST", at("events"), EventsOut, body=as_json(event))


def log_batch(events: Sequence[EventIn]) -> Call[EventsOut]:
    """Log events that carry ids."""
    body = EventsIn(events=[event.model_dump(mode="json", exclude_unset=True) for event in events])
    return Call("POST", at("events"), EventsOut, body=as_json(body))


def stamped(event: EventIn, *, now_ms: int) -> EventIn:
    """An event with an id and a moment of its own, so that it can be sent twice and counts once, as of when it happened.

    Example:
        >>> event = stamped(EventIn(user_id="u1", item_id="v1", kind="click"), now_ms=5)
        >>> event.timestamp_ms, len(event.event_id), stamped(event, now_ms=9) == event
        (5, 32, True)
    """
    missing: dict[str, Any] = {}
    if not event.event_id:
        missing["event_id"] = uuid.uuid4().hex
    if event.timestamp_ms is None:
        missing["timestamp_ms"] = now_ms
    return event.model_copy(update=missing) if missing else event


def parts_of(events: Sequence[EventIn]) -> list[tuple[int, Sequence[EventIn]]]:
    """Events in parts that fit into a request, each with the place of its first."""
    return [(start, events[start : start + MAX_BATCH]) for start in range(0, len(events), MAX_BATCH)]


class Logged:
    """What becomes of events that are logged in parts.

    Args:
        events: All of them.
    """

    def __init__(self, events: Sequence[EventIn]) -> None:
        self._events = events
        self._accepted = 0
        self._rejected: list[RejectedEvent] = []

    def answered(self, first: int, answer: EventsOut) -> None:
        """A part has been answered."""
        self._accepted += answer.accepted
        self._rejected += [one.model_copy(update={"index": first + one.index}) for one in answer.rejected]

    def failed(self, first: int, error: ClientError) -> None:
        """A part has not.

        Raises:
            ClientError: It was the only one.
            UnsentEventsError: It and those behind it were not sent.
        """
        if len(self._events) <= MAX_BATCH:
            raise error
        if isinstance(error, ServiceError) and error.status in REFUSED:
            count = len(self._events[first : first + MAX_BATCH])
            self._rejected += [
                RejectedEvent(index=first + place, code=error.code, message=error.message, field=error.field)
                for place in range(count)
            ]
            return
        refused = [(self._events[one.index], one) for one in self._rejected]
        raise UnsentEventsError(self._events[first:], refused, cause=error) from error

    def out(self) -> EventsOut:
        """The answer to all of them."""
        return EventsOut(accepted=self._accepted, rejected=self._rejected)
