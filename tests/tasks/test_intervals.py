import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import ConfigError, DataError
from kinema.tasks.intervals import conformal_margin, interval_report, pinball_loss


def test_the_best_constant_of_the_pinball_loss_is_the_quantile():
    values = torch.from_numpy(np.random.default_rng(0).exponential(size=999))
    for level in (0.05, 0.5, 0.9):
        losses = [pinball_loss(torch.full_like(values, one.item()), values, level=level).item() for one in values]
        assert values[int(np.argmin(losses))].item() == pytest.approx(np.quantile(values, level), abs=0.02)


def test_half_is_half_the_absolute_error():
    told, actual = torch.randn(20), torch.randn(20)
    assert pinball_loss(told, actual, level=0.5).item() == pytest.approx((told - actual).abs().mean().item() / 2)


@given(st.integers(0, 50), st.sampled_from([0.5, 0.8, 0.9]))
def test_intervals_hold_on_new_rows_as_often_as_promised(seed, coverage):
    rng = np.random.default_rng(seed)
    margins = [conformal_margin(np.abs(rng.standard_normal(60)), coverage=coverage) for _ in range(40)]
    held = np.mean([np.abs(rng.standard_normal(200)) <= margin for margin in margins])
    assert held > coverage - 0.05


def test_report_counts_ends_as_inside():
    assert interval_report(np.array([1.0, 2.0]), np.array([1.0, 2.5]), np.array([2.0, 3.0])) == {
        "coverage": 0.5,
        "width": 0.75,
    }


def test_levels_and_rows_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"level must be in \(0, 1\), is 1"):
        pinball_loss(torch.zeros(1), torch.zeros(1), level=1.0)
    with pytest.raises(DataError, match=r"intervals of coverage 0.9 need at least 9 held-out rows, got 3"):
        conformal_margin(np.zeros(3), coverage=0.9)
