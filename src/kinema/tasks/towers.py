"""Towers: linear maps that carry the content of items, or a query's vector, into one space. No torch: this is what serves.

    row = unit(sum over modalities of unit((x - mean) * scale) @ map)

An item needs one of the modalities, not all, and no event.

Shape suffixes: V items, N rows, D width of a modality, E width of the space.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.store.features import ModalityFeatures

PLAIN: Final = ("text", "transcript")
"""Modalities whose cosine means something as it is; the columns of all others are standardised first."""
_PARTS: Final = ("mean", "scale", "map")
_FEW: Final = 8


@dataclass(frozen=True)
class Carrier:
    """How one modality gets into the space.

    Attributes:
        mean_D: float32, taken off first.
        scale_D: float32, what columns are then multiplied by.
        map_DE: float32.
    """

    mean_D: NDArray[np.float32]
    scale_D: NDArray[np.float32]
    map_DE: NDArray[np.float32]

    def inputs(self, vectors_ND: NDArray[np.floating]) -> NDArray[np.float32]:
        """float32 [N, D], what the map reads: standardised unit rows; zeros where a value is not finite.

        Raises:
            DataError: The vectors have another width.
        """
        if vectors_ND.ndim != 2 or vectors_ND.shape[1] != len(self.mean_D):
            raise DataError(
                f"vectors must be [rows, {len(self.mean_D)}] as those that were learnt from, are {list(vectors_ND.shape)}; "
                "run: kinema finetune"
            )
        moved_ND = (np.asarray(vectors_ND, dtype=np.float32) - self.mean_D) * self.scale_D
        return unit(moved_ND)

    def carry(self, vectors_ND: NDArray[np.floating]) -> NDArray[np.float32]:
        """float32 [N, E], unit rows."""
        return unit(self.inputs(vectors_ND) @ self.map_DE)


@dataclass(frozen=True)
class Tower:
    """How items get into the space.

    Attributes:
        carriers: Modality -> its way.
    """

    carriers: Mapping[str, Carrier]

    @property
    def width(self) -> int:
        """E."""
        return int(next(iter(self.carriers.values())).map_DE.shape[1])

    def rows(self, features: Mapping[str, ModalityFeatures]) -> NDArray[np.float32]:
        """Items in the space.

        Args:
            features: Of the catalogue; modalities that the tower does not know are passed over.

        Returns:
            float32 [V, E], unit rows; zero rows for items that have none of the modalities.

        Raises:
            DataError: The catalogue has none of the modalities, or vectors of another width.
        """
        parts = [
            np.where(one.present_V[:, None], carrier.inputs(one.vectors_VD) @ carrier.map_DE, np.float32(0))
            for name, carrier in self.carriers.items()
            for one in ([features[name]] if name in features else [])
        ]
        if not parts:
            raise DataError(f"items must have one of {', '.join(self.carriers)}, have none; run: kinema extract")
        return unit(np.sum(parts, axis=0))

    def arrays(self, prefix: str) -> dict[str, NDArray[np.float32]]:
        """Name -> array, for a file."""
        return {
            f"{prefix}/{name}/{part}": np.ascontiguousarray(value)
            for name, one in self.carriers.items()
            for part, value in zip(_PARTS, (one.mean_D, one.scale_D, one.map_DE), strict=True)
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.float32]], prefix: str) -> Self:
        """From `arrays`."""
        inner = [name.removeprefix(f"{prefix}/") for name in arrays if name.startswith(f"{prefix}/")]
        names = sorted({name.rpartition("/")[0] for name in inner})
        return cls({name: Carrier(*(arrays[f"{prefix}/{name}/{part}"] for part in _PARTS)) for name in names})


def unit(rows_ND: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows of length 1; rows of zeros, and rows with a value that is not finite, become zeros.

    Example:
        >>> unit(np.array([[3.0, 4.0], [0.0, 0.0]])).round(1).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    rows = np.asarray(rows_ND, dtype=np.float32)
    clean = np.where(np.isfinite(rows).all(axis=1, keepdims=True), rows, np.float32(0))
    lengths = np.linalg.norm(clean, axis=1, keepdims=True)
    return np.asarray(clean / np.where(lengths > 0, lengths, np.float32(1)), dtype=np.float32)


def standard(vectors_ND: NDArray[np.floating], *, plain: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and scale of the columns.

    Args:
        vectors_ND: Rows that are there.
        plain: Leave the columns as they are.

    Returns:
        float32 [D] each. A column that hardly varies is not blown up; of fewer than eight rows neither can be told.
    """
    width = vectors_ND.shape[1]
    usable_ND = vectors_ND[np.isfinite(vectors_ND).all(axis=1)].astype(np.float64)
    if plain or len(usable_ND) < _FEW:
        return np.zeros(width, dtype=np.float32), np.ones(width, dtype=np.float32)
    spread_D = usable_ND.var(axis=0)
    usual = float(spread_D.mean())
    scale_D = 1.0 / np.sqrt(spread_D + 0.01 * usual) if usual > 0 else np.ones(width)
    return usable_ND.mean(axis=0).astype(np.float32), scale_D.astype(np.float32)


def directions(inputs_ND: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """The directions in which rows differ most, orthonormal columns.

    Args:
        inputs_ND: Rows, at least one; the products of columns are taken as they are, without another mean.
        most: At most so many.

    Returns:
        float32 [D, R], R <= most; the sign of each is such that its largest number is positive.
    """
    _, values, rows_RD = np.linalg.svd(inputs_ND.astype(np.float64), full_matrices=False)
    kept = min(most, int((values > 1e-6 * max(values[0], 1e-12)).sum()) or 1)
    basis_DR = rows_RD[:kept].T
    signs_R = np.sign(basis_DR[np.abs(basis_DR).argmax(axis=0), np.arange(kept)])
    return np.asarray(basis_DR * np.where(signs_R == 0, 1.0, signs_R), dtype=np.float32)


def nearest_moments(
    frames_TE: NDArray[np.float32], rows_ME: NDArray[np.float32], offsets: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Product of each frame with the nearest moment of every item.

    Args:
        frames_TE: Unit rows.
        rows_ME: Unit rows.
        offsets: int64 [V + 1].

    Returns:
        float32 [T, V]; not-a-number where an item has no moments.

    Example:
        >>> rows = np.float32([[1, 0], [0, 1], [0.6, 0.8]])
        >>> nearest_moments(rows[:1], rows, np.array([0, 2, 2, 3])).round(2).tolist()
        [[1.0, nan, 0.6000000238418579]]
    """
    there = np.flatnonzero(np.diff(offsets) > 0)
    found_TV = np.full((len(frames_TE), len(offsets) - 1), np.nan, dtype=np.float32)
    if len(there):
        found_TV[:, there] = np.maximum.reduceat(frames_TE @ rows_ME.T, offsets[there], axis=1)
    return found_TV
