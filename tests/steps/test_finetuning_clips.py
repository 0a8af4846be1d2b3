"""From labelled clips to a report, and from a model to a table; the clips exist as tokens only."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kinema.errors import ConfigError, DataError, StaleArtifactError
from kinema.settings import Settings
from kinema.sources.clip_labels import ClipLabels, labels_from_names
from kinema.steps.clip_library import find_labels, recipe_of
from kinema.steps.finetuning_clips import finetune_clips
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.predicting_clips import predict_clips, write_predictions
from kinema.tasks.clip_classes import ClipModel
from kinema.training.task_settings import TaskSettings
from planted_clips import clip_library, planted

QUICK = {"max_epochs": 8, "learning_rate": 1e-2}
SMALL = {"width": 16}


def labels_of(labels, groups=None):
    return ClipLabels(tuple(labels), tuple(groups or [""] * len(labels)), "planted")


@pytest.fixture(scope="module", name="done")
def made_done(tmp_path_factory):
    place = tmp_path_factory.mktemp("clips")
    numbers, clips = planted(124)
    labels = [f"class{number}" for number in numbers]
    labels[100:104] = ["rare"] * 4
    labels[104:110] = [None] * 6
    clips[110] = clips[111] = {}
    library = clip_library(place / "tokens", clips)
    report = finetune_clips(
        library, labels_of(labels), folder=place / "model", plan=FitPlan(TaskSettings(QUICK, SMALL), seed=2)
    )
    return library, report


def test_the_report_counts_every_clip(done):
    _, report = done
    assert report.set_aside == {"without a label": 6, "unreadable": 2, "in small classes": 4}
    assert report.small_classes == {"rare": 4}
    assert sum(report.num_clips.values()) + sum(report.set_aside.values()) == 124
    assert report.classes == ("class0", "class1", "class2", "class3")
    assert any("classes with too few clips, set aside: 1, such as rare (4)" in one for one in report.notices)
    assert report.split == "at random, every class divided alike"


def test_the_report_has_what_was_right_and_what_was_confused(done):
    _, report = done
    assert report.metrics["test"]["accuracy"] > 0.8
    table = np.array(report.confusion)
    assert np.trace(table) / table.sum() == pytest.approx(report.metrics["test"]["accuracy"])
    assert table.sum() == report.num_clips["test"]
    assert report.metrics["always the commonest class"]["accuracy"] < 0.4
    assert report.confusion_plot.read_text().startswith("<svg")
    assert ClipModel.load(report.folder).told["confusion"] == table.tolist()


def test_predictions_are_a_table_of_three_classes_and_leave_out_what_cannot_be_read(done, tmp_path):
    library, report = done
    found = predict_clips(ClipModel.load(report.folder), library)
    assert found.table.columns == ["clip", "label", "prob", "label_2", "prob_2", "label_3", "prob_3"]
    assert (found.table.height, found.num_unreadable) == (122, 2)
    assert "clip110.mp4" not in found.table["clip"]
    assert sum(found.counts.values()) == 122
    assert (found.table["prob"] >= found.table["prob_2"]).all()
    for name, read in (("a.csv", pl.read_csv), ("b.jsonl", pl.read_ndjson), ("c.parquet", pl.read_parquet)):
        assert write_predictions(found, tmp_path / "new" / name).num_clips == 122
        assert read(tmp_path / "new" / name).equals(found.table)


def test_a_model_refuses_clips_of_other_encoders(done):
    library, report = done
    model = ClipModel.load(report.folder)
    other = {"frames": library.tokens["frames"]}
    with pytest.raises(StaleArtifactError, match=r"motion of the project's clips must be those"):
        predict_clips(
            model, type(library)(library.ids_N, library.names_N, other, library.recipe), where="the project's clips"
        )


def test_clips_of_one_recording_and_copies_of_one_file_stay_together(tmp_path):
    numbers, clips = planted(80)
    names = [f"v_C{number}_g{place // 8:02d}_c{place:02d}.avi" for place, number in enumerate(numbers)]
    library = clip_library(tmp_path / "named", clips, names=names)
    report = finetune_clips(
        library, labels_from_names(names), folder=tmp_path / "m", plan=FitPlan(TaskSettings(QUICK, SMALL))
    )
    assert report.split == "40 groups of the names stay whole, every class divided alike"
    keys = [f"key{place // 2}" for place in range(80)]
    copies = clip_library(tmp_path / "copies", [clips[place // 2 * 2] for place in range(80)], keys=keys)
    labels = labels_of([f"c{place // 2 % 4}" for place in range(80)])
    report = finetune_clips(copies, labels, folder=tmp_path / "m", plan=FitPlan(TaskSettings(QUICK, SMALL)))
    assert report.split == "at random, every class divided alike; copies of one file stay together (40)"


def test_a_class_that_some_part_lacks_is_said(tmp_path):
    numbers, clips = planted(60)
    groups = ["one" if number == 3 else "" for number in numbers]
    library = clip_library(tmp_path / "tokens", clips)
    labels = labels_of([f"c{number}" for number in numbers], groups)
    report = finetune_clips(library, labels, folder=tmp_path / "m", plan=FitPlan(TaskSettings(QUICK, SMALL)))
    assert "no test clip of c3: their clips belong to too few groups" in report.notices


def test_a_finished_run_is_not_trained_again_unless_labels_differ(tmp_path):
    numbers, clips = planted(40)
    library = clip_library(tmp_path / "tokens", clips)
    labels = [f"c{number}" for number in numbers]
    plan = FitPlan(TaskSettings({"max_epochs": 2}, SMALL), folder=tmp_path / "run")
    first = finetune_clips(library, labels_of(labels), folder=tmp_path / "m", plan=plan)
    again = finetune_clips(library, labels_of(labels), folder=tmp_path / "m", plan=plan)
    assert (again.metrics, again.notices[-1:]) == (
        first.metrics,
        (f"this run was finished before, in {tmp_path / 'run'}; --restart trains again",),
    )
    names = {"c0": "d0"}
    renamed = [names.get(one, one) for one in labels]
    assert finetune_clips(library, labels_of(renamed), folder=tmp_path / "m", plan=plan).notices == ()


def test_too_few_classes_clips_or_groups_are_refused(tmp_path):
    _, clips = planted(20)
    library = clip_library(tmp_path / "tokens", clips)
    with pytest.raises(
        DataError, match=r"at least 2 classes must have 5 readable clips, 1 of 2 have \(planted; 20 of 20"
    ):
        finetune_clips(library, labels_of(["a"] * 17 + ["b"] * 3), folder=tmp_path / "m")
    frames = replace(library, tokens={"frames": library.tokens["frames"]})
    with pytest.raises(DataError, match=r"inputs 'motion' must have motion of the clips, there is none"):
        finetune_clips(
            frames,
            labels_of(["a"] * 20),
            folder=tmp_path / "m",
            plan=FitPlan(TaskSettings(network={"inputs": "motion"})),
        )
    with pytest.raises(ConfigError, match=r"--min-clips must be >= 3, is 2"):
        finetune_clips(library, labels_of(["a"] * 20), folder=tmp_path / "m", min_clips=2)
    with pytest.raises(DataError, match=r"clips must belong to at least 3 groups, belong to 2"):
        finetune_clips(library, labels_of(["a", "b"] * 10, ["x"] * 10 + ["y"] * 10), folder=tmp_path / "m")


def test_labels_are_found_as_they_were_asked_for(tmp_path):
    _, clips = planted(4)
    names = ["a_1.mp4", "a_2.mp4", "b_1.mp4", "b_2.mp4"]
    library = clip_library(tmp_path / "tokens", clips, names=names)
    (tmp_path / "labels.jsonl").write_text("\n".join(json.dumps({"path": name, "y": name[0] * 2}) for name in names))
    items = pl.DataFrame({"num": [3, 0, 1, 2], "categories": [["z"], ["x"], [], ["y"]]})
    assert find_labels(library, None).labels_N == ("a", "a", "b", "b")
    assert find_labels(library, None, table=tmp_path / "labels.jsonl", column="y").labels_N == ("aa", "aa", "bb", "bb")
    assert find_labels(library, items, column="category").labels_N == ("x", None, "y", "z")
    with pytest.raises(ConfigError, match=r"--labels must come with --column"):
        find_labels(library, items, table=tmp_path / "labels.jsonl")
    with pytest.raises(ConfigError, match=r"--column must come with --labels FILE where --clips are files"):
        find_labels(library, None, column="category")


def test_an_encoder_that_is_switched_off_is_named():
    settings = Settings(encoders={"frames": ""})
    assert recipe_of(settings, "motion").encoders == {"motion": "flow:dis"}
    with pytest.raises(
        ConfigError, match=r"frames in \[encoders\] of kinema.toml must name an encoder for --inputs both"
    ):
        recipe_of(settings)
