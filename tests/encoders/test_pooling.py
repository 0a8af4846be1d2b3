"""Pooling over time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kinema.encoders.pooling import pool_segments
from kinema.errors import ConfigError

TOKENS = hnp.arrays(
    np.float32, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(-5, 5, width=32)
)


def test_scales_parts_and_statistics_come_in_order():
    tokens = np.array([[1.0], [3.0], [5.0], [7.0]], dtype=np.float32)
    pooled = pool_segments(tokens, segments=(1, 2), statistics=("mean", "max", "std"))
    assert pooled.tolist() == pytest.approx([4, 7, np.sqrt(5), 2, 3, 1, 6, 7, 1])


@given(TOKENS, st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_the_width_is_known_and_the_mean_lies_below_the_maximum(tokens, segments):
    pooled = pool_segments(tokens, segments=segments).reshape(sum(segments), 2, tokens.shape[1])
    assert pooled.dtype == np.float32
    assert (pooled[:, 0] <= pooled[:, 1] + 1e-5).all()


@given(TOKENS)
def test_order_matters_to_halves_but_not_to_the_whole(tokens):
    back = tokens[::-1]
    assert pool_segments(tokens, segments=(1,)) == pytest.approx(pool_segments(back, segments=(1,)), abs=1e-5)
    halves = pool_segments(tokens, segments=(2,), statistics=("mean",)).reshape(2, -1)
    swapped = pool_segments(back, segments=(2,), statistics=("mean",)).reshape(2, -1)
    assert halves == pytest.approx(swapped[::-1], abs=1e-5)


def test_a_single_moment_fills_every_part():
    pooled = pool_segments(np.array([[2.0]], dtype=np.float32), segments=(1, 2, 4), statistics=("mean",))
    assert pooled.tolist() == [2.0] * 7


def test_nothing_to_pool_is_an_error():
    with pytest.raises(ConfigError, match=r"pooling needs >= 1 moment and segments >= 1, got 0 and \(1,\)"):
        pool_segments(np.zeros((0, 3), dtype=np.float32), segments=(1,))
    with pytest.raises(ConfigError, match="unknown pooling statistic 'mode'; known: mean, max, std"):
        pool_segments(np.zeros((1, 3), dtype=np.float32), statistics=("mode",))
