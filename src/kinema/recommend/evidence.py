"""What speaks for an item, measured: one contribution per kind, all on one scale.

The scale is the z-score among the catalogue: how many standard deviations the number lies above what this user, or this
watched item, has in common with an average item. A cosine of .4 is much in one modality and little in another; its
z-score says which.

Shape suffixes: V items, D width, H watched items, K items to explain.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from kinema.compiled import compiled_sums
from kinema.recommend.model import Memory
from kinema.retrieval.query import Transitions
from kinema.store.histories import Histories

ScoresOf = Callable[[NDArray[np.integer]], NDArray[np.floating]]
"""Item numbers -> what a model says of them."""
RECENCY: Final = 0.75
NUM_WATCHED: Final = 100
NUM_CONNECTED: Final = 20
CLEAR_LIKENESS: Final = 1.5
CLEAR_STANDING: Final = 1.0
CLEAR_COSINE: Final = 0.7
_RECENCIES_H1: Final = RECENCY ** np.arange(NUM_CONNECTED)[:, None]
_LEAST: Final = 1e-9
_FEW: Final = 32
"""So many values are compared with all others one by one; for more, all are sorted."""


class Contribution(NamedTuple):
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
    facts: Mapping[str, Any] = MappingProxyType({})

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
        asked_K, watched = np.asarray(items_K, dtype=np.int64), np.asarray(watched_H, dtype=np.int64)
        near_K = _nearest(self.vectors_VD, self.present_V, asked_K, watched[::-1][:NUM_WATCHED])
        numbers_K3 = _standings(self.vectors_VD, asked_K, near_K, self.mean_D, self.second_DD)
        return [
            None if near < 0 else self._contribution(cosine, mean, deviation, near)
            for near, (cosine, mean, deviation) in zip(near_K.tolist(), numbers_K3.tolist(), strict=True)
        ]

    def _contribution(self, cosine: float, mean: float, deviation: float, watched: int) -> Contribution:
        strength = (cosine - mean) / deviation if deviation > 1e-6 else 0.0
        return Contribution("content", strength, watched, {"modality": self.name, "cosine": round(cosine, 4)})


@compiled_sums
def _nearest(
    vectors_VD: NDArray[np.float32],
    present_V: NDArray[np.bool_],
    items_K: NDArray[np.int64],
    newest_H: NDArray[np.int64],
) -> NDArray[np.int64]:
    """The watched item that each item is closest to, of equals the first; -1 where there is nothing to compare."""
    near_K = np.full(len(items_K), -1, dtype=np.int64)
    for k in range(len(items_K)):
        largest = np.float32(-np.inf)
        for watched in newest_H:
            if present_V[items_K[k]] and present_V[watched]:
                cosine = np.float32(0)
                for d in range(vectors_VD.shape[1]):
                    cosine += vectors_VD[items_K[k], d] * vectors_VD[watched, d]
                if cosine > largest:
                    largest, near_K[k] = cosine, watched
    return near_K


@compiled_sums
def _standings(
    vectors_VD: NDArray[np.float32],
    items_K: NDArray[np.int64],
    near_K: NDArray[np.int64],
    mean_D: NDArray[np.float64],
    second_DD: NDArray[np.float64],
) -> NDArray[np.float64]:
    """float64 [K, 3]: the cosine of each item and its nearest, and mean and deviation of that one's cosines to the catalogue."""
    found_K3 = np.zeros((len(items_K), 3), dtype=np.float64)
    for k in range(len(items_K)):
        if near_K[k] < 0:
            continue
        vector_D = vectors_VD[near_K[k]]
        cosine, mean, second = np.float32(0), 0.0, 0.0
        for d in range(len(mean_D)):
            cosine += vectors_VD[items_K[k], d] * vector_D[d]
            mean += vector_D[d] * mean_D[d]
            row = 0.0
            for e in range(len(mean_D)):
                row += second_DD[d, e] * vector_D[e]
            second += vector_D[d] * row
        found_K3[k, 0], found_K3[k, 1], found_K3[k, 2] = cosine, mean, np.sqrt(max(second - mean * mean, 0.0))
    return found_K3


def connections(
    memory: Memory,
    items_K: NDArray[np.integer],
    history: Histories,
    *,
    num_items: int,
    transitions: Transitions | None = None,
) -> list[Contribution | None]:
    """For each item the watched item whose watchers also watched it.

    Args:
        memory: Item-item transitions.
        items_K: Items to explain.
        history: One row.
        num_items: V.
        transitions: What the memory says of that history, where it was asked before.

    Returns:
        K contributions of kind ``memory``; None for an item without a counted transition.
    """
    if transitions is None:
        transitions = Transitions(*memory.connected(history.of(0)))
    items = np.asarray(items_K, dtype=np.int64)
    if not len(items):
        return []
    strengths_K = Scale.of_few(transitions.scores_T, num_items).z_scores(transitions.of(items))
    newest_H = history.of(0)[::-1][:NUM_CONNECTED]
    counts_HK = memory.links(newest_H, items)
    # The heaviest counts, and of equals the newest.
    first_K = (counts_HK * _RECENCIES_H1[: len(newest_H)]).argmax(axis=0)
    counts_K = counts_HK[first_K, np.arange(len(items))]
    watched_K = np.where(counts_K > 0, newest_H[first_K], -1)
    return [
        Contribution("memory", strength, watched, {"weight": round(count, 4)})
        if watched >= 0 and np.isfinite(strength)
        else None
        for strength, watched, count in zip(strengths_K.tolist(), watched_K.tolist(), counts_K.tolist(), strict=True)
    ]


def standing(
    kind: str, values_S: NDArray[np.floating], values_K: NDArray[np.floating], *, num_items: int
) -> list[Contribution | None]:
    """How far up each item is in a list over the whole catalogue.

    Args:
        kind: What the list is about: ``popularity``, ``segment``, ``profile``, ``model``.
        values_S: Of the catalogue, or of a sample of it; higher is better, not finite where the list has no opinion.
        values_K: Of the items to explain.
        num_items: V; where that is more than were sampled, ranks are estimated.

    Returns:
        K contributions with ``rank`` (from 1, equal values share the better one) and ``out_of``; None where the list
        has no opinion.
    """
    finite = values_S[np.isfinite(values_S)]
    times = num_items / max(len(values_S), 1)
    strengths_K = Scale.of(values_S).z_scores(values_K)
    if len(values_K) > _FEW:
        finite = np.sort(finite)
    found: list[Contribution | None] = []
    for value, strength in zip(values_K, strengths_K.tolist(), strict=True):
        if not np.isfinite(value):
            found.append(None)
            continue
        if len(values_K) > _FEW:
            above = len(finite) - int(np.searchsorted(finite, value, side="right"))
        else:
            above = int(np.count_nonzero(finite > value))
        facts = {"rank": 1 + round(times * above), "out_of": round(times * len(finite))}
        found.append(Contribution(kind, strength, None, facts))
    return found


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of the finite values of a list over the whole catalogue; a deviation of 0 where all are equal."""

    mean: float
    deviation: float

    @classmethod
    def of(cls, values_V: NDArray[np.floating]) -> Self:
        """Of one list."""
        values = np.asarray(values_V, dtype=np.float64)
        finite_V = np.isfinite(values)
        finite = values if finite_V.all() else values[finite_V]
        if not len(finite):
            return cls(0.0, 0.0)
        deviation = float(finite.std())
        return cls(float(finite.mean()), deviation if deviation > _LEAST else 0.0)

    @classmethod
    def of_few(cls, values_T: NDArray[np.floating], num_items: int) -> Self:
        """Of a list that is 0 but for a few values, all of them finite."""
        values, size = np.asarray(values_T, dtype=np.float64), max(num_items, 1)
        mean = float(values.sum()) / size
        deviation = float(np.sqrt(max(float(values @ values) / size - mean**2, 0.0)))
        return cls(mean, deviation if deviation > _LEAST else 0.0)

    def z_scores(self, values_K: NDArray[np.floating]) -> NDArray[np.float64]:
        """Distances of some of them from the mean in standard deviations; 0 where all are equal, and what is not finite stays so."""
        values = np.asarray(values_K, dtype=np.float64)
        if not self.deviation:
            return np.where(np.isfinite(values), 0.0, values)
        return np.asarray((values - self.mean) / self.deviation)


@dataclass(frozen=True)
class Leading:
    """The top of a list of counts over the whole catalogue, on the logarithm of which things stand out.

    Attributes:
        scale: Of the logarithms.
        top: The largest counts, ascending; at least as many as are ever called popular.
        num: Items.
    """

    scale: Scale
    top: NDArray[np.float64]
    num: int

    @classmethod
    def of(cls, counts_V: NDArray[np.float64], most: int) -> Self:
        """Of all counts, finite and >= 0; of which ``most`` are called popular."""
        logs_V = np.log1p(counts_V)
        most = min(most, len(logs_V))
        return cls(
            Scale.of(logs_V), np.sort(np.partition(logs_V, len(logs_V) - most)[len(logs_V) - most :]), len(logs_V)
        )

    def contributions(self, kind: str, counts_K: NDArray[np.float64]) -> list[Contribution | None]:
        """One per item, with its rank; None for an item that is not among the first or has no count."""
        logs_K = np.log1p(counts_K)
        ranks_K = 1 + len(self.top) - np.searchsorted(self.top, logs_K, side="right")
        return [
            Contribution(kind, strength, None, {"rank": rank, "out_of": self.num})
            if count > 0 and rank <= len(self.top)
            else None
            for strength, rank, count in zip(
                self.scale.z_scores(logs_K).tolist(), ranks_K.tolist(), counts_K.tolist(), strict=True
            )
        ]


def z_scores(values_V: NDArray[np.floating]) -> NDArray[np.float64]:
    """float64 [V], distance from the mean of the finite values in standard deviations; 0 where all are equal.

    Example:
        >>> z_scores(np.array([1.0, 1.0, 4.0, np.nan])).round(3).tolist()
        [-0.707, -0.707, 1.414, nan]
    """
    return Scale.of(values_V).z_scores(values_V)
