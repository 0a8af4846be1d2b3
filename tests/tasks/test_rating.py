import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.flm.draws import Draws
from kinema.metrics.regression import interval_coverage
from kinema.steps.rating import retrain_rating, train_rating
from kinema.tasks.rating import RatingConfig, RatingLearner, RatingModel, SideFeatures, outputs, rating_errors
from kinema.tasks.rating_data import RatedBy, Ratings
from kinema.tasks.rating_network import NeuralRating, sparse_product
from kinema.training.fitting import FitOptions

USERS, ITEMS = 40, 30


def ratings(seed=0, share=0.5):
    rng = np.random.default_rng(seed)
    users, items = np.nonzero(rng.random((USERS, ITEMS)) < share)
    taste, look = rng.standard_normal((USERS, 2)), rng.standard_normal((ITEMS, 2))
    values = 3 + (taste[users] * look[items]).sum(axis=1) + 0.3 * rng.standard_normal(len(users))
    return Ratings(users, items, np.clip(np.round(values), 1, 5), USERS, ITEMS)


def halves(seed=0):
    everything = ratings(seed)
    order = np.random.default_rng(1).permutation(len(everything))
    cut = len(order) // 5
    return everything.take(order[cut:]), everything.take(order[:cut]), everything


def features():
    rng = np.random.default_rng(0)
    return SideFeatures(
        rng.standard_normal((USERS, 3), dtype=np.float32), rng.standard_normal((ITEMS, 4), dtype=np.float32)
    )


SMALL = {"width": 4, "hidden": 8}


@pytest.mark.parametrize("changes", [{}, {"interval": "quantile"}, {"loss": "mae"}, {"model": "factors"}])
def test_every_model_trains_is_kept_and_repeats(changes, tmp_path):
    train, valid, everything = halves()
    config = RatingConfig(**SMALL, **changes)
    options = FitOptions(metric="mae", batch_size=64, learning_rate=1e-2, max_epochs=4)
    runs = [train_rating(train, valid, config, options, features=features(), seed=2) for _ in range(2)]
    models = [retrain_rating(run, everything, options, seed=2) for run in runs]
    told = [one.predict(valid.users_N, valid.items_N) for one in models]
    models[0].save(tmp_path / "rating", seed=2)
    kept = RatingModel.load(tmp_path / "rating")
    assert np.array_equal(*told)
    assert np.array_equal(kept.predict(valid.users_N, valid.items_N), told[0])
    for mine, theirs in zip(
        kept.interval(valid.users_N, valid.items_N), models[0].interval(valid.users_N, valid.items_N), strict=True
    ):
        assert np.array_equal(mine, theirs)
    assert runs[0].report.metrics["mse"] == pytest.approx(
        rating_errors(runs[0].model.predict(valid.users_N, valid.items_N), valid.values_N)["mse"]
    )


@pytest.mark.parametrize("interval", ["conformal", "quantile"])
def test_intervals_hold_on_the_ratings_they_were_fitted_to(interval):
    train, valid, _ = halves()
    options = FitOptions(metric="mse", batch_size=64, learning_rate=1e-2, max_epochs=5)
    config = RatingConfig(**SMALL, interval=interval, coverage=0.8)
    model = train_rating(train, valid, config, options).model
    low, high = model.interval(valid.users_N, valid.items_N)
    assert (low <= high).all()
    assert low.min() >= 1
    assert high.max() <= 5
    assert interval_coverage(low, high, valid.values_N) >= 0.8


def test_a_rating_in_the_history_is_told_as_if_it_were_not_there():
    everything = ratings()
    config = RatingConfig(**SMALL)
    asked = 7
    without = everything.take(np.delete(np.arange(len(everything)), asked))
    # The mean and what is usual for a row must be the same on both sides, or the test would compare two models.
    whole = RatingLearner(everything, None, config).network
    history = {"users": RatedBy.users(everything), "items": RatedBy.items(everything)}
    part = RatingLearner(without, None, config).network
    part.load_state_dict(whole.state_dict())
    for side, one in (("users", part.users), ("items", part.items)):
        one.history.__dict__["usual"] = history[side].usual
        own = without.users_N if side == "users" else without.items_N
        others = without.items_N if side == "users" else without.users_N
        order = np.argsort(own, kind="stable")
        one.history.__dict__["gaps_N"] = (without.values_N - history[side].usual[others])[order].astype(np.float32)
        for name in ("gaps", "sums"):
            one.history.__dict__.pop(name, None)
    user, item, value = (
        torch.from_numpy(one[[asked]]) for one in (everything.users_N, everything.items_N, everything.values_N)
    )
    inside, _ = whole(user, item, own_B=value)
    outside, _ = part(user, item)
    assert inside.item() == pytest.approx(outside.item(), abs=1e-4)


def test_the_value_asked_for_does_not_reach_what_is_told():
    everything = ratings()
    values = everything.values_N.copy()
    values[7] = 5.0 if values[7] < 3 else 1.0
    changed = Ratings(everything.users_N, everything.items_N, values, USERS, ITEMS)
    config = RatingConfig(**SMALL)
    network, other = (RatingLearner(one, None, config).network for one in (everything, changed))
    other.load_state_dict(network.state_dict())
    row = [torch.from_numpy(one[[7]]) for one in (everything.users_N, everything.items_N)]
    told = [
        one(*row, own_B=torch.from_numpy(given.values_N[[7]]))[0].item()
        for one, given in ((network, everything), (other, changed))
    ]
    # Only the mean of all ratings, which usual values are damped towards, carries a trace of one value.
    assert told[0] == pytest.approx(told[1], abs=5e-3)


def test_features_and_histories_reach_the_prediction():
    train, valid, _ = halves()
    network = RatingLearner(train, valid, RatingConfig(**SMALL), features=features()).network
    assert isinstance(network, NeuralRating)
    network.users.features.zero_()
    before = outputs(network, valid.users_N, valid.items_N)
    network.users.features.add_(1.0)
    assert not np.array_equal(before, outputs(network, valid.users_N, valid.items_N))


def test_quantile_heads_and_the_absolute_error_enter_the_loss():
    train, valid, _ = halves()
    rows = np.arange(32)
    plain = RatingLearner(train, valid, RatingConfig(**SMALL, l2=0.0)).loss(rows, None)
    both = RatingLearner(train, valid, RatingConfig(**SMALL, l2=0.0, interval="quantile")).loss(rows, None)
    absolute = RatingLearner(train, valid, RatingConfig(**SMALL, l2=0.0, loss="mae")).loss(rows, None)
    assert both > plain
    assert absolute.item() != pytest.approx(plain.item())


def test_dropout_and_forgetting_follow_their_draws():
    train, valid, _ = halves()
    one = RatingLearner(train, valid, RatingConfig(**SMALL, forget=0.5))
    rows = np.arange(32)
    assert one.loss(rows, Draws(0)).item() == one.loss(rows, Draws(0)).item()
    assert one.loss(rows, Draws(0)).item() != one.loss(rows, Draws(1)).item()


def test_without_held_out_ratings_only_the_looks_are_counted():
    one = RatingLearner(ratings(), None, RatingConfig(**SMALL))
    assert [one.validate()["epochs"] for _ in range(3)] == [1.0, 2.0, 3.0]


def test_tables_are_open_to_adversarial_training():
    assert len(RatingLearner(ratings(), None, RatingConfig(**SMALL)).embeddings()) == 8
    assert len(RatingLearner(ratings(), None, RatingConfig(**SMALL, model="factors")).embeddings()) == 4


@given(st.integers(0, 100))
def test_the_sparse_product_and_its_gradient_agree_with_the_dense_one(seed):
    rng = np.random.default_rng(seed)
    dense = (rng.random((4, 6)) * (rng.random((4, 6)) < 0.4)).astype(np.float32)
    table = torch.from_numpy(rng.standard_normal((6, 3), dtype=np.float32)).requires_grad_()
    pull = torch.from_numpy(rng.standard_normal((4, 3), dtype=np.float32))
    found = sparse_product(sparse.csr_matrix(dense), table)
    (found * pull).sum().backward()
    assert torch.allclose(found, torch.from_numpy(dense) @ table, atol=1e-5)
    assert torch.allclose(table.grad, torch.from_numpy(dense).T @ pull, atol=1e-5)


def test_ratings_that_cannot_be_are_refused():
    one = np.array([0, 1])
    with pytest.raises(DataError, match="ratings must have as many users and items as values, and one at least, got 2"):
        Ratings(one, one, np.array([3.0]), 2, 2)
    with pytest.raises(DataError, match=r"the item of a rating must be in 0\.\.0, is 1 at rating 1; give num_items"):
        Ratings(one, one, np.array([3.0, 3.0]), 2, 1)
    with pytest.raises(DataError, match=r"a rating must be in 1\.\.5, is 0 at rating 0"):
        Ratings(one, one, np.array([0.0, 3.0]), 2, 2)
    with pytest.raises(DataError, match="users_UA must have a row for each of 40, has 3"):
        RatingLearner(ratings(), None, RatingConfig(), features=SideFeatures(np.zeros((3, 2), np.float32)))


def test_configurations_and_artefacts_that_cannot_be_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="loss must be one of mse, mae, is 'huber'"):
        RatingConfig(loss="huber")
    with pytest.raises(ConfigError, match="a rating model needs width and hidden >= 1"):
        RatingConfig(width=0)
    with pytest.raises(ConfigError, match=r"forget must be in \[0, 1\), is 1"):
        RatingConfig(forget=1.0)
    with pytest.raises(ConfigError, match="interval of 'factors' must be conformal, is 'quantile'"):
        RatingConfig(model="factors", interval="quantile")
    with pytest.raises(NotBuiltError, match="no rating artefact in 'rating'"):
        RatingModel.load(tmp_path / "rating")
