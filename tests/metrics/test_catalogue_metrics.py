import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from kinema.errors import DataError
from kinema.metrics.catalogue import coverage, gini, intra_list_diversity, novelty


@given(hnp.arrays(np.int64, st.integers(1, 12), elements=st.integers(0, 50)))
def test_gini_equals_the_mean_absolute_difference_over_twice_the_mean(exposures):
    if exposures.sum() == 0:
        assert np.isnan(gini(exposures))
        return
    pairs = np.abs(exposures[:, None] - exposures[None, :]).mean()
    assert gini(exposures) == pytest.approx(pairs / (2 * exposures.mean()), abs=1e-12)


@given(hnp.arrays(np.float64, (6, 4), elements=st.sampled_from([0.0, 0.5, 1.0, -2.0])), st.data())
def test_diversity_equals_one_minus_the_mean_over_all_pairs(content, data):
    slate = data.draw(st.lists(st.integers(-1, 5), min_size=1, max_size=5))
    known = [content[i] / np.linalg.norm(content[i]) for i in slate if i >= 0 and content[i].any()]
    cosines = [known[i] @ known[j] for i in range(len(known)) for j in range(i)]
    found = intra_list_diversity(np.array([slate]), content)[0]
    assert found == pytest.approx(1 - np.mean(cosines), abs=1e-9) if cosines else np.isnan(found)


def test_novelty_is_the_mean_information_of_the_places():
    slates, counts = np.array([[0, 2], [2, -1]]), np.array([6, 0, 1])
    bits = {0: -np.log2(7 / 10), 2: -np.log2(2 / 10)}
    assert novelty(slates, counts) == pytest.approx((bits[0] + 2 * bits[2]) / 3)


def test_empty_slates_cover_nothing_and_have_no_novelty():
    empty = np.full((2, 3), -1)
    assert coverage(empty, num_items=5) == 0
    assert np.isnan(novelty(empty, np.array([1, 2])))
    assert np.isnan(intra_list_diversity(empty, np.eye(2))).all()


def test_impossible_catalogues_are_refused():
    with pytest.raises(DataError, match="num_items must be >= 1, is 0"):
        coverage(np.array([[0]]), num_items=0)
    with pytest.raises(DataError, match="exposures must be >= 0, got -1"):
        gini(np.array([1, -1]))
