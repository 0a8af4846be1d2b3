import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from kinema.errors import DataError
from kinema.metrics.classification import log_loss
from kinema.tasks.clip_measures import clip_metrics, confusion, fit_temperature


def test_measures_are_those_of_their_definitions():
    probs = softmax(np.random.default_rng(0).normal(size=(50, 7)) * 2, axis=1)
    labels = np.arange(50) % 7
    found = clip_metrics(probs, labels)
    assert found["accuracy"] == (probs.argmax(axis=1) == labels).mean()
    assert found["top5_accuracy"] == np.mean(
        [label in row.argsort()[-5:] for row, label in zip(probs, labels, strict=True)]
    )
    assert found["log_loss"] == pytest.approx(-np.log(probs[np.arange(50), labels]).mean())
    assert "top5_accuracy" not in clip_metrics(probs[:, :5] / probs[:, :5].sum(axis=1, keepdims=True), labels % 5)


def test_the_table_of_confusions_counts_every_clip_once():
    probs = np.random.default_rng(1).random((40, 3))
    labels = np.arange(40) % 3
    table = confusion(probs, labels)
    assert table.sum() == 40
    assert np.array_equal(table.sum(axis=1), np.bincount(labels))
    assert table[0, 2] == ((labels == 0) & (probs.argmax(axis=1) == 2)).sum()


@settings(max_examples=12)
@given(st.integers(0, 30), st.sampled_from([0.3, 1.0, 4.0]))
def test_the_temperature_finds_what_logits_were_multiplied_by(seed, factor):
    random = np.random.default_rng(seed)
    logits = random.normal(size=(2000, 4)) * 2
    labels = (softmax(logits, axis=1).cumsum(axis=1) < random.random((2000, 1))).sum(axis=1)
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.2)
    fitted = fit_temperature(logits, labels)
    assert log_loss(softmax(logits / fitted, axis=1), labels) <= log_loss(softmax(logits, axis=1), labels) + 1e-3


def test_a_network_that_was_never_wrong_is_not_taken_for_one_that_never_will_be():
    logits = np.eye(3)[np.arange(30) % 3] * 5
    sure = softmax(logits / fit_temperature(logits, np.arange(30) % 3), axis=1).max(axis=1)
    np.testing.assert_allclose(sure, 30 / 31, rtol=1e-4)


def test_a_temperature_needs_a_clip():
    with pytest.raises(DataError, match=r"a temperature must be fitted on at least 1 clip, there is none"):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, dtype=np.int64))
