"""Places for what is new: as many as asked for, in their place, at the cost of the last ones only."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kinema.reranking.newcomers import with_newcomers


def slate(places, newcomers, share, num_items=10):
    return with_newcomers(np.array(places, dtype=np.int64), newcomers, share=share, num_items=num_items).tolist()


def test_a_slate_with_an_open_place_is_filled_and_nobody_leaves():
    assert slate([5, 3], [9], 0.5, 4) == [5, 9, 3]


def test_a_new_one_that_made_its_way_counts_and_stays():
    assert slate([0, 1, 7, 3], [8, 7], 0.5, 4) == [0, 8, 1, 7]
    assert slate([0, 1, 2, 7], [7, 8], 0.5, 4) == [0, 8, 1, 7]


def test_short_slates_and_no_share_are_left_alone():
    assert slate([0, 1, 2], [9], 0.1, 3) == [0, 1, 2]
    assert slate(range(10), [40], 0.0) == list(range(10))
    assert slate(range(10), [], 1.0) == list(range(10))


def test_the_best_stays_even_where_all_places_are_for_new_ones():
    assert slate([0], [1], 1.0, 1) == [0]
    assert slate([0, 1], [8, 9], 1.0, 2) == [0, 8]
    assert slate([], [8, 9], 1.0, 2) == [8, 9]


@given(
    st.integers(0, 20),
    st.lists(st.integers(0, 40), unique=True, max_size=8),
    st.floats(0, 1),
    st.integers(1, 20),
)
def test_new_ones_enter_and_only_others_leave(size, newcomers, share, num_items):
    before = list(range(min(size, num_items)))
    after = slate(before, newcomers, share, num_items)
    assert len(set(after)) == len(after) <= num_items
    assert len(after) >= len(before)
    new_before, new_after = ([one for one in some if one in newcomers] for some in (before, after))
    assert len(new_after) >= min(len(newcomers), int(share * num_items), num_items - bool(before))
    assert set(new_before) <= set(new_after)
    assert after[:1] == before[:1] or not before
    stayed = [one for one in after if one in before]
    assert stayed == [one for one in before if one in stayed]
