"""Items like one item.

Shape suffixes: V items, K items of the answer.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.notices import Notice, in_words
from kinema.recommend.arranging import Arrangement, boost, pool_size, rerank, set_aside_pins, with_pins
from kinema.recommend.checks import check_modality
from kinema.recommend.fallback import length_notices
from kinema.recommend.parts import Parts
from kinema.recommend.scenario import Scenario
from kinema.recommend.stages import Ranked, drop_copies, filter_items, slate_items
from kinema.recommend.trace import Trace
from kinema.retrieval.merge import Proposed
from kinema.retrieval.top import top
from kinema.schema import Slate
from kinema.store.histories import Histories

_CANDIDATES: Final = 200
"""Nearest items that rules choose among."""


def find_similar(
    parts: Parts,
    *,
    item: str,
    num_items: int,
    modality: str | None,
    exclude: Sequence[str],
    now_ms: int,
    learned_V: NDArray[np.float32] | None,
    scenario: Scenario,
    draw: np.random.Generator | None,
) -> Slate:
    """Nearest items; see `Recommender.similar`.

    Content and behaviour count half each: two copies of one clip are equal in content however few people saw them, and
    two items watched together belong together however different they look. What was learnt of which content follows which takes
    the place of content.

    Raises:
        DataError: The item or the modality is unknown, or the item lacks it.
    """
    trace = Trace()
    number = parts.catalogue.number(item)
    if modality is not None:
        _check_modality(parts, number, modality)
    num_items = min(num_items, scenario.max_items or num_items)
    left = filter_items(
        parts.catalogue,
        seen=np.array([number]),
        exclude=exclude,
        now_ms=now_ms,
        trace=trace,
        condition=scenario.filter,
        modality=modality,
    )
    left, pinned = set_aside_pins(parts, left, scenario, num_items=num_items, trace=trace)
    scores_V, by = _closeness(parts, number, modality, learned_V)
    num_with_copies = 0 if parts.copies_V is None else int((parts.copies_V >= 0).sum())
    num_ranked = max(_CANDIDATES, pool_size(num_items)) if _moves(scenario) else num_items
    items_K = top(scores_V, num_ranked + num_with_copies, left.allowed_V)
    scores_K = scores_V[items_K].astype(np.float64)
    nearest = Ranked(items_K, scores_K, scores_K, Proposed.by(len(items_K), by))
    trace.step("rank", left.num, len(items_K), removed={"below the slate": left.num - len(items_K)}, by=by)
    boosted = boost(parts, nearest, scenario, now_ms=now_ms, trace=trace)
    single, num_copies = drop_copies(parts, boosted, shown=np.array([number, *pinned.values()]), trace=trace)
    arrangement = Arrangement(
        diversity=scenario.diversity or 0.0,
        caps=scenario.caps,
        exploration=scenario.exploration,
        draw=draw,
        pinned=tuple(pinned.values()),
    )
    ordered = rerank(parts, single, None, num_items=num_items - len(pinned), arrangement=arrangement, trace=trace)
    ranked = with_pins(ordered, pinned, num_items=num_items)
    history = Histories.from_lists([[number]], len(parts.catalogue))
    name = parts.catalogue.name(number)
    reasons = parts.explainer.reasons(
        ranked.items_K,
        history=history,
        now_ms=now_ms,
        watched="",
        about_item=by == "category",
        modality=modality,
        otherwise=f"closest to '{name}' of what is left",
    )
    items = slate_items(parts.catalogue, ranked, reasons)
    trace.step("explain", len(items), len(items))
    removed = {reason: count for reason, count in left.removed.items() if reason != "seen"} | {"copies": num_copies}
    weak = Notice(
        "item_unknown", f"nothing is known about '{item}': popular items of its category first", {"item": item}
    )
    notices = (
        *((weak,) if by == "category" else ()),
        *parts.notices,
        *length_notices(found=len(items), wanted=num_items, removed=removed),
    )
    return Slate("", items, trace.steps, in_words(notices), notices)


def _moves(scenario: Scenario) -> bool:
    """Whether anything but the nearest items could come into the slate."""
    return bool(scenario.boosts or scenario.lifts or scenario.caps or scenario.diversity or scenario.exploration)


def _check_modality(parts: Parts, number: int, modality: str) -> None:
    check_modality(modality, tuple(parts.content))
    if not parts.content[modality][number].any():
        has = [name for name, rows in parts.content.items() if rows[number].any()]
        raise DataError(
            f"item '{parts.catalogue.ids[number]}' must have {modality} to be compared by it; "
            f"it has: {', '.join(has) or 'none'}; run: kinema extract"
        )


def _closeness(
    parts: Parts, number: int, modality: str | None, learned_V: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], str]:
    """Closeness of every item, and what it rests on."""
    if modality is not None:
        rows = parts.content[modality]
        return np.where(rows.any(axis=1), rows @ rows[number], -np.inf).astype(np.float32), modality
    spaces = {"content": parts.joint_VD, "flm": parts.item_vectors_VD}
    known = {name: rows for name, rows in spaces.items() if rows is not None and rows[number].any()}
    cosines = {name: rows @ rows[number] for name, rows in known.items()}
    if learned_V is not None:
        cosines = {"match": learned_V} | {name: one for name, one in cosines.items() if name != "content"}
    if cosines:
        summed_V = np.sum(list(cosines.values()), axis=0)
        return (summed_V / len(cosines)).astype(np.float32), "+".join(cosines)
    groups_V = parts.catalogue.groups
    same_V = (groups_V == groups_V[number]) & (groups_V >= 0)
    popular_V = parts.popularity_V / max(float(parts.popularity_V.max(initial=0.0)), 1.0)
    return (same_V + 0.5 * popular_V).astype(np.float32), "category"
