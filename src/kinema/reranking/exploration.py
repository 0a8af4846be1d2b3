"""Places drawn by chance, each with the probability it was filled with.

What is never shown is never learned, and a log of what one policy alone has chosen cannot say how another would have
done. A little chance makes both possible, as long as its size is written down.

Shape suffixes: K candidates, S places of the slate.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.reranking.quotas import Places, Quota


@dataclass(frozen=True, eq=False)
class Explored:
    """A slate partly drawn by chance.

    Attributes:
        places_S: int64, candidates in the order of the slate.
        propensities_S: float64, in (0, 1]; see `explore`.
        drawn_S: bool, whether the place was drawn, also where the draw hit what stood there anyway.
    """

    places_S: NDArray[np.int64]
    propensities_S: NDArray[np.float64]
    drawn_S: NDArray[np.bool_]


def explore(
    greedy_S: NDArray[np.integer],
    num_candidates: int,
    *,
    share: float,
    random: np.random.Generator,
    quotas: Sequence[Quota] = (),
) -> Explored:
    """Fill each place with the planned candidate, or with probability ``share`` with any.

    Place by place, from the first: the open candidates are those not placed yet whose group has its quota not full (all that
    are not placed yet, where there is no such). With probability ``share`` one of the n open ones is drawn, each alike;
    else the place goes to the first open one of the plan, and behind the plan to the first open candidate. So given what
    stands above it, a candidate takes the place with the probability

        propensity = share / n + (1 - share) * [it is the one that was planned]

    which is what is returned for the candidate that took it. The propensities of a slate multiply to the probability of the slate.

    Args:
        greedy_S: The plan: places in the list of candidates, in the order of the slate.
        num_candidates: K.
        share: In [0, 1].
        random: Where chance comes from; two numbers are drawn for each place, whatever they decide.
        quotas: Limits that also hold for what is drawn.

    Returns:
        A slate as long as the plan.

    Source:
        Strehl, Langford, Li, Kakade: Learning from logged implicit exploration data, NIPS 2010 (epsilon-greedy with its
        propensities); McInerney et al.: Counterfactual evaluation of slate recommendations with sequential reward
        interactions, KDD 2020 (propensities of places given those above).

    Example:
        >>> explored = explore(np.array([0, 1]), 4, share=0.2, random=np.random.default_rng(0))
        >>> explored.places_S.tolist(), explored.propensities_S.round(3).tolist()
        ([0, 1], [0.85, 0.867])
    """
    size = len(greedy_S)
    places = Places(num_candidates, quotas)
    plan = np.concatenate([np.asarray(greedy_S, dtype=np.int64), np.arange(num_candidates)])
    places_S, propensities_S = np.empty(size, dtype=np.int64), np.empty(size)
    drawn_S = np.empty(size, dtype=np.bool_)
    for place, (whether, which) in enumerate(random.random((size, 2)).tolist()):
        free = np.flatnonzero(places.free())
        planned = int(plan[np.argmax(places.free()[plan])])
        drawn_S[place] = whether < share
        chosen = int(free[int(which * len(free))]) if drawn_S[place] else planned
        places_S[place] = chosen
        propensities_S[place] = share / len(free) + (1 - share) * (chosen == planned)
        places.fill(chosen)
    return Explored(places_S, propensities_S, drawn_S)
