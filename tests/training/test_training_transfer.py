"""Training from a source, on items alone, and not at all: the same numbers every time, and nothing that should stay moves."""

import json
import signal
import time
from dataclasses import replace

import numpy as np
import pytest
import torch

import kinema.training.catalogue as catalogue_loop
import kinema.training.loop as training_loop
from forked import forked
from killed_runs import steps_done
from kinema.errors import ConfigError, DataError
from kinema.flm.config import FLMConfig
from kinema.flm.model import FLM
from kinema.flm.sharing import shared_of, theta_fingerprint
from kinema.recommend.coldstart import read_user, user_vector
from kinema.store.features import Profiles
from kinema.store.histories import Histories
from kinema.store.splits import leave_one_out
from kinema.training.catalogue import pretrain_catalogue
from kinema.training.checkpoint import FILE_NAME
from kinema.training.transfer import bind_source, count_log, stood_in_by_content
from two_catalogues import Catalogue

pytestmark = pytest.mark.usefixtures("one_thread")

CONFIG = FLMConfig(
    d_model=16, num_blocks=1, num_heads=1, max_length=8, max_epochs=3, evaluate_every=1, batch_tokens=48, warmup_steps=3
)
HERE, THERE = Catalogue(1, items=30, users=24, events=6), Catalogue(2, items=40, users=24, events=6)
NAMES = ("frames", "text")


def vectors(catalogue, names=NAMES, **how):
    return {name: Catalogue.modality(catalogue, name, **how) for name in names}


FEATURES = vectors(HERE)


def profiles(columns):
    return Profiles(np.random.default_rng(4).normal(size=(24, len(columns))).astype(np.float32), columns)


def train(catalogue, features, columns, folder=None, *, seed=3, source=None):
    split = leave_one_out(catalogue.log)
    return training_loop.pretrain(
        train=split.train,
        valid=split.valid,
        features=features,
        profiles=profiles(columns),
        item_ids=catalogue.ids,
        config=CONFIG,
        seed=seed,
        source=source,
        checkpoint_folder=folder,
        checkpoint_seconds=0.0,
    )


def train_here(source, folder=None):
    return train(HERE, FEATURES, ("age", "city=x"), folder, source=source)


def learn_items(folder=None, *, features=None, seed=3):
    return pretrain_catalogue(
        features=FEATURES if features is None else features,
        item_ids=HERE.ids,
        config=CONFIG.with_changes(max_epochs=2),
        seed=seed,
        checkpoint_folder=folder,
        checkpoint_seconds=0.0,
    )


def state(model):
    numbers = {name: one.numpy().tobytes() for name, one in model.network.state_dict().items()}
    return numbers | {"mixture": json.dumps(model.mixture.as_dict())}


@pytest.fixture(scope="module")
def source():
    return train(THERE, vectors(THERE), ("age", "sex=f"))


@pytest.fixture(scope="module")
def started(source):
    return train_here(source)


class PowerCutError(Exception):
    """Stands for the moment the power went off."""


def stop_at_save(monkeypatch, module, number):
    save, calls = module.save_checkpoint, []

    def save_and_stop(*args, **kwargs):
        save(*args, **kwargs)
        calls.append(1)
        if len(calls) == number:
            raise PowerCutError

    monkeypatch.setattr(module, "save_checkpoint", save_and_stop)


@pytest.mark.parametrize("saves", [1, 5])
def test_a_start_from_a_source_that_was_stopped_goes_on_to_the_same_numbers(
    source, started, tmp_path, monkeypatch, saves
):
    stop_at_save(monkeypatch, training_loop, saves)
    with pytest.raises(PowerCutError):
        train_here(source, tmp_path / "run")
    monkeypatch.undo()
    assert state(train_here(source, tmp_path / "run")) == state(started)


def test_a_checkpoint_of_a_start_from_another_source_is_not_used(source, started, tmp_path):
    moved = replace(source, encoders=dict(source.encoders))
    moved.network.follow.weight.data[0, 0] += 0.5
    try:
        train_here(moved, tmp_path / "run")
    finally:
        moved.network.follow.weight.data[0, 0] -= 0.5
    assert state(train_here(source, tmp_path / "run")) == state(started)


def test_training_leaves_the_source_as_it_was(source):
    before = state(source)
    train_here(source)
    assert state(source) == before


def test_the_report_says_what_was_carried_over(source, started):
    assert started.report["transfer"] == {
        "source": theta_fingerprint(source),
        "kept": ["frames", "text"],
        "new": {},
        "absent": [],
        "profile_columns": ["age"],
    }
    assert np.array_equal(started.whitenings["text"].matrix_EW, source.whitenings["text"].matrix_EW)


def test_a_modality_of_another_encoder_starts_new_in_a_space_of_its_own(source):
    mixed = vectors(HERE, ("frames",)) | vectors(HERE, ("text",), encoder="other")
    model = train(HERE, mixed, ("age",), source=source)
    assert model.report["transfer"]["new"] == {"text": "encoder other, the source's is planted-1"}
    assert model.encoders == {"frames": "planted-1", "text": "other"}
    assert not np.array_equal(model.whitenings["text"].mean_E, source.whitenings["text"].mean_E)
    assert np.isfinite(model.serve(mixed, 30).score(HERE.log)).all()


def test_a_source_without_a_common_encoder_is_refused(source):
    with pytest.raises(ConfigError, match="source and catalogue must share a modality and its encoder"):
        train(HERE, vectors(HERE, encoder="other"), ("age",), source=source)


def test_bound_without_training_nothing_of_the_source_moves_and_nothing_of_its_items_comes(source, tmp_path):
    model = bind_source(source, features=FEATURES, item_ids=HERE.ids)
    theirs = shared_of(source)
    assert all(torch.equal(one, theirs[name]) for name, one in shared_of(model).items())
    assert model.network.tower.num_ids == 0
    assert model.counts_V.sum() == model.popularity_V.sum() == model.memory.counts.nnz == 0
    model.save(tmp_path / "flm")
    served = FLM.load(tmp_path / "flm").serve(FEATURES, 30)
    scores = served.score(HERE.log)
    assert scores.tobytes() == model.serve(FEATURES, 30).score(HERE.log).tobytes()
    assert np.isfinite(scores).all()
    np.testing.assert_allclose(np.linalg.norm(served.encode(HERE.log), axis=1), 1, rtol=1e-4)


def test_a_modality_the_source_cannot_read_is_left_out_of_a_zero_shot_model(source):
    mixed = vectors(HERE, ("frames",)) | vectors(HERE, ("text",), encoder="other")
    model = bind_source(source, features=mixed, item_ids=HERE.ids)
    assert tuple(model.whitenings) == ("frames",)
    assert model.report["transfer"]["new"] == {"text": "encoder other, the source's is planted-1"}


def test_gates_stay_closed_unless_none_would_be_open(source):
    gates = source.network.tower.known_by_M.clone()
    try:
        source.network.tower.known_by_M.copy_(torch.tensor([0.0, 1.0]))
        both = bind_source(source, features=FEATURES, item_ids=HERE.ids)
        closed_alone = bind_source(source, features=vectors(HERE, ("frames",)), item_ids=HERE.ids)
    finally:
        source.network.tower.known_by_M.copy_(gates)
    assert both.network.tower.open_M.tolist() == [0, 1]
    assert closed_alone.network.tower.open_M.tolist() == [1]


def test_a_zero_shot_model_of_too_few_rows_is_refused(source):
    with pytest.raises(DataError, match="features 'frames' must have 31 rows, have 30; run: kinema extract"):
        bind_source(source, features=FEATURES, item_ids=[*HERE.ids, "new"])


def test_memory_and_popularity_are_counted_without_a_gradient(source):
    bound = bind_source(source, features=FEATURES, item_ids=HERE.ids)
    model = count_log(bound, HERE.log, seed=0)
    assert model.counts_V.tolist() == HERE.log.item_counts().tolist()
    assert model.memory.counts.nnz > 0
    assert set(model.mixture.branches) == {"content", "collaborative", "imputed_memory", "popularity"}
    assert model.report["counted"] == {"interactions": 144, "items": int((model.counts_V > 0).sum())}
    assert model.network is bound.network
    empty = count_log(bound, Histories.from_lists([[]], 30), seed=0)
    assert empty.mixture.branches == ("content", "collaborative")


def test_a_short_log_lets_no_item_borrow_from_its_neighbours_and_a_long_one_does():
    short, long = Histories.from_lists([[0, 1, 2]], 4), Histories.from_lists([[0, 1, 2]] * 5, 4)
    assert stood_in_by_content(CONFIG, short).imputation_min_events == 5
    assert stood_in_by_content(CONFIG, Histories.from_lists([[0]] * 9, 4)).imputation_min_events == 10
    assert stood_in_by_content(CONFIG, long) == CONFIG


def test_learning_from_items_alone_gives_the_same_numbers_twice_and_after_a_stop(tmp_path, monkeypatch):
    whole = state(learn_items())
    assert state(learn_items(tmp_path / "kept")) == whole
    assert state(learn_items(seed=4)) != whole
    stop_at_save(monkeypatch, catalogue_loop, 7)
    with pytest.raises(PowerCutError):
        learn_items(tmp_path / "run")
    monkeypatch.undo()
    assert state(learn_items(tmp_path / "run")) == whole


def test_learning_from_items_alone_brings_the_loss_down_and_leaves_the_history_encoder_alone():
    wide = Catalogue(5, items=200, users=6, events=2)
    model = pretrain_catalogue(
        features=vectors(wide), item_ids=wide.ids, config=CONFIG.with_changes(max_epochs=4, learning_rate=5e-3), seed=0
    )
    curve = model.report["curve"]
    assert model.report["catalogue_only"] == {"items": 200, "held_out": 20, "terms": ["modalities", "reconstruction"]}
    assert curve[-1]["losses"]["content"] < curve[0]["losses"]["content"]
    assert curve[model.report["best_epoch"] - 1]["held_out"] == min(one["held_out"] for one in curve)
    assert model.mixture.branches == ("content",)


@pytest.mark.parametrize("names", [NAMES, ("text",)], ids=["two modalities", "one modality"])
def test_a_model_of_items_alone_finds_neighbours_and_answers_users_with_a_few_events(names, tmp_path):
    told = {name: HERE.modality(name, tells=2.0) for name in names}
    learn_items(features=told).save(tmp_path / "flm")
    scorer = FLM.load(tmp_path / "flm").serve(told, 30)
    same = [np.mean(HERE.subjects[scorer.nearest_items(item, 3)[0]] == HERE.subjects[item]) for item in range(30)]
    assert np.mean(same) > 0.7
    own = [[int(item) for item in np.flatnonzero(HERE.subjects == subject)[:2]] for subject in range(6)]
    asked = Histories.from_lists([*own, []], 30)
    scores = scorer.score(asked)
    assert HERE.quality(scores[:6], asked.take(np.arange(6)), np.arange(6)) > 0.25
    assert np.isfinite(scores).all()
    assert not scorer.encode(asked)[6].any()
    assert user_vector(read_user(scorer, asked.take([6]), np.ones(2, dtype=np.float32), 0)) is None


def test_an_item_without_content_comes_last_until_it_is_watched():
    told = vectors(HERE)
    for one in told.values():
        one.present_V[[3, 4]] = False
    model = learn_items(features=told)
    asked = Histories.from_lists([[0, 1]], 30)
    assert set(np.argsort(model.serve(told, 30).score(asked)[0])[:2].tolist()) == {3, 4}
    watched = count_log(model, Histories.from_lists([[0, 3]] * 6, 30), seed=0).serve(told, 30).score(asked)[0]
    assert watched.argmin() == 4
    assert watched[3] > watched[4] + 0.5


def test_a_catalogue_without_content_has_nothing_to_learn_from():
    nothing = vectors(HERE)
    for one in nothing.values():
        one.present_V[:] = False
    with pytest.raises(DataError, match="a catalogue must have content to learn from, has none; run: kinema extract"):
        learn_items(features=nothing)


def test_a_start_from_a_source_that_was_killed_ends_with_the_same_numbers(source, started, tmp_path):
    source.save(tmp_path / "source")
    with forked(train_slowly, tmp_path) as running:
        while running.is_alive() and steps_done(tmp_path / "run" / FILE_NAME) < 2:
            time.sleep(0.01)
        running.kill()
    assert running.exitcode == -signal.SIGKILL
    assert not (tmp_path / "flm").exists()
    assert steps_done(tmp_path / "run" / FILE_NAME) < started.report["steps"]
    train_here(FLM.load(tmp_path / "source"), tmp_path / "run").save(tmp_path / "flm")
    assert state(FLM.load(tmp_path / "flm")) == state(started)


def train_slowly(folder):
    torch.set_num_threads(1)
    whole_save = training_loop.save_checkpoint

    def save_slowly(*args, **kwargs):
        """Leave time for the kill."""
        whole_save(*args, **kwargs)
        time.sleep(0.2)

    training_loop.save_checkpoint = save_slowly
    train_here(FLM.load(folder / "source"), folder / "run").save(folder / "flm")
