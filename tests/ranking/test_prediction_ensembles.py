import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit

from kinema.errors import DataError
from kinema.metrics.classification import auc, log_loss
from kinema.ranking.ensembles import fuse_scores, mean_of_logits, mean_of_probs

PROBS = st.lists(st.lists(st.floats(0.001, 0.999), min_size=3, max_size=3), min_size=1, max_size=4)


@given(PROBS)
def test_both_means_lie_between_the_models_and_keep_what_all_agree_on(rows):
    probs = np.array(rows)
    for mean in (mean_of_probs, mean_of_logits):
        found = mean(probs)
        assert (found >= probs.min(axis=0) - 1e-9).all()
        assert (found <= probs.max(axis=0) + 1e-9).all()


@given(PROBS)
def test_the_mean_of_log_odds_treats_yes_and_no_alike(rows):
    probs = np.array(rows)
    assert mean_of_logits(1 - probs) == pytest.approx(1 - mean_of_logits(probs))
    assert mean_of_logits(probs) == pytest.approx(expit(logit(probs).mean(axis=0)))


def test_weights_are_shares_and_none_means_all_alike():
    probs = [[0.2, 0.4], [0.8, 0.4]]
    assert mean_of_probs(probs, [3, 1]).tolist() == pytest.approx([0.35, 0.4])
    assert mean_of_probs(probs, [2, 2]).tolist() == mean_of_probs(probs).tolist()
    assert mean_of_logits(probs, [1, 0]).tolist() == pytest.approx([0.2, 0.4])


def test_two_classes_in_columns_say_the_same_as_one_probability():
    probs = np.array([[0.2, 0.7], [0.6, 0.9]])
    classes = np.stack([1 - probs, probs], axis=2)
    assert mean_of_logits(classes)[:, 1] == pytest.approx(mean_of_logits(probs))
    assert mean_of_probs(classes)[:, 1] == pytest.approx(mean_of_probs(probs))
    assert mean_of_logits(classes).sum(axis=1) == pytest.approx([1, 1])


def test_several_noisy_models_together_are_better_than_each():
    random = np.random.default_rng(0)
    true = random.normal(-1, 1.5, 5000)
    happened = random.random(5000) < expit(true)
    probs = expit(true + random.normal(0, 1, (4, 5000)))
    for mean in (mean_of_probs, mean_of_logits):
        assert log_loss(mean(probs), happened) < min(log_loss(one, happened) for one in probs)
    assert auc(fuse_scores(probs), happened) > max(auc(one, happened) for one in probs)


def test_ranks_are_fused_whatever_the_scale_of_the_scores():
    scores = np.array([[0.9, 0.5, 0.1], [2.0, 9.0, -4.0]])
    assert fuse_scores(scores).tolist() == fuse_scores(scores * [[1.0], [1e6]]).tolist()


def test_a_model_that_tells_nothing_apart_changes_no_order():
    scores = np.array([[0.9, 0.5, 0.1, 0.7], [3.0, 3.0, 3.0, 3.0]])
    assert np.argsort(-fuse_scores(scores)).tolist() == [0, 3, 1, 2]


def test_what_no_model_can_score_comes_last():
    assert fuse_scores([[np.nan, 0.1], [-np.inf, 0.2]]).tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: mean_of_probs([0.5]), r"models x rows, or models x rows x classes, have shape \(1,\)"),
        (lambda: mean_of_probs([[0.5], [1.5]]), r"must be in \[0, 1\], those of model 1 are not"),
        (lambda: mean_of_logits([[0.5]], [1, 2]), r"weights must be one per model, 1, >= 0 and not all 0, are \[1"),
        (lambda: mean_of_probs([[0.5], [0.5]], [0, 0]), "not all 0"),
        (lambda: fuse_scores([1.0]), "models x candidates"),
    ],
)
def test_what_has_no_meaning_is_refused(call, text):
    with pytest.raises(DataError, match=text):
        call()
