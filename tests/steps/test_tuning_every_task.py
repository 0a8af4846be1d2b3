"""Every task can be searched: from Python, from the command line, and what validation examples say is the metric."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from every_task import LEARN, SEARCH
from kinema.cli.main import main
from kinema.cli.tune import TASKS
from kinema.errors import ConfigError
from kinema.project import Project
from kinema.steps import project_tune
from kinema.steps.finetuning_options import Asked
from kinema.steps.project_tune import Tune
from kinema.steps.text_changes import TextChanges
from kinema.steps.text_rows import TextColumns
from kinema.steps.tuning_tasks import TUNABLE
from kinema.steps.tuning_worker import run_trial
from kinema.training.task_settings import TaskSettings
from kinema.tuning.task_space import SPACES

pytest.importorskip("optuna")

NETWORKS = {"clips": {"inputs": "frames"}, "click_table": {"hidden": [8]}}
EXTRAS = {"click": {"augment": {"mask": 0.3}, "ensemble": 2}, "engagement": {"augment": "crop=0.2"}}


@pytest.fixture(scope="module", name="shop")
def made_shop(task_project, tmp_path_factory):
    home = shutil.copytree(task_project.parent, tmp_path_factory.mktemp("tuned") / "home")
    return home / task_project.name


@pytest.fixture(name="jobs")
def caught_jobs(monkeypatch):
    """Searches that were asked for, and not begun."""
    found = []

    class Told:
        written = True

    monkeypatch.setattr(project_tune, "tune_task", lambda job: found.append(job) or Told())
    monkeypatch.setattr("kinema.cli.tune_tasks.tell", lambda output, found: None)
    return found


def test_every_task_has_a_method_a_command_and_a_space():
    methods = {name for name in vars(Tune) if not name.startswith("_")}
    assert methods == set(SEARCH) == set(LEARN)
    assert set(TASKS) | {"click_table"} == set(TUNABLE) == set(SPACES) == methods - {"match_items"}


@pytest.mark.parametrize("name", SEARCH)
def test_what_validation_examples_say_is_the_metric(shop, jobs, name):
    with Project.open(shop) as project:
        SEARCH[name](project, trials=2, seed=3)
    place, task = json.loads(json.dumps(jobs[0].place)), jobs[0].task
    network = NETWORKS.get(task, {})
    tunable = TUNABLE[task]({**place, "seed": 3, "network": network, "extras": EXTRAS.get(task, {})})
    base = TaskSettings({"max_epochs": 1, "keep_epochs": 2}, network)
    found = run_trial(tunable, {}, base=base, seed=3, ask=lambda *_: True)
    again = run_trial(tunable, {}, base=base, seed=3, ask=lambda *_: True)
    assert found.gains_N.mean() == pytest.approx(found.value, rel=1e-4, abs=1e-9)
    assert len(found.gains_N) == len(tunable.groups_N)
    assert again.value == found.value, "a trial leaves nothing behind for the next one"
    np.testing.assert_array_equal(again.gains_N, found.gains_N)
    if task == "several":
        with pytest.raises(
            ConfigError, match=r"num_negatives must be the same in all trials, 7, is 3: .* out of \[tune.sev"
        ):
            run_trial(tunable, {"network.num_negatives": 3}, base=base, seed=3, ask=lambda *_: True)
    if task == "click":
        assert any("one network is searched for" in one for one in tunable.notices)


def test_two_trials_of_matching_are_searched_and_written(shop, tmp_path):
    shutil.copytree(shop, tmp_path / "shop")
    with Project.open(tmp_path / "shop") as project:
        settings = {"max_epochs": 1, "network.directions": 8}
        found = project.tune.match_items(trials=2, seed=3, settings=settings, write=True)
        assert project.settings.finetune["match"]["network"].keys() >= {"stay", "temperature"}
    assert [one.state for one in found.trials] == ["finished", "finished"]
    assert (found.metric, found.written) == ("ndcg@10", True)
    assert found.report == tmp_path / "shop" / "tune" / "match" / "items" / "report.html"
    assert "[finetune.match]" in (tmp_path / "shop" / "kinema.toml").read_text()


def asked(*arguments):
    done = CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output


def test_commands_ask_for_what_methods_ask_for(shop, jobs, monkeypatch, tmp_path):
    home, to = shop.parent, tmp_path / "models" / "one"
    monkeypatch.chdir(shop)
    pl.DataFrame({"word": ["a"], "synonyms": ["b"]}).write_csv(tmp_path / "words.csv")
    table, words = home / "table.csv", tmp_path / "words.csv"
    more = ("--trials", 3, "--workers", 2, "--seed", 5, "--set", "max_epochs=2", "--restart", "-q")
    read = ("--queries", 24, "--negatives", 2, "--loss", "pointwise", "--max-tokens", 32)
    for command in (
        ("click", "--label", "like"),
        ("click", "--train", table, "--to", to, "--label", "yes", "--field", "number=number", "--min-count", 3),
        ("engagement",),
        ("rating",),
        ("next", "--from", home, "--learn", "lora"),
        ("clips", "--labels", table, "--column", "label", "--key", "text", "--min-clips", 4),
        ("clips", "--clips", home / "clips", "--to", to, "--name-pattern", "folder"),
        ("match", "--pairs", table, "--learn", "top", "--layers", 1),
        ("match", "--what", "items"),
        ("visual",),
        ("several", "--tasks", "click, next", "--weighting", "uncertainty", "--weights", "click=2"),
        ("rerank", "--pairs", table, "--synonyms", words, *read),
        (
            "text",
            "--train",
            table,
            "--to",
            to,
            "--pair",
            "other",
            "--head",
            "lstm",
            "--augment",
            0.1,
            "--synonyms",
            words,
        ),
    ):
        asked("tune", *command, *more)
    typed, jobs[:] = list(jobs), []
    how = {"trials": 3, "workers": 2, "seed": 5, "settings": {"max_epochs": 2}, "restart": True}
    with Project.open(shop) as project:
        tune = project.tune
        tune.click("like", **how)
        tune.click_table(table, to, label="yes", fields=["number=number"], min_count=3, **how)
        tune.engagement(**how)
        tune.rating(**how)
        tune.next(home, learn="lora", **how)
        tune.clips(labels=table, column="label", key="text", min_clips=4, **how)
        tune.clips(clips=home / "clips", to=to, pattern="folder", **how)
        tune.match(table, learn="top", layers=1, **how)
        tune.match_items(**how)
        tune.visual(**how)
        tune.several(["click", "next"], weighting="uncertainty", weights={"click": 2.0}, **how)
        reading = project_tune.RerankTraining(loss="pointwise", num_queries=24, negatives=2, max_tokens=32)
        tune.rerank(table, synonyms=words, training=reading, **how)
        training = project_tune.TextTraining(head="lstm", changes=TextChanges(0.1))
        tune.text(table, to, columns=TextColumns(pair="other"), synonyms=words, training=training, **how)
    assert len(typed) == len(jobs) == 13
    for one, other in zip(typed, jobs, strict=True):
        assert one.asked == Asked({"max_epochs": 2}, 5, restart=True)
        assert replace(one, progress=other.progress) == other


def test_a_search_of_a_table_needs_no_project(jobs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked("tune", "text", "--train", "rows.csv", "--to", "models/text", "-q")
    assert (jobs[0].folder, jobs[0].trials, jobs[0].place["project"]) == (Path("models/text-tune"), 20, None)
    with pytest.raises(ConfigError, match=r"--write must have a kinema.toml to write into, there is none here"):
        asked("tune", "text", "--train", "rows.csv", "--to", "models/text", "--write", "-q")
    with pytest.raises(ConfigError, match="--clips must come with --to, the folder of the model that the search is"):
        asked("tune", "clips", "--clips", tmp_path, "-q")


def test_extras_of_another_task_are_refused_in_a_search(shop):
    with (
        Project.open(shop) as project,
        pytest.raises(ConfigError, match=r"'ensemble' in .* must be of click, is of rat"),
    ):
        project.tune.rating(settings={"ensemble": 2})
