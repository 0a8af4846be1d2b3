"""A picture is compared with every moment of a clip, and the nearest counts."""

from itertools import pairwise

import numpy as np
import pytest

from kinema.errors import DataError
from kinema.retrieval.moment_search import MomentSpace
from kinema.tasks.towers import unit


def test_the_nearest_moment_counts_and_clips_without_any_cannot_be_compared():
    random = np.random.default_rng(0)
    offsets = np.array([0, 3, 3, 4, 9])
    rows_ME = unit(random.standard_normal((9, 4)))
    space = MomentSpace(rows_ME, offsets, unit, 4)
    assert space.present_V.tolist() == [True, False, True, True]
    query_TD = random.standard_normal((2, 4))
    found = space.closeness(query_TD)
    for item, (first, last) in enumerate(pairwise(offsets)):
        cosines = unit(query_TD) @ rows_ME[first:last].T
        wanted = cosines.max(axis=1).mean() if last > first else np.nan
        assert found[item] == pytest.approx(wanted, nan_ok=True)
    assert space.closeness(rows_ME[5])[3] == pytest.approx(1.0)


@pytest.mark.parametrize("query", [np.ones(3), np.ones((0, 4)), np.full((1, 4), np.nan)])
def test_a_query_of_another_form_is_refused(query):
    space = MomentSpace(np.ones((1, 4), np.float32), np.array([0, 1]), unit, 4)
    with pytest.raises(DataError, match="a query must be frames of 4 finite numbers as the items' are, got"):
        space.closeness(query)
