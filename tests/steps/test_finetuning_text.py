"""Labels of texts from any table, by the commands a user types, and the deltas that come of it."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.encoders.text import load_text_encoder
from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.steps.deltas import list_all, merge_delta
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.finetuning_text import TextTraining, finetune_text, predict_text, usual_length
from kinema.steps.text_changes import TextChanges
from kinema.steps.text_rows import TextColumns
from kinema.training.fitting import fit
from kinema.training.task_settings import TaskSettings
from tiny_encoders import TOPICS, WORDS, save_bert


@pytest.fixture(scope="module", name="place")
def made_place(tmp_path_factory):
    """Texts whose label is their topic's half, and pairs whose label is whether they are of one topic."""
    folder = tmp_path_factory.mktemp("texts")
    save_bert(folder / "tiny", "BertModel")
    random = np.random.default_rng(0)

    def text(topic):
        return " ".join(random.choice(WORDS[topic * 8 : topic * 8 + 8], 3, replace=False))

    for name, count in (("train", 160), ("valid", 40), ("test", 40)):
        topics = random.integers(0, TOPICS, count).tolist()
        rows = [
            {
                "body": text(topic),
                "other": text(topic),
                "half": "low" if topic < TOPICS // 2 else "high",
                "stars": topic,
            }
            for topic in topics
        ]
        pl.DataFrame(rows).write_csv(folder / f"{name}.csv")
    return folder


def run(*asked):
    done = CliRunner().invoke(main, [*map(str, asked), "--quiet"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


def one_epoch(**network):
    return FitPlan(TaskSettings({"max_epochs": 1}, network))


def learn(place, to, *more):
    files = [f"--{name}={place / name}.csv" for name in ("train", "valid", "test")]
    return run("finetune", "text", *files, "--text", "body", "--encoder", place / "tiny", "--to", to, *more)


@pytest.fixture(scope="module", name="half")
def made_half(place):
    options = ["--label", "half", "--learn", "full", "--epochs", 8, "--patience", 8, "--learning-rate", "5e-3"]
    return json.loads(learn(place, place / "models" / "half", *options, "--augment", "0.2", "--json"))


def test_a_label_is_learnt_and_predicted_for_another_table(half, place):
    assert half["classes"] == ["high", "low"]
    assert half["num_rows"] == {"train": 160, "valid": 40, "test": 40}
    assert half["metrics"]["test"]["accuracy"] > half["metrics"]["test"]["most_common"] + 0.15
    run("predict", "text", place / "models" / "half", "--table", place / "test.csv", "--to", place / "out.csv")
    found = pl.read_csv(place / "out.csv")
    right = float((found["predicted"] == found["half"]).mean())
    assert right == pytest.approx(half["metrics"]["test"]["accuracy"])
    assert found["predicted_prob"].min() >= 0.5
    assert (
        json.loads(
            run(
                "predict",
                "text",
                place / "models" / "half",
                "--table",
                place / "test.csv",
                "--to",
                place / "o.jsonl",
                "--json",
            )
        )["rows"]
        == 40
    )


def test_pairs_many_labels_and_an_lstm_work_with_a_held_out_tenth(place):
    report = finetune_text(
        train=place / "train.csv",
        folder=place / "models" / "stars",
        columns=TextColumns("body", "other", "stars"),
        training=TextTraining(encoder=str(place / "tiny"), head="lstm"),
        plan=one_epoch(method="frozen"),
    )
    assert report.classes == tuple(map(str, range(TOPICS)))
    assert report.num_rows == {"train": 144, "valid": 16}
    assert "auc" not in report.metrics["valid"]
    assert "drawn at random, stand in" in report.notices[0]
    assert predict_text(folder=report.folder, table=place / "test.csv", to=place / "stars.parquet") == 40
    assert "predicted" in pl.read_parquet(place / "stars.parquet").columns
    people = learn(place, place / "models" / "people", "--label", "stars", "--learn", "prefix", "--epochs", "1")
    assert "of the most common" in people


def test_the_same_seed_learns_the_same(place, tmp_path):
    training = TextTraining(encoder=str(place / "tiny"), changes=TextChanges(0.5))
    asked = {"train": place / "train.csv", "columns": TextColumns("body", "", "half"), "training": training}
    asked["plan"] = one_epoch(method="top", layers=1)
    first, second = (finetune_text(folder=tmp_path / name, **asked) for name in ("one", "two"))
    assert first.metrics == second.metrics


def test_a_run_that_was_killed_goes_on_to_the_same_and_a_section_counts(place, tmp_path, monkeypatch):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "kinema.toml").write_text(
        "[finetune.text]\nmax_epochs = 2\nbatch_size = 32\nnetwork = { method = 'top', layers = 1 }\n"
    )
    more = ["--label", "half", "-p", tmp_path / "shop", "--augment", "0.3", "--json"]
    whole = json.loads(learn(place, tmp_path / "whole", *more))
    assert (whole["epochs"], whole["delta"]["choice"]["method"]) == (2, "top")

    def killed_at_seven(done, total, note=""):
        if done == 7:
            raise KeyboardInterrupt

    def stop(*args, progress, **settings):
        return fit(*args, progress=killed_at_seven, **settings)

    with monkeypatch.context() as patch:
        patch.setattr("kinema.steps.finetuning_options.fit", stop)
        with pytest.raises(AssertionError):
            learn(place, tmp_path / "cut", *more)
    assert (tmp_path / "cut-run" / "fit.safetensors").is_file()
    gone_on = json.loads(learn(place, tmp_path / "cut", *more))
    assert any(one.startswith("went on after step 5 of 10") for one in gone_on["notices"])
    assert gone_on["metrics"] == whole["metrics"]
    again = json.loads(learn(place, tmp_path / "cut", *more))
    assert any("this run was finished before" in one for one in again["notices"])
    anew = json.loads(learn(place, tmp_path / "cut", *more, "--restart"))
    assert not anew["notices"]
    assert anew["metrics"] == whole["metrics"]


def test_tables_that_do_not_fit_are_refused(place, tmp_path):
    asked = {"train": place / "train.csv", "folder": tmp_path / "x"}
    training = TextTraining(encoder=str(place / "tiny"))
    with pytest.raises(DataError, match=r"train table must have the column 'text', has body, other, half, stars"):
        finetune_text(**asked, training=training)
    (tmp_path / "one.csv").write_text("text,label\na,1\nb,1\nc,\n")
    with pytest.raises(DataError, match=r"label 'label' must have 2 to 1000 values in the training rows, has 1"):
        finetune_text(train=tmp_path / "one.csv", folder=tmp_path / "x", training=training)
    (tmp_path / "new.csv").write_text("body,half\nak,middle\n")
    with pytest.raises(
        DataError, match=r"test table: label must be one of the 2 of the training rows, one is 'middle'"
    ):
        finetune_text(**asked, test=tmp_path / "new.csv", columns=TextColumns("body", "", "half"), training=training)
    with pytest.raises(NotBuiltError, match=r"no text-classifier artefact in 'none'; run: kinema finetune text"):
        predict_text(folder=tmp_path / "none", table=place / "test.csv", to=tmp_path / "y.csv")


def test_the_table_itself_is_not_overwritten(half, place):
    with pytest.raises(ConfigError, match=r"--to must be another file than --table"):
        predict_text(folder=place / "models" / "half", table=place / "test.csv", to=place / "test.csv")


def test_changes_that_cannot_be_made_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"share of changed texts must be in \[0, 1\], synonyms is 2"):
        TextChanges(2)
    with pytest.raises(ConfigError, match=r"needs two models, --there FOLDER and --back FOLDER"):
        TextChanges(translate=0.5, there=tmp_path)


def test_translated_rows_are_learnt_from_as_well(place, tmp_path, monkeypatch):
    def load(there, back):
        return lambda texts: [f"{text} {WORDS[0]}" for text in texts]

    monkeypatch.setattr("kinema.steps.text_changes.load_translation", load)
    changes = TextChanges(translate=0.5, there=tmp_path, back=tmp_path)
    report = finetune_text(
        train=place / "train.csv",
        valid=place / "valid.csv",
        folder=tmp_path / "x",
        columns=TextColumns("body", "other", "half"),
        training=TextTraining(encoder=str(place / "tiny"), changes=changes),
        plan=one_epoch(method="frozen"),
    )
    assert "training rows are there once more, translated there and back" in report.notices[0]
    assert report.num_rows["train"] == 160


def test_deltas_are_listed_with_base_and_size(half, place):
    lines = json.loads(run("delta", "list", place / "models", "--json"))
    one = next(line for line in lines if line["place"] == "half")
    assert one["base"] == str(place / "tiny")
    assert (one["model"], one["method"]) == ("text-classifier", "full")
    assert one["parameters"] == half["delta"]["num_parameters"]
    assert one["size_bytes"] == (place / "models" / "half" / "delta" / "delta.safetensors").stat().st_size
    assert "what learnt" in run("delta", "list", place / "models")
    assert "no deltas in" in run("delta", "list", place / "tiny")
    with pytest.raises(NotBuiltError, match=r"deltas are listed of a folder, '.*nowhere' is none"):
        list_all(place / "nowhere")


def test_a_merged_encoder_is_loaded_as_any_other_and_has_learnt(half, place, tmp_path):
    said = run("delta", "merge", place / "models" / "half", "--to", tmp_path / "merged")
    assert "are now in the weights" in said
    before, after = (load_text_encoder(str(one)) for one in (place / "tiny", tmp_path / "merged"))
    assert before.fingerprint != after.fingerprint
    texts = pl.read_csv(place / "test.csv")
    low = (texts["half"] == "low").to_numpy()

    def apart(encoder):
        vectors = encoder.encode(texts["body"].to_list())
        return float(np.linalg.norm(vectors[low].mean(axis=0) - vectors[~low].mean(axis=0)))

    assert apart(after) > apart(before)
    with pytest.raises(ConfigError, match=r"--to must be a new folder, '.*merged' is not empty"):
        merge_delta(place / "models" / "half", tmp_path / "merged")
    with pytest.raises(NotBuiltError, match=r"needs a model of kinema finetune text or rerank, '.*tiny' is none"):
        merge_delta(place / "tiny", tmp_path / "other")
    for method in ("adapter", "lora"):
        finetune_text(
            train=place / "valid.csv",
            folder=tmp_path / method,
            columns=TextColumns("body", "", "half"),
            training=TextTraining(encoder=str(place / "tiny")),
            plan=one_epoch(method=method, width=2, rank=2),
        )
    assert merge_delta(tmp_path / "lora", tmp_path / "with-lora").parameters == 1792
    with pytest.raises(ConfigError, match=r"learnt by 'adapter' cannot be merged"):
        merge_delta(tmp_path / "adapter", tmp_path / "other")


@pytest.mark.parametrize("num_rows", [1, 90, 250, 1500, 3999, 4000, 60_000])
def test_a_classifier_learns_for_some_hundred_steps_however_few_rows_there_are(num_rows):
    length = usual_length(num_rows)
    steps = length["max_epochs"] * -(-num_rows // length["batch_size"])
    assert 3 <= length["max_epochs"] <= 12
    assert 2 <= length["patience"] <= length["max_epochs"]
    assert steps >= 400 or length["max_epochs"] == 12
    assert num_rows < 4000 or length["max_epochs"] <= 4
