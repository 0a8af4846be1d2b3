"""Clips become classes by the commands a user types: a plain folder, and a project."""

import json

import polars as pl
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.errors import ConfigError, StaleArtifactError
from kinema.project import Project
from kinema.steps.tuning_tasks import TUNABLE
from kinema.steps.tuning_worker import run_trial
from kinema.testing.clips import render_clip
from kinema.training.task_settings import TaskSettings

QUICK = ["--inputs", "motion", "--epochs", "6", "--quiet"]
MOTIONS = {"left": "pan_left", "right": "pan_right", "out": "zoom_out"}


def run(*asked):
    done = CliRunner().invoke(main, [str(one) for one in asked])
    assert done.exit_code == 0, (done.output, done.exception)
    return done


@pytest.fixture(scope="module", name="place")
def made_place(tmp_path_factory):
    place = tmp_path_factory.mktemp("clips")
    for label, motion in MOTIONS.items():
        (place / "videos" / label).mkdir(parents=True)
        for number in range(9):
            path = place / "videos" / label / f"{label}{number}.mp4"
            render_clip(path, motion=motion, seed=number, seconds=0.7, width=96, height=64)
    (place / "videos" / "left" / "broken.mp4").write_text("not a clip")
    return place


@pytest.fixture(scope="module", name="model")
def made_model(place):
    model = place / "models" / "ways"
    asked = ["finetune", "clips", "--clips", place / "videos", "--to", model, *QUICK]
    report = json.loads(run(*asked, "--json").stdout)
    assert report["labels"] == "the name of the clip's folder"
    assert report["classes"] == ["left", "out", "right"]
    assert report["set_aside"] == {"without a label": 0, "unreadable": 1, "in small classes": 0}
    assert [one["file"] for one in report["rejects"]] == ["left/broken.mp4"]
    assert sum(report["num_clips"].values()) == 27
    people = run(*asked, "--name-pattern", "folder").output
    assert "set aside: 1 unreadable" in people
    assert "not read: left/broken.mp4: cannot decode" in people
    assert "this run was finished before" in people
    assert (place / "models" / "ways-run" / "epochs.csv").is_file()
    return model


def test_files_get_a_class_each_and_a_broken_one_is_named(place, model, tmp_path):
    some = [place / "videos" / "left" / "left0.mp4", place / "videos" / "out", place / "videos" / "left" / "broken.mp4"]
    clips = [part for one in some for part in ("--clips", one)] + ["--cache", tmp_path / "cache"]
    report = json.loads(run("predict", "clips", model, *clips, "--to", tmp_path / "new.csv", "--json", "-q").stdout)
    assert (report["num_clips"], report["num_unreadable"]) == (10, 1)
    table = pl.read_csv(tmp_path / "new.csv")
    assert table["clip"][0] == "left/left0.mp4"
    assert set(table["label"]) | set(table["label_2"]) | set(table["label_3"]) == set(MOTIONS)
    people = run("predict", "clips", model, *clips, "--to", tmp_path / "new.csv", "-q").output
    assert "not read: 1 clips" in people
    assert "left/broken.mp4" in people


def test_a_project_learns_from_a_table_and_from_its_catalogue(place, model, tmp_path):
    Project.init(tmp_path / "shop").close()
    settings = '[encoders]\ntext = ""\nframes = ""\nsound = ""\n'
    learning = '[finetune.clips.network]\ninputs = "motion"\n'
    (tmp_path / "shop" / "kinema.toml").write_text(learning + settings)
    names = [f"{label}/{label}{number}" for label in MOTIONS for number in range(9)]
    rows = {"id": names, "categories": [name.split("/")[0] for name in names]}
    pl.DataFrame(rows).write_csv(tmp_path / "items.csv")
    pl.DataFrame({"item": names, "way": rows["categories"]}).write_csv(tmp_path / "labels.csv")
    shop = ["-p", tmp_path / "shop"]
    run("ingest", *shop, "--items", tmp_path / "items.csv", "--videos", place / "videos", "-q")
    run("extract", *shop, "-q")
    by_column = json.loads(run("finetune", "clips", *shop, *QUICK, "--column", "category", "--json").stdout)
    assert by_column["labels"] == "column category of the catalogue"
    assert by_column["set_aside"]["without a label"] == 1
    table = ["--labels", tmp_path / "labels.csv", "--column", "way"]
    by_table = json.loads(run("finetune", "clips", *shop, *QUICK, *table, "--json").stdout)
    assert by_table["metrics"]["test"] == by_column["metrics"]["test"]
    place = {"project": str(tmp_path / "shop"), "labels": {"column": "category"}, "min_clips": 5, "seed": 0}
    tunable = TUNABLE["clips"](place | {"network": {"inputs": "motion"}})
    with pytest.raises(ConfigError, match="inputs must be those that clips were chosen by, 'motion', is 'both'"):
        run_trial(tunable, {}, base=TaskSettings(network={"inputs": "both"}), seed=0, ask=lambda *_: True)
    for metric, sign in (("log_loss", -1), ("accuracy", 1)):
        base = TaskSettings({"max_epochs": 2, "metric": metric}, {"inputs": "motion"})
        tried = run_trial(tunable, {"network.width": 8}, base=base, seed=0, ask=lambda *_: True)
        assert len(tried.gains_N) == len(tunable.groups_N) == by_column["num_clips"]["valid"]
        assert tried.value * sign > 0
        assert tried.gains_N.mean() == pytest.approx(tried.value, rel=1e-4)
    found = tmp_path / "shop" / "artifacts" / "clip-classes"
    asked = ["predict", "clips", found, *shop, "--to", tmp_path / "all.jsonl", "--json", "-q"]
    report = json.loads(run(*asked).stdout)
    assert (report["num_clips"], report["num_unreadable"]) == (27, 1)
    assert pl.read_ndjson(tmp_path / "all.jsonl").height == 27
    # The model of the folder reads clips as this project does, until the project reads them otherwise.
    run("predict", "clips", model, *shop, "--to", tmp_path / "all.csv", "-q")
    (tmp_path / "shop" / "kinema.toml").write_text(settings + 'motion = "flow:dis-fast"\n')
    run("extract", *shop, "-q")
    done = CliRunner().invoke(main, [str(one) for one in asked])
    assert isinstance(done.exception, StaleArtifactError)
    assert "motion of the project's clips must be those the model of clips has learnt from" in str(done.exception)


def test_a_folder_of_clips_needs_a_place_for_the_model(place):
    done = CliRunner().invoke(main, ["finetune", "clips", "--clips", str(place / "videos")])
    assert isinstance(done.exception, ConfigError)
    assert "--clips must come with --to, the folder of the model; give one" in str(done.exception)
