"""Items whose content is close to what the user watched. Needs no model and no other user, so it finds new items.

Shape suffixes: V items, D width, M modalities joined, H the newest items of a history.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from kinema.retrieval.asked_before import AskedBefore
from kinema.retrieval.ivf import IvfIndex
from kinema.retrieval.nearby import Nearby
from kinema.retrieval.query import Query
from kinema.retrieval.top import Candidates, as_candidates, best_places, nothing
from kinema.store.features import ModalityFeatures

_UNIT: Final = 1e-5
_FEW_LISTS: Final = 16
"""A catalogue of fewer items than so many lists of near ones is compared as a whole."""


def unit_rows(vectors_VD: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows scaled to length 1; rows of zeros and rows with a value that is not finite become zeros. What is so already is given back.

    One damaged vector would otherwise turn every product with it into NaN and with it the order of the whole slate.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0], [np.nan, 1.0]]))
        array([[0.6, 0.8],
               [0. , 0. ],
               [0. , 0. ]], dtype=float32)
    """
    vectors = np.asarray(vectors_VD, dtype=np.float32)
    lengths_V = np.linalg.norm(vectors, axis=1)
    if ((np.abs(lengths_V - 1) < _UNIT) | (lengths_V == 0)).all():
        return vectors  # of a million items a copy is a quarter of a gigabyte
    finite_V = np.asarray(np.isfinite(vectors).all(axis=1))
    cleaned_VD = np.where(finite_V[:, None], vectors, np.float32(0))
    lengths_V1 = np.linalg.norm(cleaned_VD, axis=1, keepdims=True)
    return np.asarray(cleaned_VD / np.where(lengths_V1 > 0, lengths_V1, np.float32(1)))


def content_of(features: Mapping[str, ModalityFeatures]) -> dict[str, NDArray[np.float32]]:
    """Unit content vectors per modality from raw encoder output, for a catalogue without a trained model.

    The mean over the present items is taken off first: raw encoder output shares one dominant direction, in which all
    items look alike. A trained model brings its own whitened vectors instead.

    Args:
        features: Encoder output by modality.

    Returns:
        Modality -> float32 [V, D], unit rows, zero rows where the item lacks the modality.
    """
    content = {}
    for name, modality in features.items():
        usable_V = modality.present_V & np.isfinite(modality.vectors_VD).all(axis=1)
        if usable_V.any():
            mean_D = modality.vectors_VD[usable_V].mean(axis=0)
            content[name] = unit_rows(np.where(usable_V[:, None], modality.vectors_VD - mean_D, np.float32(0)))
    return content


def joint(content: Mapping[str, NDArray[np.float32]]) -> NDArray[np.float32] | None:
    """One unit vector per item: its modalities side by side; None where there is no modality at all.

    The product of two such rows is the mean cosine over the modalities; one that only one of the two has lowers it.
    """
    if not content:
        return None
    return unit_rows(np.concatenate(list(content.values()), axis=1))


@dataclass(frozen=True)
class ContentRetriever:
    """Items near the user's newest items in content.

    Attributes:
        vectors_VD: float32, unit rows, zero rows where there is no content.
        pooling: ``mean`` compares with the recency-weighted mean of the history, which suits one steady taste; ``max``
            with the nearest single item, which keeps several tastes apart.
        decay: Weight of an item relative to the one watched after it, in (0, 1].
        num_recent: How many of the newest items count.
        name: The source its candidates carry.
        index: Of the vectors; None compares with everything what was not asked about before.
        num_near: Nearest items that are kept of an item once it was asked about; see `kinema.retrieval.nearby`.
    """

    vectors_VD: NDArray[np.float32]
    pooling: Literal["mean", "max"] = "max"
    decay: float = 0.9
    num_recent: int = 10
    name: str = "content"
    num_near: int = 1024
    index: IvfIndex | None = field(default=None, compare=False, repr=False)

    @cached_property
    def present(self) -> NDArray[np.bool_]:
        """Bool [V], the items that have content."""
        return np.asarray(self.vectors_VD.any(axis=1))

    @cached_property
    def _nearby(self) -> Nearby:
        return Nearby(self.vectors_VD, self.present, num_near=self.num_near, index=self.index)

    @cached_property
    def _asked_before(self) -> AskedBefore:
        return AskedBefore(self.name)

    def __call__(self, query: Query, num: int) -> Candidates:
        """The ``num`` nearest allowed items that have content; none where no item of the history has any."""
        recent_H = query.items[::-1][: self.num_recent]
        known_H = self.present[recent_H]
        if not known_H.any():
            return nothing(self.name)
        weights_H = (self.decay ** np.arange(len(recent_H), dtype=np.float32))[known_H]
        watched_H = recent_H[known_H]
        if self.pooling == "mean":
            mean_D = (weights_H[:, None] * self.vectors_VD[watched_H]).sum(axis=0)
            return as_candidates(self.vectors_VD @ mean_D, num, query.allowed_V & self.present, source=self.name)
        question, present_V = recent_H.tobytes(), self.present
        if len(self.vectors_VD) > _FEW_LISTS * self.num_near:
            found = self._asked_before.recalled(question, num, query.allowed_V)
            if found is not None:
                return found
            near_N, cosines_N = self._nearby.scores(watched_H, weights_H)
            self._asked_before.keep(question, near_N, cosines_N)
            places_N = np.flatnonzero(query.allowed_V[near_N])
            if len(places_N) >= num:
                items_N, scores_N = near_N[places_N], cosines_N[places_N]
                places_K = best_places(scores_N, num, None, items_N)
                return Candidates(self.name, items_N[places_K], scores_N[places_K])

        def nearest() -> NDArray[np.float32]:
            weighted_HD = weights_H[:, None] * self.vectors_VD[watched_H]
            found_V: NDArray[np.float32] = (weighted_HD @ self.vectors_VD.T).max(axis=0)
            return found_V

        return self._asked_before.best(question, nearest, num, query.allowed_V, present_V=present_V)
