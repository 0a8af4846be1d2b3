"""``/api/user`` and ``/api/item``: gorse's users and items are ours."""

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import APIRouter, Path, Query

from kinema.schema import Item, User
from kinema.serving.auth import Principal
from kinema.serving.engine import Engine
from kinema.serving.gorse_forms import (
    ItemAnswer,
    ItemChange,
    ItemForm,
    ItemPageAnswer,
    Success,
    UserAnswer,
    UserChange,
    UserForm,
    UserPageAnswer,
)
from kinema.serving.gorse_mapping import changed_attributes, item_answer, item_row, user_answer
from kinema.serving.json_route import JsonRoute
from kinema.serving.privacy import mask_fields
from kinema.serving.problems import Problem, not_found
from kinema.serving.routes.gorse_parts import BATCHES, After, Count, at
from kinema.serving.routes.parts import ItemId, Parts, PathWord, ServiceParts, UserId, Who, written
from kinema.serving.wire import NO_NUL

router = APIRouter(route_class=JsonRoute)
T = TypeVar("T")
Category = Annotated[PathWord, Path(description="category", json_schema_extra=NO_NUL)]


@at(router, "POST", "/user", summary="Insert a user")
async def gorse_insert_user(parts: Parts, body: UserForm) -> Success:
    """Make a user or replace them."""
    return await _insert_users(parts, [body])


@at(router, "POST", "/users", summary="Insert users")
async def gorse_insert_users(parts: Parts, body: list[UserForm]) -> Success:
    """Make or replace several users."""
    return await _insert_users(parts, body)


@at(router, "GET", "/users", summary="List users")
async def gorse_list_users(parts: Parts, who: Who, number: Count = 10, after: After = -1) -> UserPageAnswer:
    """Users page by page."""
    rows = await parts.run(parts.engine.store.user_page, after=after, limit=number) if number else []
    return UserPageAnswer(cursor=_cursor(rows, number), users=[_shown(parts, who, user) for _, user in rows])


@at(router, "GET", "/user/{user_id}", summary="Read a user")
async def gorse_get_user(parts: Parts, who: Who, user_id: UserId) -> UserAnswer:
    """One user; personal fields are masked unless the key has the scope personal."""
    return _shown(parts, who, await parts.run(_user, parts.engine, user_id))


@at(router, "PATCH", "/user/{user_id}", summary="Change a user")
async def gorse_change_user(parts: Parts, user_id: UserId, body: UserChange) -> Success:
    """Change what is given, keep the rest."""
    user = await parts.run(_user, parts.engine, user_id)
    await _put_users(parts, {user_id: changed_attributes(user.attributes, body)})
    return Success(row_affected=1)


@at(router, "DELETE", "/user/{user_id}", summary="Delete a user")
async def gorse_delete_user(parts: Parts, user_id: UserId) -> Success:
    """Erase a user with all feedback; one who is unknown is no error."""
    if await parts.run(parts.engine.store.user_number, user_id) is None:
        return Success(row_affected=0)
    await parts.run(parts.engine.erase_user, user_id)
    return Success(row_affected=1)


@at(router, "POST", "/item", summary="Insert an item")
async def gorse_insert_item(parts: Parts, body: ItemForm) -> Success:
    """Make an item or replace it. It is durable at once, and recommendable within seconds."""
    return await _insert_items(parts, [body])


@at(router, "POST", "/items", summary="Insert items")
async def gorse_insert_items(parts: Parts, body: list[ItemForm]) -> Success:
    """Make or replace several items."""
    return await _insert_items(parts, body)


@at(router, "GET", "/items", summary="List or search items")
async def gorse_list_items(
    parts: Parts,
    number: Count = 10,
    after: After = -1,
    q: Annotated[str, Query(max_length=1000, description="words to look for; empty lists all")] = "",
) -> ItemPageAnswer:
    """Items page by page, or those that answer some words."""
    if q.strip() and number:
        _, found, _, logged = await parts.run(parts.engine.search, q, user="", num_items=number)
        await written(logged)
        items = await parts.run(_items, parts.engine, [one.id for one in found.items])
        return ItemPageAnswer(cursor="", items=[item_answer(one) for one in items])
    rows = await parts.run(parts.engine.store.item_page, after=after, limit=number) if number else []
    return ItemPageAnswer(cursor=_cursor(rows, number), items=[item_answer(item) for _, item in rows])


@at(router, "GET", "/item/{item_id}", summary="Read an item")
async def gorse_get_item(parts: Parts, item_id: ItemId) -> ItemAnswer:
    """One item."""
    return item_answer(await parts.run(_item, parts.engine, item_id))


@at(router, "PATCH", "/item/{item_id}", summary="Change an item")
async def gorse_change_item(parts: Parts, item_id: ItemId, body: ItemChange) -> Success:
    """Change what is given, keep the rest."""
    item = await parts.run(_item, parts.engine, item_id)
    return await _write_items(parts, [item_row(body, item)])


@at(router, "DELETE", "/item/{item_id}", summary="Delete an item")
async def gorse_delete_item(parts: Parts, item_id: ItemId) -> Success:
    """Delete an item; one that is unknown is no error."""
    if await parts.run(parts.engine.store.item_number, item_id) is None:
        return Success(row_affected=0)
    await parts.run(parts.engine.delete_item, item_id)
    return Success(row_affected=1)


@at(router, "PUT", "/item/{item_id}/category/{category}", summary="Add a category")
async def gorse_add_category(parts: Parts, item_id: ItemId, category: Category) -> Success:
    """Add a category to an item."""
    item = await parts.run(_item, parts.engine, item_id)
    categories = list(dict.fromkeys((*item.categories, category)))
    return await _write_items(parts, [item_row(ItemChange(categories=categories), item)])


@at(router, "DELETE", "/item/{item_id}/category/{category}", summary="Take a category away")
async def gorse_remove_category(parts: Parts, item_id: ItemId, category: Category) -> Success:
    """Take a category from an item."""
    item = await parts.run(_item, parts.engine, item_id)
    categories = [one for one in item.categories if one != category]
    return await _write_items(parts, [item_row(ItemChange(categories=categories), item)])


def _shown(parts: ServiceParts, who: Principal, user: User) -> UserAnswer:
    return user_answer(User(user.id, mask_fields(user.attributes, parts.personal, who)))


def _user(engine: Engine, user_id: str) -> User:
    user = engine.store.user(user_id)
    if user is None:
        raise not_found("user", user_id, field="UserId")
    return user


def _item(engine: Engine, item_id: str) -> Item:
    item = engine.store.item(item_id)
    if item is None:
        raise not_found("item", item_id, field="ItemId")
    return item


def _items(engine: Engine, ids: Sequence[str]) -> list[Item]:
    return [item for item in map(engine.store.item, ids) if item is not None]


async def _insert_users(parts: ServiceParts, body: Sequence[UserForm]) -> Success:
    _check_batch(parts, body, "users")
    await _put_users(parts, {one.user_id: changed_attributes({}, one) for one in body})
    return Success(row_affected=len(body))


async def _put_users(parts: ServiceParts, users: dict[str, dict[str, Any]]) -> None:
    if users:
        rows = [(its_id, orjson.dumps(attributes).decode(), attributes) for its_id, attributes in users.items()]
        await parts.run(parts.engine.put_users, rows)


async def _insert_items(parts: ServiceParts, body: Sequence[ItemForm]) -> Success:
    _check_batch(parts, body, "items")
    await parts.run(_replace_items, parts.engine, {one.item_id: one for one in body})
    return Success(row_affected=len(body))


def _replace_items(engine: Engine, given: dict[str, ItemForm]) -> None:
    """Write items anew; of what was there only the texts that gorse does not know of stay."""
    rows = []
    for item_id, one in given.items():
        known = engine.store.item(item_id)
        base = Item(item_id) if known is None else Item(item_id, title=known.title, description=known.description)
        rows.append(item_row(one.model_copy(update={"comment": one.comment or ""}), base))
    if rows:
        engine.write_items([_as_columns(row) for row in rows])


async def _write_items(parts: ServiceParts, rows: Sequence[dict[str, Any]]) -> Success:
    await parts.run(parts.engine.write_items, [_as_columns(row) for row in rows])
    return Success(row_affected=len(rows))


def _as_columns(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"attributes": orjson.dumps(row["attributes"]).decode()}


def _check_batch(parts: ServiceParts, body: Sequence[object], what: str) -> None:
    most = BATCHES * parts.max_batch
    if len(body) > most:
        raise Problem(413, f"{what} must be at most {most:,} in a request, are {len(body):,}")


def _cursor(rows: Sequence[tuple[int, T]], number: int) -> str:
    return str(rows[-1][0]) if rows and len(rows) == number else ""
