"""``/v1/catalogue``, placements and rejects: what there is, what was set aside, and what is decided of single items."""

import re
from collections import Counter
from typing import Annotated, Final

from fastapi import APIRouter, Query
from pydantic import AfterValidator

from kinema.recommend.catalogue import UNKNOWN_DATE
from kinema.recommend.listing import Sort, State, Wanted
from kinema.recommend.placing import Placement
from kinema.recommend.scenario import Condition
from kinema.schema import Reject
from kinema.serving.auth import Principal
from kinema.serving.console_wire import (
    CatalogueCounts,
    CataloguePage,
    CatalogueRow,
    PlacementIn,
    PlacementOut,
    RejectOut,
    RejectsOut,
)
from kinema.serving.engine import Engine, now_ms
from kinema.serving.json_route import JsonRoute
from kinema.serving.privacy import MASK
from kinema.serving.problems import not_found
from kinema.serving.routes.parts import ItemId, Parts, Who
from kinema.serving.wire import NO_NUL, Moment, Word, storable
from kinema.serving.world import World

_MOST_WORDS: Final = 10
_OF_PEOPLE: Final = ("user", "event")
"""Kinds of rejects whose rows tell of people."""
_QUOTED: Final = re.compile(r"'[^']*'")
Words = Annotated[
    str, Query(max_length=200, description="words to look for", json_schema_extra=NO_NUL), AfterValidator(storable)
]
Length = Annotated[int | None, Query(ge=0, le=1 << 40)]
Offset = Annotated[int, Query(ge=0, le=100_000_000, description="rows that are passed over")]
Few = Annotated[int, Query(ge=1, le=500, description="rows of a page")]
router = APIRouter(prefix="/v1", tags=["catalogue"], route_class=JsonRoute)


@router.get("/catalogue", summary="Search and page through the catalogue")
async def get_catalogue(  # the columns of a table
    parts: Parts,
    words: Annotated[Words, Query(alias="q")] = "",
    category: Annotated[list[Word] | None, Query(max_length=100, description="one of these")] = None,
    language: Annotated[list[Word] | None, Query(max_length=100, description="one of these")] = None,
    min_duration_ms: Length = None,
    max_duration_ms: Length = None,
    published_since: Annotated[Moment | None, Query()] = None,
    state: Annotated[list[State] | None, Query(max_length=8, description="all of these")] = None,
    sort: Sort = "added",
    descending: bool = False,  # of the query
    offset: Offset = 0,
    limit: Few = 50,
) -> CataloguePage:
    """A page of the items that fit, and how many there are in all. Every word must be in id, title, categories or tags."""
    wanted = Wanted(
        words=tuple(words.split()[:_MOST_WORDS]),
        only=Condition(
            categories=tuple(category or ()),
            languages=tuple(language or ()),
            min_duration_ms=min_duration_ms,
            max_duration_ms=max_duration_ms,
            published_since_ms=published_since,
        ),
        states=tuple(state or ()),
        sort=sort,
        descending=descending,
        offset=offset,
        limit=limit,
    )
    return await parts.run(_page, parts.engine, wanted)


@router.get("/catalogue/counts", summary="What the catalogue can be filtered by")
async def get_catalogue_counts(parts: Parts) -> CatalogueCounts:
    """Categories, languages and states with their numbers of items."""
    return await parts.run(_counts, parts.engine)


@router.get("/items/{item_id}/placement", summary="What is decided of an item")
async def get_placement(parts: Parts, item_id: ItemId) -> PlacementOut:
    """Whether it is hidden, boosted or pinned."""
    if await parts.run(parts.engine.store.item, item_id) is None:
        raise not_found("item", item_id, field="item_id")
    return placement_out(item_id, parts.engine.item_placements.of(item_id))


@router.put("/items/{item_id}/placement", summary="Hide, boost or pin an item")
async def put_placement(parts: Parts, item_id: ItemId, body: PlacementIn) -> PlacementOut:
    """Decide where an item stands, in every scenario from the next request on; an empty body leaves it to itself again."""
    asked = Placement(body.hidden, body.boost, body.position)
    return placement_out(item_id, await parts.run(parts.engine.place_item, item_id, asked))


@router.get("/rejects", summary="What was set aside, and why")
async def get_rejects(
    parts: Parts,
    who: Who,
    words: Annotated[Words, Query(alias="q")] = "",
    kind: Annotated[Word | None, Query(description="item, user, event, clip or transcript")] = None,
    offset: Offset = 0,
    limit: Few = 50,
) -> RejectsOut:
    """Rows and clips that could not be taken in; rows that tell of people are masked unless the key has the scope personal."""
    found = await parts.run(parts.engine.store.rejects)
    shown = [_reject(one, who) for one in found if kind in (None, one.kind)]
    wanted = words.casefold().split()
    fitting = [one for one in shown if all(word in f"{one.file} {one.reason}".casefold() for word in wanted)]
    kinds = Counter(one.kind for one in found)
    return RejectsOut(total=len(fitting), offset=offset, kinds=kinds, rejects=fitting[offset : offset + limit])


def placement_out(item_id: str, placement: Placement) -> PlacementOut:
    """A decision as the API shows it."""
    return PlacementOut(
        item_id=item_id,
        hidden=placement.hidden,
        boost=placement.boost,
        position=placement.position,
        updated_ms=None if placement.is_empty else placement.updated_ms,
    )


def _page(engine: Engine, wanted: Wanted) -> CataloguePage:
    world, moment = engine.world, now_ms()
    found = world.listed(wanted, now_ms=moment)
    there = zip(found.numbers_N.tolist(), found.has_media_N.tolist(), strict=True)
    rows = [_row(engine, world, number, moment, has_media=has_media) for number, has_media in there]
    return CataloguePage(total=found.total, offset=wanted.offset, items=rows)


def _row(engine: Engine, world: World, number: int, moment: int, *, has_media: bool) -> CatalogueRow:
    """Of the world, not of the store: a page is asked for with every key that is pressed."""
    catalogue, facets = world.catalogue, world.catalogue.facets
    item_id, hidden = catalogue.ids[number], bool(catalogue.hidden_V[number])
    placement = engine.item_placements.of(item_id)
    published_ms = int(catalogue.published_ms_V[number])
    duration_ms = 0 if facets.durations_ms_V is None else int(facets.durations_ms_V[number])
    return CatalogueRow(
        item_id=item_id,
        title=catalogue.titles[number],
        categories=list(catalogue.categories[number]),
        tags=list(facets.tags[number]) if facets.tags else [],
        language=facets.languages[number] if facets.languages else "",
        published_at=None if published_ms == UNKNOWN_DATE else published_ms,
        duration_ms=duration_ms or None,
        has_media=has_media,
        hidden=hidden,
        recommendable=not hidden and published_ms <= moment,
        events=world.num_events(number),
        popularity=round(float(world.popularity[number]), 3),
        placement=None if placement.is_empty else placement_out(item_id, placement),
    )


def _counts(engine: Engine) -> CatalogueCounts:
    world, moment = engine.world, now_ms()
    categories, languages, states = world.listed_counts(now_ms=moment)
    total = world.listed(Wanted(limit=0), now_ms=moment).total
    return CatalogueCounts(total=total, categories=categories, languages=languages, states=states)


def _reject(reject: Reject, who: Principal) -> RejectOut:
    """A reject as who asks may see it: what is quoted in a reason are ids and values."""
    masked = reject.kind in _OF_PEOPLE and not who.sees_personal
    return RejectOut(
        kind=reject.kind,
        file=reject.file,
        row=reject.row,
        reason=_QUOTED.sub(f"'{MASK}'", reject.reason) if masked else reject.reason,
        raw=MASK if masked else reject.raw,
    )
