"""Baselines at their best: hyper-parameters from a small grid, chosen on the validation cases.

An untuned baseline is the easiest way to a table that means nothing.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

import numpy as np

from kinema.errors import ConfigError, DataError
from kinema.evaluation.baselines.ease import EaseRanker, fit_ease
from kinema.evaluation.baselines.item_knn import ItemKnnRanker, fit_item_knn
from kinema.evaluation.baselines.popularity import fit_popularity, fit_recent_popularity
from kinema.evaluation.offline import evaluate
from kinema.evaluation.protocol import Ranker
from kinema.progress import Progress, silent
from kinema.seeds import generator
from kinema.store.splits import Split

DECAYS: Final = (1.0, 0.9, 0.75, 0.6, 0.4)
"""Weights of a watched item relative to the next newer one that are tried."""


@dataclass(frozen=True)
class Trial:
    """Hyper-parameters and how to fit them."""

    params: Mapping[str, Any]
    fit: Callable[[], Ranker]


@dataclass(frozen=True)
class Tuned:
    """A ranker with the hyper-parameters that won.

    Attributes:
        ranker: Fitted on training.
        params: What won.
        trials: Every combination tried with its validation value, in order.
    """

    ranker: Ranker
    params: Mapping[str, Any] = field(default_factory=dict)
    trials: Sequence[tuple[Mapping[str, Any], float]] = ()


def tune_on_valid(
    trials: Iterable[Trial], split: Split, *, metric: str = "ndcg@10", max_cases: int = 10_000, seed: int = 0
) -> Tuned:
    """Fit each trial on training and keep the one that is best on validation.

    Args:
        trials: Fitted one after another; only the best so far is kept in memory.
        split: Its test cases are not looked at.
        metric: What is best, such as ``ndcg@10``.
        max_cases: Validation cases used at most, drawn at random but the same for every trial.
        seed: For that draw.

    Returns:
        The first of the best.

    Raises:
        DataError: There are no trials, or no validation cases.
    """
    cases = split.valid
    if len(cases) > max_cases:
        drawn = generator(seed, "tuning-cases").choice(len(cases), max_cases, replace=False)
        cases = cases.take(np.sort(drawn))
    best: Tuned | None = None
    best_value = -1.0
    tried: list[tuple[Mapping[str, Any], float]] = []
    k = int(metric.rsplit("@", maxsplit=1)[-1])
    for trial in trials:
        ranker = trial.fit()
        value = evaluate(ranker, cases, split, ks=(k,), num_resamples=0).rows["all"].mean(metric)
        tried.append((trial.params, value))
        if value > best_value:
            best, best_value = Tuned(ranker, trial.params), value
    if best is None:
        raise DataError("tuning must have at least one trial, got none")
    return replace(best, trials=tuple(tried))


def tune_recent_popularity(split: Split, *, shares: Sequence[float] = (1 / 64, 1 / 16, 1 / 4)) -> Tuned:
    """Popularity whose half-life is a share of the training period.

    Args:
        split: Trained on, and chosen on its validation cases.
        shares: Half-lives tried, as shares of the time from the first to the last training interaction, > 0.

    Returns:
        The best.
    """
    span_ms = max(1, int(np.ptp(split.train.timestamps_ms)))
    return tune_on_valid(
        (
            Trial(
                {"half_life_days": share * span_ms / 86_400_000},
                partial(fit_recent_popularity, split.train, half_life_ms=share * span_ms),
            )
            for share in shares
        ),
        split,
    )


def tune_item_knn(
    split: Split,
    *,
    neighbours: Sequence[int] = (20, 100),
    shrinkages: Sequence[float] = (0.0, 20.0),
    decays: Sequence[float] = DECAYS,
) -> Tuned:
    """Item-kNN over a grid.

    Args:
        split: Trained on, and chosen on its validation cases.
        neighbours: Tried.
        shrinkages: Tried.
        decays: Tried with each fit.

    Returns:
        The best.
    """

    def trials() -> Iterable[Trial]:
        for number in neighbours:
            for shrinkage in shrinkages:
                fitted: ItemKnnRanker = fit_item_knn(split.train, neighbours=number, shrinkage=shrinkage)
                for decay in decays:
                    yield Trial(
                        {"neighbours": number, "shrinkage": shrinkage, "decay": decay},
                        partial(replace, fitted, decay=decay),
                    )

    return tune_on_valid(trials(), split)


def tune_ease(
    split: Split,
    *,
    regularisations: Sequence[float] = (50.0, 200.0, 800.0),
    decays: Sequence[float] = DECAYS,
    max_items: int = 15_000,
) -> tuple[Tuned, Tuned]:
    """EASE over a grid, as published and asked with a recency-decayed history.

    Both are chosen from the same solves, which are the dear part.

    Args:
        split: Trained on, and chosen on its validation cases.
        regularisations: Tried.
        decays: Tried with each solve; 1 is the published model and must be among them.
        max_items: See `kinema.evaluation.baselines.ease.fit_ease`.

    Returns:
        The best published model, named ``EASE``, and the best of all, named ``EASE recency``.

    Raises:
        ConfigError: decays does not hold 1.
    """
    if 1.0 not in decays:
        raise ConfigError(f"decays must hold 1, the published model, are {tuple(decays)}")

    def trials() -> Iterable[Trial]:
        for strength in regularisations:
            fitted = fit_ease(split.train, regularisation=strength, max_items=max_items, name="EASE recency")
            for decay in decays:
                yield Trial({"regularisation": strength, "decay": decay}, partial(replace, fitted, decay=decay))

    recent = tune_on_valid(trials(), split)
    published = tuple((params, value) for params, value in recent.trials if params["decay"] == 1)
    strength = max(published, key=lambda trial: trial[1])[0]["regularisation"]
    assert isinstance(recent.ranker, EaseRanker)
    if strength == recent.params["regularisation"]:
        ranker = replace(recent.ranker, name="EASE", decay=1.0)
    else:
        ranker = fit_ease(split.train, regularisation=strength, max_items=max_items)
    return Tuned(ranker, {"regularisation": strength, "decay": 1.0}, published), recent


def tuned_baselines(split: Split, *, max_items: int = 15_000, progress: Progress = silent) -> list[Tuned]:
    """Every baseline that needs nothing but the log, at its best.

    Args:
        split: Trained on, and chosen on its validation cases.
        max_items: See `kinema.evaluation.baselines.ease.fit_ease`.
        progress: Told before each step.

    Returns:
        popularity, recent popularity, item-kNN, EASE, and EASE asked with a recency-decayed history.
    """
    steps: tuple[tuple[str, Callable[[], Sequence[Tuned]]], ...] = (
        ("popularity", lambda: [Tuned(fit_popularity(split.train)), tune_recent_popularity(split)]),
        ("item-kNN", lambda: [tune_item_knn(split)]),
        ("EASE", lambda: tune_ease(split, max_items=max_items)),
    )
    tuned: list[Tuned] = []
    for place, (name, step) in enumerate(steps):
        progress(place, len(steps), name)
        tuned.extend(step())
    progress(len(steps), len(steps), "baselines")
    return tuned
