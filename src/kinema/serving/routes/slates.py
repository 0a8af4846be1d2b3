"""Slates as answers: written as JSON where they are made, because a model for each place costs more than writing all of them."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from kinema.schema import Slate
from kinema.serving.world import Answered, World

JSON: Final = "application/json"
_KINDS: Final = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS


def slate_items(slate: Slate, *, explain: bool, debug: bool) -> list[dict[str, Any]]:
    """The places of a slate, as `kinema.serving.wire.RecommendedItem` describes them."""
    return [
        {
            "item_id": one.id,
            "title": one.title,
            "position": one.position,
            "score": float(one.score),
            "propensity": float(one.propensity),
            "reason": one.reason if explain else None,
            "evidence": one.evidence if explain else None,
            "sources": one.sources if debug else None,
        }
        for one in slate.items
    ]


def recommend_body(
    its_id: str, answered: Answered, world: World, *, scenario: str, explain: bool, debug: bool
) -> bytes:
    """An answer to a request for recommendations: a `kinema.serving.wire.RecommendOut`."""
    slate = answered.slate
    return _json(
        {
            "recommendation_id": its_id,
            "scenario": scenario,
            "variant": answered.variant,
            "model_version": world.version,
            "items": slate_items(slate, explain=explain, debug=debug),
            "notice": slate.notice or None,
            "notices": slate.notices,
            "trace": slate.trace if debug else None,
        }
    )


def similar_body(item_id: str, its_id: str, answered: Answered, world: World) -> bytes:
    """Items like an item: a `kinema.serving.wire.SimilarOut`."""
    return _json(
        {
            "item_id": item_id,
            "recommendation_id": its_id,
            "variant": answered.variant,
            "model_version": world.version,
            "items": slate_items(answered.slate, explain=True, debug=False),
            "notice": answered.slate.notice or None,
            "notices": answered.slate.notices,
        }
    )


def _json(answer: dict[str, Any]) -> bytes:
    return orjson.dumps(answer, default=_plain, option=_KINDS)


def _plain(value: Any) -> Any:
    """What the writer of JSON does not know: evidence may be any mapping or sequence."""
    return dict(value) if isinstance(value, Mapping) else list(value)
