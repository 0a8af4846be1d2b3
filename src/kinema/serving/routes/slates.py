"""Slates as answers."""

from dataclasses import asdict

from kinema.schema import Slate
from kinema.serving.wire import RecommendedItem, RecommendOut
from kinema.serving.world import Answered, World


def slate_items(slate: Slate, *, explain: bool, debug: bool) -> list[RecommendedItem]:
    """The places of a slate."""
    return [
        RecommendedItem(
            item_id=one.id,
            title=one.title,
            position=one.position,
            score=one.score,
            propensity=one.propensity,
            reason=one.reason if explain else None,
            evidence=one.evidence if explain else None,
            sources=list(one.sources) if debug else None,
        )
        for one in slate.items
    ]


def recommend_out(
    its_id: str, answered: Answered, world: World, *, scenario: str, explain: bool, debug: bool
) -> RecommendOut:
    """An answer to a request for recommendations."""
    slate = answered.slate
    return RecommendOut(
        recommendation_id=its_id,
        scenario=scenario,
        variant=answered.variant,
        model_version=world.version,
        items=slate_items(slate, explain=explain, debug=debug),
        notice=slate.notice or None,
        trace=[asdict(step) for step in slate.trace] if debug else None,
    )
