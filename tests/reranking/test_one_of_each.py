import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kinema.reranking.duplicates import first_of_each


def test_the_first_of_each_group_stays_and_the_order_is_kept():
    assert first_of_each(np.array([3, 1, 3, -1, 1, -1, 0])).tolist() == [0, 1, 3, 5, 6]


def test_groups_shown_before_are_left_out():
    assert first_of_each(np.array([3, -1, 3, 1]), taken={3}).tolist() == [1, 3]


def test_nothing_in_gives_nothing_out():
    assert first_of_each(np.zeros(0, dtype=np.int64), taken={1}).tolist() == []


@given(st.lists(st.integers(-1, 5), max_size=30), st.sets(st.integers(0, 5)))
def test_it_agrees_with_a_plain_loop(groups, taken):
    seen, expected = set(taken), []
    for place, group in enumerate(groups):
        if group < 0 or group not in seen:
            expected.append(place)
        seen.add(group)
    assert first_of_each(np.array(groups, dtype=np.int64), taken=taken).tolist() == expected
