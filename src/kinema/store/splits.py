"""Splits: what a model may learn from and what it is asked afterwards.

One case is one question: a user with a history at a moment, and the items that turned out to be right. Every protocol
reduces to training histories plus cases, so one evaluator serves them all.

Shape suffixes: C cases, V items.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinema.store.histories import Histories


@dataclass(frozen=True)
class Cases:
    """Questions with their right answers.

    Attributes:
        users_C: int32, user numbers.
        timestamps_ms_C: int64, when each question is asked.
        histories: C rows, what is known of the user before that moment.
        targets: C rows, the right items (one each in next-item protocols); their time stamps are the events'.
    """

    users_C: NDArray[np.int32]
    timestamps_ms_C: NDArray[np.int64]
    histories: Histories
    targets: Histories

    def __len__(self) -> int:
        """C."""
        return len(self.users_C)

    def take(self, rows_R: NDArray[np.integer]) -> "Cases":
        """The given cases, in that order."""
        return Cases(
            self.users_C[rows_R], self.timestamps_ms_C[rows_R], self.histories.take(rows_R), self.targets.take(rows_R)
        )


@dataclass(frozen=True)
class Split:
    """A protocol applied to a log.

    Attributes:
        name: ``leave-one-out``, ``temporal`` or ``cold``.
        train: U rows, what models are fitted on.
        valid: Cases to choose hyper-parameters and the stopping epoch on.
        test: Cases to report, looked at once.
        cold_V: bool, items without any interaction in ``train``.
        published_ms_V: int64, when each item became available; the smallest int64 where unknown. An item is a candidate
            only for cases asked at or after that moment.
        hidden_V: bool, items that are never candidates.
        facts: What a report must state: cut-offs, seed, counts.
    """

    name: str
    train: Histories
    valid: Cases
    test: Cases
    cold_V: NDArray[np.bool_]
    published_ms_V: NDArray[np.int64]
    hidden_V: NDArray[np.bool_]
    facts: dict[str, Any]
