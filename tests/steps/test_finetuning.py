"""`kinema finetune click` and `kinema predict click` from files to files."""

import gzip
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.errors import ConfigError, DataError
from kinema.steps.finetuning import finetune_click, predict_click
from kinema.steps.finetuning_options import FitPlan
from kinema.training.task_settings import TaskSettings

SMALL = {"model": "fm", "width": 4, "embedding_l2": 0.0}


def table(num, seed):
    random = np.random.default_rng(seed)
    user, item = random.integers(0, 6, num), random.integers(0, 8, num)
    return pl.DataFrame(
        {"user": [f"u{one}" for one in user], "item": item, "price": random.random(num), "label": ((user + item) % 2)}
    )


@pytest.fixture
def files(tmp_path):
    for name, num, seed in (("train", 1500, 0), ("valid", 300, 1), ("test", 300, 2)):
        table(num, seed).write_csv(tmp_path / "plain.csv")
        (tmp_path / f"{name}.csv.gz").write_bytes(gzip.compress((tmp_path / "plain.csv").read_bytes()))
    return tmp_path


def call(*arguments):
    done = CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_whole_way_from_files_to_scores(files):
    told = []
    report = finetune_click(
        train=files / "train.csv.gz",
        valid=files / "valid.csv.gz",
        test=files / "test.csv.gz",
        label="label",
        folder=files / "model",
        plan=FitPlan(
            TaskSettings({"learning_rate": 0.02, "max_epochs": 6}, SMALL),
            progress=lambda done, total, note="": told.append(note),
        ),
    )
    assert report.metrics["test"]["auc"] > 0.95
    assert report.num_rows == {"train": 1500, "valid": 300, "test": 300}
    assert [(one["name"], one["kind"]) for one in report.fields] == [
        ("user", "category"),
        ("item", "category"),
        ("price", "number"),
    ]
    assert report.num_parameters["vectors"] == (8 + 10 + 2) * 5
    assert told[0].startswith("loss")
    assert predict_click(folder=files / "model", table=files / "test.csv.gz", to=files / "out" / "scores.csv") == 300
    scores = pl.read_csv(files / "out" / "scores.csv")
    assert scores.columns == ["user", "item", "price", "label", "click_prob"]
    means = scores.group_by("label").agg(pl.col("click_prob").mean()).sort("label")["click_prob"].to_list()
    assert means[1] - means[0] > 0.3


def test_without_a_validation_table_a_tenth_of_the_rows_stands_in_and_it_is_said(files):
    text = call(
        "finetune",
        "click",
        "--train",
        files / "train.csv.gz",
        "--model",
        "fm",
        "--epochs",
        1,
        "--field",
        "price=ignore",
        "--to",
        files / "m",
    )
    assert "no validation table: 150 training rows, drawn at random, stand in" in text
    assert "category (guessed)" in text
    assert "next: kinema predict click" in text
    assert "price" not in text


def test_machines_get_json_and_scores_in_other_formats(files):
    found = json.loads(
        call(
            "finetune",
            "click",
            "--train",
            files / "train.csv.gz",
            "--valid",
            files / "valid.csv.gz",
            "--model",
            "dcn",
            "--hidden",
            "8",
            "--epochs",
            1,
            "--to",
            files / "m",
            "--json",
        )
    )
    assert set(found["metrics"]["valid"]) == {"auc", "log_loss"}
    frame = table(20, 3).drop("label").with_columns(tags=pl.Series([["a", "b"]] * 20))
    frame.write_parquet(files / "new.parquet")
    for name in ("s.parquet", "s.jsonl", "s.csv"):
        told = json.loads(
            call("predict", "click", files / "m", "--table", files / "new.parquet", "--to", files / name, "--json")
        )
        assert told["rows"] == 20
    assert pl.read_parquet(files / "s.parquet")["click_prob"].dtype == pl.Float32
    assert pl.read_csv(files / "s.csv")["tags"][0] == "a|b"
    frame.with_columns(deep=pl.Series([[["a"]]] * 20)).write_parquet(files / "deep.parquet")
    with pytest.raises(ConfigError, match=r"--to must be a .parquet or .jsonl file for column 'deep'"):
        predict_click(folder=files / "m", table=files / "deep.parquet", to=files / "s.csv")
    people = call("predict", "click", files / "m", "--table", files / "new.parquet", "--to", files / "s.csv")
    assert people.startswith("20 rows in ")


def test_a_later_model_starts_from_an_earlier_one(files):
    how = ("--model", "fm", "--width", 4, "--learning-rate", 0.02, "--json")
    call("finetune", "click", "--train", files / "train.csv.gz", "--to", files / "first", "--epochs", 6, *how)
    later = (
        "finetune",
        "click",
        "--train",
        files / "valid.csv.gz",
        "--test",
        files / "test.csv.gz",
        "--epochs",
        1,
        *how,
    )
    found = {}
    for name, start in (("fresh", ()), ("second", ("--from", files / "first"))):
        found[name] = json.loads(call(*later, "--to", files / name, *start))
    assert found["second"]["metrics"]["test"]["auc"] > 0.95 > found["fresh"]["metrics"]["test"]["auc"]
    assert f"starts from {files / 'first'}: 20 of 20 vectors are its own" in found["second"]["notices"]


def test_lines_that_cannot_be_read_are_counted_and_texts_left_out_are_named(files):
    frame = table(300, 0).with_columns(title=pl.Series([f"title {one}" for one in range(300)]))
    (files / "train.csv").write_text(frame.write_csv() + "u1,2,0.5\n")
    text = call(
        "finetune", "click", "--train", files / "train.csv", "--model", "lr", "--epochs", 1, "--to", files / "m"
    )
    assert "1 lines could not be read and are left out" in text
    assert "line must have 5 columns, has 3" in text
    assert "left out, as their values hardly repeat or are absent: title" in text


def test_a_label_that_never_changes_is_refused_with_the_table_it_is_in(files):
    table(30, 0).with_columns(label=pl.lit(1)).write_csv(files / "ones.csv")
    with pytest.raises(DataError, match="valid table: label 'label' must be 1 in some of its 30 rows and 0 in others"):
        finetune_click(train=files / "train.csv.gz", valid=files / "ones.csv", label="label", folder=files / "m")
    with pytest.raises(DataError, match="train table: the table must have the label 'clicked'"):
        finetune_click(train=files / "train.csv.gz", label="clicked", folder=files / "m")


def test_hidden_units_must_be_numbers(files):
    with pytest.raises(ConfigError, match=r"--hidden must be whole numbers .* is '400x400'"):
        call("finetune", "click", "--train", files / "train.csv.gz", "--hidden", "400x400", "--to", files / "m")


def test_a_step_needs_rows_to_compare(files):
    with pytest.raises(ConfigError, match="batch_size must be >= 4, is 2"):
        call("finetune", "click", "--train", files / "train.csv.gz", "--batch-size", 2, "--to", files / "m")


def test_scores_do_not_overwrite_their_table(files):
    finetune_click(
        train=files / "train.csv.gz",
        label="label",
        folder=files / "m",
        plan=FitPlan(TaskSettings({"max_epochs": 1}, SMALL)),
    )
    with pytest.raises(ConfigError, match="--to must be another file than --table"):
        predict_click(folder=files / "m", table=files / "plain.csv", to=files / "plain.csv")
    with pytest.raises(DataError, match=r"'missing\.csv' must be a table"):
        predict_click(folder=files / "m", table=Path("missing.csv"), to=files / "plain.csv")
