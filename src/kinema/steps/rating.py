"""A rating model is trained: epochs chosen on held-out ratings, the margin of its intervals from the same, then all ratings."""

from dataclasses import dataclass, replace

from kinema.progress import Progress, silent
from kinema.tasks.rating import RatingConfig, RatingLearner, RatingModel, SideFeatures
from kinema.tasks.rating_data import Ratings
from kinema.training.fitting import FitOptions, FitReport, fit


@dataclass(frozen=True)
class TrainedRating:
    """What training a rating model gave.

    Attributes:
        model: To serve.
        report: Of the training that was validated; its metrics are those on the held-out ratings.
    """

    model: RatingModel
    report: FitReport


def train_rating(
    train: Ratings,
    valid: Ratings,
    config: RatingConfig,
    options: FitOptions,
    *,
    features: SideFeatures | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> TrainedRating:
    """Train, choose the epochs on held-out ratings, and find the margin of the intervals on the same.

    Args:
        train: To learn from.
        valid: Held out.
        config: What is learnt.
        options: How; ``metric`` is mse, rmse or mae.
        features: Of users and items.
        seed: Of the first parameters, order and dropout.
        progress: Told steps.

    Returns:
        The model and its report.
    """
    learner = RatingLearner(train, valid, config, features=features, seed=seed)
    report = fit(learner, options, seed=seed, progress=progress)
    model = RatingModel(config, learner.network.eval(), features or SideFeatures(), train.low, train.high)
    return TrainedRating(model.calibrated(valid), report)


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
    fixed = replace(options, metric="epochs", max_epochs=trained.report.best_epoch)
    fit(learner, fixed, seed=seed, progress=progress)
    return replace(first, network=learner.network.eval())
