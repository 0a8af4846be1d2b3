"""h = fusion(h_content, h_collaborative, h_sequential): the gated sum of the branches' logits.

Each branch is an inner product of a user side and an item side, so their weighted sum is one of the two sides put end to
end: fusing logits is fusing states. How far each side counts depends on how much is known of the user.

Shape suffixes: C cases, A branches, V catalogue.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mixture:
    """Weights of the branches: ``scale * softplus(offset + slope * log(1 + n))`` for a history of n interactions.

    Attributes:
        branches: Names, A of them.
        offsets_A: float64.
        slopes_A: float64.
        scales_A: float64, > 0; empty for all 1.
        cold_ratios_A: float64, by how much each branch counts more or less for items nobody has watched, whose side of
            it is imputed; empty for all 1.
        cold_bonus: Added to the score of those items.
    """

    branches: tuple[str, ...]
    offsets_A: NDArray[np.float64]
    slopes_A: NDArray[np.float64]
    scales_A: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    cold_ratios_A: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    cold_bonus: float = 0.0

    @classmethod
    def from_weights(cls, weights: Mapping[str, float]) -> Self:
        """Weights that do not depend on the history.

        Example:
            >>> mixture = Mixture.from_weights({"sequential": 1.0, "memory": 0.5})
            >>> mixture.weights(np.array([0, 30])).round(3).tolist()
            [[1.0, 0.5], [1.0, 0.5]]
        """
        values_A = np.array(list(weights.values()), dtype=np.float64)
        return cls(tuple(weights), inverse_softplus(values_A), np.zeros(len(values_A)))

    def weights(self, lengths_C: NDArray[np.integer]) -> NDArray[np.float32]:
        """float32 [C, A], weight of each branch for histories of these lengths."""
        known_C1 = np.log1p(lengths_C.astype(np.float64))[:, None]
        weights_CA: NDArray[np.float64] = np.logaddexp(0, self.offsets_A + self.slopes_A * known_C1)
        return (weights_CA * self.scales_A if len(self.scales_A) else weights_CA).astype(np.float32)

    def scaled(self, factors_A: NDArray[np.float64]) -> Self:
        """The same mixture with each branch's weight times a factor."""
        return replace(self, scales_A=factors_A * (self.scales_A if len(self.scales_A) else 1.0))

    def blend(
        self,
        logits: Mapping[str, NDArray[np.float32]],
        lengths_C: NDArray[np.integer],
        cold_V: NDArray[np.bool_] | None = None,
    ) -> NDArray[np.float32]:
        """The weighted sum float32 [C, V] of the branches' logits.

        Args:
            logits: Branch -> float32 [C, V].
            lengths_C: Interactions known of each user.
            cold_V: Items nobody has watched; None for none.
        """
        weights_CA = self.weights(lengths_C)
        scores_CV = weighted_sum(logits, self.branches, weights_CA)
        if cold_V is not None and cold_V.any():
            ratios_A = self.cold_ratios_A.astype(np.float32) if len(self.cold_ratios_A) else np.float32(1)
            cold = np.flatnonzero(cold_V)
            scores_CV[:, cold] = weighted_sum(logits, self.branches, weights_CA * ratios_A, cold)
            scores_CV[:, cold] += np.float32(self.cold_bonus)
        return scores_CV

    def least(self, floors: Mapping[str, float], lengths_C: NDArray[np.integer]) -> NDArray[np.float32]:
        """No item scores less, float32 [C], where each branch's logits are at least its floor.

        Example:
            >>> mixture = Mixture.from_weights({"sequential": 1.0, "memory": 0.5})
            >>> mixture.least({"sequential": -20.0, "memory": 0.0}, np.array([3])).round(3).tolist()
            [-20.0]
        """
        floors_A = np.array([floors[name] for name in self.branches])
        weights_CA = self.weights(lengths_C).astype(np.float64)
        warm_C = weights_CA @ floors_A
        ratios_A = self.cold_ratios_A if len(self.cold_ratios_A) else 1.0
        cold_C = weights_CA @ (floors_A * ratios_A) + self.cold_bonus
        return np.asarray(np.minimum(warm_C, cold_C), dtype=np.float32)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "branches": list(self.branches),
            "offsets": self.offsets_A.tolist(),
            "slopes": self.slopes_A.tolist(),
            "scales": self.scales_A.tolist(),
            "cold_ratios": self.cold_ratios_A.tolist(),
            "cold_bonus": self.cold_bonus,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave."""
        return cls(
            tuple(values["branches"]),
            np.array(values["offsets"]),
            np.array(values["slopes"]),
            np.array(values["scales"]),
            np.array(values["cold_ratios"]),
            float(values["cold_bonus"]),
        )


def weighted_sum(
    logits: Mapping[str, NDArray[np.float32]],
    branches: tuple[str, ...],
    weights_CA: NDArray[np.float32],
    columns: slice | NDArray[np.int64] = slice(None),  # a slice never changes
) -> NDArray[np.float32]:
    """Sum of the branches' logits, each row with weights of its own: float32 [C, V], or some of its columns.

    Added up in place: these arrays are the largest there are while weights are chosen, and each pass over one counts.
    """
    total_CV = weights_CA[:, 0, None].astype(np.float32) * logits[branches[0]][:, columns]
    part_CV = np.empty_like(total_CV)
    for a, name in enumerate(branches[1:], start=1):
        np.multiply(weights_CA[:, a, None], logits[name][:, columns], out=part_CV)
        total_CV += part_CV
    return total_CV


def inverse_softplus(values_A: NDArray[np.float64]) -> NDArray[np.float64]:
    """The argument whose softplus is the value; values below 1e-6 count as 1e-6."""
    safe_A = np.maximum(values_A, 1e-6)
    return np.asarray(safe_A + np.log(-np.expm1(-safe_A)))
