import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import ConfigError, DataError
from kinema.tasks.intervals import conformal_margin


@given(st.integers(0, 50), st.sampled_from([0.5, 0.8, 0.9]))
def test_intervals_hold_on_new_rows_as_often_as_promised(seed, coverage):
    rng = np.random.default_rng(seed)
    margins = [conformal_margin(np.abs(rng.standard_normal(60)), coverage=coverage) for _ in range(40)]
    held = np.mean([np.abs(rng.standard_normal(200)) <= margin for margin in margins])
    assert held > coverage - 0.05


def test_levels_and_rows_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"coverage must be in \(0, 1\), is 1"):
        conformal_margin(np.zeros(9), coverage=1.0)
    with pytest.raises(DataError, match=r"intervals of coverage 0.9 need at least 9 held-out rows, got 3"):
        conformal_margin(np.zeros(3), coverage=0.9)
