"""What was asked before is answered as if it had not been."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.retrieval import asked_before
from kinema.retrieval.asked_before import AskedBefore
from kinema.retrieval.top import as_candidates


@settings(deadline=None)
@given(
    seed=st.integers(0, 999),
    num=st.integers(0, 30),
    share=st.sampled_from([0.0, 0.1, 0.9, 1.0]),
    depth=st.sampled_from([1, 8, 1000]),
)
def test_the_answer_is_that_of_a_first_time(seed, num, share, depth):
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 9, 60).astype(np.float32)
    scores[rng.random(60) < 0.1] = np.nan
    present = rng.random(60) < 0.8
    kept = AskedBefore("flm")
    before, asked_before._DEPTH = asked_before._DEPTH, depth
    try:
        for _ in range(3):
            allowed = rng.random(60) < share
            found = kept.best(b"q", lambda: scores, num, allowed, present_V=present)
            expected = as_candidates(scores, num, allowed & present, source="flm")
            assert found.items_K.tolist() == expected.items_K.tolist()
            assert found.scores_K.tolist() == expected.scores_K.tolist()
    finally:
        asked_before._DEPTH = before


def test_what_was_not_asked_for_the_longest_time_is_forgotten(monkeypatch):
    monkeypatch.setattr(asked_before, "_MOST", 2)
    kept, asked = AskedBefore("flm"), []

    def scores(name):
        asked.append(name)
        return np.float32([1, 2])

    for name in "abacab":
        kept.best(name.encode(), lambda name=name: scores(name), 1, np.ones(2, dtype=bool))
    assert asked == ["a", "b", "c", "b"]
