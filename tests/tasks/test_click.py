"""The click task learns what is planted, measures exactly, and comes back from disk as it was."""

import json

import numpy as np
import polars as pl
import pytest
import torch
from torchmetrics.functional.classification import binary_auroc

from kinema.errors import DataError, NotBuiltError, StaleArtifactError
from kinema.flm.draws import Draws
from kinema.tasks.click import ClickLearner, ClickModel, batch_of, load_click_model, measures, read_labels
from kinema.tasks.click_layers import NOTHING
from kinema.tasks.click_networks import ClickConfig
from kinema.tasks.field_specs import parse_spec
from kinema.tasks.fields import fit_fields
from kinema.training.fitting import FitOptions, fit

SPECS = [parse_spec(one) for one in ("user=category", "item=category", "age=number", "seen=list,target=item")]


def planted(num=3000, seed=0):
    """A click where user and item have the same parity, which no single column tells."""
    random = np.random.default_rng(seed)
    user, item = random.integers(0, 10, num), random.integers(0, 12, num)
    seen = ["|".join(map(str, random.integers(0, 12, random.integers(0, 4)))) for _ in range(num)]
    clicked = (user % 2 == item % 2) ^ (random.random(num) < 0.05)
    age = np.where(random.random(num) < 0.1, np.nan, random.normal(30, 5, num))
    return pl.DataFrame({"user": user, "item": item, "age": age, "seen": seen, "label": clicked.astype(int)})


def learner(model, frame, valid, **settings):
    fields = fit_fields(frame, SPECS)
    train, check = [(fields.apply(one), read_labels(one, "label")) for one in (frame, valid)]
    config = ClickConfig(model=model, width=4, hidden=(16,), **settings)
    return fields, ClickLearner(config, fields, train=train, valid=check)


def test_measures_are_those_of_others():
    random = np.random.default_rng(0)
    labels, probs = (random.random(500) < 0.3).astype(np.float32), (random.integers(1, 40, 500) / 40).astype(np.float32)
    found = measures(labels, probs)
    there, given = torch.from_numpy(labels), torch.from_numpy(probs)
    assert found["auc"] == pytest.approx(binary_auroc(given, there.int()).item(), abs=1e-6)
    assert found["log_loss"] == pytest.approx(torch.nn.functional.binary_cross_entropy(given, there).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("model", "least", "most"), [("lr", 0.4, 0.6), ("fm", 0.9, 1), ("deepfm", 0.9, 1), ("dcn", 0.9, 1)]
)
def test_crosses_are_learnt_by_all_but_logistic_regression(model, least, most):
    _, task = learner(model, planted(), planted(600, seed=1))
    found = fit(task, FitOptions("auc", batch_size=128, learning_rate=0.01, max_epochs=10))
    assert least < found.metrics["auc"] <= most


def test_attention_finds_whether_the_item_was_seen_before():
    random = np.random.default_rng(0)
    item, seen = random.integers(0, 12, 4000), random.integers(0, 12, (4000, 5))
    clicked = (seen == item[:, None]).any(axis=1)
    frame = pl.DataFrame({"item": item, "seen": seen.tolist(), "label": clicked, "user": 1, "age": 1.0})
    aucs = {}
    for model in ("din", "lr"):
        _, task = learner(model, frame[:3000], frame[3000:])
        aucs[model] = fit(task, FitOptions("auc", batch_size=64, learning_rate=0.01, max_epochs=8)).metrics["auc"]
    assert aucs["din"] > 0.95
    assert aucs["lr"] < 0.6


def test_a_model_comes_back_from_disk_as_it_was_and_takes_other_tables(tmp_path):
    frame, other = planted(400), planted(50, seed=5).drop("label").with_columns(user=pl.lit("never seen"))
    fields, task = learner("din", frame, frame)
    fit(task, FitOptions("auc", max_epochs=1))
    model = ClickModel(task.config, fields, task.clicks, "label", {"epochs": 1})
    model.save(tmp_path / "m", seed=3)
    again = load_click_model(tmp_path / "m")
    np.testing.assert_array_equal(again.predict(other), model.predict(other))
    assert again.predict(other).shape == (50,)
    assert (again.config, again.label, again.report) == (task.config, "label", {"epochs": 1})
    assert json.loads((tmp_path / "m" / "manifest.json").read_text())["seed"] == 3
    assert again.predict(other[:0]).shape == (0,)


def test_a_model_that_is_not_there_or_damaged_says_what_to_run(tmp_path):
    with pytest.raises(NotBuiltError, match="no click artefact in 'm'; run: kinema finetune click"):
        load_click_model(tmp_path / "m")
    frame = planted(100)
    fields, task = learner("lr", frame, frame)
    ClickModel(task.config, fields, task.clicks, "label", {}).save(tmp_path / "m", seed=0)
    (tmp_path / "m" / "fields.json").unlink()
    with pytest.raises(StaleArtifactError, match=r"file 'fields.json' of artefact 'm' is missing or damaged"):
        load_click_model(tmp_path / "m")


def test_the_loss_has_the_price_of_long_vectors_and_one_seed_gives_one_network():
    frame = planted(100)
    rows = np.arange(100)
    (_, plain), (_, priced) = learner("fm", frame, frame), learner("fm", frame, frame, embedding_l2=2.0)
    table = plain.clicks.vectors.table
    assert torch.equal(table, priced.clicks.vectors.table)
    assert plain.embeddings() == (table,)
    difference = priced.loss(rows, Draws(0)) - plain.loss(rows, Draws(0))
    torch.testing.assert_close(difference, table.square().sum())


def test_a_large_table_learns_by_its_rows_alone():
    frame = planted(600)
    specs = [parse_spec("user=category,buckets=60000"), parse_spec("item=category")]
    fields = fit_fields(frame, specs)
    given = (fields.apply(frame), read_labels(frame, "label"))
    task = ClickLearner(ClickConfig(model="fm", width=4), fields, train=given, valid=given)
    before = task.clicks.vectors.table.detach().clone()
    fit(task, FitOptions("auc", batch_size=64, learning_rate=0.02, max_epochs=1))
    moved = (task.clicks.vectors.table != before).any(dim=1).nonzero().squeeze(1).numpy()
    np.testing.assert_array_equal(moved, np.unique(given[0].rows_NF))


def test_lists_of_a_batch_are_as_long_as_its_longest():
    frame = planted(100).with_columns(seen=pl.Series(["1|2|3", "", "4"] + [""] * 97))
    rows = fit_fields(frame, SPECS, min_count=1).apply(frame)
    assert batch_of(rows, np.array([2, 1])).lists[0].shape == (2, 1)
    found = batch_of(rows, np.array([1, 0])).lists[0]
    assert found[0].tolist() == [NOTHING] * 3
    assert (found[1] != NOTHING).all()


def test_labels_are_zero_and_one_however_they_are_written():
    for column in ([1, 0], [True, False], ["1", "0"], [1.0, 0.0], ["True", " false "]):
        assert read_labels(pl.DataFrame({"y": column}), "y").tolist() == [1, 0]


@pytest.mark.parametrize(
    ("column", "match"),
    [
        ([1, 2], "label 'y' must be 0 or 1, is 2 in row 2"),
        ([1, None], "label 'y' must be 0 or 1, is None in row 2; correct it, or drop the rows"),
        (["1", "yes"], "column 'y' must hold numbers, holds 'yes' in row 2"),
    ],
)
def test_other_labels_are_named_with_their_row(column, match):
    with pytest.raises(DataError, match=match):
        read_labels(pl.DataFrame({"y": column}), "y")


def test_a_missing_label_is_named():
    with pytest.raises(DataError, match="the table must have the label 'clicked', has: y; name another with: --label"):
        read_labels(pl.DataFrame({"y": [1]}), "clicked")
