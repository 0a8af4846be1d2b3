"""The branches of a model blended for some items of one user: what one request ranks.

Item vectors that two branches compare with are read once: their weighted sum of cosines is the cosine with the weighted sum of the
states. All the rest is a few numbers per item.

Shape suffixes: V catalogue, K items asked about, D width, A branches, M memories; 2 stands for items somebody has watched and
items nobody has, whose weights are others.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinema.compiled import compiled_sums
from kinema.flm.mixture import Mixture

Floats = NDArray[np.float32]
MEMORIES: Final = ("memory", "imputed_memory")
_ITEM_SIDE: Final = ("sequential", "collaborative")


class Tables(NamedTuple):
    """What is known of each item.

    Attributes:
        items_VD: Unit rows.
        content_VD: Unit rows of the content side.
        bias_V: Log-odds whoever asks.
        prior_V: Logit before anything is known of the user.
        cold_V: bool, nobody has watched it.
        blank_V: bool, nothing is known of it.
    """

    items_VD: Floats
    content_VD: Floats
    bias_V: Floats
    prior_V: Floats
    cold_V: NDArray[np.bool_]
    blank_V: NDArray[np.bool_]


class _Weights(NamedTuple):
    """How far everything counts for a history of some length.

    Attributes:
        items_2A: Of the sequential and the collaborative state, over the temperature; zeros where they are not asked.
        content_2: Of the content state, over the temperature.
        bias_2: Of the bias, which each of the three has.
        prior_2: Of popularity.
        memories_2M: In the order of `MEMORIES`, those that are asked.
        bonus_2: Added.
        least: What an item gets of which nothing is known.
    """

    items_2A: Floats
    content_2: Floats
    bias_2: Floats
    prior_2: Floats
    memories_2M: Floats
    bonus_2: Floats
    least: np.floating


@dataclass(frozen=True, eq=False)
class Fused:
    """A mixture over the tables of a catalogue.

    Attributes:
        mixture: Weights of the branches.
        tables: Of the catalogue.
        temperature: Cosines are divided by it.
    """

    mixture: Mixture
    tables: Tables
    temperature: float
    _kept: dict[int, _Weights] = field(default_factory=dict, init=False, repr=False)

    @cached_property
    def floors(self) -> dict[str, float]:
        """No branch gives any item less: states and item vectors are of length 1, and a memory gives nothing below 0."""
        neural = float(self.tables.bias_V.min(initial=0)) - 1 / self.temperature
        found = dict.fromkeys((*_ITEM_SIDE, "content"), neural)
        return found | {"popularity": float(self.tables.prior_V.min(initial=0))} | dict.fromkeys(MEMORIES, 0.0)

    def scores_of(
        self, length: int, states: Mapping[str, Floats], items_K: NDArray[np.int64], memories: Mapping[str, Floats]
    ) -> Floats:
        """What `Mixture.blend` makes of the branches' logits, for some items of one user.

        Args:
            length: Interactions known of the user.
            states: Branch -> state [D] of the three that have one.
            items_K: Item numbers, all in the catalogue.
            memories: Branch -> scores [K], of the memories that the mixture has.

        Returns:
            float32 [K].
        """
        weights = self._kept.get(length)
        if weights is None:
            weights = self._kept[length] = self._weights(length)
        state_2D = np.outer(weights.items_2A[:, 0], states["sequential"])
        state_2D += np.outer(weights.items_2A[:, 1], states["collaborative"])
        memories_MK = np.zeros((weights.memories_2M.shape[1], len(items_K)), dtype=np.float32)
        for m, name in enumerate(one for one in MEMORIES if one in self.mixture.branches):
            memories_MK[m] = memories[name]
        sides = state_2D, np.outer(weights.content_2, states["content"])
        return _blended(self.tables, items_K, sides, memories_MK, weights)

    def _weights(self, length: int) -> _Weights:
        names, lengths_1 = self.mixture.branches, np.array([length])
        warm_A = self.mixture.weights(lengths_1)[0]
        ratios_A = self.mixture.cold_ratios_A.astype(np.float32) if len(self.mixture.cold_ratios_A) else np.float32(1)
        all_2A = np.stack([warm_A, warm_A * ratios_A])
        zero_2 = np.zeros(2, dtype=np.float32)
        of = {name: all_2A[:, a] for a, name in enumerate(names)}
        items = [of.get(name, zero_2) for name in _ITEM_SIDE]
        content_2 = of.get("content", zero_2)
        memories = [of[name] for name in MEMORIES if name in of]
        return _Weights(
            (np.stack(items, axis=1) / self.temperature).astype(np.float32),
            (content_2 / self.temperature).astype(np.float32),
            items[0] + items[1] + content_2,
            of.get("popularity", zero_2).copy(),
            np.stack(memories, axis=1) if memories else np.zeros((2, 0), dtype=np.float32),
            np.array([0.0, self.mixture.cold_bonus], dtype=np.float32),
            self.mixture.least(self.floors, lengths_1)[0] - np.float32(1),
        )


@compiled_sums
def _blended(
    tables: Tables,
    items_K: NDArray[np.int64],
    states: tuple[Floats, Floats],
    memories_MK: Floats,
    weights: _Weights,
) -> Floats:
    """See `Fused.scores_of`. Item numbers are not checked."""
    state_2D, content_2D = states
    scores_K = np.empty(len(items_K), dtype=np.float32)
    has_items, has_content = weights.items_2A.any(), weights.content_2.any()
    for k in range(len(items_K)):
        item = items_K[k]
        if tables.blank_V[item]:
            scores_K[k] = weights.least
            continue
        cold = 1 if tables.cold_V[item] else 0
        total = weights.bias_2[cold] * tables.bias_V[item] + weights.prior_2[cold] * tables.prior_V[item]
        if has_items:
            total += _product(tables.items_VD[item], state_2D[cold])
        if has_content:
            total += _product(tables.content_VD[item], content_2D[cold])
        for m in range(len(memories_MK)):
            total += weights.memories_2M[cold, m] * memories_MK[m, k]
        scores_K[k] = total + weights.bonus_2[cold]
    return scores_K


@compiled_sums
def _product(x_D: Floats, y_D: Floats) -> np.floating:
    total = np.float32(0)
    for d in range(len(x_D)):
        total += x_D[d] * y_D[d]
    return total
