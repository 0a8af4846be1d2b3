from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import DataError
from kinema.metrics.chance import chance_metrics
from kinema.metrics.ranking import case_metrics


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 8))
def test_the_formula_equals_the_mean_over_all_places_the_targets_can_take(num_candidates, num_targets, k):
    num_targets = min(num_targets, num_candidates)
    places = list(combinations(range(1, num_candidates + 1), num_targets))
    offsets = np.arange(len(places) + 1) * num_targets
    expected = case_metrics(np.array(places).ravel(), offsets, ks=(k,))
    found = chance_metrics(np.array([num_candidates]), np.array([num_targets]), ks=(k,))
    assert {name: value[0] for name, value in found.items()} == pytest.approx(
        {name: value.mean() for name, value in expected.items()}
    )


def test_a_case_with_more_targets_than_candidates_is_refused():
    with pytest.raises(DataError, match="between one target and as many as it has candidates"):
        chance_metrics(np.array([3]), np.array([4]), ks=(10,))
