"""Vectors from outside against those of a catalogue."""

import numpy as np
import pytest

from kinema.errors import DataError
from kinema.retrieval.content_search import Bridge, SearchSpace, deviations

RANDOM = np.random.default_rng(5)


def test_what_all_items_share_does_not_make_them_near():
    own = RANDOM.normal(size=(50, 8))
    space = SearchSpace.standardised(own + 100.0, np.ones(50, dtype=bool))
    query = own[7] + 100.0 + 0.1 * RANDOM.normal(size=8)
    near = space.closeness(query)
    assert np.argmax(near) == 7
    assert abs(float(np.delete(near, 7).mean())) < 0.2


def test_absent_and_damaged_rows_are_not_compared():
    rows = RANDOM.normal(size=(5, 3))
    rows[1] = np.nan
    space = SearchSpace.standardised(rows, np.array([True, True, False, True, True]))
    assert space.present_V.tolist() == [True, False, False, True, True]
    assert np.isnan(space.closeness(rows[0])).tolist() == [False, True, True, False, False]


@pytest.mark.parametrize("size", [1, 2])
def test_a_catalogue_of_one_or_two_is_searched_too(size):
    rows = np.eye(3)[:size] + 1.0
    space = SearchSpace.standardised(rows, np.ones(size, dtype=bool))
    assert np.argmax(space.closeness(rows[0])) == 0
    assert space.closeness(rows[0])[0] == pytest.approx(1.0, abs=1e-5)


def test_no_vector_at_all_gives_an_empty_space():
    assert not SearchSpace.standardised(np.ones((3, 2)), np.zeros(3, dtype=bool)).present_V.any()


@pytest.mark.parametrize("query", [np.ones(3), np.array([1.0, np.nan])])
def test_a_vector_of_another_encoder_is_refused(query):
    with pytest.raises(DataError, match=r"a query vector must be 2 finite numbers as the items' are, got \(\d,\)"):
        SearchSpace.plain(np.eye(2)).closeness(query)


def test_equal_values_do_not_deviate():
    assert deviations(np.full(4, 0.3), np.ones(4, dtype=bool)).tolist() == [0, 0, 0, 0]
    assert deviations(np.full(4, np.nan), np.ones(4, dtype=bool)).tolist() == [0, 0, 0, 0]


class Shared:
    def encode_texts(self, texts):
        return np.float32([[1, 0] if "sea" in text else [0, 1] for text in texts])


def test_every_bridge_leads_words_to_pictures():
    pictures = np.float32([[1, 0], [0, 1], [0, 0]])
    encode = Shared().encode_texts
    bridges = [
        Bridge.shared(Shared(), pictures),
        Bridge.class_names(encode, pictures),
        Bridge.projection(encode, lambda vectors: vectors[:, ::-1], pictures[:, ::-1]),
    ]
    assert len({one.name for one in bridges}) == 3
    for bridge in bridges:
        assert bridge.space.closeness(bridge.ask("the sea")).tolist()[:2] == [1, 0]
        assert bridge.weight < bridge.weight_alone
