"""``/v1/items/{id}/media``, ``/poster`` and ``/strip``: the clip of an item as browsers show it."""

from typing import Any, Final

from fastapi import APIRouter, Request, Response

from kinema.encoders.view_worker import View
from kinema.errors import DataError
from kinema.serving.engine import Engine
from kinema.serving.files import file_answer
from kinema.serving.gallery import Seen, ViewDesk
from kinema.serving.problems import Problem, not_found
from kinema.serving.routes.parts import ItemId, Parts, ServiceParts

WEBP: Final = "image/webp"
_BINARY: Final[dict[str, Any]] = {"schema": {"type": "string", "format": "binary"}}
_CLIP: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The clip", "content": {"video/mp4": _BINARY, "video/webm": _BINARY}},
    206: {"description": "The part that was asked for by Range"},
    304: {"description": "The one that the browser has"},
}
PICTURE: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The picture", "content": {WEBP: _BINARY}},
    304: {"description": "The one that the browser has"},
}
router = APIRouter(prefix="/v1/items/{item_id}", tags=["views"], default_response_class=Response)


@router.get("/media", summary="Play an item's clip", responses=_CLIP)
async def get_media(parts: Parts, request: Request, item_id: ItemId) -> Response:
    """The clip, whole or by ranges. What browsers cannot play is converted once, at the first request."""
    seen = await view_of(parts, "media", item_id)
    return file_answer(request, seen.files[0], media_type=seen.facts["media_type"])


@router.head("/media", summary="Whether an item's clip can be played", responses=_CLIP)
async def head_media(parts: Parts, request: Request, item_id: ItemId) -> Response:
    """The same without the clip; converts it where that is needed, so that playing begins at once."""
    return await get_media(parts, request, item_id)


@router.get("/poster", summary="The poster of an item's clip", responses=PICTURE)
async def get_poster(parts: Parts, request: Request, item_id: ItemId) -> Response:
    """One picture that stands for the clip."""
    seen = await view_of(parts, "pictures", item_id)
    return file_answer(request, seen.files[0], media_type=WEBP)


@router.get("/strip", summary="The preview strip of an item's clip", responses=PICTURE)
async def get_strip(parts: Parts, request: Request, item_id: ItemId) -> Response:
    """Pictures of the clip side by side, oldest on the left."""
    seen = await view_of(parts, "pictures", item_id)
    return file_answer(request, seen.files[1], media_type=WEBP)


async def view_of(parts: ServiceParts, view: View, item_id: str) -> Seen:
    """A view of an item's clip.

    Raises:
        Problem: 404, the item is unknown, or there is nothing to be seen of it; 503, it is being made.
    """
    if parts.views is None:
        raise Problem(503, "this service shows no clips: it was started without a media folder")
    media_path, found = await parts.run(_find, parts.engine, parts.views, view, item_id)
    seen = found or await parts.views.made(view, media_path)
    if seen.reason:
        raise Problem(404, f"item '{item_id[:80]}' has nothing to show: {seen.reason}", field="item_id")
    return seen


def _find(engine: Engine, views: ViewDesk, view: View, item_id: str) -> tuple[str, Seen | None]:
    item = engine.store.item(item_id)
    if item is None:
        raise not_found("item", item_id, field="item_id")
    if item.media_path is None:
        raise Problem(404, f"item '{item_id[:80]}' has no clip; upload one by POST", field="item_id")
    try:
        return item.media_path, views.gallery.find(view, item.media_path)
    except DataError as error:
        return item.media_path, Seen(reason=str(error))
