"""The step of a search in which its first places are read again.

Shape suffixes: V items, K items of the answer.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.trace import Trace
from kinema.reranking.second_reading import SecondReading


def reread(
    second: SecondReading | None,
    text: str,
    items_K: NDArray[np.int64],
    score_V: NDArray[np.float64],
    *,
    named_V: NDArray[np.bool_],
    trace: Trace,
) -> tuple[NDArray[np.int64], Mapping[int, Mapping[str, Any]]]:
    """Let the first places of an answer be read again.

    Args:
        second: Who reads; None where nobody does.
        text: The words asked for; without any nothing is read.
        items_K: Best first, those that are called so in front.
        score_V: Of the search.
        named_V: Items that are called so; they stay in front.
        trace: Told the counts.

    Returns:
        The items in their new order, and for each that was read ``reread``, what it got, and ``first_position``, where it stood.
    """
    if second is None or not text:
        return items_K, {}
    num_fixed = int(named_V[items_K].sum())
    found_K, read_K = second.reorder(text, items_K, score_V[items_K], num_fixed=num_fixed)
    trace.step("reread", len(items_K), len(found_K), read=len(read_K))
    before = {item: place for place, item in enumerate(items_K.tolist())}
    asked = zip(found_K[num_fixed : num_fixed + len(read_K)].tolist(), read_K.tolist(), strict=True)
    return found_K, {item: {"reread": value, "first_position": before[item]} for item, value in asked}
