import inspect
import math

import numpy as np
import pytest
import torch

from kinema.errors import ConfigError
from kinema.metrics.ranking import METRICS as RANKING_METRICS
from kinema.tasks.measures import (
    LOSS_INPUTS,
    LOSSES,
    LOWER_IS_BETTER,
    METRIC_INPUTS,
    METRICS,
    Loss,
    Metric,
    find_loss,
    find_metric,
    lower_is_better,
    measure,
)

BINARY = {"probs": np.array([0.2, 0.9, 0.4]), "labels": np.array([0, 1, 1]), "groups": np.array([0, 0, 0])}
CLASSES = {"probs": np.array([[0.2, 0.8], [0.6, 0.4]]), "labels": np.array([1, 0])}
NUMBERS = {"values": np.array([1.0, 2.0]), "labels": np.array([1.0, 4.0]), "low": np.zeros(2), "high": np.ones(2)}
RANKS = {"ranks": np.array([1, 4]), "offsets": np.array([0, 1, 2])}


def test_every_metric_is_computed_from_what_it_says_it_needs():
    for name, one in METRICS.items():
        asked = f"{name}@3" if one.at_k else name
        for given in (BINARY, CLASSES, NUMBERS, RANKS):
            has = {*given, *(("scores",) if "probs" in given else ())}
            both_classes = given is CLASSES and name in {"auc", "grouped_auc", "f1", "calibration_error", "brier"}
            one_column = given is BINARY and name in {"macro_f1", "micro_f1", "top_k_accuracy"}
            if has.issuperset(one.needs) and not both_classes and not one_column:
                assert math.isfinite(measure([asked], given)[asked])


def test_every_loss_gives_a_scalar_from_what_it_says_it_needs():
    made = {
        "logits": torch.zeros(2),
        "values": torch.zeros(2),
        "quantiles": torch.zeros(2, 3),
        "labels": torch.tensor([0, 1]),
        "positives": torch.ones(2),
        "negatives": torch.zeros(2, 4),
        "left": torch.eye(2),
        "right": torch.eye(2),
        "same": torch.tensor([1, 0]),
    }
    for name, one in LOSSES.items():
        inputs = {**made, "logits": torch.zeros(2, 3)} if name == "class_cross_entropy" else made
        assert find_loss(name, given=made)(*(inputs[need] for need in one.needs)).ndim == 0


def test_the_tables_name_their_entries_and_use_known_inputs_only():
    for table, inputs in ((METRICS, METRIC_INPUTS), (LOSSES, LOSS_INPUTS)):
        for name, one in table.items():
            assert one.name == name
            assert set(one.needs) <= set(inputs)
    assert set(RANKING_METRICS) <= set(METRICS)


def test_values_are_those_of_the_functions():
    found = measure(["grouped_auc", "auc", "accuracy"], BINARY)
    assert list(found) == ["grouped_auc", "auc", "accuracy"]
    assert found == {"grouped_auc": 1.0, "auc": 1.0, "accuracy": pytest.approx(2 / 3)}
    assert measure(["ndcg@3", "hit_rate@4"], RANKS) == {"ndcg@3": 0.5, "hit_rate@4": 1.0}


def test_scores_of_their_own_go_before_probabilities():
    assert measure(["auc"], {**BINARY, "scores": -BINARY["probs"]}) == {"auc": 0.0}


def test_one_s_own_function_is_used_by_the_names_of_its_arguments():
    def cost(labels, probs, weight=2.0):
        return float(weight * (labels - probs).sum())

    found = find_metric(cost, higher_is_better=False)
    assert (found.name, found.needs, found.higher_is_better) == ("cost", ("labels", "probs"), False)
    assert measure([found], BINARY)["cost"] == pytest.approx(1.0)
    assert find_metric(Metric("mine", cost, higher_is_better=True, needs=("labels", "probs"))).name == "mine"


def test_one_s_own_loss_is_taken_as_it_is_and_may_have_options():
    def cubed(values, labels, *, power=3):
        return (values - labels).abs().pow(power).mean()

    assert find_loss(cubed, given=("anything",)) is cubed
    assert float(find_loss(cubed, power=2)(torch.tensor([3.0]), torch.tensor([1.0]))) == 4.0
    assert float(find_loss(Loss("x", cubed, ("values", "labels")))(torch.ones(1), torch.zeros(1))) == 1.0
    assert float(find_loss(lambda x, **more: x * more["by"], by=2)(torch.ones(()))) == 2.0


def test_options_reach_the_loss():
    logits, labels = torch.tensor([4.0]), torch.tensor([1])
    assert find_loss("cross_entropy", smoothing=0.2)(logits, labels) > find_loss("cross_entropy")(logits, labels)
    eye = torch.eye(2)
    assert find_loss("contrastive", temperature=1.0)(eye, eye) > find_loss("contrastive")(eye, eye)


def test_the_direction_is_read_off_names_as_tasks_report_them():
    assert {"loss", "log_loss", "mse", "rmse", "mae", "calibration_error", "brier"} <= LOWER_IS_BETTER
    assert [lower_is_better(name) for name in ("like.log_loss", "valid/mae", "loss")] == [True] * 3
    assert [lower_is_better(name) for name in ("like.auc", "ndcg@10", "own")] == [False] * 3


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: find_metric("aux"), "unknown metric 'aux', did you mean 'auc'[?] known: accuracy, top_k_accuracy"),
        (lambda: find_metric("zzz"), "unknown metric 'zzz'; known: accuracy"),
        (lambda: find_metric("ndcg"), "'ndcg' must say at how many places it cuts, >= 1, is 'ndcg'; write 'ndcg@10'"),
        (lambda: find_metric("ndcg@0"), "is 'ndcg@0'"),
        (lambda: find_metric("auc@5"), "'auc' has no cut-off, got 'auc@5'"),
        (
            lambda: measure(["grouped_auc"], {"probs": [0.1], "labels": [1]}),
            "'grouped_auc' needs groups, the task has labels, probs, scores; known that fit: accuracy, .*log_loss",
        ),
        (lambda: find_metric("mse", given=()), "needs values, labels, the task has nothing; known that fit: none"),
        (lambda: find_metric(lambda probs: 1.0), "must say which way is better"),
        (lambda: find_metric(lambda what: 1.0, higher_is_better=True), "must take some of probs, .* takes 'what'"),
        (lambda: find_metric(lambda: 1.0, higher_is_better=True), "takes nothing"),
        (lambda: find_loss("cross_entropie"), "unknown loss 'cross_entropie', did you mean 'cross_entropy'"),
        (
            lambda: find_loss("bpr", given=("logits", "labels")),
            "'bpr' needs positives, negatives, the task has labels, logits; known that fit: cross_entropy, .*focal",
        ),
        (lambda: find_loss("focal", gama=1), "unknown option of loss 'focal' 'gama', did you mean 'gamma'"),
        (lambda: find_loss("mse", delta=1), "unknown option of loss 'mse' 'delta'; known: none"),
    ],
)
def test_what_is_unknown_or_does_not_fit_is_refused_with_what_would(call, text):
    with pytest.raises(ConfigError, match=text):
        call()


def test_losses_take_their_options_by_name_only():
    for one in LOSSES.values():
        positional = [
            argument
            for argument in inspect.signature(one.function).parameters.values()
            if argument.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        ]
        assert len(positional) == len(one.needs)
