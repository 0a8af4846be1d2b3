"""What may appear in the answer to a search: narrowed down by the question, and one of the copies of each clip.

Shape suffixes: V items, K items of the answer.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError, did_you_mean
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.conditions import failures
from kinema.recommend.facets import Words
from kinema.recommend.parts import Parts
from kinema.recommend.scenario import Condition
from kinema.recommend.stages import Ranked, drop_copies, filter_items
from kinema.recommend.trace import Trace
from kinema.retrieval.merge import Proposed


def narrow(
    catalogue: Catalogue,
    only: Condition,
    *,
    seen: NDArray[np.integer],
    now_ms: int,
    trace: Trace,
) -> tuple[NDArray[np.bool_], dict[str, int]]:
    """Items that may appear.

    Args:
        catalogue: All items.
        only: Items that are meant.
        seen: Numbers of items to leave out.
        now_ms: Items published later are not there yet.
        trace: Told the counts.

    Returns:
        The mask, and how many each filter took out.

    Raises:
        DataError: A category or a language is unknown.
    """
    left = filter_items(catalogue, seen=seen, exclude=(), now_ms=now_ms, trace=trace, scenario="search")
    allowed_V, removed = left.allowed_V, dict(left.removed)
    for noun, words, names in (("category", "categories", only.categories), ("language", "languages", only.languages)):
        _check_known(catalogue, noun, cast("Words", words), names)
    rules = failures(only, catalogue, now_ms)
    if rules:
        before, dropped = int(allowed_V.sum()), {}
        for reason, fails_V in rules.items():
            dropped[reason] = int((allowed_V & fails_V).sum())
            allowed_V = allowed_V & ~fails_V
        trace.step("narrow", before, int(allowed_V.sum()), removed=dropped)
        removed |= dropped
    return allowed_V, removed


def _check_known(catalogue: Catalogue, noun: str, words: Words, names: Sequence[str]) -> None:
    """Refuse what no item has: an answer without items would look like a bad search.

    Raises:
        DataError: No item has one of the names.
    """
    for name in names:
        if not catalogue.facets.having(words, (name,)).any():
            known = catalogue.facets.known(words)
            hint = did_you_mean(name.casefold(), known)
            raise DataError(f"unknown {noun} '{name}'{hint} known: {', '.join(sorted(known)[:20]) or 'none'}")


def one_of_copies(
    parts: Parts, items_K: NDArray[np.int64], *, seen: NDArray[np.integer], trace: Trace
) -> tuple[NDArray[np.int64], int]:
    """Of the copies of one clip the best.

    Args:
        parts: With or without groups of copies.
        items_K: Best first.
        seen: Items left out because they were seen; their copies are left out as well.
        trace: Told the counts, where there are groups.

    Returns:
        What is left, in the same order, and how many were dropped.
    """
    nothing_K = np.zeros(len(items_K))
    ranked = Ranked(items_K, nothing_K, nothing_K, Proposed.by(len(items_K)))
    single, num_copies = drop_copies(parts, ranked, shown=seen, trace=trace)
    return single.items_K, num_copies


def num_with_copies(parts: Parts) -> int:
    """How many items are copies of another or have some: so many more are ranked than are shown."""
    return 0 if parts.copies_V is None else int((parts.copies_V >= 0).sum())


def with_copies(
    parts: Parts, items_K: NDArray[np.int64], allowed_V: NDArray[np.bool_], told: Sequence[tuple[str, dict[str, Any]]]
) -> list[tuple[str, dict[str, Any]]]:
    """Reasons and evidence, the latter with ``copies``: ids of the items that are the same clip, where there are any."""
    if parts.copies_V is None:
        return list(told)
    found = []
    for item, (why, evidence) in zip(items_K.tolist(), told, strict=True):
        group = parts.copies_V[item]
        others = np.flatnonzero((parts.copies_V == group) & allowed_V) if group >= 0 else np.empty(0, dtype=np.int64)
        ids = [parts.catalogue.ids[other] for other in others.tolist() if other != item]
        found.append((why, {**evidence, "copies": ids} if ids else evidence))
    return found
