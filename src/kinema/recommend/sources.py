"""Who is asked for candidates, for how many, and how far each is trusted.

Shape suffixes: S sources, K candidates.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.coldstart import Footing
from kinema.recommend.fallback import TRUST
from kinema.recommend.parts import Parts
from kinema.recommend.scenario import LIFTED, Scenario
from kinema.recommend.trace import Trace
from kinema.retrieval.content import ContentRetriever
from kinema.retrieval.exact import ExactRetriever
from kinema.retrieval.fresh import FreshRetriever
from kinema.retrieval.ivf import Indexing, IvfRetriever
from kinema.retrieval.memory import MemoryRetriever
from kinema.retrieval.merge import Merged, merge
from kinema.retrieval.popularity import PopularityRetriever
from kinema.retrieval.query import Query, Retriever
from kinema.retrieval.top import Candidates
from kinema.schema import Candidate

_RETRIEVERS: Final[Mapping[str, str]] = {"model": "flm"}
"""What a scenario calls a source -> its retriever, where the names differ."""
_SPARE: Final = "popularity"
_SPARE_WEIGHT: Final = 1e-3


def retrievers_of(parts: Parts, indexing: Indexing) -> tuple[Retriever, ...]:
    """The retrievers that the parts can feed. Popularity and freshness need nothing and are always there."""
    found: list[Retriever] = []
    if parts.item_vectors_VD is not None:
        index = indexing.index("items", parts.item_vectors_VD, asked=True)
        found.append(ExactRetriever(parts.item_vectors_VD) if index is None else IvfRetriever(index))
    if parts.memory is not None:
        found.append(MemoryRetriever(parts.memory))
    if parts.joint_VD is not None:
        found.append(ContentRetriever(parts.joint_VD, index=indexing.index("content", parts.joint_VD)))
    found.append(PopularityRetriever(parts.popularity_V, parts.segments, changes=parts.changes))
    found.append(FreshRetriever(parts.catalogue.published_ms_V, parts.fresh_ms))
    return tuple(found)


def trusted(scenario: Scenario, footing: Footing) -> Mapping[str, float]:
    """Retriever -> how far it is trusted; those that are not named are not asked.

    Example:
        >>> trusted(Scenario("home", sources={"model": 1.0, "fresh": 0.5}), Footing.HISTORY)
        {'flm': 1.0, 'fresh': 0.5}
    """
    if not scenario.sources:
        return TRUST[footing]
    return {_RETRIEVERS.get(source, source): weight for source, weight in scenario.sources.items()}


def retrieve(
    catalogue: Catalogue,
    retrievers: Sequence[Retriever],
    query: Query,
    *,
    scenario: Scenario,
    footing: Footing,
    num: int,
    least: int,
    trace: Trace,
) -> tuple[Merged, Mapping[str, float]]:
    """Ask the retrievers for candidates and join the answers.

    Args:
        catalogue: For the trace.
        retrievers: All there are.
        query: The user in numbers.
        scenario: Which of them are asked, in what proportion. Where those it names find fewer than ``least`` together, what is
            popular fills the slate up.
        footing: What is known of the user; which retrievers are asked where the scenario names none.
        num: Asked of each; of the scenario's sources, of the strongest.
        least: Asked of each at least.
        trace: Told what each found.

    Returns:
        The candidates, and the trust in each source.
    """
    weights = dict(trusted(scenario, footing))
    strongest = max(weights.values())
    found: dict[str, Sequence[Candidate]] = {}
    num_allowed = int(np.count_nonzero(query.allowed_V))

    def ask(retriever: Retriever, wanted: int) -> None:
        candidates = found[retriever.name] = retriever(query, wanted)
        trace.step(
            f"retrieve:{retriever.name}",
            num_allowed,
            len(candidates),
            removed={"not proposed": num_allowed - len(candidates)},
            first=[catalogue.ids[item] for item in _first_items(candidates)],
        )

    for one in retrievers:
        if one.name in weights:
            part = weights[one.name] / strongest if scenario.sources else 1.0
            ask(one, max(least, math.ceil(num * part)))
    lifted = _lifted(catalogue, query, scenario)
    if lifted:
        weights[LIFTED], found[LIFTED] = _SPARE_WEIGHT * strongest, lifted
    merged = merge(found)
    if len(merged.items_K) < min(least, num_allowed) and _SPARE not in found:
        weights[_SPARE] = _SPARE_WEIGHT * strongest
        ask(next(one for one in retrievers if one.name == _SPARE), least)
        merged = merge(found)
    num_in = sum(len(candidates) for candidates in found.values())
    trace.step(
        "merge",
        num_in,
        len(merged.items_K),
        removed={"proposed by several": num_in - len(merged.items_K)},
        only={name: alone for name, alone in merged.alone().items() if alone},
    )
    return merged, weights


def _lifted(catalogue: Catalogue, query: Query, scenario: Scenario) -> list[Candidate]:
    """What somebody wants to see higher and may appear, the most wanted first."""
    wanted = sorted((one for one in scenario.lifts.items() if one[1] > 0), key=lambda one: (-one[1], one[0]))
    numbers = ((catalogue.numbers.get(item_id), lift) for item_id, lift in wanted)
    return [Candidate(item, LIFTED, lift) for item, lift in numbers if item is not None and query.allowed_V[item]]


def _first_items(candidates: Sequence[Candidate]) -> list[int]:
    """Numbers of the first three."""
    first = candidates[:3]
    return first.items_K.tolist() if isinstance(first, Candidates) else [one.item for one in first]
