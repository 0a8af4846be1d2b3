"""What speaks for an item, measured: one contribution per kind, all on one scale.

The scale is the z-score among the catalogue: how many standard deviations the number lies above what this user, or this
watched item, has in common with an average item. A cosine of .4 is much in one modality and little in another; its
z-score says which.

Shape suffixes: V items, D width, H watched items, K items to explain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.model import Memory
from kinema.store.histories import Histories

RECENCY: Final = 0.75
NUM_WATCHED: Final = 100
NUM_CONNECTED: Final = 20
CLEAR_LIKENESS: Final = 1.5
CLEAR_STANDING: Final = 1.0
CLEAR_COSINE: Final = 0.7


@dataclass(frozen=True)
class Contribution:
    """One thing that speaks for one item.

    Attributes:
        kind: ``content``, ``memory``, ``popularity``, ``segment``, ``profile`` or ``model``.
        strength: z-score among the catalogue.
        watched: The item of the history it rests on; None where it rests on none.
        facts: The numbers, JSON values.
    """

    kind: str
    strength: float
    watched: int | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_clear(self) -> bool:
        """Whether it may be told as a reason: it stands out, or it is near in itself.

        What rests on a watched item is the best of a whole history and must stand out further. Among eight copies of one
        clip no cosine stands out, and all of them look alike.
        """
        enough = CLEAR_STANDING if self.watched is None else CLEAR_LIKENESS
        return self.strength >= enough or float(self.facts.get("cosine", 0.0)) >= CLEAR_COSINE


@dataclass(frozen=True)
class ContentSpace:
    """One modality of the catalogue, ready to say how unusual a cosine is.

    Attributes:
        name: The modality.
        vectors_VD: float32, unit rows, zero rows where the item lacks the modality.
        present_V: bool.
        mean_D: Mean over the present rows.
        second_DD: Mean outer product over the present rows. With the mean it gives the exact mean and deviation of an
            item's cosines to the whole catalogue in D x D steps instead of V x D.
    """

    name: str
    vectors_VD: NDArray[np.float32]
    present_V: NDArray[np.bool_]
    mean_D: NDArray[np.float64]
    second_DD: NDArray[np.float64]

    @classmethod
    def of(cls, name: str, vectors_VD: NDArray[np.float32]) -> Self:
        """The space of one modality's unit rows."""
        present_V = np.asarray(vectors_VD.any(axis=1))
        rows = vectors_VD[present_V]
        size = max(len(rows), 1)
        second_DD = (rows.T @ rows).astype(np.float64) / size
        return cls(name, vectors_VD, present_V, rows.sum(axis=0, dtype=np.float64) / size, second_DD)

    def nearest(self, items_K: NDArray[np.integer], watched_H: NDArray[np.integer]) -> list[Contribution | None]:
        """For each item the watched item it is closest to.

        Args:
            items_K: Items to explain.
            watched_H: The history, oldest first; at equal distance the newer one is named.

        Returns:
            K contributions of kind ``content``; None for an item that lacks the modality or has nothing to compare with.
        """
        usable_H = np.asarray(watched_H)[::-1][:NUM_WATCHED]
        usable_H = usable_H[self.present_V[usable_H]]
        if not len(usable_H):
            return [None] * len(items_K)
        vectors_HD = self.vectors_VD[usable_H]
        cosines_HK = vectors_HD @ self.vectors_VD[items_K].T
        mean_H = vectors_HD @ self.mean_D
        deviation_H = np.sqrt(np.maximum(((vectors_HD @ self.second_DD) * vectors_HD).sum(axis=1) - mean_H**2, 0.0))
        best_K = cosines_HK.argmax(axis=0)
        return [
            self._contribution(
                float(cosines_HK[best, k]), float(mean_H[best]), float(deviation_H[best]), usable_H[best]
            )
            if self.present_V[items_K[k]]
            else None
            for k, best in enumerate(best_K.tolist())
        ]

    def _contribution(self, cosine: float, mean: float, deviation: float, watched: np.integer) -> Contribution:
        strength = (cosine - mean) / deviation if deviation > 1e-6 else 0.0
        return Contribution("content", strength, int(watched), {"modality": self.name, "cosine": round(cosine, 4)})


def connections(memory: Memory, items_K: NDArray[np.integer], history: Histories) -> list[Contribution | None]:
    """For each item the watched item whose watchers also watched it.

    Args:
        memory: Item-item transitions.
        items_K: Items to explain.
        history: One row.

    Returns:
        K contributions of kind ``memory``; None for an item without a counted transition.
    """
    scores_V = np.asarray(memory.scores(history)[0], dtype=np.float64)
    strengths_K = z_scores(scores_V)[items_K]
    best: dict[int, tuple[float, int, float]] = {}
    wanted = set(np.asarray(items_K).tolist())
    for age, watched in enumerate(history.of(0)[::-1][:NUM_CONNECTED].tolist()):
        followers, counts = memory.neighbours(watched, len(scores_V))
        for item, count in zip(followers.tolist(), counts.tolist(), strict=True):
            weight = count * RECENCY**age
            if item in wanted and count > 0 and weight > best.get(item, (0.0, 0, 0.0))[0]:
                best[item] = (weight, watched, count)
    found: list[Contribution | None] = []
    for item, strength in zip(np.asarray(items_K).tolist(), strengths_K.tolist(), strict=True):
        _, watched, count = best.get(item, (0.0, -1, 0.0))
        known = watched >= 0 and np.isfinite(strength)
        found.append(Contribution("memory", strength, watched, {"weight": round(count, 4)}) if known else None)
    return found


def standing(kind: str, values_V: NDArray[np.floating], items_K: NDArray[np.integer]) -> list[Contribution | None]:
    """How far up each item is in a list over the whole catalogue.

    Args:
        kind: What the list is about: ``popularity``, ``segment``, ``profile``, ``model``.
        values_V: Higher is better; not finite where the list has no opinion.
        items_K: Items to explain.

    Returns:
        K contributions with ``rank`` (from 1, equal values share the better one) and ``out_of``; None where the list
        has no opinion.
    """
    strengths_V = z_scores(values_V)
    finite = np.sort(values_V[np.isfinite(values_V)])
    found: list[Contribution | None] = []
    for item in np.asarray(items_K).tolist():
        if not np.isfinite(values_V[item]):
            found.append(None)
            continue
        rank = 1 + len(finite) - int(np.searchsorted(finite, values_V[item], side="right"))
        found.append(Contribution(kind, float(strengths_V[item]), None, {"rank": rank, "out_of": len(finite)}))
    return found


def z_scores(values_V: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64 [V], distance from the mean of the finite values in standard deviations; 0 where all are equal.

    Example:
        >>> z_scores(np.array([1.0, 1.0, 4.0, np.nan])).round(3).tolist()
        [-0.707, -0.707, 1.414, nan]
    """
    values = np.asarray(values_V, dtype=np.float64)
    finite = values[np.isfinite(values)]
    if not len(finite) or finite.std() <= 1e-9:
        return np.where(np.isfinite(values), 0.0, values)
    return np.asarray((values - finite.mean()) / finite.std())
