"""What a task sees of a row: row numbers in, vectors out. Any module with a ``width`` and this call can take the place.

Data are no parameters: the same module reads other rows through `of`, as a served model does.

Shape suffixes: N rows, F fields, B rows of a step, D width.
"""

import copy
from typing import Protocol, Self, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinema.errors import DataError
from kinema.flm.draws import Draws


class RowInput(Protocol):
    """A module that maps row numbers to vectors.

    Attributes:
        width: D.
    """

    width: int

    def __call__(self, rows_B: Tensor) -> Tensor:
        """float32 [B, D]."""


@runtime_checkable
class DrawnInput(Protocol):
    """An input with randomness of its own in training, such as items that do without their vector."""

    def drawn(self, rows_B: Tensor, draws: Draws) -> Tensor:
        """What the call gives, with randomness."""


class NumberInput(nn.Module):
    """Columns of numbers, each brought to mean 0 and deviation 1.

    Args:
        numbers_ND: float32; not a number counts as the mean.
        fit_rows: Rows that mean and deviation are taken from, those of training; None for all.

    Attributes:
        width: D.

    Example:
        >>> NumberInput(np.array([[1.0], [3.0], [np.nan]]))(torch.tensor([0, 2])).tolist()
        [[-1.0], [0.0]]
    """

    mean_D: Tensor
    deviation_D: Tensor

    def __init__(self, numbers_ND: NDArray[np.floating], fit_rows: NDArray[np.integer] | None = None) -> None:
        super().__init__()
        self.width = numbers_ND.shape[1]
        self._numbers_ND = _as_numbers(numbers_ND, self.width)
        seen_ND = numbers_ND if fit_rows is None else numbers_ND[fit_rows]
        known_ND = np.isfinite(seen_ND)
        count_D = np.maximum(known_ND.sum(axis=0), 1)
        mean_D = np.where(known_ND, seen_ND, 0).sum(axis=0) / count_D
        deviation_D = np.sqrt((np.where(known_ND, seen_ND - mean_D, 0) ** 2).sum(axis=0) / count_D)
        deviation_D[deviation_D == 0] = 1.0
        self.register_buffer("mean_D", torch.tensor(mean_D, dtype=torch.float32))
        self.register_buffer("deviation_D", torch.tensor(deviation_D, dtype=torch.float32))

    def forward(self, rows_B: Tensor) -> Tensor:
        """float32 [B, D]."""
        return ((self._numbers_ND[rows_B] - self.mean_D) / self.deviation_D).nan_to_num(0.0, 0.0, 0.0)

    def of(self, numbers_ND: NDArray[np.floating]) -> Self:
        """The same scale on other rows."""
        other = copy.copy(self)
        other._numbers_ND = _as_numbers(numbers_ND, self.width)  # noqa: SLF001  # of our own class
        return other


class FieldInput(nn.Module):
    """Fields of numbers that stand for values (user, item, city), each value with a vector; all in one table.

    Args:
        ids_NF: int64, each field's values from 0.
        sizes_F: How many values each field has.
        width: Of a value's vector.

    Attributes:
        width: F times the width of a vector.

    Raises:
        DataError: A value is out of range.
    """

    def __init__(self, ids_NF: NDArray[np.integer], sizes_F: tuple[int, ...], *, width: int) -> None:
        super().__init__()
        self._sizes_F = np.array(sizes_F, dtype=np.int64)
        self._places_NF = self._places(ids_NF)
        self.width = width * len(sizes_F)
        self.table = nn.Embedding(int(self._sizes_F.sum()), width)
        nn.init.normal_(self.table.weight, std=0.05)

    def forward(self, rows_B: Tensor) -> Tensor:
        """float32 [B, D]."""
        vectors: Tensor = self.table(self._places_NF[rows_B])
        return vectors.flatten(1)

    def of(self, ids_NF: NDArray[np.integer]) -> Self:
        """The same vectors for other rows."""
        other = copy.copy(self)
        other._places_NF = self._places(ids_NF)  # noqa: SLF001  # of our own class
        return other

    def _places(self, ids_NF: NDArray[np.integer]) -> Tensor:
        if ids_NF.ndim != 2 or ids_NF.shape[1] != len(self._sizes_F):
            raise DataError(
                f"rows must have {len(self._sizes_F)} fields, have the shape {ids_NF.shape}; give all fields"
            )
        wrong = np.argwhere((ids_NF < 0) | (ids_NF >= self._sizes_F))
        if len(wrong):
            row, field = wrong[0].tolist()
            raise DataError(
                f"field {field} must be in 0..{self._sizes_F[field] - 1}, is {ids_NF[row, field]} at row {row}; "
                "give unknown values a number of their own"
            )
        begins_F = np.cumsum(self._sizes_F) - self._sizes_F
        return torch.from_numpy(ids_NF.astype(np.int64) + begins_F)


class JoinedInput(nn.Module):
    """Several inputs side by side.

    Args:
        parts: Each a `RowInput`.

    Attributes:
        width: Of all together.
    """

    def __init__(self, *parts: nn.Module) -> None:
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.width = sum(getattr(one, "width", 0) for one in parts)

    def forward(self, rows_B: Tensor) -> Tensor:
        """float32 [B, D]."""
        return torch.cat([one(rows_B) for one in self.parts], dim=1)


def _as_numbers(numbers_ND: NDArray[np.floating], width: int) -> Tensor:
    if numbers_ND.ndim != 2 or numbers_ND.shape[1] != width:
        raise DataError(f"rows must have {width} numbers, have the shape {numbers_ND.shape}; give all columns")
    return torch.from_numpy(np.ascontiguousarray(numbers_ND, dtype=np.float32))
