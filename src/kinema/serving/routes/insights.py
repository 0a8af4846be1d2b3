"""``/v1/items/{id}/insight``, ``/frames`` and ``/motion``: what the recommender knows of an item, and what it sees in its clip."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Path, Query, Request, Response

from kinema.schema import EventKind
from kinema.serving.console_wire import (
    DayOut,
    FrameOut,
    FramesOut,
    InsightOut,
    ItemName,
    LenderOut,
    MotionField,
    MotionOut,
)
from kinema.serving.engine import Engine, now_ms
from kinema.serving.files import file_answer
from kinema.serving.json_route import JsonRoute
from kinema.serving.problems import Problem
from kinema.serving.routes.parts import ItemId, Parts
from kinema.serving.routes.views import PICTURE, WEBP, view_of
from kinema.store.features import MomentShares

_DAY_MS: Final = 86_400_000
_NEAR_MS: Final = 100
"""A moment of the model and a picture that are further apart are not of the same frame."""
router = APIRouter(prefix="/v1/items/{item_id}", tags=["insight"], route_class=JsonRoute)


@router.get("/insight", summary="What the recommender knows of an item")
async def get_insight(
    parts: Parts,
    item_id: ItemId,
    days: Annotated[int, Query(ge=1, le=3660, description="how many days back events are counted")] = 365,
) -> InsightOut:
    """Cold or warm, what of its vector is borrowed and from whom, copies of its clip, modalities, events day by day."""
    return await parts.run(_insight, parts.engine, item_id, days)


@router.get("/frames", summary="The frames that are seen of an item's clip")
async def get_frames(parts: Parts, item_id: ItemId) -> FramesOut:
    """The sampled moments of the clip, with the attention that each has."""
    seen = await view_of(parts, "frames", item_id)
    await parts.run(parts.engine.known_item, item_id)
    shares = await parts.run_long(parts.engine.world.attention, item_id)
    times_ms = [int(one) for one in seen.facts["times_ms"]]
    weights = _weights(times_ms, shares)
    place = f"/v1/items/{quote(item_id, safe='')}/frames/"
    frames = [
        FrameOut(number=number, time_ms=time_ms, weight=weight, url=f"{place}{number}")
        for number, (time_ms, weight) in enumerate(zip(times_ms, weights, strict=True))
    ]
    known = shares is not None and any(one is not None for one in weights)
    attention: Any = "none" if shares is None or not known else "learnt" if shares.learnt else "mean"
    return FramesOut(item_id=item_id, duration_ms=seen.facts["duration_ms"], attention=attention, frames=frames)


@router.get("/frames/{number}", summary="One frame of an item's clip", responses=PICTURE, response_class=Response)
async def get_frame(
    parts: Parts, request: Request, item_id: ItemId, number: Annotated[int, Path(ge=0, lt=1000)]
) -> Response:
    """The picture of a moment that ``/frames`` names."""
    seen = await view_of(parts, "frames", item_id)
    if number >= len(seen.files):
        raise Problem(404, f"item '{item_id[:80]}' has {len(seen.files)} frames, there is no {number}", field="number")
    return file_answer(request, seen.files[number], media_type=WEBP)


@router.get("/motion", summary="How things move in an item's clip")
async def get_motion(parts: Parts, item_id: ItemId) -> MotionOut:
    """Fields of optical flow at moments spread over the clip, on a grid of cells."""
    seen = await view_of(parts, "motion", item_id)
    fields = [MotionField(**one) for one in seen.facts["fields"]]
    return MotionOut(item_id=item_id, duration_ms=seen.facts["duration_ms"], fields=fields)


def _weights(times_ms: list[int], shares: MomentShares | None) -> list[float | None]:
    """The share of the moment nearest to each picture; None where there is none near it."""
    if shares is None:
        return [None] * len(times_ms)
    found: list[float | None] = []
    for time_ms in times_ms:
        distance_T = np.abs(shares.times_ms_T - time_ms)
        nearest = int(distance_T.argmin())
        found.append(float(shares.shares_T[nearest]) if distance_T[nearest] <= _NEAR_MS else None)
    return found


def _insight(engine: Engine, item_id: str, days: int) -> InsightOut:
    engine.known_item(item_id)
    world = engine.world
    found = world.insight(item_id)
    since_ms = (now_ms() // _DAY_MS - days + 1) * _DAY_MS
    counts: dict[int, dict[EventKind, int]] = {}
    for day, kind, count in engine.store.item_activity(item_id, since_ms=since_ms).iter_rows():
        counts.setdefault(day, {})[EventKind(kind)] = count
    numbers, titles = world.catalogue.numbers, world.catalogue.titles
    return InsightOut(
        item_id=item_id,
        model_version=world.version,
        cold=found.cold,
        events=found.num_events,
        popularity=round(found.popularity, 3),
        imputed_weight=found.imputed_weight,
        borrowed_from=[LenderOut(item_id=one.id, title=one.title, weight=one.weight) for one in found.neighbours],
        near_duplicates=[ItemName(item_id=one, title=titles[numbers[one]]) for one in found.copies],
        modalities=found.modalities,
        days=[DayOut(day=_date(day), counts=kinds) for day, kinds in sorted(counts.items())],
    )


def _date(day: int) -> str:
    return datetime.fromtimestamp(day * 86_400, UTC).date().isoformat()
