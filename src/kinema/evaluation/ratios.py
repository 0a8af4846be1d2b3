"""Ratios of sums over users, such as clicks per item shown, with intervals that count users and not items.

What one user does is alike, so the independent observation is the user. A ratio of two sums over users is no mean; its variance follows
from the delta method.

Shape suffixes: U users.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import special  # not scipy.stats: a second at every start of the service

from kinema.evaluation.bootstrap import Interval

POWER = 0.8
"""Probability with which an effect should be found that is there."""


@dataclass(frozen=True)
class Ratio:
    """A ratio with its standard error.

    Attributes:
        value: Sum of the numerators over the sum of the denominators; NaN without a denominator.
        error: Its standard error over users; NaN for fewer than two of them.
        num_users: Users.
    """

    value: float
    error: float
    num_users: int

    @classmethod
    def of(cls, numerators_U: NDArray[np.floating], denominators_U: NDArray[np.floating]) -> Self:
        """From one pair of sums per user.

        Args:
            numerators_U: Such as clicks.
            denominators_U: Such as items shown, >= 0.

        Source:
            Deng, Knoblich, Lu: Applying the delta method in metric analytics, KDD 2018, equation 2.

        Example:
            >>> found = Ratio.of(np.array([1.0, 3.0]), np.array([10.0, 10.0]))
            >>> round(found.value, 3), round(found.error, 3)
            (0.2, 0.1)
        """
        num, total = len(denominators_U), float(np.sum(denominators_U))
        if not total > 0:
            return cls(math.nan, math.nan, num)
        value = float(np.sum(numerators_U)) / total
        if num < 2:
            return cls(value, math.nan, num)
        residuals_U = np.asarray(numerators_U) - value * np.asarray(denominators_U)
        return cls(value, float(residuals_U.std(ddof=1)) * math.sqrt(num) / total, num)

    def interval(self, *, level: float = 0.95) -> Interval:
        """By Student's t with one degree of freedom less than there are users."""
        if math.isnan(self.error):
            return Interval(self.value, math.nan, math.nan)
        reach = float(special.stdtrit(self.num_users - 1, (1 + level) / 2)) * self.error
        return Interval(self.value, self.value - reach, self.value + reach)


@dataclass(frozen=True)
class Difference:
    """How far one ratio is from another, each over users of its own.

    Attributes:
        interval: Of the difference, 95 %.
        relative: The difference as a share of the second; NaN where that is 0.
        p_value: Of a difference as large or larger where there is none, two-sided; NaN where nothing can be said.
        detectable: The difference that would be found with a probability of .8; NaN likewise.
        users_needed: Users of both together with which the difference found would be so; None where it is already, or never.
    """

    interval: Interval
    relative: float
    p_value: float
    detectable: float
    users_needed: int | None


def difference(one: Ratio, other: Ratio) -> Difference:
    """Compare two ratios, by Welch's test.

    Example:
        >>> found = difference(Ratio(0.12, 0.003, 500), Ratio(0.10, 0.004, 500))
        >>> round(found.interval.mean, 3), round(found.relative, 3), found.p_value < 0.001
        (0.02, 0.2, True)
    """
    apart = one.value - other.value
    error = math.hypot(one.error, other.error)
    relative = apart / other.value if other.value else math.nan
    if not error > 0:
        return Difference(Interval(apart, math.nan, math.nan), relative, math.nan, math.nan, None)
    parts = one.error**4 / (one.num_users - 1) + other.error**4 / (other.num_users - 1)
    freedom = error**4 / parts
    critical = float(special.stdtrit(freedom, 0.975))
    p_value = float(2 * special.stdtr(freedom, -abs(apart) / error))
    detectable = (critical + float(special.ndtri(POWER))) * error
    needed = None
    if apart and abs(apart) < detectable:
        needed = math.ceil((one.num_users + other.num_users) * (detectable / apart) ** 2)
    interval = Interval(apart, apart - critical * error, apart + critical * error)
    return Difference(interval, relative, p_value, detectable, needed)


def mismatch(counts: NDArray[np.integer], shares: NDArray[np.floating]) -> float:
    """Probability of counts as far or further from the shares that were asked for, by the chi-square test; 1 without any count.

    Example:
        >>> round(mismatch(np.array([500, 500]), np.array([0.5, 0.5])), 3)
        1.0
        >>> mismatch(np.array([600, 400]), np.array([0.5, 0.5])) < 0.001
        True
    """
    asked = np.asarray(shares, dtype=np.float64) > 0
    if not counts.sum() or asked.sum() < 2:
        return 1.0
    expected = np.asarray(shares, dtype=np.float64)[asked]
    found = counts[asked]
    expected *= found.sum() / expected.sum()
    return float(special.chdtrc(len(found) - 1, np.sum((found - expected) ** 2 / expected)))
