"""What an evaluation found, kept per case so that intervals, slices and paired differences can follow.

Shape suffixes: R cases of a row, M metrics, B resamples.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.evaluation.bootstrap import Interval, percentile_interval, resampled_means

ROWS: Final[tuple[str, ...]] = ("all", "warm", "cold", "cold among cold")
"""Which cases, against which candidates: every case; every target known to training; no target known to training; the
last again with only cold items as candidates, where a model cannot win by liking cold items in general."""


@dataclass(frozen=True)
class Row:
    """The cases of one row of the table.

    Attributes:
        metrics: M names such as ``ndcg@10``.
        users_R: The user of each case.
        cases_R: The place of each case among all cases.
        values_RM: float64, one row per case.
        mean_candidates: Candidates per case, on average.
        num_resamples: Bootstrap resamples.
        seed: Seed of the bootstrap.
    """

    metrics: tuple[str, ...]
    users_R: NDArray[np.int32]
    cases_R: NDArray[np.int64]
    values_RM: NDArray[np.float64]
    mean_candidates: float
    num_resamples: int = 1000
    seed: int = 0

    @cached_property
    def samples(self) -> NDArray[np.float64]:
        """float64 [B, M], means over users drawn again; computed once, on first use."""
        return resampled_means(self.values_RM, self.users_R, num_resamples=self.num_resamples, seed=self.seed)

    @property
    def num_users(self) -> int:
        """Users with at least one case in the row."""
        return len(np.unique(self.users_R))

    def values(self, metric: str) -> NDArray[np.float64]:
        """float64 [R], one metric per case."""
        return self.values_RM[:, self._column(metric)]

    def mean(self, metric: str) -> float:
        """Mean over cases."""
        return float(self.values(metric).mean())

    def interval(self, metric: str) -> Interval:
        """Mean with its 95 % interval."""
        return percentile_interval(self.mean(metric), self.resampled(metric))

    def resampled(self, metric: str) -> NDArray[np.float64]:
        """float64 [B], the mean of one metric in every resample."""
        return self.samples[:, self._column(metric)]

    def _column(self, metric: str) -> int:
        if metric not in self.metrics:
            raise DataError(f"metric must be one of {', '.join(self.metrics)}, is '{metric}'; pass its k to evaluate")
        return self.metrics.index(metric)


@dataclass(frozen=True)
class RankingResult:
    """One ranker on one set of cases.

    Attributes:
        name: The ranker's.
        ks: Cut-offs.
        rows: Name of `ROWS` -> its cases; a row without cases is absent.
        catalogue: ``coverage``, ``gini``, ``novelty``, ``diversity`` of the slates of length ``slate_length``.
        slate_length: Places of those slates; 0 where none were made.
        num_cases: All cases.
        cases_key: Fingerprint of users, times and targets; results can be compared only where it agrees.
        seconds: Wall time spent in the ranker, evaluation around it not counted.
        num_invalid: NaN and +inf scores among candidates; a sound ranker has none.
    """

    name: str
    ks: tuple[int, ...]
    rows: Mapping[str, Row]
    num_cases: int
    cases_key: str
    catalogue: Mapping[str, float] = field(default_factory=dict)
    slate_length: int = 0
    seconds: float = 0.0
    num_invalid: int = 0

    @property
    def milliseconds_per_case(self) -> float:
        """Scoring time of one case within a batch."""
        return 1000 * self.seconds / self.num_cases

    def to_dict(self) -> dict[str, Any]:
        """JSON values: means and intervals per row, no per-case values; None where a number is undefined."""
        rows = {
            name: {
                "num_cases": len(row.cases_R),
                "num_users": row.num_users,
                "mean_candidates": row.mean_candidates,
                "metrics": {metric: _interval_dict(row.interval(metric)) for metric in row.metrics},
            }
            for name, row in self.rows.items()
        }
        return {
            "name": self.name,
            "num_cases": self.num_cases,
            "cases_key": self.cases_key,
            "rows": rows,
            "catalogue": {name: finite_or_none(value) for name, value in self.catalogue.items()},
            "slate_length": self.slate_length,
            "seconds": self.seconds,
            "milliseconds_per_case": self.milliseconds_per_case,
            "num_invalid_scores": self.num_invalid,
        }


@dataclass(frozen=True)
class Difference:
    """Ranker minus reference on the same cases.

    Attributes:
        ranker: Who is compared.
        reference: With whom.
        metric: Such as ``ndcg@10``.
        row: Such as ``warm``.
        mean: Mean difference; positive where the ranker is better.
        low: Lower end of the 95 % interval of the paired bootstrap over users.
        high: Its upper end.
        p_value: Two-sided: twice the smaller share of resamples on either side of zero, at most 1.
    """

    ranker: str
    reference: str
    metric: str
    row: str
    mean: float
    low: float
    high: float
    p_value: float

    @property
    def is_clear(self) -> bool:
        """Whether the interval excludes zero."""
        return self.low > 0 or self.high < 0


def compare(
    ranker: RankingResult, reference: RankingResult, *, metric: str = "ndcg@10", row: str = "all"
) -> Difference:
    """Paired bootstrap over users of the difference between two rankers.

    Both were asked the same cases and use the same draws of users, so the noise they share cancels; comparing their
    separate intervals would hide most real differences.

    Args:
        ranker: One result.
        reference: The other.
        metric: A name that both have.
        row: A row that both have.

    Returns:
        Ranker minus reference.

    Raises:
        DataError: They were asked different cases, drawn with different seeds, or lack the row or metric.
    """
    for result in (ranker, reference):
        if row not in result.rows:
            raise DataError(f"row '{row}' must be in both results, '{result.name}' has {', '.join(result.rows)}")
    one, two = ranker.rows[row], reference.rows[row]
    if ranker.cases_key != reference.cases_key or not np.array_equal(one.cases_R, two.cases_R):
        raise DataError(f"'{ranker.name}' and '{reference.name}' must be asked the same cases; evaluate both again")
    if (one.seed, one.num_resamples) != (two.seed, two.num_resamples):
        raise DataError(f"'{ranker.name}' and '{reference.name}' must share seed and number of resamples")
    samples_B = one.resampled(metric) - two.resampled(metric)
    found = percentile_interval(one.mean(metric) - two.mean(metric), samples_B)
    sides = min(float((samples_B <= 0).mean()), float((samples_B >= 0).mean())) if len(samples_B) else math.nan
    return Difference(ranker.name, reference.name, metric, row, found.mean, found.low, found.high, min(1.0, 2 * sides))


def finite_or_none(value: float) -> float | None:
    """JSON has no NaN; what is undefined becomes null."""
    return float(value) if math.isfinite(value) else None


def _interval_dict(interval: Interval) -> dict[str, float | None]:
    return {
        "mean": finite_or_none(interval.mean),
        "low": finite_or_none(interval.low),
        "high": finite_or_none(interval.high),
    }
