"""``/v1/search``: items by words, by a picture or by a clip, personalised if wanted."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from pydantic import ValidationError

from kinema.serving.bounds import parse_json
from kinema.serving.json_route import JSON, media_type
from kinema.serving.likeness import received
from kinema.serving.problems import Problem, invalid_field
from kinema.serving.receiving import FORM, read_body
from kinema.serving.routes.parts import HowMany, Parts, ServiceParts, written
from kinema.serving.veil import veil_of
from kinema.serving.wire import Length, Mark, Moment, NoticeOut, SearchHit, SearchIn, SearchOut, Word

router = APIRouter(prefix="/v1/search", tags=["search"])
_FILE: Final = {"type": "string", "format": "binary"}
_BODY: Final = {
    "required": True,
    "content": {
        JSON: {"schema": {"$ref": "#/components/schemas/SearchIn"}},
        FORM: {
            "schema": {
                "type": "object",
                "properties": {
                    "image": _FILE | {"description": "a picture: clips that look like it"},
                    "clip": _FILE | {"description": "a clip: others that look, move and sound like it"},
                    "q": {"type": "string", "maxLength": 1000},
                    "user_id": {"type": "string", "maxLength": 256},
                    "user_weight": {"type": "number", "minimum": 0, "maximum": 1},
                    "n": {"type": "integer", "minimum": 1, "maximum": 1000},
                    "category": {"type": "array", "items": {"type": "string"}, "maxItems": 100},
                    "language": {"type": "array", "items": {"type": "string"}, "maxItems": 100},
                    "min_duration_ms": {"type": "integer", "minimum": 0},
                    "max_duration_ms": {"type": "integer", "minimum": 0},
                    "published_since": {"type": "integer", "minimum": 0},
                    "hide_seen": {"type": "boolean"},
                },
            }
        },
        "application/octet-stream": {
            "schema": _FILE | {"description": "a picture or a clip; image/* and video/* are taken, too"}
        },
    },
}


async def _options(
    num_items: HowMany = 10,
    user_id: Annotated[Mark | None, Query(description="whose taste counts a little")] = None,
    user_weight: Annotated[float | None, Query(ge=0, le=1, allow_inf_nan=False)] = None,
    category: Annotated[list[Word] | None, Query(max_length=100, description="only items of these")] = None,
    language: Annotated[list[Word] | None, Query(max_length=100, description="only items in these")] = None,
    min_duration_ms: Annotated[Length | None, Query(description="only items that last at least so long")] = None,
    max_duration_ms: Annotated[Length | None, Query(description="only items that last at most so long")] = None,
    published_since: Annotated[Moment | None, Query()] = None,
    hide_seen: Annotated[bool, Query()] = False,
) -> dict[str, Any]:
    return {
        "n": num_items,
        "user_id": user_id or None,
        "user_weight": user_weight,
        "categories": category or [],
        "languages": language or [],
        "min_duration_ms": min_duration_ms,
        "max_duration_ms": max_duration_ms,
        "published_since": published_since,
        "hide_seen": hide_seen,
    }


Options = Annotated[dict[str, Any], Depends(_options)]


@router.get("", summary="Search by words")
async def get_search(
    parts: Parts, q: Annotated[str, Query(max_length=1000, description="words to look for")], options: Options
) -> SearchOut:
    """Items that answer the words, by their texts, what is said and what is seen; with a user, a little by their taste."""
    return await find(parts, asked_of({"q": q, **options}))


@router.post("", summary="Search by words, a picture or a clip", openapi_extra={"requestBody": _BODY})
async def post_search(
    parts: Parts,
    request: Request,
    options: Options,
    q: Annotated[str, Query(max_length=1000, description="words that narrow it down")] = "",
) -> SearchOut:
    """Items that answer words, or clips that are like a picture or a clip; words beside it narrow that down.

    The question is JSON, or a form with the file as ``image`` or ``clip`` and the rest as fields, or the file itself as ``image/*`` or
    ``video/*`` with the rest in the query. The file is read, compared and thrown away; it does not enter the catalogue.
    """
    kind = media_type(request)
    if kind == JSON:
        return await find(parts, asked_of(parse_json(await read_body(request, most=parts.max_body_bytes))))
    with parts.file_searches.entered():
        limits = {"max_image_bytes": parts.max_image_bytes, "max_clip_bytes": parts.max_upload_bytes}
        async with received(request, **limits) as given:
            fields = given.fields if kind == FORM else {"q": q, **options}
            veil = veil_of(request.scope)
            if veil is not None and kind == FORM and fields.get("user_id"):
                fields = {**fields, "user_id": await parts.run(veil.meant, fields["user_id"])}
            return await find(parts, asked_of({"q": "", **fields}), given.files)


def asked_of(fields: Any) -> SearchIn:
    """A question, checked.

    Raises:
        Problem: 422.
    """
    try:
        return SearchIn.model_validate(fields)
    except ValidationError as error:
        field, message = invalid_field(error.errors(include_url=False)[0])
        raise Problem(422, message, field=field) from None


async def find(parts: ServiceParts, asked: SearchIn, files: Mapping[str, Path] | None = None) -> SearchOut:
    """A logged answer."""
    run = parts.run_long if files else parts.run
    its_id, found, world, logged = await run(
        parts.engine.search,
        asked.q,
        user=asked.user_id or "",
        user_weight=asked.user_weight,
        num_items=asked.n,
        categories=asked.categories,
        languages=asked.languages,
        min_duration_ms=asked.min_duration_ms,
        max_duration_ms=asked.max_duration_ms,
        published_since=asked.published_since,
        hide_seen=asked.hide_seen,
        **(files or {}),
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
        notices=[NoticeOut.model_validate(one) for one in found.notices],
    )
