"""Places drawn by chance: the probabilities that are written down are those with which it happens."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.reranking.exploration import explore
from kinema.reranking.quotas import Quota


def probability(slate, problem):
    """Of a slate, by the definition."""
    size, plan, share, groups, most = problem
    total, placed = 1.0, []
    for chosen in slate:
        left = [k for k in range(size) if k not in placed]
        full = [k for k in left if groups[k] >= 0 and sum(groups[p] == groups[k] for p in placed) >= most]
        free = [k for k in left if k not in full] or left
        planned = next((k for k in plan if k in free), free[0])
        total *= share * (chosen in free) / len(free) + (1 - share) * (chosen == planned)
        placed.append(chosen)
    return total


@st.composite
def problems(draw):
    size = draw(st.integers(1, 5))
    plan = draw(st.permutations(range(size)))[: draw(st.integers(1, min(3, size)))]
    groups = draw(st.lists(st.integers(-1, 1), min_size=size, max_size=size))
    return size, plan, draw(st.sampled_from([0.0, 0.1, 0.5, 1.0])), groups, draw(st.integers(1, 2))


@given(problems(), st.integers(0, 2**32 - 1))
def test_propensities_multiply_to_the_probability_of_the_slate(problem, seed):
    size, plan, share, groups, most = problem
    quotas = [Quota(np.array(groups), most)]
    explored = explore(np.array(plan), size, share=share, random=np.random.default_rng(seed), quotas=quotas)
    slate = explored.places_S.tolist()
    assert len(set(slate)) == len(slate) == len(plan)
    assert np.prod(explored.propensities_S) == pytest.approx(probability(slate, problem))
    assert (explored.propensities_S > 0).all()


@settings(max_examples=4, deadline=None)
@given(problems().filter(lambda problem: problem[0] <= 4 and 0 < problem[2] < 1))
def test_slates_come_as_often_as_their_propensities_say(problem):
    size, plan, share, groups, most = problem
    random, num = np.random.default_rng(11), 4000
    counts: dict[tuple[int, ...], int] = {}
    for _ in range(num):
        explored = explore(np.array(plan), size, share=share, random=random, quotas=[Quota(np.array(groups), most)])
        slate = tuple(explored.places_S.tolist())
        counts[slate] = counts.get(slate, 0) + 1
    for slate in permutations(range(size), len(plan)):
        expected = probability(slate, problem)
        assert abs(counts.get(slate, 0) / num - expected) <= 5 * np.sqrt(expected * (1 - expected) / num) + 1e-12


def test_inverse_propensities_weigh_every_candidate_alike():
    """What an estimator needs: over many slates the weights of each candidate at the first place sum to one each."""
    random, num = np.random.default_rng(3), 20_000
    weights = np.zeros(4)
    for _ in range(num):
        explored = explore(np.array([2]), 4, share=0.4, random=random)
        weights[explored.places_S[0]] += 1 / explored.propensities_S[0]
    assert weights / num == pytest.approx(np.ones(4), abs=0.08)


def test_without_chance_the_plan_stands():
    explored = explore(np.array([3, 0]), 5, share=0.0, random=np.random.default_rng(0))
    assert explored.places_S.tolist() == [3, 0]
    assert explored.propensities_S.tolist() == [1.0, 1.0]
    assert not explored.drawn_S.any()


def test_the_same_chance_draws_the_same():
    first, again = (explore(np.arange(5), 40, share=0.5, random=np.random.default_rng(9)) for _ in range(2))
    assert first.places_S.tolist() == again.places_S.tolist()


def test_an_empty_plan_is_an_empty_slate():
    assert explore(np.empty(0, dtype=np.int64), 3, share=0.5, random=np.random.default_rng(0)).places_S.tolist() == []
