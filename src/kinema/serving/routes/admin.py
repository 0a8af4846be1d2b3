"""Models and keys: for those who run the service."""

import time
from collections.abc import Callable
from typing import Annotated, TypeVar

from fastapi import APIRouter, Path, Request
from pydantic import BeforeValidator

from kinema.errors import DataError, NotBuiltError
from kinema.serving.admin_wire import (
    KeyIn,
    KeyMadeOut,
    KeyOut,
    KeysOut,
    ModelOut,
    ModelsOut,
    RollbackIn,
    RollbackOut,
)
from kinema.serving.administration import Administration, RolledBack
from kinema.serving.json_route import JsonRoute
from kinema.serving.keys import Key, create_key, list_keys, revoke_key
from kinema.serving.model_wire import MapOut, MapPointOut, ModelCurveOut, ModelReportOut
from kinema.serving.problems import NOT_BUILT, Problem, not_found
from kinema.serving.routes.parts import Parts
from kinema.serving.segments import read_segment
from kinema.serving.wire import Id, Mark, NoticeOut
from kinema.serving.world import World

router = APIRouter(prefix="/v1", tags=["administration"], route_class=JsonRoute)
T = TypeVar("T")
VersionId = Annotated[
    Id, BeforeValidator(read_segment), Path(description="id of a version, or a beginning or an end of it")
]
KeyId = Annotated[Mark, BeforeValidator(read_segment), Path(description="the public part of a key")]


@router.get("/models", summary="Versions of the model")
async def list_models(parts: Parts, request: Request) -> ModelsOut:
    """The versions that are kept, which one is published, and which one this process answers with."""
    found = await parts.run(_of(request).models)
    return ModelsOut(
        answering=parts.engine.world.version,
        trouble=parts.engine.keeper.trouble or None,
        models=[ModelOut.model_validate(one) for one in found],
    )


@router.post("/models/rollback", summary="Answer with another version")
async def roll_back_model(parts: Parts, request: Request, body: RollbackIn) -> RollbackOut:
    """Publish a kept version again, by default the one before; no request is dropped. Answered when this process has taken it up."""
    done = await parts.run_long(_roll_back, _of(request), body.version or None)
    keeper = parts.engine.keeper
    taken_up = done.answers and await parts.run_long(
        keeper.wait_until, lambda world: bool(world.version == done.version)
    )
    notices = [NoticeOut.model_validate(one) for one in done.notices]
    return RollbackOut(version=done.version, before=done.before, answering=taken_up, notices=notices)


@router.get("/models/map", summary="A map of the catalogue")
async def get_model_map(parts: Parts, request: Request) -> MapOut:
    """The catalogue in two dimensions as the answering model sees it. The first question begins it; it is kept with the version."""
    return await parts.run(_map, parts.engine.world, _of(request))


@router.get("/models/{version}/report", summary="How good a version is")
async def get_model_report(parts: Parts, request: Request, version: VersionId) -> ModelReportOut:
    """What `kinema evaluate` found, protocol by protocol: the model and the baselines on warm and on cold items, with intervals."""
    return ModelReportOut.model_validate(await parts.run(_of_version, _of(request).numbers, version))


@router.get("/models/{version}/curve", summary="How a version was learnt")
async def get_model_curve(parts: Parts, request: Request, version: VersionId) -> ModelCurveOut:
    """Losses and validation epoch by epoch, and the last runs of the tasks that were learnt beside it."""
    return ModelCurveOut.model_validate(await parts.run(_of_version, _of(request).curve, version))


@router.get("/keys", summary="List keys")
async def get_keys(parts: Parts) -> KeysOut:
    """All keys without their secrets, the revoked and expired ones among them."""
    return KeysOut(keys=[_key_out(one) for one in await parts.run(list_keys, parts.engine.store)])


@router.post("/keys", status_code=201, summary="Make a key")
async def make_key(parts: Parts, body: KeyIn) -> KeyMadeOut:
    """Make a key. The answer is the only place where it stands whole: a hash of it is kept."""
    key, text = await parts.run(
        create_key, parts.engine.store, name=body.name, scopes=body.scopes, expires_days=body.expires_days
    )
    return KeyMadeOut(**_key_out(key).model_dump(), key=text)


@router.delete("/keys/{key_id}", summary="Revoke a key")
async def delete_key(parts: Parts, key_id: KeyId) -> KeyOut:
    """Revoke a key for good; every process refuses it within seconds. It stays in the list."""
    try:
        return _key_out(await parts.run(revoke_key, parts.engine.store, key_id))
    except DataError:
        raise not_found("key", key_id, field="key_id") from None


def _of(request: Request) -> Administration:
    found: Administration = request.app.state.administration
    return found


def _of_version(read: Callable[[str], T], version: str) -> T:
    """What is known of a version.

    Raises:
        Problem: 404, there is no such version.
    """
    try:
        return read(version)
    except DataError as error:
        raise Problem(404, str(error), field="version") from None


def _map(world: World, administration: Administration) -> MapOut:
    """The map of what answers.

    Raises:
        Problem: 409, there is nothing to lay out.
    """
    vectors, catalogue = world.vectors, world.catalogue
    if vectors is None:
        raise Problem(409, "there are no vectors to lay out; run: kinema extract, then kinema pretrain", code=NOT_BUILT)
    found = administration.map(world.version, catalogue.ids, vectors)
    points = [
        MapPointOut(
            item_id=catalogue.ids[number],
            title=catalogue.titles[number],
            category=next(iter(catalogue.categories[number]), ""),
            cold=not world.num_events(number),
            x=round(x, 4),
            y=round(y, 4),
        )
        for number, (x, y) in zip(found.numbers.tolist(), found.plane_S2.tolist(), strict=True)
        if not catalogue.hidden_V[number]
    ]
    return MapOut(
        state=found.state,
        version=found.version,
        num_items=len(catalogue),
        points=points,
        trouble=found.trouble or None,
    )


def _roll_back(administration: Administration, version: str | None) -> RolledBack:
    """Roll back.

    Raises:
        Problem: 404, there is no such version; 409, it cannot be.
    """
    if version is not None:
        names = [one.id for one in administration.models()]
        if not any(name.startswith(version) or name.endswith(version) for name in names):
            raise not_found("version", version, field="version")
    try:
        return administration.roll_back(version)
    except (DataError, NotBuiltError) as error:
        raise Problem(409, str(error), field="version") from None


def _key_out(key: Key) -> KeyOut:
    return KeyOut(
        id=key.id,
        name=key.name,
        scopes=sorted(key.scopes),
        state=key.state(time.time_ns() // 1_000_000),
        created_ms=key.created_ms,
        expires_ms=key.expires_ms,
        revoked_ms=key.revoked_ms,
        last_used_ms=key.last_used_ms,
    )
