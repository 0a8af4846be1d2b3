"""Examples of several tasks on one log: who, which item, when, and what was right; cut by time at the same moments for all.

Shape suffixes: N rows of a task, U users, V catalogue.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError

Meaning = Literal["chance", "value", "choice"]
"""``chance``: a yes or no; ``value``: a number; ``choice``: the item itself, among others."""
PARTS: Final = ("train", "valid", "test")
_SHRINKAGE: Final = 5.0


@dataclass(frozen=True)
class TaskRows:
    """Examples of one task, oldest first.

    Attributes:
        name: Of the task.
        meaning: What is told.
        users_N: int64, user numbers.
        items_N: int64, item numbers.
        times_ms_N: int64.
        labels_N: float32: 0 or 1, or a number; of a choice 1 throughout, the item is the answer.
    """

    name: str
    meaning: Meaning
    users_N: NDArray[np.int64]
    items_N: NDArray[np.int64]
    times_ms_N: NDArray[np.int64]
    labels_N: NDArray[np.float32]

    def __len__(self) -> int:
        """N."""
        return len(self.users_N)


@dataclass(frozen=True)
class CutRows:
    """Examples with what is learnt from, chosen by and measured on.

    Attributes:
        rows: Of one task.
        parts: Part -> rows, int64.
    """

    rows: TaskRows
    parts: Mapping[str, NDArray[np.int64]]


def cut_together(
    tasks: Mapping[str, TaskRows], *, fewest: int, shares: tuple[float, float] = (0.8, 0.9)
) -> dict[str, CutRows]:
    """Cut all tasks at the same two moments, so that none learns from what another is asked about later.

    Args:
        tasks: Name -> examples.
        fewest: Examples that each part of each task must have, of a chance with both answers.
        shares: Of all examples that lie before the moments.

    Raises:
        DataError: A part of a task has too few examples.
    """
    times_ms = np.sort(np.concatenate([one.times_ms_N for one in tasks.values()]))
    if not len(times_ms):
        raise DataError(f"tasks {', '.join(tasks)} must have examples, have none; run: kinema ingest --events FILE")
    marks = [times_ms[int(share * len(times_ms))] for share in shares]
    found = {}
    for name, rows in tasks.items():
        edges = [0, *np.searchsorted(rows.times_ms_N, marks).tolist(), len(rows)]
        parts = {part: np.arange(first, last) for part, first, last in zip(PARTS, edges[:-1], edges[1:], strict=True)}
        for part, chosen in parts.items():
            num = _rarest(rows, chosen)
            if num < fewest:
                what = "examples of either answer" if rows.meaning == "chance" else "examples"
                raise DataError(
                    f"task '{name}' must have at least {fewest} {what} in its {part} part, has {num}; "
                    "give a longer log or leave the task out"
                )
        found[name] = CutRows(rows, parts)
    return found


def _rarest(rows: TaskRows, chosen: NDArray[np.int64]) -> int:
    if rows.meaning != "chance":
        return len(chosen)
    positive = int(np.count_nonzero(rows.labels_N[chosen]))
    return min(positive, len(chosen) - positive)


@dataclass(frozen=True)
class Offsets:
    """How far users and items lie from the mean of what is told of them: what every model of ratings starts from.

    Attributes:
        mean: Of the training labels.
        deviation: Of the same.
        users_U: float32.
        items_V: float32.
    """

    mean: float
    deviation: float
    users_U: NDArray[np.float32]
    items_V: NDArray[np.float32]

    @classmethod
    def fit(cls, rows: TaskRows, train: NDArray[np.int64], *, num_users: int, num_items: int) -> "Offsets":
        """Shrunk means: of items first, of users by what items leave.

        Example:
            >>> rows = TaskRows("rating", "value", np.array([0, 1]), np.array([0, 0]), np.array([1, 2]), np.float32([5, 3]))
            >>> found = Offsets.fit(rows, np.arange(2), num_users=2, num_items=1)
            >>> [round(one, 3) for one in found.users_U.tolist()]
            [0.167, -0.167]
        """
        users, items, values = rows.users_N[train], rows.items_N[train], rows.labels_N[train].astype(np.float64)
        mean = float(values.mean())
        items_V = _shrunk(items, values - mean, num_items)
        users_U = _shrunk(users, values - mean - items_V[items], num_users)
        return cls(mean, float(values.std()) or 1.0, users_U.astype(np.float32), items_V.astype(np.float32))

    def of(self, users_N: NDArray[np.integer], items_N: NDArray[np.integer]) -> NDArray[np.float32]:
        """Both offsets of each row in deviations, float32 [N, 2]; 0 for users and items that came later."""
        told = [_looked_up(self.users_U, users_N), _looked_up(self.items_V, items_N)]
        return (np.stack(told, axis=1) / self.deviation).astype(np.float32)

    def without_own(self, rows: TaskRows, train: NDArray[np.int64]) -> NDArray[np.float32]:
        """The same of training rows, each without its own label, float32 [N of the task, 2]; 0 elsewhere."""
        users, items, values = rows.users_N[train], rows.items_N[train], rows.labels_N[train].astype(np.float64)
        gaps = values - self.mean
        items_R = _left_out(items, gaps, len(self.items_V))
        users_R = _left_out(users, gaps - self.items_V[items], len(self.users_U))
        found_N2 = np.zeros((len(rows), 2), dtype=np.float32)
        found_N2[train] = np.stack([users_R, items_R], axis=1) / self.deviation
        return found_N2


def _shrunk(numbers: NDArray[np.integer], gaps: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    counts = np.bincount(numbers, minlength=size)
    return np.asarray(np.bincount(numbers, gaps, minlength=size) / (counts + _SHRINKAGE))


def _left_out(numbers: NDArray[np.integer], gaps: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    sums, counts = np.bincount(numbers, gaps, minlength=size), np.bincount(numbers, minlength=size)
    return np.asarray((sums[numbers] - gaps) / (counts[numbers] - 1 + _SHRINKAGE))


def _looked_up(table: NDArray[np.float32], numbers: NDArray[np.integer]) -> NDArray[np.float32]:
    known = numbers < len(table)
    return np.where(known, table[np.where(known, numbers, 0)] if len(table) else 0.0, 0.0).astype(np.float32)
