"""TensorBoard is shown curves, histograms, tables, settings and the graph."""

import importlib.util

import pytest

import kinema.extras as extras_module
from kinema.errors import MissingExtraError
from kinema.training.fitting import FitOptions, fit
from kinema.training.tensorboard_log import TensorBoardLog
from small_learners import Line, Taste

OPTIONS = FitOptions("log_loss", batch_size=32, max_epochs=2)
NEEDS_IT = pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")


def shown(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415  # optional

    reader = EventAccumulator(str(folder))
    reader.Reload()
    return reader


def test_without_tensorboard_the_command_that_installs_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(extras_module, "is_installed", lambda module: False)
    with pytest.raises(MissingExtraError, match=r"tensorboard is needed for .* run: pip install 'kinema\[logs\]'"):
        TensorBoardLog(tmp_path, Taste(), OPTIONS)


@NEEDS_IT
def test_everything_is_there(tmp_path):
    taste = Taste()
    labels = [[f"user {row}" for row in range(20)], [f"item {row}" for row in range(15)]]
    report = fit(taste, OPTIONS, watchers=[TensorBoardLog(tmp_path, taste, OPTIONS, every=1, labels=labels)])
    found = shown(tmp_path)
    tags = found.Tags()
    assert {"update/loss", "update/rate", "update/gradient", "epoch/loss", "epoch/log_loss"} <= set(tags["scalars"])
    assert [one.step for one in found.Scalars("update/loss")] == list(range(1, 15))
    assert found.Scalars("epoch/log_loss")[-1].value == pytest.approx(report.curve[-1]["log_loss"])
    assert {"users/weight", "head/bias"} <= set(tags["histograms"])
    assert tags["graph"]
    assert any("item 14" in path.read_text() for path in tmp_path.rglob("metadata.tsv"))
    assert any((tmp_path / "settings").iterdir())


@NEEDS_IT
def test_what_cannot_be_drawn_or_projected_is_said_or_left_out(tmp_path):
    line = Line()
    loss = line.loss

    def untraceable(rows_B, draws):
        if draws is None and len(rows_B) == 2:
            raise TypeError
        return loss(rows_B, draws)

    line.loss = untraceable
    line.embeddings = lambda: (line.network.bias,)
    fit(line, FitOptions("mse", max_epochs=1), watchers=[TensorBoardLog(tmp_path, line, OPTIONS)])
    assert "graph/text_summary" in shown(tmp_path).Tags()["tensors"]


@NEEDS_IT
def test_a_run_that_goes_on_replaces_what_it_does_again(tmp_path):
    class StopError(Exception):
        pass

    def stop(done, total, note=""):
        if done == 9:
            raise StopError

    for progress in (stop, lambda done, total, note="": None):
        taste = Taste()
        log = TensorBoardLog(tmp_path / "board", taste, OPTIONS, every=1)
        try:
            fit(taste, OPTIONS, folder=tmp_path, checkpoint_seconds=1e9, progress=progress, watchers=[log])
        except StopError:
            log._writer.flush()
    assert [one.step for one in shown(tmp_path / "board").Scalars("update/loss")] == list(range(1, 15))
