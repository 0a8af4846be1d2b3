"""``/api/feedback``: gorse's feedback is our events. One is kept for each type, user and item."""

from collections.abc import Sequence
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path

from kinema.schema import Event, EventKind
from kinema.serving.engine import Engine, now_ms
from kinema.serving.gorse_forms import FeedbackAnswer, FeedbackForm, FeedbackPageAnswer, Success
from kinema.serving.gorse_mapping import event_of, feedback_answer, kinds_of, type_of
from kinema.serving.json_route import JsonRoute
from kinema.serving.problems import Problem, not_found
from kinema.serving.routes.gorse_parts import BATCHES, MOST, After, Count, Kinds, at
from kinema.serving.routes.parts import ItemId, Parts, PathWord, ServiceParts, UserId, written
from kinema.serving.wire import NO_NUL

router = APIRouter(route_class=JsonRoute)
_MOST_LOOKED_AT: Final = 20_000
"""Rows read for one page of a rare type; the page may then be short, and its cursor goes on."""
FeedbackType = Annotated[PathWord, Path(description="FeedbackType", json_schema_extra=NO_NUL)]


@at(router, "POST", "/feedback", summary="Insert feedback")
async def gorse_insert_feedback(parts: Parts, kinds: Kinds, body: list[FeedbackForm]) -> Success:
    """Log feedback; what is there already stays as it is. Users and items that are unknown are made."""
    events = _events(parts, body, kinds)
    await written(parts.engine.write(events, create_items=True))
    return Success(row_affected=len(body))


@at(router, "PUT", "/feedback", summary="Insert or overwrite feedback")
async def gorse_upsert_feedback(parts: Parts, kinds: Kinds, body: list[FeedbackForm]) -> Success:
    """Log feedback; what is there already is overwritten."""
    events = _events(parts, body, kinds)
    await parts.run(_take_back_older, parts.engine, events)
    await written(parts.engine.write(events, create_items=True))
    return Success(row_affected=len(body))


@at(router, "GET", "/feedback", summary="List feedback")
async def gorse_list_feedback(parts: Parts, number: Count = 10, after: After = -1) -> FeedbackPageAnswer:
    """All feedback in the order in which it came, page by page."""
    rows = await parts.run(parts.engine.store.event_page, after=after, limit=number) if number else []
    return _page(rows, ended=len(rows) < number)


@at(router, "GET", "/feedback/{feedback_type}", summary="List feedback of a type")
async def gorse_list_typed_feedback(
    parts: Parts, kinds: Kinds, feedback_type: FeedbackType, number: Count = 10, after: After = -1
) -> FeedbackPageAnswer:
    """The same of one type."""
    wanted = kinds_of(feedback_type, kinds)
    return await parts.run(_typed_page, parts.engine, feedback_type, wanted, number, after)


@at(router, "GET", "/feedback/{user_id}/{item_id}", summary="Feedback of a user on an item")
async def gorse_pair_feedback(parts: Parts, user_id: UserId, item_id: ItemId) -> list[FeedbackAnswer]:
    """All feedback of a user on an item."""
    return _answers(await parts.run(_all, parts.engine, user_id=user_id, item_id=item_id))


@at(router, "DELETE", "/feedback/{user_id}/{item_id}", summary="Delete feedback of a user on an item")
async def gorse_delete_pair_feedback(parts: Parts, user_id: UserId, item_id: ItemId) -> Success:
    """Delete all of it; the next answer has forgotten it."""
    return await _delete(parts, user_id, item_id, None)


@at(router, "GET", "/feedback/{feedback_type}/{user_id}/{item_id}", summary="One piece of feedback")
async def gorse_get_feedback(
    parts: Parts, feedback_type: FeedbackType, user_id: UserId, item_id: ItemId
) -> FeedbackAnswer:
    """Feedback of a type, of a user on an item."""
    rows = await parts.run(_all, parts.engine, user_id=user_id, item_id=item_id)
    found = _answers(_of_type(rows, feedback_type))
    if not found:
        raise not_found("feedback", f"{feedback_type}/{user_id}/{item_id}", field="feedback_type")
    return found[0]


@at(router, "DELETE", "/feedback/{feedback_type}/{user_id}/{item_id}", summary="Delete one piece of feedback")
async def gorse_delete_feedback(parts: Parts, feedback_type: FeedbackType, user_id: UserId, item_id: ItemId) -> Success:
    """Delete it; the next answer has forgotten it."""
    return await _delete(parts, user_id, item_id, feedback_type)


@at(router, "GET", "/user/{user_id}/feedback", summary="Feedback of a user")
async def gorse_user_feedback(parts: Parts, user_id: UserId) -> list[FeedbackAnswer]:
    """What a user did up to now."""
    return _answers(_until_now(await parts.run(_all, parts.engine, user_id=user_id)))


@at(router, "GET", "/user/{user_id}/feedback/{feedback_type}", summary="Feedback of a user, of a type")
async def gorse_typed_user_feedback(
    parts: Parts, kinds: Kinds, user_id: UserId, feedback_type: FeedbackType
) -> list[FeedbackAnswer]:
    """The same of one type."""
    rows = await parts.run(_all, parts.engine, user_id=user_id, kinds=kinds_of(feedback_type, kinds))
    return _answers(_until_now(_of_type(rows, feedback_type)))


@at(router, "GET", "/item/{item_id}/feedback", summary="Feedback on an item")
async def gorse_item_feedback(parts: Parts, item_id: ItemId) -> list[FeedbackAnswer]:
    """What users did with an item."""
    return _answers(await parts.run(_all, parts.engine, item_id=item_id))


@at(router, "GET", "/item/{item_id}/feedback/{feedback_type}", summary="Feedback on an item, of a type")
async def gorse_typed_item_feedback(
    parts: Parts, kinds: Kinds, item_id: ItemId, feedback_type: FeedbackType
) -> list[FeedbackAnswer]:
    """The same of one type."""
    rows = await parts.run(_all, parts.engine, item_id=item_id, kinds=kinds_of(feedback_type, kinds))
    return _answers(_of_type(rows, feedback_type))


Rows = list[tuple[int, Event]]


def _events(parts: ServiceParts, body: list[FeedbackForm], kinds: Kinds) -> list[Event]:
    """Events of a batch, the last one of each type, user and item."""
    most = BATCHES * parts.max_batch
    if len(body) > most:
        raise Problem(413, f"feedback must be at most {most:,} in a request, is {len(body):,}")
    arrived_ms = now_ms()
    return list({event.id: event for event in (event_of(one, kinds, arrived_ms=arrived_ms) for one in body)}.values())


def _take_back_older(engine: Engine, events: Sequence[Event]) -> None:
    known = engine.world.people
    wanted = {event.id for event in events}
    seqs: list[int] = []
    for user in {event.user for event in events}:
        if known.number(user) is not None:
            seqs += [seq for seq, event in _all(engine, user_id=user) if event.id in wanted]
    if seqs:
        engine.take_back(seqs, forget=False)


def _all(engine: Engine, **wanted: Any) -> Rows:
    """Every event of a user or on an item."""
    rows: Rows = []
    while True:
        page = engine.store.event_page(after=rows[-1][0] if rows else -1, limit=MOST, **wanted)
        rows += page
        if len(page) < MOST:
            return rows


def _typed_page(
    engine: Engine, feedback_type: str, kinds: Sequence[EventKind], number: int, after: int
) -> FeedbackPageAnswer:
    found: Rows = []
    ended, looked_at = False, 0
    while len(found) < number and not ended and looked_at < _MOST_LOOKED_AT:
        page = engine.store.event_page(after=after, limit=MOST, kinds=kinds)
        ended, looked_at = len(page) < MOST, looked_at + len(page)
        after = page[-1][0] if page else after
        found += _of_type(page, feedback_type)
    if len(found) > number:
        found, ended = found[:number], False
        after = found[-1][0]
    return _page(found, ended=ended, cursor=after)


def _of_type(rows: Rows, feedback_type: str) -> Rows:
    return [row for row in rows if type_of(row[1]) == feedback_type]


def _until_now(rows: Rows) -> Rows:
    moment = now_ms()
    return [row for row in rows if row[1].timestamp_ms <= moment]


async def _delete(parts: ServiceParts, user_id: str, item_id: str, feedback_type: str | None) -> Success:
    rows = await parts.run(_all, parts.engine, user_id=user_id, item_id=item_id)
    seqs = [seq for seq, _ in (rows if feedback_type is None else _of_type(rows, feedback_type))]
    return Success(row_affected=await parts.run(parts.engine.take_back, seqs) if seqs else 0)


def _answers(rows: Rows) -> list[FeedbackAnswer]:
    return [feedback_answer(event) for _, event in rows]


def _page(rows: Rows, *, ended: bool, cursor: int | None = None) -> FeedbackPageAnswer:
    last = rows[-1][0] if cursor is None and rows else cursor
    return FeedbackPageAnswer(cursor="" if ended or last is None else str(last), feedback=_answers(rows))
