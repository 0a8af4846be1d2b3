"""What chooses and counts candidates in one pass does what its definition says."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.reranking.mmr import diversify, scaled
from kinema.retrieval.content import unit_rows
from kinema.retrieval.merge import merge
from kinema.retrieval.top import Candidates


def by_definition(scores, vectors, num, diversity):
    """The next place goes to the largest of relevance minus nearness to what is chosen; the first of equals wins."""
    relevance, chosen = (1 - diversity) * scaled(scores), []
    near = diversity * (vectors @ vectors.T).astype(np.float64)
    while len(chosen) < min(num, len(scores)):
        worth = relevance - near[chosen].max(axis=0) if chosen else relevance.copy()
        worth[chosen] = -np.inf
        chosen.append(int(worth.argmax()))
    return chosen


@settings(deadline=None)
@given(
    seed=st.integers(0, 999),
    size=st.integers(1, 30),
    num=st.integers(0, 12),
    diversity=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
)
def test_a_slate_is_chosen_as_the_definition_says(seed, size, num, diversity):
    rng = np.random.default_rng(seed)
    scores = -np.sort(-rng.integers(0, 5, size).astype(np.float64))
    vectors = unit_rows(rng.integers(-1, 2, (size, 3)))
    expected = by_definition(scores, vectors, num, diversity)
    assert diversify(scores, vectors, num, diversity=diversity).tolist() == expected


@settings(deadline=None)
@given(seed=st.integers(0, 999), num_sources=st.integers(0, 7))
def test_who_proposed_what_alone_is_counted(seed, num_sources):
    rng = np.random.default_rng(seed)
    lists = {f"s{n}": rng.permutation(12)[: rng.integers(0, 9)].astype(np.int64) for n in range(num_sources)}
    merged = merge({name: Candidates(name, items, np.zeros(len(items))) for name, items in lists.items()})
    expected = [tuple(name for name, items in lists.items() if item in items) for item in merged.items_K]
    assert merged.proposed.of_each() == expected
    assert merged.alone() == {name: sum(one == (name,) for one in expected) for name in lists}
