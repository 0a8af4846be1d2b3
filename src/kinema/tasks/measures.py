"""Losses and metrics by name, with what each needs and which way is better; one's own function wherever a name may stand.

A task says what it has (`METRIC_INPUTS`, `LOSS_INPUTS`), so a loss of pairs asked of a task without pairs is refused before
anything is trained. Numbers without a better direction (`calibration_bias`, `interval_coverage`, `calibration_noise`) are
left out: nothing can be chosen by them alone.
"""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from kinema.errors import ConfigError, did_you_mean
from kinema.losses import classification as class_losses
from kinema.losses import pairwise
from kinema.losses import regression as number_losses
from kinema.losses.contrastive import margin_contrastive, symmetric_info_nce
from kinema.metrics import calibration, classification, ranking, regression

METRIC_INPUTS: Final[dict[str, str]] = {
    "probs": "probability of class 1 [N], or of each class [N, C]",
    "scores": "any scale on which more means more likely [N]; probabilities where a task has only those",
    "values": "predicted numbers [N]",
    "labels": "0 or 1, classes or numbers [N]",
    "groups": "user or request of each row [N]",
    "low": "lower ends of intervals [N]",
    "high": "upper ends of intervals [N]",
    "ranks": "ranks of the right items, case by case, from 1",
    "offsets": "where each case begins in the ranks",
}
"""What metrics take, by the names that `measure` knows it under."""

LOSS_INPUTS: Final[dict[str, str]] = {
    "logits": "log-odds of class 1 [B], or a logit per class [B, C]",
    "values": "predicted numbers [B]",
    "quantiles": "predicted quantiles [B, Q]",
    "labels": "0 or 1, classes or numbers [B]",
    "positives": "scores of what was chosen [B]",
    "negatives": "scores of what was not [B] or [B, K]",
    "left": "one of each pair [B, D]",
    "right": "the other of each pair [B, D]",
    "same": "1 where a pair belongs together, else 0 [B]",
}
"""What losses take, in their order."""


@dataclass(frozen=True)
class Metric:
    """A number that says how good predictions are.

    Attributes:
        name: As reported.
        function: From arrays to a number.
        higher_is_better: Which way.
        needs: What the function takes by position, of `METRIC_INPUTS`.
        at_k: The name must say a cut-off, ``ndcg@10``; the function takes it as ``k``.
    """

    name: str
    function: Callable[..., float]
    higher_is_better: bool
    needs: tuple[str, ...]
    at_k: bool = False


@dataclass(frozen=True)
class Loss:
    """What is minimised.

    Attributes:
        name: As asked for.
        function: From tensors to a scalar with gradient.
        needs: What the function takes by position, of `LOSS_INPUTS`.
    """

    name: str
    function: Callable[..., Tensor]
    needs: tuple[str, ...]


def _grouped_auc(scores_N: ArrayLike, labels_N: ArrayLike, groups_N: ArrayLike) -> float:
    """The mean alone."""
    return classification.grouped_auc(scores_N, labels_N, groups_N).value


def _mean_over_cases(
    metric: Callable[..., NDArray[np.float64]], ranks_T: NDArray[np.integer], offsets: NDArray[np.integer], *, k: int
) -> float:
    """From one number per case to one."""
    return float(metric(ranks_T, offsets, k=k).mean())


_PROBS: Final = ("probs", "labels")
_VALUES: Final = ("values", "labels")
_RANKS: Final = ("ranks", "offsets")

METRICS: Final[dict[str, Metric]] = {
    one.name: one
    for one in (
        Metric("accuracy", classification.accuracy, higher_is_better=True, needs=_PROBS),
        Metric("top_k_accuracy", classification.top_k_accuracy, higher_is_better=True, needs=_PROBS, at_k=True),
        Metric("auc", classification.auc, higher_is_better=True, needs=("scores", "labels")),
        Metric("grouped_auc", _grouped_auc, higher_is_better=True, needs=("scores", "labels", "groups")),
        Metric("log_loss", classification.log_loss, higher_is_better=False, needs=_PROBS),
        Metric("f1", classification.f1, higher_is_better=True, needs=_PROBS),
        Metric("macro_f1", classification.macro_f1, higher_is_better=True, needs=_PROBS),
        Metric("micro_f1", classification.micro_f1, higher_is_better=True, needs=_PROBS),
        Metric("calibration_error", calibration.calibration_error, higher_is_better=False, needs=_PROBS),
        Metric("brier", calibration.brier, higher_is_better=False, needs=_PROBS),
        Metric("mse", regression.mse, higher_is_better=False, needs=_VALUES),
        Metric("rmse", regression.rmse, higher_is_better=False, needs=_VALUES),
        Metric("mae", regression.mae, higher_is_better=False, needs=_VALUES),
        Metric("r2", regression.r2, higher_is_better=True, needs=_VALUES),
        Metric("interval_width", regression.interval_width, higher_is_better=False, needs=("low", "high")),
        *(
            Metric(name, partial(_mean_over_cases, function), higher_is_better=True, needs=_RANKS, at_k=True)
            for name, function in (
                ("ndcg", ranking.ndcg),
                ("recall", ranking.recall),
                ("mrr", ranking.reciprocal_rank),
                ("map", ranking.average_precision),
                ("hit_rate", ranking.hit_rate),
                ("precision", ranking.precision),
            )
        ),
    )
}

LOSSES: Final[dict[str, Loss]] = {
    one.name: one
    for one in (
        Loss("cross_entropy", class_losses.cross_entropy, ("logits", "labels")),
        Loss("binary_cross_entropy", class_losses.binary_cross_entropy, ("logits", "labels")),
        Loss("class_cross_entropy", class_losses.class_cross_entropy, ("logits", "labels")),
        Loss("focal", class_losses.focal, ("logits", "labels")),
        Loss("mse", number_losses.mse, ("values", "labels")),
        Loss("mae", number_losses.mae, ("values", "labels")),
        Loss("huber", number_losses.huber, ("values", "labels")),
        Loss("pinball", number_losses.pinball, ("quantiles", "labels")),
        Loss("bpr", pairwise.bpr, ("positives", "negatives")),
        Loss("hinge", pairwise.hinge, ("positives", "negatives")),
        Loss("contrastive", partial(symmetric_info_nce, temperature=0.07), ("left", "right")),
        Loss("margin_contrastive", margin_contrastive, ("left", "right", "same")),
    )
}

LOWER_IS_BETTER: Final = frozenset({"loss", *(name for name, one in METRICS.items() if not one.higher_is_better)})


def lower_is_better(name: str) -> bool:
    """Which way a reported number is better; what is unknown counts as better when higher.

    Args:
        name: A name, with what a task puts around it: ``like.log_loss``, ``test/mae``, ``ndcg@10``.

    Example:
        >>> lower_is_better("like.log_loss"), lower_is_better("ndcg@10")
        (True, False)
    """
    return name.replace("/", ".").rsplit(".", maxsplit=1)[-1].split("@", maxsplit=1)[0] in LOWER_IS_BETTER


def find_metric(
    metric: str | Metric | Callable[..., float],
    *,
    given: Collection[str] | None = None,
    higher_is_better: bool | None = None,
) -> Metric:
    """A metric from its name, or from one's own function.

    Args:
        metric: A name of `METRICS`, some with a cut-off (``ndcg@10``); or a `Metric`; or a function whose arguments without a
            default are named like `METRIC_INPUTS`, such as ``def cost(probs, labels)``.
        given: What the task has, to refuse what it cannot compute; None to leave that to `measure`.
        higher_is_better: Of one's own function, where it must be said.

    Returns:
        The metric.

    Raises:
        ConfigError: No such name, a cut-off is missing or none, the task lacks something, or one's own function does not
            say enough.

    Example:
        >>> find_metric("ndcg@10").needs
        ('ranks', 'offsets')
    """
    if isinstance(metric, str):
        found = _named_metric(metric)
    elif isinstance(metric, Metric):
        found = metric
    else:
        found = _own_metric(metric, higher_is_better)
    _check_given("metric", found.name, found.needs, given, {name: one.needs for name, one in METRICS.items()})
    return found


def find_loss(
    loss: str | Loss | Callable[..., Tensor], *, given: Collection[str] | None = None, **options: Any
) -> Callable[..., Tensor]:
    """A loss from its name, or one's own function.

    Args:
        loss: A name of `LOSSES`; or a `Loss`; or a function from tensors to a scalar, called as the task calls the others.
        given: What the task has, to refuse what does not fit; None not to ask.
        options: What the function takes by name: ``smoothing=0.1``, ``gamma=2``, ``quantiles=(0.1, 0.5, 0.9)``.

    Returns:
        The function with its options set.

    Raises:
        ConfigError: No such name, no such option, or the task lacks what the loss needs.

    Example:
        >>> import torch
        >>> find_loss("huber", delta=2.0)(torch.tensor([3.0]), torch.tensor([0.0]))
        tensor(4.)
    """
    if callable(loss) and not isinstance(loss, Loss):
        found = Loss(getattr(loss, "__name__", "own"), loss, ())
    elif isinstance(loss, str):
        if loss not in LOSSES:
            raise ConfigError(_unknown("loss", loss, LOSSES))
        found = LOSSES[loss]
    else:
        found = loss
    _check_given("loss", found.name, found.needs, given, {name: one.needs for name, one in LOSSES.items()})
    if not options:
        return found.function
    arguments = inspect.signature(found.function).parameters.values()
    known = [one.name for one in arguments if one.kind is inspect.Parameter.KEYWORD_ONLY]
    for name in options:
        if name not in known and not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in arguments):
            raise ConfigError(_unknown(f"option of loss '{found.name}'", name, known))
    return partial(found.function, **options)


def measure(metrics: Sequence[str | Metric | Callable[..., float]], given: Mapping[str, ArrayLike]) -> dict[str, float]:
    """Several metrics of one set of predictions.

    Args:
        metrics: See `find_metric`; one's own functions as `Metric`.
        given: Some of `METRIC_INPUTS` -> array. ``scores`` may be left out where there are ``probs``.

    Returns:
        Name -> value, in the order asked for; NaN where a metric is undefined, such as AUC of one class.

    Raises:
        ConfigError: See `find_metric`.
        DataError: What the metrics raise.

    Example:
        >>> measure(["auc", "accuracy"], {"probs": [0.2, 0.9], "labels": [0, 1]})
        {'auc': 1.0, 'accuracy': 1.0}
    """
    found = [find_metric(one, given=given) for one in metrics]
    arrays = {**given, **({"scores": given["probs"]} if "scores" not in given and "probs" in given else {})}
    return {one.name: float(one.function(*(arrays[name] for name in one.needs))) for one in found}


def _named_metric(name: str) -> Metric:
    """One of `METRICS`, with its cut-off set."""
    stem, at, cut = name.partition("@")
    if stem not in METRICS:
        raise ConfigError(_unknown("metric", stem, METRICS))
    found = METRICS[stem]
    if not found.at_k and not at:
        return found
    if not found.at_k:
        raise ConfigError(f"metric '{stem}' has no cut-off, got '{name}'; write '{stem}'")
    if not cut.isdecimal() or int(cut) < 1:
        raise ConfigError(f"metric '{stem}' must say at how many places it cuts, >= 1, is '{name}'; write '{stem}@10'")
    return replace(found, name=f"{stem}@{int(cut)}", function=partial(found.function, k=int(cut)), at_k=False)


def _own_metric(function: Callable[..., float], higher_is_better: bool | None) -> Metric:  # noqa: FBT001  # handed through
    """What the names of its arguments say it needs."""
    name = getattr(function, "__name__", "own")
    if higher_is_better is None:
        raise ConfigError(f"metric '{name}' must say which way is better; give higher_is_better, or a Metric")
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    needs = tuple(
        one.name
        for one in inspect.signature(function).parameters.values()
        if one.kind in positional and one.default is inspect.Parameter.empty
    )
    strange = [one for one in needs if one not in METRIC_INPUTS]
    if strange or not needs:
        asked = f"'{strange[0]}'" if strange else "nothing"
        raise ConfigError(f"metric '{name}' must take some of {', '.join(METRIC_INPUTS)}, takes {asked}")
    return Metric(name, function, higher_is_better, needs)


def _check_given(
    what: str, name: str, needs: Sequence[str], given: Collection[str] | None, known: Mapping[str, Sequence[str]]
) -> None:
    """Refuse what the task cannot compute, and name what it can."""
    if given is None:
        return
    has = {*given, *(("scores",) if what == "metric" and "probs" in given else ())}
    missing = [one for one in needs if one not in has]
    if missing:
        fitting = [one for one, wanted in known.items() if has.issuperset(wanted)]
        raise ConfigError(
            f"{what} '{name}' needs {', '.join(missing)}, the task has {', '.join(sorted(has)) or 'nothing'}; "
            f"known that fit: {', '.join(fitting) or 'none'}"
        )


def _unknown(what: str, name: str, known: Collection[str]) -> str:
    """The message, with the nearest name."""
    return f"unknown {what} '{name}'{did_you_mean(name, known)} known: {', '.join(known) or 'none'}"
