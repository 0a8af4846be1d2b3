"""``/v1/items``: the catalogue, what is like an item, and who should see it."""

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response

from kinema.schema import Item
from kinema.serving.engine import Engine
from kinema.serving.json_route import JsonRoute
from kinema.serving.problems import not_found
from kinema.serving.routes.parts import Cursor, HowMany, ItemId, Logged, PageSize, Parts
from kinema.serving.routes.slates import JSON, similar_body
from kinema.serving.wire import (
    AudienceMember,
    AudienceOut,
    Deleted,
    ItemIn,
    ItemOut,
    ItemPage,
    Mark,
    NoticeOut,
    SimilarOut,
)

router = APIRouter(prefix="/v1/items", tags=["items"], route_class=JsonRoute)


@router.get("", summary="List items")
async def list_items(parts: Parts, cursor: Cursor = None, limit: PageSize = 100) -> ItemPage:
    """Items in the order in which they came, page by page."""
    rows = await parts.run(parts.engine.store.item_page, after=int(cursor or -1), limit=limit)
    last = str(rows[-1][0]) if len(rows) == limit else None
    return ItemPage(items=[item_out(parts.engine, item) for _, item in rows], next_cursor=last)


@router.get("/{item_id}", summary="Read an item")
async def get_item(parts: Parts, item_id: ItemId) -> ItemOut:
    """One item."""
    return item_out(parts.engine, await parts.run(_known, parts.engine, item_id))


@router.put("/{item_id}", summary="Write an item")
async def put_item(parts: Parts, item_id: ItemId, body: ItemIn) -> ItemOut:
    """Make an item or replace it; answered when it is recommendable. Its clip, if it has one, stays."""
    columns = body.model_dump() | {"attributes": orjson.dumps(body.attributes).decode()}
    await parts.run(parts.engine.put_item, item_id, columns)
    return item_out(parts.engine, await parts.run(_known, parts.engine, item_id))


@router.delete("/{item_id}", summary="Delete an item")
async def delete_item(parts: Parts, item_id: ItemId) -> Deleted:
    """Delete an item: it is in no next answer. Its events stay, without a name."""
    await parts.run(parts.engine.delete_item, item_id)
    return Deleted()


@router.get("/{item_id}/similar", summary="Items like an item", response_model=SimilarOut)
async def get_similar(
    parts: Parts,
    item_id: ItemId,
    num_items: HowMany = 10,
    modality: Annotated[str | None, Query(max_length=64, description="compare this modality alone")] = None,
    user_id: Annotated[Mark, Query(description="who looks: kept with the logged slate")] = "",
) -> Response:
    """The items nearest to an item, by content and behaviour or by one modality."""

    def made() -> Logged:
        its_id, answered, world, logged = parts.engine.similar(
            item_id, num_items=num_items, modality=modality, exclude=(), user=user_id
        )
        return similar_body(item_id, its_id, answered, world), logged

    return Response(await parts.run_logged(made), media_type=JSON)


@router.get("/{item_id}/audience", summary="Users who should see an item")
async def get_audience(parts: Parts, item_id: ItemId, num_users: HowMany = 10) -> AudienceOut:
    """Users who have not seen the item, the most interested first: whom to tell about something new."""
    found, world = await parts.run(parts.engine.audience, item_id, num_users=num_users)
    return AudienceOut(
        item_id=item_id,
        model_version=world.version,
        users=[AudienceMember(user_id=one.user, score=one.score) for one in found.members],
        notice=found.notice or None,
        notices=[NoticeOut.model_validate(one) for one in found.notices],
    )


def item_out(engine: Engine, item: Item) -> ItemOut:
    """An item as the API shows it."""
    world = engine.world
    number = world.catalogue.numbers.get(item.id)
    fields: dict[str, Any] = {
        name: getattr(item, name)
        for name in ("title", "description", "language", "published_at", "duration_ms", "hidden")
    }
    return ItemOut(
        item_id=item.id,
        **fields,
        categories=list(item.categories),
        tags=list(item.tags),
        attributes=item.attributes,
        has_media=item.media_path is not None,
        recommendable=number is not None and not bool(world.catalogue.hidden_V[number]),
        events=None if number is None else world.num_events(number),
    )


def _known(engine: Engine, item_id: str) -> Item:
    item = engine.store.item(item_id)
    if item is None:
        raise not_found("item", item_id, field="item_id")
    return item
