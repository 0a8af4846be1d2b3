"""``/v1/events``: what happened. What is accepted is durable, and in the users' next answers."""

from datetime import UTC, datetime
from typing import Annotated, Final

from fastapi import APIRouter, Body
from pydantic import ValidationError

from kinema.schema import Event
from kinema.serving.engine import Engine, now_ms
from kinema.serving.json_route import JsonRoute
from kinema.serving.problems import Problem, invalid_field
from kinema.serving.routes.parts import Parts, written
from kinema.serving.wire import EventBody, EventIn, EventsOut, RejectedEvent

MOST_AHEAD_MS: Final = 86_400_000
"""How far the clocks of those who log events may be ahead."""
_SECONDS: Final = range(1_000_000_000, 100_000_000_000)
"""From September 2001 on in seconds; in milliseconds, the first years after 1970, when nobody watched clips."""

router = APIRouter(prefix="/v1", tags=["events"], route_class=JsonRoute)


@router.post("/events", summary="Log one event or a batch")
async def post_events(parts: Parts, body: Annotated[EventBody, Body()]) -> EventsOut:
    """Log what users did.

    A single event that cannot be taken is answered with its error; of a batch, the good ones are taken and the others named. An
    event with an ``event_id`` that is known changes nothing, so a request may be repeated.
    """
    if isinstance(body, EventIn):
        await take(parts.engine, body)
        return EventsOut(accepted=1)
    engine, arrived = parts.engine, now_ms()
    if len(body.events) > parts.max_batch:
        raise Problem(
            413, f"events must be at most {parts.max_batch:,} in a request, are {len(body.events):,}", field="events"
        )
    good, rejected = [], []
    for index, given in enumerate(body.events):
        try:
            event = as_event(EventIn.model_validate(given), arrived)
            check_item(engine, event)
        except (ValidationError, Problem) as error:
            rejected.append(_rejected(index, error))
        else:
            good.append(event)
    engine.telemetry.count_events(rejected=len(rejected))
    if not good:
        first = rejected[0]
        raise Problem(
            422,
            f"none of {len(rejected)} events could be taken; the first: {first.message}",
            code=first.code,
            field=f"events.{first.index}" + (f".{first.field}" if first.field else ""),
        )
    await written(engine.write(good))
    return EventsOut(accepted=len(good), rejected=rejected)


async def take(engine: Engine, given: EventIn) -> None:
    """Log one event; it is durable, and in every next answer, afterwards.

    Raises:
        Problem: 404, its item is not there; 422, it lies ahead.
    """
    try:
        event = as_event(given, now_ms())
        check_item(engine, event)
    except Problem:
        engine.telemetry.count_events(rejected=1)
        raise
    await written(engine.write([event]))


def as_event(given: EventIn, arrived_ms: int) -> Event:
    """An event as the store keeps it.

    Raises:
        Problem: 422, it lies ahead by more than clocks differ, and would be everybody's newest event until then; or its moment is given
            in seconds, and would be of 1970.
    """
    if given.timestamp_ms is not None and given.timestamp_ms > arrived_ms + MOST_AHEAD_MS:
        days = (given.timestamp_ms - arrived_ms) / MOST_AHEAD_MS
        raise Problem(
            422,
            f"timestamp_ms must be at most a day ahead of the service's clock, is {days:,.1f} days ahead; "
            "leave it out for the moment of arrival",
            code="invalid",
            field="timestamp_ms",
        )
    if given.timestamp_ms is not None and given.timestamp_ms in _SECONDS:
        meant = datetime.fromtimestamp(given.timestamp_ms, UTC).date()
        raise Problem(
            422,
            f"timestamp_ms must be UTC milliseconds, {given.timestamp_ms} are seconds, of {meant}; send {given.timestamp_ms}000",
            code="invalid",
            field="timestamp_ms",
        )
    return Event(
        user=given.user_id,
        item=given.item_id,
        timestamp_ms=arrived_ms if given.timestamp_ms is None else given.timestamp_ms,
        kind=given.kind,
        id=given.event_id,
        value=given.value,
        watch_ms=given.watch_ms,
        session_id=given.session_id,
        slate_id=given.recommendation_id,
        position=given.position,
        context=given.context,
    )


def check_item(engine: Engine, event: Event) -> None:
    """Refuse an event of an item that is not there.

    Raises:
        Problem: 404.
    """
    catalogue = engine.world.catalogue
    number = catalogue.numbers.get(event.item)
    is_shown = number is not None and not catalogue.hidden_V[number]
    if not is_shown and engine.store.item_number(event.item) is None:
        raise Problem(404, f"unknown item '{event.item[:80]}'; put it first", field="item_id")


def _rejected(index: int, error: ValidationError | Problem) -> RejectedEvent:
    if isinstance(error, Problem):
        return RejectedEvent(index=index, code=error.code, message=error.message, field=error.field or None)
    field, message = invalid_field(error.errors(include_url=False)[0])
    return RejectedEvent(index=index, code="invalid", message=message, field=field or None)
