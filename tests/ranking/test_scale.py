"""Candidates on the model's scale, and those it cannot score."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kinema.ranking.scale import on_model_scale


def test_scored_candidates_keep_the_model_s_numbers():
    scores, unscored = on_model_scale(np.float32([3, 2]), np.array([0.1, 0.9]))
    assert (scores.tolist(), unscored) == ([3.0, 2.0], 0)


def test_without_any_finite_score_the_fused_ranks_decide():
    scores, unscored = on_model_scale(np.array([np.nan, -np.inf]), np.array([0.2, 0.4]))
    assert (scores.tolist(), unscored) == ([0.2, 0.4], 2)


@given(st.lists(st.sampled_from([np.nan, -np.inf, np.inf, -5.0, 0.0, 7.0]), min_size=1, max_size=8), st.data())
def test_unscored_candidates_follow_behind_in_the_order_of_their_ranks(logits, data):
    size = len(logits)
    fused = np.array(data.draw(st.lists(st.floats(0, 1), min_size=size, max_size=size)))
    scores, unscored = on_model_scale(np.array(logits), fused)
    finite = np.isfinite(logits)
    assert np.isfinite(scores).all()
    assert unscored == (~finite).sum()
    if finite.any() and unscored:
        assert scores[~finite].max() < scores[finite].min()
