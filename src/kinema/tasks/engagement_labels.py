"""Labels of engagement: what was clicked, liked, shared, finished, and how long was watched; any of it may be missing.

Shape suffixes: N rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError

WATCH: Final = "watch"
"""Name of the head that tells watch time; all other heads are binary."""


@dataclass(frozen=True)
class EngagementLabels:
    """What was observed of each row.

    Attributes:
        binary: Head (``click``, ``like``, ``share``, ``finish``, ...) -> float32 [N], 0, 1 or not a number where it is
            not known, as of a video that was shown and not opened nobody knows whether it would be finished.
        watch_ms_N: float64, milliseconds; not a number where it is not known; None for no such head.
        duration_ms_N: float64, milliseconds; needed with watch time.

    Raises:
        DataError: There is no label, lengths differ, a label is neither 0 nor 1, a watch time is negative or has no
            duration.

    Example:
        >>> labels = EngagementLabels({"click": np.array([1, 0, np.nan])})
        >>> labels.heads, len(labels), labels.known("click").tolist()
        (('click',), 3, [True, True, False])
    """

    binary: Mapping[str, NDArray[np.floating]]
    watch_ms_N: NDArray[np.floating] | None = None
    duration_ms_N: NDArray[np.floating] | None = None

    def __post_init__(self) -> None:
        if WATCH in self.binary:
            raise DataError(
                f"a binary head must not be called '{WATCH}', it tells a time; give watch_ms_N or another name"
            )
        columns = {**self.binary, "watch_ms": self.watch_ms_N, "duration_ms": self.duration_ms_N}
        lengths = {name: len(column) for name, column in columns.items() if column is not None}
        if not self.heads or len(set(lengths.values())) != 1 or not next(iter(lengths.values())):
            raise DataError(f"labels must be columns of one length, at least one with rows, got {lengths or 'none'}")
        for name, column_N in self.binary.items():
            wrong = np.flatnonzero(~(np.isnan(column_N) | (column_N == 0) | (column_N == 1)))
            if len(wrong):
                raise DataError(
                    f"label '{name}' must be 0, 1 or missing, is {column_N[wrong[0]]:g} at row {wrong[0]}; "
                    "make it binary or leave it out"
                )
        self._check_watch()

    def _check_watch(self) -> None:
        if self.watch_ms_N is None:
            return
        if self.duration_ms_N is None:
            raise DataError("watch time must come with duration_ms_N, it is missing; give the length of each video")
        known_N = np.isfinite(self.watch_ms_N)
        for name, wrong_N, values_N, rule in (
            ("watch_ms", known_N & (self.watch_ms_N < 0), self.watch_ms_N, ">= 0"),
            ("duration_ms", known_N & ~(self.duration_ms_N > 0), self.duration_ms_N, "> 0 where watch_ms is known"),
        ):
            if wrong_N.any():
                row = int(np.argmax(wrong_N))
                raise DataError(
                    f"{name} must be {rule}, got {values_N[row]:g} ms at row {row}; set watch_ms to missing there"
                )

    def __len__(self) -> int:
        """N."""
        first = next(iter(self.binary.values()), self.watch_ms_N)
        assert first is not None
        return len(first)

    @property
    def heads(self) -> tuple[str, ...]:
        """Names, watch time last."""
        return (*self.binary, *((WATCH,) if self.watch_ms_N is not None else ()))

    def known(self, head: str) -> NDArray[np.bool_]:
        """Whether each row's label is known, bool [N]."""
        column_N = self.watch_ms_N if head == WATCH else self.binary[head]
        assert column_N is not None
        known_N: NDArray[np.bool_] = np.isfinite(column_N)
        return known_N

    def only(self, heads: tuple[str, ...]) -> "EngagementLabels":
        """Some of the heads, in the order they have here.

        Raises:
            DataError: One is not there.
        """
        for head in heads:
            if head not in self.heads:
                raise DataError(f"head '{head}' has no labels; known: {', '.join(self.heads)}")
        watch_ms_N = self.watch_ms_N if WATCH in heads else None
        binary = {name: column for name, column in self.binary.items() if name in heads}
        return EngagementLabels(binary, watch_ms_N, self.duration_ms_N)
