"""A task learns, keeps its best state and says what is wrong."""

import numpy as np
import pytest
import torch

from kinema.errors import ConfigError, DataError
from kinema.training.fitting import FitOptions, fit
from small_learners import Line, Taste

TASTE = FitOptions("log_loss", batch_size=32, learning_rate=0.05, max_epochs=4, patience=4)


def values(learner):
    return torch.cat([one.detach().flatten() for one in learner.network.parameters()])


def test_a_line_is_learnt_and_the_best_state_is_kept():
    line = Line()
    report = fit(line, FitOptions("mse", batch_size=16, learning_rate=0.05, max_epochs=30, patience=3))
    assert report.metrics["mse"] < 1e-2
    with torch.inference_mode():
        assert line.validate()["mse"] == pytest.approx(report.metrics["mse"])
    assert report.metrics["mse"] == min(entry["mse"] for entry in report.curve)
    assert report.epochs == len(report.curve) >= report.best_epoch
    assert report.updates == report.epochs * 10


@pytest.mark.parametrize(
    "more",
    [
        {"optimizer": "adam", "l2": 1e-4},
        {"optimizer": "rmsprop", "momentum": 0.0, "weight_decay": 1e-4},
        {"optimizer": "sgd", "l2": 1e-4},
        {"schedule": "cosine", "warmup_share": 0.1},
        {"schedule": "linear", "accumulate": 2},
        {"precision": "bf16"},
        {"averaging": "ema", "ema_decay": 0.9},
        {"averaging": "swa"},
        {"adversarial": "fgm"},
        {"adversarial": "pgd"},
        {"consistency": 0.5},
        {"rate_factors": {"users": 0.5}, "clip_norm": 1.0},
    ],
    ids=lambda more: "-".join(str(one) for one in more.values()),
)
def test_every_way_of_training_learns_and_one_seed_gives_one_result(more):
    options = FitOptions(**{"metric": "log_loss", "batch_size": 32, "learning_rate": 0.02, "max_epochs": 5} | more)
    before = Taste().validate()["log_loss"]
    states = []
    for _ in range(2):
        taste = Taste(inner_dropout=0.1)
        report = fit(taste, options, seed=3)
        states.append(values(taste))
    assert report.metrics["log_loss"] < before
    assert torch.equal(*states)


def test_another_seed_gives_another_result_and_the_generator_of_torch_is_left_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    found = []
    for seed in (1, 2):
        taste = Taste()
        torch.manual_seed(5)
        fit(taste, TASTE, seed=seed)
        assert torch.equal(torch.rand(3), expected)
        found.append(values(taste))
    assert not torch.equal(*found)


def test_accumulated_batches_give_the_update_of_one_large_batch():
    whole, parts = Line(), Line()
    fit(whole, FitOptions("mse", batch_size=50, max_epochs=3, optimizer="sgd", learning_rate=0.01))
    fit(parts, FitOptions("mse", batch_size=10, accumulate=5, max_epochs=3, optimizer="sgd", learning_rate=0.01))
    torch.testing.assert_close(values(parts), values(whole))


def test_patience_is_counted_from_the_last_gain_that_is_large_enough():
    options = FitOptions("mse", batch_size=16, learning_rate=1e-4, max_epochs=20, patience=3, min_gain=1e3)
    report = fit(Line(), options)
    assert report.epochs == 4
    assert report.best_epoch == 4, "smaller gains are kept all the same"


def test_progress_tells_loss_and_metric():
    notes = []
    fit(Line(), FitOptions("mse", batch_size=75, max_epochs=2), progress=lambda *said: notes.append(said))
    assert [(done, total) for done, total, _ in notes] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert notes[0][2].startswith("loss ")
    assert " mse " in notes[-1][2]


def test_a_validation_number_called_loss_stands_beside_that_of_training():
    line = Line()
    line.validate = lambda: {"loss": 0.25}
    report = fit(line, FitOptions("loss", max_epochs=1))
    assert report.metrics == {"loss": 0.25}
    assert report.curve[0]["valid_loss"] == 0.25 != report.curve[0]["loss"]


def test_swa_serves_the_mean_of_the_last_epochs():
    states = []

    class Watching(Line):
        def validate(self):
            return {"mse": float(-len(states))}

    class Keep:
        def updated(self, update, numbers):
            if update % 2 == 0:
                states.append(values(line))

        def looked(self, curve):
            pass

        def finished(self, report):
            pass

    line = Watching()
    options = FitOptions("mse", batch_size=75, max_epochs=4, averaging="swa", swa_start=0.5, learning_rate=0.1)
    fit(line, options, watchers=[Keep()])
    torch.testing.assert_close(values(line), (states[2] + states[3]) / 2)


def test_averaged_weights_get_statistics_of_their_own():
    taste = Taste(normed=True)
    report = fit(taste, FitOptions("log_loss", batch_size=32, max_epochs=3, averaging="swa", swa_start=0.0))
    assert taste.network.norm.momentum == 0.1
    with torch.inference_mode():
        assert taste.validate()["log_loss"] == pytest.approx(report.metrics["log_loss"])


def test_a_loss_that_is_no_number_is_named_with_its_step_and_examples():
    with pytest.raises(
        DataError, match=r"the loss must be finite, is (nan|inf) in epoch 1, step 1 \(examples \d+"
    ) as found:
        fit(Line(scale=float("inf")), FitOptions("mse"))
    assert "and 130 more); look at these examples" in str(found.value)
    assert sorted(int(row) for row in found.value.__notes__[0].split("[")[1][:-1].split(",")) == list(range(150))


def test_a_gradient_that_is_no_number_is_named_before_it_does_harm():
    line = Line()
    line.loss = lambda rows_B, draws: (line.network.weight - line.network.weight.detach()).abs().sqrt().sum()
    before = values(line)
    with pytest.raises(DataError, match=r"the gradient must be finite, is nan in epoch 1, step 1"):
        fit(line, FitOptions("mse"))
    assert torch.equal(values(line), before)


def test_a_bad_step_is_skipped_and_counted_where_that_is_wished():
    line = Line()
    line.x_N2[17] = float("nan")
    report = fit(line, FitOptions("mse", batch_size=10, max_epochs=2, bad_steps="skip"))
    assert [one.epoch for one in report.skipped] == [1, 2]
    assert all(17 in one.rows and len(one.rows) == 10 for one in report.skipped)
    assert report.skipped[0].why == "the loss must be finite, is nan"
    assert np.isfinite(report.curve[0]["loss"])
    assert report.updates == 30


def test_an_epoch_of_nothing_but_bad_steps_ends_training():
    with pytest.raises(DataError, match="every step of epoch 1 was left out, the last because the loss must be finite"):
        fit(Line(scale=float("inf")), FitOptions("mse", bad_steps="skip"))


def test_a_metric_that_validation_does_not_give_is_named():
    with pytest.raises(DataError, match="validation must give 'auc', gives mse; choose one"):
        fit(Line(), FitOptions("auc", max_epochs=1))


def test_a_metric_that_is_no_number_is_named():
    line = Line()
    line.validate = lambda: {"auc": float("nan")}
    with pytest.raises(DataError, match="validation's 'auc' must be finite, is nan after epoch 1"):
        fit(line, FitOptions("auc", max_epochs=1))


def test_a_task_without_examples_is_refused():
    line = Line()
    line.num_examples = 0
    with pytest.raises(DataError, match="must have at least 1 training example, has 0"):
        fit(line, FitOptions("mse"))


def test_what_a_learner_has_not_the_means_for_is_refused():
    with pytest.raises(ConfigError, match="adversarial must be 'none' for Line, is 'fgm': it has no tables"):
        fit(Line(), FitOptions("mse", adversarial="fgm"))
    with pytest.raises(
        ConfigError, match=r"consistency must be 0 for Line, is 0\.5: it has no predictions and loss_of"
    ):
        fit(Line(), FitOptions("mse", consistency=0.5))
    with pytest.raises(ConfigError, match="keep_epochs must be 0 without a folder, is 2"):
        fit(Line(), FitOptions("mse", keep_epochs=2))
    with pytest.raises(ConfigError, match="precision must be float32 or bf16 on cpu, is fp16"):
        fit(Line(), FitOptions("mse", precision="fp16"))
