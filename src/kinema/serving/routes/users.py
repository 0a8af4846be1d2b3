"""``/v1/users``: who is recommended to, and their recommendations."""

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Query
from starlette.responses import Response

from kinema.errors import DataError
from kinema.recommend.checks import check_modality
from kinema.schema import User
from kinema.serving.auth import Principal
from kinema.serving.console_wire import HistoryEvent, HistoryOut
from kinema.serving.engine import Engine, now_ms
from kinema.serving.json_route import JsonRoute
from kinema.serving.privacy import mask_fields
from kinema.serving.problems import Problem, not_found
from kinema.serving.profile_wire import ModalityOut, ProfileIn, ProfileOut, TopicOut
from kinema.serving.routes.parts import Cursor, HowMany, Logged, PageSize, Parts, ServiceParts, UserId, Who
from kinema.serving.routes.slates import JSON, recommend_body
from kinema.serving.wire import (
    Deleted,
    Export,
    ExportedEvent,
    ExportedSlate,
    Mark,
    RecommendIn,
    RecommendOut,
    UserIn,
    UserOut,
    UserPage,
)
from kinema.serving.world import Asked

_EVERYTHING: Final = 1_000_000
router = APIRouter(prefix="/v1/users", tags=["users"], route_class=JsonRoute)
guests = APIRouter(prefix="/v1", tags=["users"], route_class=JsonRoute)


@router.get("", summary="List users")
async def list_users(
    parts: Parts,
    who: Who,
    part: Annotated[Mark, Query(alias="q", description="only users whose id, as it is shown, contains this")] = "",
    cursor: Cursor = None,
    limit: PageSize = 100,
) -> UserPage:
    """Users in the order in which they came, page by page."""
    rows = await parts.run(_page, parts, who, part, int(cursor or -1), limit)
    last = str(rows[-1][0]) if len(rows) == limit else None
    users = [UserOut(user_id=user.id, attributes=shown(parts, who, user.attributes)) for _, user in rows]
    return UserPage(users=users, next_cursor=last)


@router.get("/{user_id}", summary="Read a user")
async def get_user(parts: Parts, who: Who, user_id: UserId) -> UserOut:
    """One user; personal fields are masked unless the key has the scope personal."""
    return await _read(parts, who, user_id)


@router.put("/{user_id}", summary="Write a user")
async def put_user(parts: Parts, who: Who, user_id: UserId, body: UserIn) -> UserOut:
    """Make a user or replace their attributes; the next answer knows them."""
    text = orjson.dumps(body.attributes).decode()
    await parts.run(parts.engine.put_user, user_id, text, body.attributes)
    return await _read(parts, who, user_id)


@router.delete("/{user_id}", summary="Erase a user")
async def erase_user(parts: Parts, user_id: UserId) -> Deleted:
    """Erase a person: attributes, events, logged slates. What was learnt from them stays in the model until it is trained again."""
    return Deleted(events=await parts.run(parts.engine.erase_user, user_id))


@router.get("/{user_id}/recommendations", summary="Recommend items to a user", response_model=RecommendOut)
async def get_recommendations(
    parts: Parts,
    user_id: UserId,
    num_items: HowMany = 10,
    scenario: Annotated[str, Query(min_length=1, max_length=64)] = "home",
    explain: Annotated[bool, Query(description="say why each item is here")] = True,
    debug: Annotated[bool, Query(description="show what each stage did")] = False,
) -> Response:
    """Items for a user, by everything they did up to this moment; somebody unknown gets what is popular, and the answer says so."""
    asked = RecommendIn(n=num_items, scenario=scenario, explain=explain, debug=debug)
    return await recommend(parts, user_id, asked)


@router.post(
    "/{user_id}/recommendations", summary="Recommend items to a user, with context", response_model=RecommendOut
)
async def post_recommendations(parts: Parts, user_id: UserId, body: RecommendIn) -> Response:
    """The same with exclusions, context, and what happened in a session that is not stored."""
    return await recommend(parts, user_id, body)


@guests.post("/recommendations", summary="Recommend items to a guest", response_model=RecommendOut)
async def recommend_to_guest(parts: Parts, body: RecommendIn) -> Response:
    """Items for somebody who is not known, by what they did in this session."""
    return await recommend(parts, "", body)


@router.get("/{user_id}/profile", summary="What a user is interested in")
async def get_profile(parts: Parts, user_id: UserId) -> ProfileOut:
    """Topics by what they watched lately, which modality holds it together, and the weights that they have set for both."""
    await parts.run(_known, parts.engine, user_id)
    return await parts.run(_profile, parts.engine, user_id)


@router.put("/{user_id}/profile", summary="Set what a user wants more or less of")
async def put_profile(parts: Parts, user_id: UserId, body: ProfileIn) -> ProfileOut:
    """Set weights of topics, of modalities or of both; every next answer keeps to them."""
    await parts.run(_known, parts.engine, user_id)
    _check_modalities(parts.engine, body.modalities or {})
    await parts.run(parts.engine.weights.put, user_id, topics=body.topics, modalities=body.modalities)
    return await parts.run(_profile, parts.engine, user_id)


@router.get("/{user_id}/history", summary="What a user did, newest first")
async def get_history(
    parts: Parts,
    who: Who,
    user_id: UserId,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,15}-[0-9]{1,6}$", description="where a page ended")] = None,
    limit: Annotated[int, Query(ge=1, le=500, description="rows of a page")] = 50,
) -> HistoryOut:
    """A person's events with the titles of their items; personal fields of the context are masked as those of users are."""
    return await parts.run(_history, parts, who, user_id, cursor, limit)


@router.get("/{user_id}/export", summary="Everything that is kept of a user")
async def export_user(parts: Parts, user_id: UserId) -> Export:
    """Attributes, what they have set, every event and every slate that was shown to them."""
    return await parts.run(_export, parts.engine, user_id)


def _page(parts: ServiceParts, who: Principal, part: str, after: int, limit: int) -> list[tuple[int, User]]:
    """Numbers and users; a part is looked for in what stands for the id to who asks."""
    store = parts.engine.store
    if not part or who.sees_ids:
        return store.user_page(after=after, limit=limit, part=part)
    found = ((number, store.user(its_id)) for number, its_id in parts.names.with_part(part, after=after))
    return list(islice(((number, user) for number, user in found if user is not None), limit))


async def _read(parts: ServiceParts, who: Principal, user_id: str) -> UserOut:
    user = await parts.run(_known, parts.engine, user_id)
    return user.model_copy(update={"attributes": shown(parts, who, user.attributes)})


def shown(parts: ServiceParts, who: Principal, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Attributes as who asks may see them."""
    return mask_fields(attributes, parts.personal, who)


def _profile(engine: Engine, user_id: str) -> ProfileOut:
    found = engine.newest_world().interests(user_id, weights=engine.weights.of(user_id))
    topics = [
        TopicOut(name=one.name, share=one.share, num_events=one.num_events, weight=one.weight) for one in found.topics
    ]
    modalities = [ModalityOut(name=one.name, share=one.share, weight=one.weight) for one in found.modalities]
    return ProfileOut(user_id=user_id, num_events=found.num_events, topics=topics, modalities=modalities)


def _check_modalities(engine: Engine, names: Iterable[str]) -> None:
    """Refuse weights of what no item has: one that is misspelt would do nothing, in silence."""
    for name in names:
        try:
            check_modality(name, engine.world.modalities)
        except DataError as error:
            raise Problem(422, str(error), field=f"modalities.{name[:80]}") from None


def _history(parts: ServiceParts, who: Principal, user_id: str, cursor: str | None, limit: int) -> HistoryOut:
    """A page. The cursor is a moment and how many events of that very moment were on earlier pages."""
    engine = parts.engine
    _known(engine, user_id)
    last_ms, passed = (int(one) for one in (cursor or "0-0").split("-"))
    before_ms = None if cursor is None else last_ms + 1
    found = engine.store.user_events(user_id, limit=limit + passed + 1, before_ms=before_ms)[::-1]
    page = found[passed : passed + limit]
    catalogue = engine.world.catalogue
    events = [
        HistoryEvent(
            item_id=one.item,
            title=catalogue.titles[catalogue.numbers[one.item]] if one.item in catalogue.numbers else "",
            kind=one.kind,
            timestamp_ms=one.timestamp_ms,
            value=one.value,
            watch_ms=one.watch_ms,
            recommendation_id=one.slate_id,
            position=one.position,
            context=shown(parts, who, one.context),
        )
        for one in page
    ]
    more = None
    if len(found) > passed + limit and page:
        end_ms = page[-1].timestamp_ms
        again = passed if cursor is not None and end_ms == last_ms else 0
        more = f"{end_ms}-{again + sum(one.timestamp_ms == end_ms for one in page)}"
    return HistoryOut(user_id=user_id, events=events, next_cursor=more)


def _export(engine: Engine, user_id: str) -> Export:
    user = _known(engine, user_id)
    events = [
        ExportedEvent(
            item_id=one.item,
            kind=one.kind,
            timestamp_ms=one.timestamp_ms,
            event_id=one.id,
            value=one.value,
            watch_ms=one.watch_ms,
            session_id=one.session_id,
            recommendation_id=one.slate_id,
            position=one.position,
            context=one.context,
        )
        for one in engine.store.user_events(user_id, limit=_EVERYTHING)
    ]
    slates = [
        ExportedSlate(
            recommendation_id=one.id,
            timestamp_ms=one.timestamp_ms,
            scenario=one.scenario,
            variant=one.variant,
            model_version=one.model_version,
            items=list(one.items),
            context=one.context,
        )
        for one in engine.store.user_slates(user_id, limit=_EVERYTHING)
    ]
    weights = engine.weights.of(user_id)
    return Export(
        user_id=user_id,
        attributes=user.attributes,
        topics=weights.topics,
        modalities=weights.modalities,
        events=events,
        slates=slates,
    )


async def recommend(parts: ServiceParts, user_id: str, body: RecommendIn) -> Response:
    """A logged slate."""
    moment = now_ms()
    session = [
        (one.item_id, one.kind, moment if one.timestamp_ms is None else one.timestamp_ms) for one in body.session
    ]
    asked = Asked(
        user=user_id,
        num_items=body.n,
        scenario=body.scenario,
        timestamp_ms=moment,
        exclude=tuple(body.exclude),
        session=tuple(session),
        session_id=body.session_id or "",
        context=body.context,
        reasons=body.explain,
    )
    return Response(await recommended(parts, asked, debug=body.debug), media_type=JSON)


async def recommended(parts: ServiceParts, asked: Asked, *, debug: bool) -> bytes:
    """The body of an answer, once its slate is durable. It is made by the thread that answers, so that the event loop stays free."""

    def made() -> Logged:
        its_id, answered, world, logged = parts.engine.recommend(asked)
        how: dict[str, Any] = {"scenario": asked.scenario, "explain": asked.reasons, "debug": debug}
        return recommend_body(its_id, answered, world, **how), logged

    return await parts.run_logged(made)


def _known(engine: Engine, user_id: str) -> UserOut:
    user = engine.store.user(user_id)
    if user is None:
        raise not_found("user", user_id, field="user_id")
    return UserOut(user_id=user.id, attributes=user.attributes)
