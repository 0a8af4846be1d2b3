"""Standardise, rotate, rescale: every modality enters the model with uncorrelated columns of about equal spread.

Without it the few directions that all items of an encoder share drown what tells them apart, and a frozen modality
added to a trained one does harm (FLM.md section 1, point 4). Full whitening would blow the last components, which in a
small catalogue are noise, up to the size of the first; a component of variance l is therefore given the spread
l / (l + 1), where 1 is the mean variance of the standardised columns (Wiener's filter with noise at that level). A few dozen items
say nothing of the spread of their components, which all look alike: they are centred and rotated, so that cosines stay those of the
encoder.

Shape suffixes: V items, E encoder width, W whitened width.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError

_SMALLEST: Final = 1e-4
_ROWS_PER_COMPONENT: Final = 20
_LEAST_WIDTH: Final = 8
_WIDEST: Final = 4096
"""Columns, or rows, of which all components are computed at once."""
_TURNS: Final = 8


@dataclass(frozen=True)
class Whitening:
    """A fitted map from encoder vectors to whitened unit vectors.

    Attributes:
        mean_E: float32.
        matrix_EW: float32, standardisation, rotation and rescaling in one.
        tokens: The map of the modality's tokens, where its moments are read.
    """

    mean_E: NDArray[np.float32]
    matrix_EW: NDArray[np.float32]
    tokens: "Whitening | None" = None

    @property
    def width(self) -> int:
        """W."""
        return int(self.matrix_EW.shape[1])

    @classmethod
    def fit(cls, vectors_VE: NDArray[np.float32], *, max_width: int = 128) -> Self:
        """Fit on the items that training sees.

        Args:
            vectors_VE: Encoder output of the items that have this modality, at least one row.
            max_width: Most components kept; also never more than a twentieth of the rows, because the last components of a
                small catalogue are noise blown up to unit spread. Fewer than 160 rows, of which that leaves less than 8, are
                not rescaled, and keep all components.

        Returns:
            The map.

        Raises:
            DataError: No row, or a value is not finite.

        Example:
            >>> vectors = np.random.default_rng(0).normal(size=(200, 16)).astype(np.float32)
            >>> Whitening.fit(vectors, max_width=4).apply(vectors).shape
            (200, 4)
        """
        if not len(vectors_VE) or not np.isfinite(vectors_VE).all():
            raise DataError(f"features to whiten must be finite with at least one row, got shape {vectors_VE.shape}")
        num_rows = len(vectors_VE)
        is_told = num_rows >= _ROWS_PER_COMPONENT * _LEAST_WIDTH
        mean_E = vectors_VE.mean(axis=0, dtype=np.float64)
        spread_E = vectors_VE.std(axis=0, dtype=np.float64)
        scale_E = np.where(spread_E > _SMALLEST * max(spread_E.max(), 1e-12), 1 / np.maximum(spread_E, 1e-12), 0.0)
        if not is_told:
            scale_E = np.ones_like(scale_E)
        standard_VE = (vectors_VE - mean_E) * scale_E
        most = num_rows // _ROWS_PER_COMPONENT if is_told else num_rows
        values_K, rotation_EK = _components(standard_VE, most=max(1, min(max_width, most, len(mean_E))))
        order = np.argsort(-values_K)[: max(1, min(max_width, most, len(values_K)))]
        kept = order[values_K[order] > _SMALLEST * max(values_K[order[0]], 1e-12)]
        kept = kept if len(kept) else order[:1]
        # The sign of an eigenvector is arbitrary; fixing it keeps artefacts equal across machines.
        signs = np.sign(rotation_EK[np.abs(rotation_EK[:, kept]).argmax(axis=0), kept])
        rotation_EW = rotation_EK[:, kept] * np.where(signs == 0, 1, signs)
        spread_W = values_K[kept] / (values_K[kept] + 1) / np.sqrt(np.maximum(values_K[kept], 1e-12))
        matrix_EW = scale_E[:, None] * rotation_EW * (spread_W if is_told else 1.0)
        return cls(mean_E.astype(np.float32), matrix_EW.astype(np.float32))

    def same(self, other: "Whitening") -> bool:
        """Whether both are the same map, of tokens too."""
        if (self.tokens is None) != (other.tokens is None):
            return False
        whole = np.array_equal(self.mean_E, other.mean_E) and np.array_equal(self.matrix_EW, other.matrix_EW)
        return whole and (self.tokens is None or other.tokens is None or self.tokens.same(other.tokens))

    def arrays(self, name: str) -> dict[str, NDArray[np.float32]]:
        """Name of the array in an artefact -> array; `from_arrays` reads them."""
        own = {f"mean.{name}": self.mean_E, f"matrix.{name}": self.matrix_EW}
        return own if self.tokens is None else own | self.tokens.arrays(f"{name}/tokens")

    @classmethod
    def from_arrays(cls, name: str, arrays: Mapping[str, NDArray[np.float32]]) -> Self:
        """What `arrays` gave."""
        inner = f"{name}/tokens"
        tokens = cls.from_arrays(inner, arrays) if f"mean.{inner}" in arrays else None
        return cls(arrays[f"mean.{name}"], arrays[f"matrix.{name}"], tokens)

    def apply(self, vectors_VE: NDArray[np.float32]) -> NDArray[np.float32]:
        """Whiten.

        Returns:
            float32 [V, W], rows of unit length (zero where the input equals the mean).

        Raises:
            DataError: The width is not the one it was fitted on.
        """
        if vectors_VE.shape[1] != len(self.mean_E):
            raise DataError(
                f"features must be {len(self.mean_E)} wide as in training, are {vectors_VE.shape[1]}; run: kinema pretrain"
            )
        return unit_rows((vectors_VE - self.mean_E) @ self.matrix_EW)


def _components(standard_VE: NDArray[np.float64], *, most: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Principal components of centred rows: variances [K], and directions [E, K] as columns, in no order; K is at least ``most``.

    A covariance is as large as its width squared: of several time scales side by side, gigabytes and minutes. Very wide rows
    are therefore compared with each other, and where they are many as well, only the largest components are looked for.
    """
    num_rows, width = standard_VE.shape
    if width <= _WIDEST:
        values_E, rotation_EE = np.linalg.eigh(standard_VE.T @ standard_VE / num_rows)
        return values_E, rotation_EE
    if num_rows <= _WIDEST:
        values_V, rows_VV = np.linalg.eigh(standard_VE @ standard_VE.T / num_rows)
    else:
        return _subspace(standard_VE, min(2 * most, num_rows))
    directions_EK = standard_VE.T @ rows_VV
    return values_V, directions_EK / np.maximum(np.linalg.norm(directions_EK, axis=0), 1e-12)


def _subspace(rows_VE: NDArray[np.float64], size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The ``size`` largest components, the first half of them to a few digits, by subspace iteration.

    Source: Halko, Martinsson & Tropp 2011, algorithm 4.4.
    """
    directions_EK = np.random.default_rng(0).standard_normal((rows_VE.shape[1], size))
    for _ in range(_TURNS):
        directions_EK, _ = np.linalg.qr(rows_VE.T @ (rows_VE @ directions_EK))
    places_VK = rows_VE @ directions_EK
    values_K, turned_KK = np.linalg.eigh(places_VK.T @ places_VK / len(rows_VE))
    return values_K, directions_EK @ turned_KK


def unit_rows(rows_ND: NDArray[np.floating]) -> NDArray[np.float32]:
    """Rows divided by their length; a zero row stays zero.

    Example:
        >>> unit_rows(np.array([[3.0, 4.0], [0.0, 0.0]])).tolist()
        [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """
    lengths_N1 = np.linalg.norm(rows_ND, axis=1, keepdims=True)
    return np.asarray(rows_ND / np.where(lengths_N1 > 0, lengths_N1, 1), dtype=np.float32)
