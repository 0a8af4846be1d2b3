"""A second opinion moves scores on their own scale, and a missing or empty one does not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.ranking.rescoring import Rescoring


def opinion(probs):
    return lambda items, now: np.asarray(probs, dtype=np.float32)


@given(st.lists(st.floats(0.01, 0.99), min_size=3, max_size=8, unique=True), st.floats(0, 1))
def test_the_mean_stays_and_weight_one_orders_by_the_opinion(probs, weight):
    scores = np.arange(len(probs), dtype=np.float64)
    items = np.arange(len(probs))
    found = Rescoring("click", opinion(probs), weight).blend(scores, items, 0)
    assert found.mean() == pytest.approx(scores.mean(), abs=1e-6)
    whole = Rescoring("click", opinion(probs), 1.0).blend(scores, items, 0)
    assert whole.std() == pytest.approx(scores.std(), rel=1e-4)
    rounded = np.float32(probs)
    for one in range(len(probs)):
        for other in range(len(probs)):
            if rounded[one] > rounded[other]:
                assert whole[one] >= whole[other]


@pytest.mark.parametrize(("probs", "weight"), [([0.2, 0.9], 0.0), ([0.5, 0.5], 1.0), ([0.0, 0.0], 0.7)])
def test_no_weight_or_an_opinion_without_a_difference_leaves_scores_alone(probs, weight):
    scores = np.array([1.0, 4.0])
    np.testing.assert_array_equal(Rescoring("click", opinion(probs), weight).blend(scores, np.arange(2), 0), scores)


def test_one_candidate_is_not_asked_about():
    def never(items, now):
        raise AssertionError

    assert Rescoring("click", never, 1.0).blend(np.array([2.0]), np.array([7]), 0).tolist() == [2.0]
