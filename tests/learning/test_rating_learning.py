"""What histories add to a rating, on MovieLens-100K."""

import numpy as np

from kinema.metrics.regression import interval_coverage
from kinema.seeds import generator
from kinema.steps.rating import train_rating
from kinema.tasks.rating import RatingConfig
from kinema.tasks.rating_data import Ratings
from kinema.training.fitting import FitOptions


def test_histories_beat_biased_factors_and_intervals_hold_on_other_ratings(data_dir):
    rows = np.loadtxt(data_dir / "ml-100k" / "u1.base", dtype=np.int64, usecols=(0, 1, 2))
    ratings = Ratings(rows[:, 0] - 1, rows[:, 1] - 1, rows[:, 2], 943, 1682)
    order = generator(0, "ml-100k/u1").permutation(len(ratings))
    valid, other, train = (ratings.take(part) for part in (order[:4000], order[4000:8000], order[8000:]))
    factors = FitOptions(metric="rmse", batch_size=1024, learning_rate=5e-3, max_epochs=6)
    neural = FitOptions(metric="rmse", batch_size=4096, learning_rate=4e-3, max_epochs=4)
    plain = train_rating(train, valid, RatingConfig(model="factors", width=32, l2=0.1), factors)
    found = train_rating(train, valid, RatingConfig(dropout=0.3, l2=0.01), neural)
    assert plain.report.metrics["rmse"] < 0.95
    assert found.report.metrics["rmse"] < plain.report.metrics["rmse"] - 0.015
    low, high = found.model.interval(other.users_N, other.items_N)
    assert abs(interval_coverage(low, high, other.values_N) - 0.9) < 0.02
