"""A rating model is trained: epochs chosen on held-out ratings, the margin of its intervals from the same, then all ratings."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from kinema.progress import Progress, silent
from kinema.steps.finetuning_options import FitPlan
from kinema.tasks.rating import RatingConfig, RatingLearner, RatingModel, SideFeatures
from kinema.tasks.rating_data import Ratings
from kinema.training.fitting import FitOptions, FitReport, fit


@dataclass(frozen=True)
class TrainedRating:
    """What training a rating model gave.

    Attributes:
        model: To serve.
        report: Of the training that was validated; its metrics are those on the held-out ratings.
        notices: What a person should know.
    """

    model: RatingModel
    report: FitReport
    notices: tuple[str, ...] = ()


def train_rating(
    train: Ratings,
    valid: Ratings,
    config: RatingConfig,
    options: FitOptions,
    *,
    features: SideFeatures | None = None,
    plan: FitPlan | None = None,
    examples: Sequence[Any] = (),
    seed: int | None = None,
    progress: Progress = silent,
) -> TrainedRating:
    """Train, choose the epochs on held-out ratings, and find the margin of the intervals on the same.

    Args:
        train: To learn from.
        valid: Held out.
        config: What is learnt.
        options: How; ``metric`` is mse, rmse or mae.
        features: Of users and items.
        plan: Where the run is kept and who watches it; None for nowhere and ``progress``.
        examples: See `FitPlan.fit`.
        seed: Of the first parameters, order and dropout; None for the plan's.
        progress: Told steps, where there is no plan.

    Returns:
        The model and its report.
    """
    plan = plan or FitPlan(seed=seed or 0, progress=progress)
    seed = plan.seed if seed is None else seed
    learner = RatingLearner(train, valid, config, features=features, seed=seed)
    fitted = replace(plan, seed=seed).fit(learner, options, examples=examples)
    model = RatingModel(config, learner.network, features or SideFeatures(), train.low, train.high)
    return TrainedRating(model.calibrated(valid), fitted.report, fitted.notices)


def retrain_rating(
    trained: TrainedRating,
    everything: Ratings,
    options: FitOptions,
    *,
    seed: int = 0,
    progress: Progress = silent,
) -> RatingModel:
    """Learn afresh from all ratings, held-out ones too, for as many epochs as were best.

    The margin of the intervals stays: on ratings that were learnt it cannot be found again. A model that has seen more is
    a little better, so the intervals are a little too wide.

    Args:
        trained: From `train_rating`.
        everything: Training and held-out ratings.
        options: As there.
        seed: As there.
        progress: Told steps.

    Returns:
        The model to serve.
    """
    first = trained.model
    learner = RatingLearner(everything, None, first.config, features=first.features, seed=seed)
    fixed = replace(options, metric="epochs", max_epochs=trained.report.best_epoch, refine=0.0)
    fit(learner, fixed, seed=seed, progress=progress)
    return replace(first, network=learner.network.eval())
