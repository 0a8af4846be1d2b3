"""Each retriever on a catalogue small enough to know the answer."""

import numpy as np
import pytest

from kinema.retrieval.content import ContentRetriever, content_of, joint, unit_rows
from kinema.retrieval.exact import ExactRetriever
from kinema.retrieval.fresh import FreshRetriever, ages_ms
from kinema.retrieval.memory import MemoryRetriever
from kinema.retrieval.popularity import PopularityRetriever
from kinema.retrieval.query import Query
from kinema.store.features import ModalityFeatures
from kinema.store.histories import Histories

PLANE = unit_rows(np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9], [0.0, 0.0]]))


class FixedMemory:
    """Transitions of a small chain: 0 -> 1 (strong) and 0 -> 3 (weak), 2 -> 3."""

    def connected(self, watched):
        table = {0: [0, 3, 0, 1, 0], 2: [0, 0, 0, 2, 0]}
        scores = sum((np.array(table.get(item, [0] * 5)) for item in watched.tolist()), np.zeros(5))
        return np.flatnonzero(scores), scores[scores != 0]


def query(history=(), *, allowed=(1, 1, 1, 1, 1), vector=None, now_ms=0):
    return Query(
        Histories.from_lists([list(history)], 5),
        np.array(allowed, dtype=bool),
        now_ms,
        None if vector is None else np.float32(vector),
    )


def items(found):
    return [one.item for one in found]


def test_exact_search_returns_the_largest_products():
    assert items(ExactRetriever(PLANE)(query(vector=[0.0, 1.0]), 3)) == [2, 3, 1]


def test_exact_search_without_a_user_vector_proposes_nothing():
    assert not len(ExactRetriever(PLANE)(query([0]), 3))


def test_memory_proposes_what_followed_and_nothing_without_a_transition():
    assert items(MemoryRetriever(FixedMemory())(query([0]), 5)) == [1, 3]


def test_memory_respects_the_mask():
    assert items(MemoryRetriever(FixedMemory())(query([0], allowed=(1, 0, 1, 1, 1)), 5)) == [3]


@pytest.mark.parametrize("history", [(), (4,)])
def test_memory_without_a_known_history_proposes_nothing(history):
    assert not len(MemoryRetriever(FixedMemory())(query(history), 5))


def test_content_with_the_maximum_keeps_two_tastes_apart():
    vectors = unit_rows(np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.05], [0.05, 1.0]]))
    nearest = items(ContentRetriever(vectors, pooling="max", decay=1.0)(query([0, 1], allowed=(0, 0, 1, 1, 1)), 2))
    mean = items(ContentRetriever(vectors, pooling="mean", decay=1.0)(query([0, 1], allowed=(0, 0, 1, 1, 1)), 1))
    assert (nearest, mean) == ([3, 4], [2])


def test_content_counts_the_newest_items_more():
    assert items(ContentRetriever(PLANE, decay=0.5)(query([0, 2], allowed=(0, 1, 0, 1, 1)), 1)) == [3]


def test_content_reads_only_the_newest_items():
    assert items(ContentRetriever(PLANE, num_recent=1)(query([0, 2], allowed=(0, 1, 0, 1, 0)), 2)) == [3, 1]


def test_an_item_without_content_is_no_candidate_and_no_question():
    assert 4 not in items(ContentRetriever(PLANE)(query([0]), 5))
    assert not len(ContentRetriever(PLANE)(query([4]), 5))


def test_fresh_proposes_the_newest_inside_the_window():
    published = np.array([0, 70, 90, 110, np.iinfo(np.int64).min])
    assert items(FreshRetriever(published, window_ms=50)(query(now_ms=100), 5)) == [2, 1]


def test_an_unknown_date_is_infinitely_long_ago():
    assert ages_ms(np.array([40, np.iinfo(np.int64).min]), 100).tolist() == [60.0, np.inf]


def test_popularity_can_fill_any_slate_with_ties_by_number():
    assert items(PopularityRetriever(np.array([0.0, 5.0, 0.0, 7.0, 0.0]))(query(), 5)) == [3, 1, 0, 2, 4]


def test_unit_rows_turn_damaged_rows_into_zeros():
    rows = unit_rows(np.array([[np.inf, 1.0], [np.nan, 0.0], [0.0, -2.0]]))
    assert rows.tolist() == [[0.0, 0.0], [0.0, 0.0], [0.0, -1.0]]


def modality(name, vectors, present):
    return ModalityFeatures(name, np.float32(vectors), np.array(present), np.ones(len(present), dtype=np.float32))


def test_raw_features_are_centred_so_that_shared_directions_say_nothing():
    content = content_of({"text": modality("text", [[10, 1], [10, -1], [10, 1], [0, 0]], [True, True, True, False])})
    cosines = content["text"] @ content["text"].T
    assert cosines[0, 2] == pytest.approx(1.0)
    assert cosines[0, 1] < 0
    assert not content["text"][3].any()


def test_a_damaged_feature_row_does_not_spoil_the_mean():
    content = content_of({"text": modality("text", [[1, 0], [-1, 0], [np.nan, 0]], [True, True, True])})
    assert np.isfinite(content["text"]).all()
    assert content["text"][0].tolist() == [1.0, 0.0]


def test_a_modality_that_no_item_has_is_left_out():
    assert content_of({"text": modality("text", [[0, 0]], [False])}) == {}
    assert joint({}) is None


def test_joint_vectors_give_the_mean_cosine_of_the_modalities():
    one, two = unit_rows(np.eye(2)), unit_rows(np.array([[1.0, 0.0], [1.0, 0.0]]))
    rows = joint({"text": one, "frames": two})
    assert float(rows[0] @ rows[1]) == pytest.approx(0.5)


def test_rows_of_length_one_are_not_copied():
    assert unit_rows(PLANE) is PLANE
    assert unit_rows(2 * PLANE) is not PLANE
