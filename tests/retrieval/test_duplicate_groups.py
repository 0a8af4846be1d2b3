import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.retrieval.content import unit_rows
from kinema.retrieval.duplicates import group_pairs, near_pairs


def vectors(num, seed=0, width=8):
    rng = np.random.default_rng(seed)
    return np.concatenate([unit_rows(rng.normal(size=(num, width))) for _ in range(2)], axis=1)


def test_pairs_across_blocks_are_found_once():
    rows = vectors(600, width=64)
    rows[599], rows[300] = rows[0], rows[0]
    pairs, num_cut = near_pairs(rows, num_views=2, least=0.9)
    assert pairs.tolist() == [[0, 300], [0, 599], [300, 599]]
    assert num_cut == 0


def test_the_centre_of_one_may_be_near_the_whole_of_the_other():
    whole, crop = vectors(2, width=64)
    crop[:64] = whole[64:]
    assert near_pairs(np.stack([whole, crop]), num_views=2)[0].tolist() == [[0, 1]]
    assert near_pairs(np.stack([crop, whole]), num_views=2)[0].tolist() == [[0, 1]]


def test_only_the_nearest_of_very_many_are_kept_and_the_cut_is_counted():
    rows = np.tile(vectors(1), (10, 1))
    rows[5:, :8] = unit_rows(rows[5:, :8] + 0.1 * vectors(5, seed=1)[:, :8])
    rows[5:, 8:] = rows[5:, :8]
    rows[:5, 8:] = rows[:5, :8]
    pairs, num_cut = near_pairs(rows, num_views=2, most_per_clip=4)
    assert num_cut == 5
    assert pairs[pairs[:, 0] == 0].tolist() == [[0, 1], [0, 2], [0, 3], [0, 4]]


def test_clips_that_show_nothing_are_near_nothing():
    assert len(near_pairs(np.zeros((5, 12), dtype=np.float32))[0]) == 0
    assert near_pairs(np.zeros((0, 12), dtype=np.float32))[0].shape == (0, 2)


def test_a_chain_is_cut_around_its_middle():
    chain = np.array([[0, 1], [1, 2], [2, 3], [3, 4], [4, 5]])
    assert group_pairs(6, chain, lambda one, other: False) == [(1, 0, 2), (4, 3, 5)]


def test_what_was_no_candidate_joins_if_it_is_a_copy_of_the_middle():
    asked = []

    def same(one, other):
        asked.append((one, other))
        return other == 3

    assert group_pairs(5, np.array([[0, 1], [1, 2], [2, 3], [3, 4]]), same) == [(1, 0, 2, 3)]
    assert asked == [(1, 3), (1, 4)]


def test_no_pairs_make_no_groups():
    assert group_pairs(3, np.zeros((0, 2), dtype=np.int64), lambda one, other: True) == []


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 11)).filter(lambda pair: pair[0] < pair[1]), max_size=30))
def test_groups_do_not_overlap_and_hold_copies_of_their_middle_only(pairs):
    groups = group_pairs(12, np.array(pairs, dtype=np.int64).reshape(-1, 2), lambda one, other: False)
    members = [one for group in groups for one in group]
    assert len(members) == len(set(members))
    for middle, *others in groups:
        assert others
        assert all((min(middle, one), max(middle, one)) in pairs for one in others)
