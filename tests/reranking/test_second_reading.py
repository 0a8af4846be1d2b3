"""The first places are read again: what is called so stays in front, what lies deeper follows as it was."""

import numpy as np

from kinema.recommend.rereading import reread
from kinema.recommend.trace import Trace
from kinema.reranking.second_reading import SecondReading


def reading(top, weight=1.0):
    return SecondReading("the number", top, weight, lambda query, items: items.astype(np.float32))


def test_only_the_top_is_read_and_the_fixed_places_stay():
    items, scores = np.array([1, 2, 3, 4, 5]), np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    found, read = reading(4).reorder("q", items, scores, num_fixed=1)
    assert found.tolist() == [1, 4, 3, 2, 5]
    assert read.tolist() == [4.0, 3.0, 2.0]


def test_without_weight_or_without_places_nothing_is_read():
    items, scores = np.array([1, 2, 3]), np.array([3.0, 2.0, 1.0])
    for one, fixed in ((reading(3, 0.0), 0), (reading(2), 3)):
        found, read = one.reorder("q", items, scores, num_fixed=fixed)
        assert found.tolist() == [1, 2, 3]
        assert not len(read)


def test_the_step_says_what_an_item_got_and_where_it_stood():
    trace = Trace()
    scores_V = np.array([0.0, 3.0, 2.0, 1.0])
    named_V = np.array([False, True, False, False])
    found, told = reread(reading(3), "q", np.array([1, 2, 3]), scores_V, named_V=named_V, trace=trace)
    assert found.tolist() == [1, 3, 2]
    assert told == {3: {"reread": 3.0, "first_position": 2}, 2: {"reread": 2.0, "first_position": 1}}
    assert trace.steps[0].stage == "reread"
    assert reread(None, "q", found, scores_V, named_V=named_V, trace=trace)[1] == {}
    assert reread(reading(3), "", found, scores_V, named_V=named_V, trace=trace)[1] == {}
