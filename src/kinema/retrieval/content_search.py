"""Items near a vector that comes from outside of the catalogue: a query's text, a picture, a clip.

Every column is standardised over the catalogue first: raw vectors of one encoder share a direction, in which all items look
alike. What comes out is a number of standard deviations, so that texts, pictures and movements can be added.

Shape suffixes: V items, D width.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.retrieval.content import unit_rows

_FEW: Final = 8
"""Of fewer items neither mean nor spread can be told: of one alone, the mean is the item itself."""


class Space(Protocol):
    """Items that a query can be compared with."""

    @property
    def present_V(self) -> NDArray[np.bool_]:  # noqa: N802 -- shape suffix
        """Bool [V], the items that can be compared."""

    def closeness(self, query: NDArray[np.floating]) -> NDArray[np.float32]:
        """float32 [V], cosines; not-a-number where the item cannot be compared."""


@dataclass(frozen=True)
class SearchSpace:
    """Vectors of a catalogue that queries are compared with.

    Attributes:
        rows_VD: float32, unit rows, zero rows where the item has none.
        mean_D: Taken off a query first.
        scale_D: A query's columns are then multiplied by it.
    """

    rows_VD: NDArray[np.float32]
    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]

    @classmethod
    def plain(cls, rows_VD: NDArray[np.floating]) -> Self:
        """For vectors whose cosine means something as it is, as a sentence encoder's.

        Example:
            >>> SearchSpace.plain(np.array([[3.0, 4.0], [0.0, 0.0]])).closeness(np.float32([0, 2])).tolist()
            [0.800000011920929, nan]
        """
        width = rows_VD.shape[1]
        return cls(unit_rows(rows_VD), np.zeros(width, dtype=np.float32), np.ones(width, dtype=np.float32))

    @classmethod
    def standardised(cls, vectors_VD: NDArray[np.floating], present_V: NDArray[np.bool_]) -> Self:
        """For raw encoder output.

        Args:
            vectors_VD: One row per item.
            present_V: Which rows hold a vector; rows with a value that is not finite count as absent.
        """
        usable_V = present_V & np.isfinite(vectors_VD).all(axis=1)
        used_VD = vectors_VD[usable_V].astype(np.float64)
        if len(used_VD) < _FEW:
            return cls.plain(np.where(usable_V[:, None], vectors_VD, 0.0))
        mean_D = used_VD.mean(axis=0)
        spread_D = used_VD.var(axis=0)
        usual = float(spread_D.mean())
        # A column that hardly varies would be noise blown up.
        scale_D = 1.0 / np.sqrt(spread_D + 0.01 * usual) if usual > 0 else np.ones_like(mean_D)
        moved_VD = np.where(usable_V[:, None], (vectors_VD - mean_D) * scale_D, 0.0)
        return cls(unit_rows(moved_VD), mean_D.astype(np.float32), scale_D.astype(np.float32))

    @property
    def present_V(self) -> NDArray[np.bool_]:  # noqa: N802 -- shape suffix
        """Bool [V], the items that can be compared."""
        return np.asarray(self.rows_VD.any(axis=1))

    def closeness(self, query: NDArray[np.floating]) -> NDArray[np.float32]:
        """Cosine of every item with a query.

        Args:
            query: [D], from the encoder that made the items' vectors.

        Returns:
            float32 [V]; not-a-number where the item has no vector.

        Raises:
            DataError: The query has another width, or a value that is not finite.
        """
        width = self.rows_VD.shape[1]
        if query.shape != (width,) or not np.isfinite(query).all():
            raise DataError(f"a query vector must be {width} finite numbers as the items' are, got {query.shape}")
        unit_D = unit_rows(((query - self.mean_D) * self.scale_D)[None])[0]
        return np.where(self.present_V, self.rows_VD @ unit_D, np.float32(np.nan)).astype(np.float32)


class SharedSpace(Protocol):
    """An encoder of words whose vectors lie among those of pictures, as in CLIP and SigLIP."""

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [N, D], unit rows."""


@dataclass(frozen=True)
class Bridge:
    """A way from words to pictures.

    Attributes:
        name: The part of the score it becomes.
        how: How the answer tells of it, after "looks like the words, ".
        space: The items' pictures in a space that words have a place in.
        ask: A text -> its vector [D] in that space.
        weight: What it counts beside a text of weight 1.
        weight_alone: What it counts for items without a text of their own.
    """

    name: str
    how: str
    space: SearchSpace
    ask: Callable[[str], NDArray[np.float32]]
    weight: float
    weight_alone: float

    @classmethod
    def shared(cls, encoder: SharedSpace, pictures_VD: NDArray[np.float32]) -> Self:
        """By look: pictures and words from one encoder that was trained on pairs of them.

        Args:
            encoder: Of the words.
            pictures_VD: From its other half, zero rows for items without pictures.
        """
        space = SearchSpace.plain(pictures_VD)
        return cls(
            "look", "in a space that pictures and words share", space, partial(_first, encoder.encode_texts), 0.6, 1.0
        )

    @classmethod
    def class_names(
        cls, encode: Callable[[Sequence[str]], NDArray[np.float32]], picture_words_VD: NDArray[np.float32]
    ) -> Self:
        """By the names of what an image classifier sees.

        Args:
            encode: Texts -> vectors of the text encoder.
            picture_words_VD: Per item the same encoder's vectors of class names, weighted by how probable each class is; zero
                rows for items without pictures.
        """
        space = SearchSpace.plain(picture_words_VD)
        return cls(
            "class_names", "by the names of what is recognised in the picture", space, partial(_first, encode), 0.3, 0.7
        )

    @classmethod
    def projection(
        cls,
        encode: Callable[[Sequence[str]], NDArray[np.float32]],
        carry: Callable[[NDArray[np.float32]], NDArray[np.float32]],
        rows_VD: NDArray[np.float32],
    ) -> Self:
        """Through the projections in which a trained model has aligned texts and pictures.

        Args:
            encode: Texts -> vectors of the text encoder.
            carry: Those vectors -> their place in the model.
            rows_VD: The items' pictures in the model, zero rows for items without.
        """

        def ask(text: str) -> NDArray[np.float32]:
            return np.asarray(carry(encode([text]))[0], dtype=np.float32)

        return cls("projection", "through the model's projection", SearchSpace.plain(rows_VD), ask, 0.3, 0.7)


def _first(encode: Callable[[Sequence[str]], NDArray[np.float32]], text: str) -> NDArray[np.float32]:
    """The vector of one text."""
    return np.asarray(encode([text])[0], dtype=np.float32)


def deviations(values_V: NDArray[np.floating], among_V: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Standard deviations above the mean.

    Args:
        values_V: Not-a-number where an item has no value.
        among_V: Items that mean and deviation are taken over.

    Returns:
        float64 [V]; 0 for items without a value, and for all where the values do not differ.

    Example:
        >>> deviations(np.array([1.0, 1.0, 4.0, np.nan, 9.0]), np.array([True, True, True, True, False])).round(2).tolist()
        [-0.71, -0.71, 1.41, 0.0, 4.95]
    """
    values = np.asarray(values_V, dtype=np.float64)
    known_V = np.isfinite(values)
    chosen = values[known_V & among_V]
    if not len(chosen) or chosen.std() <= 1e-9:
        return np.zeros(len(values))
    return np.where(known_V, (np.where(known_V, values, 0.0) - chosen.mean()) / chosen.std(), 0.0)
