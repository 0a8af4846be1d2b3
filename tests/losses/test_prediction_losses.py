import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.autograd import gradcheck
from torch.nn import functional

from kinema.errors import ConfigError, DataError
from kinema.losses.classification import binary_cross_entropy, class_cross_entropy, cross_entropy, focal
from kinema.losses.contrastive import margin_contrastive
from kinema.losses.pairwise import bpr, hinge
from kinema.losses.regression import huber, mae, mse, pinball

LOGITS = torch.tensor([-2.0, 0.3, 1.5, 4.0], dtype=torch.float64)
LABELS = torch.tensor([0, 1, 0, 1])
CLASS_LOGITS = torch.tensor([[1.0, -0.5, 0.2], [0.3, 0.4, -2.0]], dtype=torch.float64)
CLASSES = torch.tensor([2, 0])


def free(tensor):
    return tensor.clone().requires_grad_()


def test_binary_cross_entropy_is_its_definition_with_smoothed_labels_and_weights():
    probs, targets = LOGITS.sigmoid(), 0.9 * LABELS + 0.05
    plain = -(3 * targets * probs.log() + (1 - targets) * (1 - probs).log()).mean()
    torch.testing.assert_close(binary_cross_entropy(LOGITS, LABELS, smoothing=0.1, positive_weight=3.0), plain)


def test_class_cross_entropy_is_its_definition_with_smoothed_labels_and_weights():
    logs, weights = CLASS_LOGITS.log_softmax(dim=1), torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)
    plain = -(weights[CLASSES] * logs[[0, 1], CLASSES]).sum() / weights[CLASSES].sum()
    torch.testing.assert_close(class_cross_entropy(CLASS_LOGITS, CLASSES, class_weights_C=weights), plain)
    smoothed = -(0.7 * logs[[0, 1], CLASSES] + 0.3 * logs.mean(dim=1)).mean()
    torch.testing.assert_close(class_cross_entropy(CLASS_LOGITS, CLASSES, smoothing=0.3), smoothed)


@given(st.floats(-20, 20), st.integers(0, 1), st.floats(0, 5))
def test_one_logit_says_the_same_as_two_with_that_difference(logit, label, gamma):
    one, two = torch.tensor([logit], dtype=torch.float64), torch.tensor([[0.0, logit]], dtype=torch.float64)
    labels = torch.tensor([label])
    torch.testing.assert_close(cross_entropy(one, labels), cross_entropy(two, labels))
    torch.testing.assert_close(focal(one, labels, gamma=gamma), focal(two, labels, gamma=gamma))


def test_focal_is_its_definition_and_without_gamma_the_cross_entropy():
    probs = torch.where(LABELS > 0, LOGITS.sigmoid(), 1 - LOGITS.sigmoid())
    weights = torch.where(LABELS > 0, 0.25, 0.75)
    plain = -(weights * (1 - probs) ** 2 * probs.log()).mean()
    torch.testing.assert_close(focal(LOGITS, LABELS, alpha=0.25), plain)
    torch.testing.assert_close(focal(LOGITS, LABELS, gamma=0.0), binary_cross_entropy(LOGITS, LABELS))
    torch.testing.assert_close(focal(CLASS_LOGITS, CLASSES, gamma=0.0), class_cross_entropy(CLASS_LOGITS, CLASSES))


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_extreme_logits_keep_focal_and_its_gradient_finite(gamma):
    logits, labels = torch.tensor([90.0, -90.0, 90.0, 0.0]).requires_grad_(), torch.tensor([1, 1, 0, 1])
    rows = torch.tensor([[90.0, 0.0, -90.0], [-90.0, 0.0, 90.0]]).requires_grad_()
    (focal(logits, labels, gamma=gamma) + focal(rows, torch.tensor([0, 0]), gamma=gamma)).backward()
    assert logits.grad.isfinite().all()
    assert rows.grad.isfinite().all()


def test_regression_losses_agree_with_torch():
    values, labels = torch.linspace(-3, 3, 7), torch.tensor([0.0, 1, -1, 0.5, 3, 2, -4])
    torch.testing.assert_close(mse(values, labels), functional.mse_loss(values, labels))
    torch.testing.assert_close(mae(values, labels), functional.l1_loss(values, labels))
    torch.testing.assert_close(huber(values, labels, delta=0.7), functional.huber_loss(values, labels, delta=0.7))


def test_whole_numbers_are_fine_as_labels():
    assert float(mse(torch.tensor([1.5]), torch.tensor([1]))) == pytest.approx(0.25)
    assert float(pinball(torch.tensor([[1.5]]), torch.tensor([1]), quantiles=(0.5,))) == pytest.approx(0.25)


def test_the_best_constants_of_pinball_are_the_quantiles():
    labels = torch.arange(101, dtype=torch.float64)
    losses = [
        [float(pinball(torch.full((101, 1), float(value)), labels, quantiles=(level,))) for value in range(101)]
        for level in (0.105, 0.5, 0.895)
    ]
    assert [row.index(min(row)) for row in losses] == [10, 50, 90]


@given(st.floats(-5, 5), st.floats(-5, 5))
def test_the_middle_quantile_costs_half_the_absolute_error(value, label):
    values, labels = torch.tensor([value], dtype=torch.float64), torch.tensor([label], dtype=torch.float64)
    torch.testing.assert_close(pinball(values[:, None], labels, quantiles=(0.5,)), mae(values, labels) / 2)


def test_pairs_have_the_values_worked_out_by_hand():
    positive, negative = torch.tensor([2.0, 0.0]), torch.tensor([1.0, 3.0])
    expected = (math.log(1 + math.exp(-1)) + math.log(1 + math.exp(3))) / 2
    assert float(bpr(positive, negative)) == pytest.approx(expected)
    assert float(hinge(positive, negative, margin=2.0)) == pytest.approx((1 + 5) / 2)


def test_several_negatives_are_as_many_pairs():
    positive, negatives = torch.tensor([2.0, 0.0]), torch.tensor([[1.0, 3.0, 0.0], [0.0, -1.0, 2.0]])
    torch.testing.assert_close(bpr(positive, negatives), bpr(positive.repeat_interleave(3), negatives.flatten()))


def test_pairs_far_enough_apart_cost_nothing_and_right_pairs_their_squared_distance():
    left = torch.tensor([[0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    right = torch.tensor([[3.0, 4.0], [3.0, 4.0], [0.0, 0.6]])
    assert float(margin_contrastive(left, right, torch.tensor([1, 0, 0]))) == pytest.approx((25 + 0 + 0.16) / 3)


def test_equal_rows_that_should_differ_have_a_finite_gradient():
    left = torch.ones(1, 3, requires_grad=True)
    margin_contrastive(left, torch.ones(1, 3), torch.tensor([0])).backward()
    assert not left.grad.any()


@pytest.mark.parametrize(
    "call",
    [
        lambda x: binary_cross_entropy(x, LABELS, smoothing=0.1, positive_weight=2.0),
        lambda x: class_cross_entropy(x[:, None] * CLASS_LOGITS[:1], LABELS, smoothing=0.2),
        lambda x: focal(x, LABELS, gamma=1.5, alpha=0.3),
        lambda x: focal(x[:, None] * CLASS_LOGITS[:1], LABELS, gamma=0.5),
        lambda x: mse(x, LABELS),
        lambda x: mae(x, LABELS),
        lambda x: huber(x, LABELS, delta=0.9),
        lambda x: pinball(torch.stack([x, x**2], dim=1), LABELS, quantiles=(0.2, 0.9)),
        lambda x: bpr(x, x.flip(0) * 0.7),
        lambda x: hinge(x, x.flip(0)[:, None] * torch.ones(4, 2, dtype=torch.float64)),
        lambda x: margin_contrastive(x.view(2, 2), x.view(2, 2).flip(0) * 0.3, torch.tensor([1, 0]), margin=9.0),
    ],
)
def test_gradients_agree_with_finite_differences(call):
    assert gradcheck(call, (free(LOGITS),))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: cross_entropy(x, torch.zeros(0)),
        lambda x: cross_entropy(x.view(0, 3), torch.zeros(0, dtype=torch.int64)),
        lambda x: focal(x, torch.zeros(0)),
        lambda x: huber(x, torch.zeros(0)),
        lambda x: pinball(x.view(0, 3), torch.zeros(0)),
        lambda x: bpr(x, x),
        lambda x: hinge(x, x),
        lambda x: margin_contrastive(x.view(0, 2), x.view(0, 2), torch.zeros(0)),
    ],
)
def test_no_example_costs_nothing_and_can_be_differentiated(call):
    empty = torch.zeros(0, requires_grad=True)
    loss = call(empty)
    loss.backward()
    assert float(loss.detach()) == 0


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: binary_cross_entropy(LOGITS[:, None], LABELS), DataError, r"one per example, have shapes \(4, 1\)"),
        (lambda: binary_cross_entropy(LOGITS, LABELS, smoothing=1.0), ConfigError, r"in \[0, 1\), is 1.0"),
        (lambda: binary_cross_entropy(LOGITS, LABELS, positive_weight=0), ConfigError, "positive_weight must be > 0"),
        (lambda: class_cross_entropy(CLASS_LOGITS, LABELS), DataError, r"examples x classes .* \(2, 3\) and \(4,\)"),
        (lambda: focal(LOGITS, LABELS, gamma=-1), ConfigError, "gamma must be a number >= 0, is -1"),
        (lambda: focal(LOGITS, LABELS, alpha=1.0), ConfigError, "alpha must be in"),
        (lambda: focal(CLASS_LOGITS, CLASSES, alpha=0.5), ConfigError, "the classes two"),
        (lambda: mse(LOGITS[:, None], LABELS), DataError, r"one shape, have \(4, 1\) and \(4,\)"),
        (lambda: huber(LOGITS, LABELS, delta=0), ConfigError, "delta must be > 0, is 0"),
        (lambda: pinball(LOGITS, LABELS), DataError, r"examples x 3 quantiles .* shapes \(4,\)"),
        (lambda: pinball(LOGITS[:, None], LABELS, quantiles=(1.0,)), ConfigError, r"quantiles must be in \(0, 1\)"),
        (lambda: bpr(LOGITS, LOGITS[:2]), DataError, "one score per example"),
        (lambda: hinge(LOGITS, LOGITS, margin=0), ConfigError, "margin must be > 0, is 0"),
        (lambda: margin_contrastive(CLASS_LOGITS, CLASS_LOGITS, LABELS), DataError, "two tables of one shape"),
        (lambda: margin_contrastive(CLASS_LOGITS, CLASS_LOGITS, CLASSES, margin=-1), ConfigError, "margin must be > 0"),
    ],
)
def test_what_has_no_meaning_is_refused(call, error, text):
    with pytest.raises(error, match=text):
        call()
