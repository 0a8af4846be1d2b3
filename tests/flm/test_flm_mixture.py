import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.flm.mixture import Mixture, inverse_softplus

BRANCHES = ("sequential", "memory", "content")


@pytest.fixture
def mixture():
    return Mixture(
        BRANCHES,
        np.array([0.3, -1.0, 2.0]),
        np.array([0.5, 0.0, -0.7]),
        scales_A=np.array([1.0, 2.0, 0.5]),
        cold_ratios_A=np.array([1.5, 0.2, 3.0]),
        cold_bonus=-0.4,
    )


def logits(num_cases=4, num_items=6):
    random = np.random.default_rng(0)
    return {name: random.normal(size=(num_cases, num_items)).astype(np.float32) for name in BRANCHES}


def test_a_mixture_survives_the_round_trip_through_json(mixture):
    again = Mixture.from_dict(json.loads(json.dumps(mixture.as_dict())))
    assert again.as_dict() == mixture.as_dict()
    lengths, cold = np.array([0, 1, 5, 90]), np.array([False, True, False, True, False, False])
    assert again.blend(logits(), lengths, cold).tobytes() == mixture.blend(logits(), lengths, cold).tobytes()


def test_the_round_trip_keeps_a_mixture_without_cold_ratios():
    plain = Mixture.from_weights({"sequential": 1.0})
    again = Mixture.from_dict(json.loads(json.dumps(plain.as_dict())))
    assert len(again.cold_ratios_A) == 0
    assert again.cold_bonus == 0


def test_the_blend_equals_the_naive_sum_with_ratios_and_bonus_on_cold_items(mixture):
    lengths, cold = np.array([0, 1, 5, 90]), np.array([False, True, False, True, False, False])
    parts = logits()
    found = mixture.blend(parts, lengths, cold)
    for case, length in enumerate(lengths):
        for item in range(6):
            expected = -0.4 if cold[item] else 0.0
            for a, name in enumerate(BRANCHES):
                gate = mixture.offsets_A[a] + mixture.slopes_A[a] * np.log1p(length)
                weight = mixture.scales_A[a] * np.log1p(np.exp(gate)) * (mixture.cold_ratios_A[a] if cold[item] else 1)
                expected += weight * parts[name][case, item]
            assert found[case, item] == pytest.approx(expected, abs=1e-5)


def test_warm_items_score_the_same_whether_others_are_cold_or_not(mixture):
    lengths, cold = np.arange(4), np.array([True, False] * 3)
    without = mixture.blend(logits(), lengths)
    assert (mixture.blend(logits(), lengths, cold)[:, ~cold] == without[:, ~cold]).all()
    assert (mixture.blend(logits(), lengths, np.zeros(6, dtype=bool)) == without).all()


def test_blending_leaves_the_logits_of_the_branches_alone(mixture):
    parts = logits()
    mixture.blend(parts, np.arange(4), np.ones(6, dtype=bool))
    assert all((parts[name] == one).all() for name, one in logits().items())


def test_a_positive_slope_counts_more_for_longer_histories(mixture):
    weights = mixture.weights(np.array([0, 1, 10, 1000]))
    assert weights.dtype == np.float32
    assert (weights > 0).all()
    assert (np.diff(weights[:, 0]) > 0).all()
    assert np.ptp(weights[:, 1]) == 0
    assert (np.diff(weights[:, 2]) < 0).all()


def test_no_case_gives_no_scores(mixture):
    assert mixture.blend(logits(0), np.zeros(0, dtype=np.int64), np.ones(6, dtype=bool)).shape == (0, 6)


@given(st.floats(1e-5, 50))
def test_softplus_undoes_its_inverse(value):
    assert np.logaddexp(0, inverse_softplus(np.array([value])))[0] == pytest.approx(value, rel=1e-6)


def test_a_weight_of_zero_becomes_a_very_small_one():
    weights = Mixture.from_weights({"sequential": 1.0, "memory": 0.0}).weights(np.array([3]))
    np.testing.assert_allclose(weights, [[1, 1e-6]], rtol=1e-3)
