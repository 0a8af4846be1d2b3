"""What somebody is interested in, in words they can read and change: topics by what they watched, modalities by what holds it together.

Shape suffixes: V items, N interactions, D width.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.scenario import Boost, Condition, Scenario
from kinema.store.histories import Histories

HALF_LIFE: Final = 20.0
"""Interactions after which one counts half."""
READ: Final = 50
"""Newest interactions that modalities are judged by."""
MOST_WEIGHT: Final = 10.0


@dataclass(frozen=True)
class Weights:
    """What a person has set, each in [0, `MOST_WEIGHT`]; 1 leaves it as it is, and so does what is not named.

    Attributes:
        topics: Category -> weight; 0 shows none of it.
        modalities: Modality -> how much likeness in it to what they watched counts; 0: not at all.
    """

    topics: Mapping[str, float] = field(default_factory=dict)
    modalities: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Topic:
    """Interest in a category.

    Attributes:
        name: Of the category.
        share: Of what was watched lately, in [0, 1]; the shares of all categories sum to 1.
        num_events: Interactions with its items.
        weight: What the person has set: 0 shows none of it, 1 leaves it as it is, more shows more.
    """

    name: str
    share: float
    num_events: int
    weight: float = 1.0


@dataclass(frozen=True)
class Sense:
    """A modality, as it is to a person.

    Attributes:
        name: Of the modality.
        share: Of what holds the history together, in [0, 1]; the shares of all sum to 1, or to 0 where nothing does.
        weight: What the person has set: 0 leaves likeness in it out, 1 leaves it as it is, more makes it count more.
    """

    name: str
    share: float
    weight: float = 1.0


@dataclass(frozen=True)
class Interests:
    """A person's interests.

    Attributes:
        topics: The largest share first, then those that only have a weight.
        modalities: Those that the catalogue has, the largest share first.
        num_events: Interactions that are known.
    """

    topics: tuple[Topic, ...]
    modalities: tuple[Sense, ...]
    num_events: int


def interests_of(
    history: Histories | None,
    catalogue: Catalogue,
    content: Mapping[str, NDArray[np.float32]],
    *,
    weights: Weights,
) -> Interests:
    """Judge a history.

    Args:
        history: One row, oldest first; None for somebody who is not known.
        catalogue: All items.
        content: Modality -> unit rows [V, D], zero rows where absent.
        weights: What the person has set.
    """
    items_N = np.zeros(0, dtype=np.int64) if history is None else history.items.astype(np.int64)
    ages_N = np.arange(len(items_N))[::-1]
    shares: dict[str, float] = defaultdict(float)
    counts: dict[str, int] = defaultdict(int)
    for item, weight in zip(items_N.tolist(), (0.5 ** (ages_N / HALF_LIFE)).tolist(), strict=True):
        for name in catalogue.categories[item][:1]:
            shares[name] += weight
            counts[name] += 1
    total, set_to = sum(shares.values()) or 1.0, weights.topics
    names = sorted({*shares, *set_to}, key=lambda name: (-shares.get(name, 0.0), name))
    topics = [Topic(name, shares.get(name, 0.0) / total, counts.get(name, 0), set_to.get(name, 1.0)) for name in names]
    pulls = _pulls(items_N[-READ:], content)
    senses = [Sense(name, pulls.get(name, 0.0), weights.modalities.get(name, 1.0)) for name in content]
    senses.sort(key=lambda one: (-one.share, one.name))
    return Interests(tuple(topics), tuple(senses), len(items_N))


def _pulls(items_N: NDArray[np.int64], content: Mapping[str, NDArray[np.float32]]) -> dict[str, float]:
    """By how many deviations of the catalogue's cosines the items of a history lie nearer to their own mean than any items do."""
    pulls: dict[str, float] = {}
    for name, rows_VD in content.items():
        own_ND = rows_VD[items_N]
        own_ND = own_ND[own_ND.any(axis=1)]
        present_VD = rows_VD[rows_VD.any(axis=1)]
        if len(own_ND) < 2 or len(present_VD) <= len(own_ND):
            continue
        others_ND = (own_ND.sum(axis=0) - own_ND) / (len(own_ND) - 1)
        near = float((own_ND * others_ND).sum(axis=1).mean())
        cosines_V = present_VD @ own_ND.mean(axis=0)
        spread = float(cosines_V.std())
        if spread > 0:
            pulls[name] = max(0.0, (near - float(cosines_V.mean())) / spread)
    total = sum(pulls.values())
    return {name: pull / total for name, pull in pulls.items()} if total else {}


def with_weights(rules: Scenario, weights: Weights) -> Scenario:
    """Rules that keep to what a person has set.

    Args:
        rules: Of the scenario.
        weights: Theirs.

    Example:
        >>> found = with_weights(Scenario("home"), Weights({"news": 0.0, "sea": 2.0}, {"motion": 3.0}))
        >>> found.filter.not_categories, found.modalities
        (('news',), {'motion': 3.0})
    """
    none = tuple(name for name, weight in weights.topics.items() if weight == 0)
    changed = [(name, weight) for name, weight in weights.topics.items() if weight not in (0, 1)]
    modalities = {name: weight for name, weight in weights.modalities.items() if weight != 1}
    if not none and not changed and not modalities:
        return rules
    boosts = tuple(Boost(Condition(categories=(name,)), multiply=weight) for name, weight in changed)
    narrowed = replace(rules.filter, not_categories=(*rules.filter.not_categories, *none))
    return replace(rules, filter=narrowed, boosts=(*rules.boosts, *boosts), modalities=modalities)
