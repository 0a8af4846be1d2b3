"""The paths of gorse under ``/api``, so that its client libraries work unchanged: answers and health; the rest is beside.

Recommendations leave out what the user is known to have read, as gorse's do, although an impression is no interaction here.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated, Final

import numpy as np
from fastapi import APIRouter, Body, Header, Path, Query, Response
from numpy.typing import NDArray

from kinema.recommend.neighbours import similar_users
from kinema.schema import INTERACTION_KINDS, EventKind, Slate
from kinema.serving.engine import Engine, now_ms
from kinema.serving.gorse_forms import FeedbackForm, Health, Scored
from kinema.serving.gorse_mapping import FEEDBACK_ID, event_of
from kinema.serving.gorse_moments import read_duration
from kinema.serving.json_route import JsonRoute
from kinema.serving.problems import Problem
from kinema.serving.routes import gorse_catalogue, gorse_feedback
from kinema.serving.routes.gorse_parts import MOST, Count, Kinds, Offset, at
from kinema.serving.routes.parts import ItemId, Parts, PathWord, ServiceParts, UserId, written
from kinema.serving.wire import NO_NUL
from kinema.serving.world import Asked, World

router = APIRouter(prefix="/api", tags=["gorse"], route_class=JsonRoute)
_NOT_IN_HISTORIES: Final = tuple(kind for kind in EventKind if kind not in INTERACTION_KINDS)
_MOST_READ: Final = 10_000
Category = Annotated[PathWord, Path(description="only items of this category", json_schema_extra=NO_NUL)]
Categories = Annotated[list[str] | None, Query(alias="category", max_length=100, description="only items of all these")]
WriteBackType = Annotated[
    str, Query(alias="write-back-type", max_length=200, description="log the answer as feedback of this type")
]
WriteBackDelay = Annotated[
    str, Query(alias="write-back-delay", max_length=40, description="moment of that feedback from now, such as 10m")
]
ApiVersion = Annotated[str, Header(alias="X-API-Version", description="2: items with scores, not ids alone")]

Session = Annotated[list[FeedbackForm], Body(max_length=1000)]


@at(router, "GET", "/recommend/{user_id}", summary="Recommend items to a user")
async def gorse_recommend(
    parts: Parts,
    kinds: Kinds,
    user_id: UserId,
    number: Count = 10,
    offset: Offset = 0,
    categories: Categories = None,
    write_back: WriteBackType = "",
    delay: WriteBackDelay = "",
    version: ApiVersion = "1",
) -> list[Scored] | list[str]:
    """Items for a user: their ids, or with ``X-API-Version: 2`` ids and scores."""
    delay_ms = _delay_ms(delay)
    asked = Asked(user_id, min(number + offset, MOST), "home", now_ms())
    its_id, items = await _slate(parts, asked, categories or ())
    items = items[offset:]
    if write_back and items:
        moment_ms, events = now_ms() + delay_ms, []
        for place, one in enumerate(items, start=offset):
            form = FeedbackForm(feedback_type=write_back, user_id=user_id, item_id=one.id)
            events.append(replace(event_of(form, kinds, arrived_ms=moment_ms), slate_id=its_id, position=place))
        await written(parts.engine.write(events))
    return items if version == "2" else [one.id for one in items]


@at(router, "GET", "/recommend/{user_id}/{category}", summary="Recommend items of a category to a user")
async def gorse_recommend_of_category(
    parts: Parts,
    kinds: Kinds,
    user_id: UserId,
    category: Category,
    number: Count = 10,
    offset: Offset = 0,
    write_back: WriteBackType = "",
    delay: WriteBackDelay = "",
    version: ApiVersion = "1",
) -> list[Scored] | list[str]:
    """The same from one category."""
    return await gorse_recommend(parts, kinds, user_id, number, offset, [category], write_back, delay, version)


@at(router, "POST", "/session/recommend", summary="Recommend items to a session")
async def gorse_recommend_to_session(
    parts: Parts, kinds: Kinds, body: Session, number: Count = 10, offset: Offset = 0, categories: Categories = None
) -> list[Scored]:
    """Items for somebody who is not known, by feedback that is not stored."""
    moment = now_ms()
    events = sorted((event_of(one, kinds, arrived_ms=moment) for one in body), key=lambda event: event.timestamp_ms)
    asked = Asked(
        "",
        min(number + offset, MOST),
        "home",
        moment,
        exclude=tuple(event.item for event in events),
        session=tuple((event.item, event.kind, event.timestamp_ms) for event in events),
    )
    _, items = await _slate(parts, asked, categories or ())
    return items[offset:]


@at(router, "POST", "/session/recommend/{category}", summary="Recommend items of a category to a session")
async def gorse_recommend_of_category_to_session(
    parts: Parts, kinds: Kinds, category: Category, body: Session, number: Count = 10, offset: Offset = 0
) -> list[Scored]:
    """The same from one category."""
    return await gorse_recommend_to_session(parts, kinds, body, number, offset, [category])


@at(router, "GET", "/item/{item_id}/neighbors", summary="Items like an item")
async def gorse_item_neighbors(
    parts: Parts, item_id: ItemId, number: Count = 10, offset: Offset = 0, categories: Categories = None
) -> list[Scored]:
    """The nearest items; an unknown item has none."""
    return await parts.run(_item_neighbours, parts.engine, item_id, number, offset, categories or ())


@at(router, "GET", "/item/{item_id}/neighbors/{category}", summary="Items of a category like an item")
async def gorse_item_neighbors_of_category(
    parts: Parts, item_id: ItemId, category: Category, number: Count = 10, offset: Offset = 0
) -> list[Scored]:
    """The same from one category."""
    return await gorse_item_neighbors(parts, item_id, number, offset, [category])


@at(router, "GET", "/user/{user_id}/neighbors", summary="Users like a user")
async def gorse_user_neighbors(parts: Parts, user_id: UserId, number: Count = 10, offset: Offset = 0) -> list[Scored]:
    """Users who have watched the same; an unknown user has none."""
    people = parts.engine.world.people
    found = await parts.run(similar_users, people, user_id, num_users=min(number + offset, MOST))
    return [Scored(id=user, score=score) for user, score in found[offset:]]


@at(router, "GET", "/popular", summary="Popular items")
async def gorse_popular(
    parts: Parts, number: Count = 10, offset: Offset = 0, categories: Categories = None
) -> list[Scored]:
    """Items by recent interactions; those without any are left out."""
    world = parts.engine.world
    return await parts.run(_best, world, world.popularity, number, offset, categories or ())


@at(router, "GET", "/popular/{category}", summary="Popular items of a category")
async def gorse_popular_of_category(
    parts: Parts, category: Category, number: Count = 10, offset: Offset = 0
) -> list[Scored]:
    """The same from one category."""
    return await gorse_popular(parts, number, offset, [category])


@at(router, "GET", "/latest", summary="Latest items")
async def gorse_latest(
    parts: Parts, number: Count = 10, offset: Offset = 0, categories: Categories = None
) -> list[Scored]:
    """Items by their date, scored by its seconds; those without one are left out."""
    world = parts.engine.world
    return await parts.run(_best, world, world.catalogue.published_ms_V / 1000, number, offset, categories or ())


@at(router, "GET", "/latest/{category}", summary="Latest items of a category")
async def gorse_latest_of_category(
    parts: Parts, category: Category, number: Count = 10, offset: Offset = 0
) -> list[Scored]:
    """The same from one category."""
    return await gorse_latest(parts, number, offset, [category])


@at(router, "GET", "/health/live", summary="Whether the process answers")
async def gorse_live(parts: Parts) -> Health:
    """Always, where it answers at all."""
    return Health(ready=parts.engine.keeper.is_ready)


@at(router, "GET", "/health/ready", summary="Whether requests can be answered")
async def gorse_ready(parts: Parts, response: Response) -> Health:
    """200 if they can, else 503."""
    ready = parts.engine.keeper.is_ready
    response.status_code = 200 if ready else 503
    return Health(ready=ready)


async def _slate(parts: ServiceParts, asked: Asked, categories: Sequence[str]) -> tuple[str, list[Scored]]:
    """A logged slate from some categories without what the user has read: its id, and its items."""
    if not asked.num_items:
        return "", []
    exclude = await parts.run(_left_out, parts.engine, asked.user, categories)
    its_id, answered, _, logged = await parts.run(
        parts.engine.recommend, replace(asked, exclude=(*asked.exclude, *exclude))
    )
    await written(logged)
    return its_id, _scored(answered.slate)


def _left_out(engine: Engine, user_id: str, categories: Sequence[str]) -> list[str]:
    """Items of other categories, and those that the user has read although they are in no history."""
    moment = now_ms()
    events = engine.store.event_page(user_id=user_id, kinds=_NOT_IN_HISTORIES, limit=_MOST_READ) if user_id else []
    read = [one.item for _, one in events if one.id.startswith(FEEDBACK_ID) and one.timestamp_ms <= moment]
    return [*read, *_of_others(engine.world, categories)]


def _of_others(world: World, categories: Sequence[str]) -> list[str]:
    wanted, catalogue = set(categories), world.catalogue
    if not wanted:
        return []
    return [its_id for its_id, names in zip(catalogue.ids, catalogue.categories, strict=True) if not wanted <= {*names}]


def _item_neighbours(engine: Engine, item_id: str, number: int, offset: int, categories: Sequence[str]) -> list[Scored]:
    if not number or engine.store.item(item_id) is None:
        return []
    if item_id not in engine.world.catalogue.numbers:
        engine.keeper.wait_for_items()
    exclude = _of_others(engine.world, categories)
    _, slate, _, logged = engine.similar(item_id, num_items=min(number + offset, MOST), modality=None, exclude=exclude)
    logged.result()
    return _scored(slate)[offset:]


def _best(
    world: World, values_V: NDArray[np.floating], number: int, offset: int, categories: Sequence[str]
) -> list[Scored]:
    """Items that may be shown by a value, the highest first; those whose value is not positive are left out."""
    catalogue, wanted = world.catalogue, set(categories)
    shown_V = ~catalogue.hidden_V & (catalogue.published_ms_V <= now_ms()) & (values_V > 0)
    items = np.flatnonzero(shown_V)
    best = items[np.argsort(-values_V[items], kind="stable")].tolist()
    chosen = (one for one in best if wanted <= set(catalogue.categories[one]))
    return [
        Scored(id=catalogue.ids[one], score=float(values_V[one])) for one in islice(chosen, offset, offset + number)
    ]


def _scored(slate: Slate) -> list[Scored]:
    return [Scored(id=one.id, score=one.score) for one in slate.items]


def _delay_ms(text: str) -> int:
    try:
        return read_duration(text)
    except ValueError as error:
        raise Problem(422, f"write-back-delay must be {error}", field="write-back-delay") from error


router.include_router(gorse_catalogue.router)
router.include_router(gorse_feedback.router)
