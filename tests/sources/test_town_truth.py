"""The oracle: exact where the simulator drew, and the ceiling for everything else."""

import numpy as np
import pytest
from town_service import town_service

from kinema.sources.town.rules import DAY_MS, START_MS


@pytest.fixture(scope="module")
def service():
    return town_service()


def _ndcg(scores_CV, targets_C):
    hits_C = scores_CV[np.arange(len(targets_C)), targets_C]
    ranks_C = (scores_CV >= hits_C[:, None]).sum(axis=1) - 1
    return np.where(ranks_C < 10, 1 / np.log2(ranks_C + 2), 0.0).mean()


def test_rows_are_distributions_over_what_is_published_and_not_yet_clicked(service):
    world, _, _, truth = service
    users_C, times_C = truth.clicks.users_K[-200:], truth.clicks.times_ms_K[-200:]
    log_probs_CV = truth.next_click_log_probs(users_C, times_C)
    assert log_probs_CV.dtype == np.float32
    assert np.exp(log_probs_CV).sum(axis=1) == pytest.approx(np.ones(200), abs=1e-5)
    for row, (user, time) in enumerate(zip(users_C, times_C, strict=True)):
        mine = (truth.clicks.users_K == user) & (truth.clicks.times_ms_K < time)
        assert np.isneginf(log_probs_CV[row, truth.clicks.items_K[mine]]).all()
        assert np.isneginf(log_probs_CV[row, world.published_ms_V > time]).all()


def test_what_was_clicked_is_as_likely_as_the_oracle_expects(service):
    truth = service[3]
    log_probs_CV = truth.next_click_log_probs(truth.clicks.users_K, truth.clicks.times_ms_K)
    probs_CV = np.exp(log_probs_CV)
    finite_CV = np.where(np.isfinite(log_probs_CV), log_probs_CV, 0.0)
    hits_C = log_probs_CV[np.arange(len(finite_CV)), truth.clicks.items_K]
    assert np.isfinite(hits_C).all()
    expected_C = (probs_CV * finite_CV).sum(axis=1)
    spread_C = (probs_CV * finite_CV**2).sum(axis=1) - expected_C**2
    assert abs((hits_C - expected_C).sum()) < 5 * np.sqrt(spread_C.sum())
    cold_C = (probs_CV * truth.cold_V).sum(axis=1)
    assert abs((truth.cold_V[truth.clicks.items_K] - cold_C).sum()) < 5 * np.sqrt((cold_C * (1 - cold_C)).sum())


def test_the_oracle_is_far_above_popularity_and_uses_the_session(service):
    world, _, _, truth = service
    test_K = truth.clicks.times_ms_K > truth.cutoff_ms
    users_C, times_C, targets_C = (
        part[test_K] for part in (truth.clicks.users_K, truth.clicks.times_ms_K, truth.clicks.items_K)
    )
    oracle_CV = truth.next_click_log_probs(users_C, times_C)
    counts_V = np.bincount(truth.clicks.items_K[~test_K], minlength=world.num_clips) + 1e-3 * np.arange(world.num_clips)
    popular_CV = np.where(np.isfinite(oracle_CV), counts_V, -np.inf)
    nobody_is_here_C = times_C + 10 * DAY_MS
    without_session_CV = np.where(
        np.isfinite(oracle_CV), truth.next_click_log_probs(users_C, nobody_is_here_C), -np.inf
    )
    assert _ndcg(oracle_CV, targets_C) > 0.3
    assert _ndcg(popular_CV, targets_C) < _ndcg(oracle_CV, targets_C) / 3
    assert _ndcg(without_session_CV, targets_C) < _ndcg(oracle_CV, targets_C)


def test_between_sessions_the_topic_of_the_next_one_is_open(service):
    world, _, _, truth = service
    twofold = int(np.flatnonzero((world.topic_tastes_UT > 0).sum(axis=1) == 2)[0])
    later_ms = world.end_ms + 10 * DAY_MS
    probs_V = np.exp(truth.next_click_log_probs(np.array([twofold]), np.array([later_ms]))[0])
    liked = np.flatnonzero(world.topic_tastes_UT[twofold] > 0)
    assert all(probs_V[world.topics_V == topic].sum() > 0.15 for topic in liked)
    first = int(np.flatnonzero(truth.sessions.users_N == twofold)[0])
    inside_ms = truth.sessions.starts_ms_N[first]
    in_session_V = np.exp(truth.next_click_log_probs(np.array([twofold]), np.array([inside_ms]))[0])
    focus = truth.sessions.focus_N[first]
    other = liked[liked != focus][0]
    assert in_session_V[world.topics_V == focus].sum() > in_session_V[world.topics_V == other].sum()


def test_questions_of_any_number_and_integer_type_are_answered(service):
    world, _, _, truth = service
    none_CV = truth.next_click_log_probs(np.zeros(0, np.int32), np.zeros(0, np.int64))
    assert none_CV.shape == (0, world.num_clips)
    users_C = np.arange(300, dtype=np.int32).repeat(4)
    times_C = np.full(1200, world.end_ms)
    many_CV = truth.next_click_log_probs(users_C, times_C)
    assert np.array_equal(many_CV[4::4], truth.next_click_log_probs(users_C[4::4], times_C[4::4]))


def test_before_anything_is_published_nothing_can_be_clicked(service):
    truth = service[3]
    row_V = truth.next_click_log_probs(np.array([0]), np.array([START_MS - 1000 * DAY_MS]))[0]
    assert np.isneginf(row_V).all()
