"""A task's training that is interrupted or killed ends as one that was not."""

import json
import signal
from multiprocessing import Pipe

import pytest
import torch
from safetensors.torch import load_file

from forked import forked
from kinema.progress import silent
from kinema.training.averaging import average_files, soup
from kinema.training.fit_checkpoint import FILE_NAME, kept_epochs
from kinema.training.fit_log import CURVE_NAME, REPORT_NAME
from kinema.training.fitting import FitOptions, fit
from small_learners import Taste

PLAIN = FitOptions("log_loss", batch_size=16, learning_rate=0.02, max_epochs=4, patience=4)
EVERYTHING = FitOptions(
    "log_loss",
    batch_size=8,
    accumulate=2,
    learning_rate=0.02,
    max_epochs=4,
    patience=4,
    schedule="cosine",
    warmup_share=0.1,
    clip_norm=1.0,
    adversarial="fgm",
    consistency=0.3,
    averaging="ema",
    ema_decay=0.9,
    keep_epochs=2,
    bad_steps="skip",
)
SWA = FitOptions("log_loss", batch_size=16, learning_rate=0.02, max_epochs=4, optimizer="sgd", averaging="swa")


class _StoppedError(Exception):
    pass


def train(folder, options, *, progress=silent, sparse=False):
    taste = Taste(inner_dropout=0.1, sparse=sparse, normed=options.averaging == "swa")
    taste.liked_N[7] = float("nan") if options.bad_steps == "skip" else taste.liked_N[7]
    report = fit(taste, options, seed=3, folder=folder, checkpoint_seconds=0.0, progress=progress)
    return taste, report


def same(first, second):
    for one in ("metrics", "best_epoch", "epochs", "curve", "updates", "skipped"):
        assert getattr(first[1], one) == getattr(second[1], one)
    states = [one[0].network.state_dict() for one in (first, second)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@pytest.mark.parametrize(
    ("options", "sparse"),
    [(PLAIN, False), (PLAIN, True), (EVERYTHING, False), (SWA, False)],
    ids=["plain", "rows", "all", "swa"],
)
def test_interrupted_again_and_again_ends_as_uninterrupted(tmp_path, options, sparse):
    whole = train(tmp_path / "whole", options, sparse=sparse)
    for at in (1, 17, 28, 29, 43):

        def stop(done, total, note="", *, at=at):
            if done == at:
                raise _StoppedError

        with pytest.raises(_StoppedError):
            train(tmp_path / "cut", options, progress=stop, sparse=sparse)
    said = []
    same(train(tmp_path / "cut", options, sparse=sparse, progress=lambda done, *_: said.append(done)), whole)
    assert said[0] == 43, "the step whose checkpoint was not written is done again, no other"
    assert (tmp_path / "cut" / CURVE_NAME).read_bytes() == (tmp_path / "whole" / CURVE_NAME).read_bytes()
    if options.bad_steps == "skip":
        assert len(whole[1].skipped) == 4
        names = [path.name for path in kept_epochs(tmp_path / "whole")]
        assert len(names) == 2
        assert [path.name for path in kept_epochs(tmp_path / "cut")] == names


def test_killed_training_goes_on_and_ends_as_uninterrupted(tmp_path):
    whole = train(tmp_path / "whole", EVERYTHING)
    folder = tmp_path / "killed"
    told, tells = Pipe(duplex=False)
    with forked(train_and_tell, folder, tells) as running:
        while told.recv() != 23:
            assert running.is_alive()
        running.kill()
    assert running.exitcode == -signal.SIGKILL
    assert (folder / FILE_NAME).is_file()
    same(train(folder, EVERYTHING), whole)


def test_a_finished_run_is_not_run_again_and_another_one_is(tmp_path):
    first = train(tmp_path, PLAIN)
    said = []
    same(train(tmp_path, PLAIN, progress=lambda done, *_: said.append(done)), first)
    assert not said
    taste = Taste()
    fit(taste, PLAIN, seed=4, folder=tmp_path, progress=lambda done, *_: said.append(done))
    assert said[0] == 1


def test_the_folder_tells_what_happened(tmp_path):
    _, report = train(tmp_path, PLAIN)
    lines = (tmp_path / CURVE_NAME).read_text().splitlines()
    assert lines[0] == "epoch,loss,log_loss,accuracy"
    assert len(lines) == 5
    told = json.loads((tmp_path / REPORT_NAME).read_text())
    assert told["metrics"] == report.metrics
    assert told["options"]["batch_size"] == 16
    assert told["seed"] == 3


def test_frozen_parameters_are_not_in_the_checkpoint(tmp_path):
    taste = Taste()
    taste.network.users.requires_grad_(requires_grad=False)
    fit(taste, PLAIN, folder=tmp_path)
    assert not any("users" in name for name in load_file(tmp_path / FILE_NAME))


def test_kept_epochs_are_averaged_as_long_as_that_helps(tmp_path):
    taste = Taste()
    options = FitOptions("log_loss", batch_size=16, learning_rate=0.05, max_epochs=6, patience=6, keep_epochs=3)
    report = fit(taste, options, folder=tmp_path)
    paths = kept_epochs(tmp_path)
    best = sorted(report.curve, key=lambda entry: entry["log_loss"])[:3]
    assert [path.name for path in paths] == [f"epoch-{entry['epoch']:04d}.safetensors" for entry in best]

    def value():
        with torch.inference_mode():
            return -taste.validate()["log_loss"]

    taken, found = soup(taste.network, paths, value)
    assert taken[0] == paths[0]
    assert found == pytest.approx(value())
    assert found >= -report.metrics["log_loss"]
    expected = average_files(taken)
    assert all(torch.equal(one, expected[name]) for name, one in taste.network.state_dict().items())


def train_and_tell(folder, tells):
    train(folder, EVERYTHING, progress=lambda done, *_: tells.send(done))
