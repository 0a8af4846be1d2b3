"""Training twice, training interrupted, training killed: always the same numbers."""

import json
import signal
import time
from dataclasses import replace
from itertools import count

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import kinema.training.loop as training_loop
from forked import forked
from killed_runs import steps_done
from kinema.flm.config import FLMConfig
from kinema.progress import silent
from kinema.store.features import ModalityFeatures, Profiles
from kinema.store.histories import Histories
from kinema.store.splits import leave_one_out
from kinema.training import checkpoint
from kinema.training.checkpoint import FILE_NAME

pytestmark = pytest.mark.usefixtures("one_thread")

NUM_ITEMS, NUM_USERS = 24, 30
CONFIG = FLMConfig(
    d_model=16,
    num_blocks=1,
    max_length=4,
    batch_tokens=24,
    max_epochs=5,
    evaluate_every=2,
    full_softmax_items=10,
    num_negatives=12,
    learning_rate=5e-3,
)


def train(folder=None, *, seed=3, progress=silent, valid=True, config=CONFIG, clock=time.monotonic):
    random = np.random.default_rng(0)
    lists = [random.choice(NUM_ITEMS, 7, replace=False).tolist() for _ in range(NUM_USERS)]
    split = leave_one_out(Histories.from_lists(lists, NUM_ITEMS))
    everywhere = np.ones(NUM_ITEMS, dtype=bool)
    features = {
        name: ModalityFeatures(
            name, random.normal(size=(NUM_ITEMS, 6)).astype(np.float32), everywhere, everywhere.astype(np.float32)
        )
        for name in ("text", "frames")
    }
    return training_loop.pretrain(
        train=split.train,
        valid=split.valid if valid else None,
        features=features,
        profiles=Profiles(random.normal(size=(NUM_USERS, 3)).astype(np.float32), ("a", "b", "c")),
        item_ids=[f"v{item}" for item in range(NUM_ITEMS)],
        config=config,
        seed=seed,
        clock=clock,
        checkpoint_folder=folder,
        checkpoint_seconds=0.0,
        progress=progress,
    )


def saved_numbers(model, folder):
    model.save(folder)
    return read_numbers(folder)


def read_numbers(folder):
    mixture = json.loads((folder / "facts.json").read_text(encoding="utf-8"))["mixture"]
    arrays = load_file(folder / "network.safetensors") | load_file(folder / "arrays.safetensors")
    return {name: value.tobytes() for name, value in arrays.items()} | {"mixture": json.dumps(mixture)}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return saved_numbers(train(), tmp_path_factory.mktemp("whole") / "flm")


def test_the_same_seed_gives_the_same_bits_in_network_and_scores(uninterrupted, tmp_path):
    again = train()
    assert saved_numbers(again, tmp_path / "flm") == uninterrupted
    asked = Histories.from_lists([[0, 1], [], [5]], NUM_ITEMS)
    scores = [one.serve({}, NUM_ITEMS).score(asked).tobytes() for one in (again, train())]
    assert scores[0] == scores[1]


def test_another_seed_gives_another_network(uninterrupted, tmp_path):
    other = saved_numbers(train(seed=4), tmp_path / "flm")
    assert other["tower.ids_VD"] != uninterrupted["tower.ids_VD"]


def test_training_leaves_the_random_numbers_of_the_caller_alone():
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    train(valid=False)
    assert torch.equal(torch.rand(3), expected)


def test_the_time_limit_counts_the_seconds_of_the_clock_it_is_given():
    seconds = count()
    report = train(config=replace(CONFIG, max_seconds=3.0), clock=lambda: next(seconds)).report
    assert (report["steps"], report["seconds"]) == (4, 4.0)


def test_keeping_checkpoints_changes_no_number(uninterrupted, tmp_path):
    assert saved_numbers(train(tmp_path / "run"), tmp_path / "flm") == uninterrupted


class PowerCutError(Exception):
    """Stands for the moment the power went off."""


@pytest.mark.parametrize("saves", [1, 6, 13])
def test_a_run_resumed_from_a_checkpoint_equals_an_uninterrupted_one(uninterrupted, tmp_path, monkeypatch, saves):
    save, calls = training_loop.save_checkpoint, []

    def save_and_stop(*args, **kwargs):
        save(*args, **kwargs)
        calls.append(kwargs["place"].total_steps)
        if len(calls) == saves:
            raise PowerCutError

    monkeypatch.setattr(training_loop, "save_checkpoint", save_and_stop)
    with pytest.raises(PowerCutError):
        train(tmp_path / "run")
    monkeypatch.undo()
    resumed = train(tmp_path / "run")
    assert saved_numbers(resumed, tmp_path / "flm") == uninterrupted
    assert resumed.report["steps"] > calls[-1]


def test_a_finished_run_is_not_trained_again(uninterrupted, tmp_path):
    train(tmp_path / "run")
    heard = []
    again = train(tmp_path / "run", progress=lambda *told: heard.append(told))
    assert heard == []
    assert saved_numbers(again, tmp_path / "flm") == uninterrupted


def test_a_checkpoint_of_another_run_and_a_half_written_one_are_not_used(uninterrupted, tmp_path):
    train(tmp_path / "run", seed=4)
    (tmp_path / "run" / f".{FILE_NAME}.draft").write_bytes(b"half of a file")
    assert saved_numbers(train(tmp_path / "run"), tmp_path / "flm") == uninterrupted


def test_a_checkpoint_of_another_format_is_not_used(uninterrupted, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "_FORMAT", 1)
    train(tmp_path / "run")
    monkeypatch.undo()
    heard = []
    again = train(tmp_path / "run", progress=lambda *told: heard.append(told))
    assert heard
    assert saved_numbers(again, tmp_path / "flm") == uninterrupted


def test_a_run_killed_in_the_middle_and_started_again_ends_with_the_same_numbers(uninterrupted, tmp_path):
    with forked(train_slowly, tmp_path) as running:
        while running.is_alive() and steps_done(tmp_path / "run" / FILE_NAME) < 3:
            time.sleep(0.01)
        running.kill()
    assert running.exitcode == -signal.SIGKILL
    assert not (tmp_path / "flm").exists()
    done = steps_done(tmp_path / "run" / FILE_NAME)
    resumed = train(tmp_path / "run")
    assert saved_numbers(resumed, tmp_path / "flm") == uninterrupted
    assert 3 <= done < resumed.report["steps"]


def train_slowly(folder):
    torch.set_num_threads(1)
    train(folder / "run", progress=lambda *_: time.sleep(0.3)).save(folder / "flm")
