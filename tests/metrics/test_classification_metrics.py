import math

import numpy as np
import pytest
import torch
import torchmetrics.functional.classification as theirs
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import DataError
from kinema.metrics.classification import (
    GroupedAuc,
    accuracy,
    auc,
    f1,
    grouped_auc,
    log_loss,
    macro_f1,
    micro_f1,
    precision_recall_curve,
    roc_curve,
    top_k_accuracy,
)

ROWS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 1), st.integers(0, 3)), min_size=1, max_size=40)


def columns(rows):
    return (np.array(one) for one in zip(*rows, strict=True))


def pairwise_auc(scores, labels):
    """The definition: every pair of a positive and a negative."""
    pairs = [(p > n) + (p == n) / 2 for p in scores[labels == 1] for n in scores[labels == 0]]
    return np.mean(pairs) if pairs else math.nan


def softmax(logits):
    likely = np.exp(logits - logits.max(axis=1, keepdims=True))
    return likely / likely.sum(axis=1, keepdims=True)


@given(ROWS)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows):
    scores, labels, _ = columns(rows)
    assert auc(scores, labels) == pytest.approx(pairwise_auc(scores, labels), nan_ok=True)


@given(ROWS)
def test_auc_does_not_change_under_an_increasing_map_and_is_mirrored_by_a_decreasing_one(rows):
    scores, labels, _ = columns(rows)
    assert auc(np.exp(scores / 2), labels) == pytest.approx(auc(scores, labels), nan_ok=True)
    assert auc(-scores, labels) == pytest.approx(1 - auc(scores, labels), nan_ok=True)


@given(ROWS)
def test_grouped_auc_is_the_mean_over_mixed_groups_weighted_by_their_rows(rows):
    scores, labels, groups = columns(rows)
    parts = [(scores[groups == one], labels[groups == one]) for one in np.unique(groups)]
    mixed = [(s, y) for s, y in parts if 0 < y.sum() < len(y)]
    found = grouped_auc(scores, labels, groups)
    plain = np.average([pairwise_auc(*one) for one in mixed], weights=[len(y) for _, y in mixed]) if mixed else math.nan
    assert found.value == pytest.approx(plain, nan_ok=True)
    assert (found.num_groups, found.num_left_out) == (len(mixed), len(parts) - len(mixed))
    assert found.num_rows_left_out == len(rows) - sum(len(y) for _, y in mixed)


def test_a_score_that_only_knows_who_clicks_much_has_a_high_auc_and_a_grouped_one_of_one_half():
    users = np.repeat(np.arange(10), 20)
    labels = np.random.default_rng(0).random(200) < users / 10
    assert auc(users, labels) > 0.7
    assert grouped_auc(users, labels, users).value == 0.5


def test_groups_may_be_named_by_text():
    assert grouped_auc([1, 2, 2, 1], [0, 1, 0, 1], list("aabb")) == GroupedAuc(0.5, 2, 0, 0)


def test_without_both_classes_the_auc_is_undefined():
    assert math.isnan(auc([0.1, 0.2], [1, 1]))
    assert grouped_auc([1, 2], [0, 1], [0, 1]).num_left_out == 2


def test_infinite_scores_are_sorted_like_others():
    assert auc([-np.inf, 0.0, np.inf], [0, 0, 1]) == 1.0


def test_values_agree_with_torchmetrics():
    random = np.random.default_rng(3)
    for _ in range(10):
        labels, classes = random.integers(0, 2, 200), random.integers(0, 5, 200)
        probs = random.integers(0, 20, 200) / 20 + 0.01
        probs_NC = softmax(random.normal(size=(200, 5)))
        asked = (torch.from_numpy(probs), torch.from_numpy(labels))
        asked_classes = (torch.from_numpy(probs_NC), torch.from_numpy(classes))
        pairs = [
            (auc(probs, labels), theirs.binary_auroc(*asked)),
            (f1(probs, labels), theirs.binary_f1_score(*asked)),
            (accuracy(probs, labels), theirs.binary_accuracy(*asked)),
            (accuracy(probs_NC, classes), theirs.multiclass_accuracy(*asked_classes, 5, average="micro")),
            (macro_f1(probs_NC, classes), theirs.multiclass_f1_score(*asked_classes, 5, average="macro")),
            (micro_f1(probs_NC, classes), theirs.multiclass_f1_score(*asked_classes, 5, average="micro")),
            (
                top_k_accuracy(probs_NC, classes, k=2),
                theirs.multiclass_accuracy(*asked_classes, 5, average="micro", top_k=2),
            ),
            (log_loss(probs_NC, classes), torch.nn.functional.nll_loss(asked_classes[0].log(), asked_classes[1])),
        ]
        assert [ours for ours, _ in pairs] == pytest.approx([float(one) for _, one in pairs], abs=1e-6)


def test_curves_agree_with_torchmetrics_and_the_area_below_is_the_auc():
    random = np.random.default_rng(4)
    labels, scores = random.integers(0, 2, 300), random.integers(0, 30, 300) / 30
    asked = (torch.from_numpy(scores), torch.from_numpy(labels))
    wrong, found = roc_curve(scores, labels)
    their_wrong, their_found, _ = theirs.binary_roc(*asked)
    assert wrong == pytest.approx(their_wrong.numpy())
    assert found == pytest.approx(their_found.numpy())
    assert np.trapezoid(found, wrong) == pytest.approx(auc(scores, labels))
    recall, precision = precision_recall_curve(scores, labels)
    their_precision, their_recall, _ = theirs.binary_precision_recall_curve(*asked)
    assert recall == pytest.approx(their_recall.numpy()[::-1][1:])
    assert precision == pytest.approx(their_precision.numpy()[::-1][1:])


def test_log_loss_of_values_worked_by_hand():
    assert log_loss([0.25, 0.5], [1, 0]) == pytest.approx((math.log(4) + math.log(2)) / 2)
    assert log_loss([[0.25, 0.75], [0.5, 0.5]], [0, 1]) == pytest.approx((math.log(4) + math.log(2)) / 2)


def test_one_sure_error_costs_a_bounded_amount_also_in_single_precision():
    assert log_loss(np.float32([1.0]), [0]) == pytest.approx(-math.log(1e-7))
    assert log_loss([0.0], [1], floor=1e-3) == pytest.approx(-math.log(1e-3))


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 1)), min_size=1, max_size=30))
def test_two_columns_say_the_same_as_one_probability(rows):
    probs, labels = columns(rows)
    both = np.stack([1 - probs, probs], axis=1)
    assert log_loss(both, labels) == pytest.approx(log_loss(probs, labels))
    assert accuracy(both[:, ::-1], 1 - labels) == accuracy(probs, labels)
    assert 0 <= f1(probs, labels) <= 1


def test_f1_of_a_class_that_neither_occurs_nor_is_predicted_is_zero():
    assert f1([0.1, 0.2], [0, 0]) == 0.0


def test_the_threshold_itself_belongs_to_the_class_one():
    assert accuracy([0.3], [1], threshold=0.3) == 1.0
    assert f1([0.3], [1], threshold=0.31) == 0.0


def test_equal_columns_earn_nothing_in_top_k_unless_all_fit():
    assert top_k_accuracy(np.full((3, 4), 0.25), [0, 1, 2], k=3) == 0.0
    assert top_k_accuracy(np.full((3, 4), 0.25), [0, 1, 2], k=4) == 1.0


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: auc([[0.1], [0.2]], [0, 1]), r"two lists of one length, have shapes \(2, 1\) and \(2,\)"),
        (lambda: auc([], []), "at least one row"),
        (lambda: auc([0.1, np.nan], [0, 1]), "predictions must be numbers, got nan in row 1"),
        (lambda: auc([0.1, 0.2], [0, np.inf]), "labels must be finite numbers, got inf in row 1"),
        (lambda: f1([0.1, 0.2], [0, 4]), r"labels must be 0 or 1, got 4.0 in row 1; cut them"),
        (lambda: log_loss([0.1, 1.2], [0, 1]), r"probabilities must be in \[0, 1\], got 1.2 in row 1; logits"),
        (lambda: log_loss([[0.4, 0.4]], [0]), "must add up to 1, got 0.8 in row 0; use a softmax"),
        (lambda: accuracy([[0.4, 0.6]], [2]), "labels must be classes 0 to 1, got 2 in row 0"),
        (lambda: accuracy([[0.4, 0.6]], [0.5]), "labels must be classes 0 to 1, got 0.5"),
        (lambda: accuracy([[0.4, np.nan]], [1]), "row 0 has nan"),
        (lambda: accuracy(np.zeros((0, 2)), []), "at least one row"),
        (lambda: macro_f1([0.4, 0.6], [0, 1]), "rows x classes"),
        (lambda: top_k_accuracy([[0.4, 0.6]], [1], k=0), "k must be >= 1, is 0"),
        (lambda: grouped_auc([0.1, 0.2], [0, 1], [1]), r"one per row, 2, have shape \(1,\)"),
        (lambda: roc_curve([0.1, 0.2], [1, 1]), "a curve must have labels 0 and 1, all 2 are 1"),
    ],
)
def test_what_has_no_meaning_is_refused_with_its_place(call, text):
    with pytest.raises(DataError, match=text):
        call()
