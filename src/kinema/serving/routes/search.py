"""``/v1/search``: items by words, personalised if wanted."""

from typing import Annotated

from fastapi import APIRouter, Query

from kinema.serving.json_route import JsonRoute
from kinema.serving.routes.parts import HowMany, Parts, ServiceParts, written
from kinema.serving.wire import Mark, Moment, SearchHit, SearchIn, SearchOut, Word

router = APIRouter(prefix="/v1/search", tags=["search"], route_class=JsonRoute)


@router.get("", summary="Search by words")
async def get_search(
    parts: Parts,
    q: Annotated[str, Query(max_length=1000, description="words to look for")],
    num_items: HowMany = 10,
    user_id: Annotated[Mark | None, Query(description="whose taste counts a little")] = None,
    user_weight: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)] = None,
    category: Annotated[list[Word] | None, Query(max_length=100, description="only items of these")] = None,
    published_since: Annotated[Moment | None, Query()] = None,
    hide_seen: Annotated[bool, Query()] = False,
) -> SearchOut:
    """Items that answer the words, by their texts, what is said and what is seen; with a user, a little by their taste."""
    asked = SearchIn(
        q=q,
        n=num_items,
        user_id=user_id or None,
        user_weight=user_weight,
        categories=category or [],
        published_since=published_since,
        hide_seen=hide_seen,
    )
    return await find(parts, asked)


@router.post("", summary="Search by words, in a body")
async def post_search(parts: Parts, body: SearchIn) -> SearchOut:
    """The same, for longer questions."""
    return await find(parts, body)


async def find(parts: ServiceParts, asked: SearchIn) -> SearchOut:
    """A logged answer."""
    its_id, found, world, logged = await parts.run(
        parts.engine.search,
        asked.q,
        user=asked.user_id or "",
        user_weight=asked.user_weight,
        num_items=asked.n,
        categories=asked.categories,
        published_since=asked.published_since,
        hide_seen=asked.hide_seen,
    )
    await written(logged)
    return SearchOut(
        recommendation_id=its_id,
        query=asked.q,
        model_version=world.version,
        items=[
            SearchHit(
                item_id=one.id,
                title=one.title,
                position=one.position,
                score=one.score,
                parts=one.parts,
                reason=one.why,
                evidence=one.evidence,
            )
            for one in found.items
        ],
        user_weight=found.user_weight,
        notice=found.notice or None,
    )
