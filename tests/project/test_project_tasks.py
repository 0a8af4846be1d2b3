"""Every task from Python: one method each, with settings by name, and the report that the command shows."""

import json
import shutil
from dataclasses import fields, is_dataclass
from types import SimpleNamespace

import polars as pl
import pytest

from every_task import ITEMS, LEARN
from kinema.artifacts import MANIFEST
from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.project import Project
from kinema.steps.finetuning_options import Asked, Learning
from kinema.steps.project_finetune import Clicking, Finetune
from kinema.training.fit_options import FitOptions
from kinema.training.task_extras import EXTRAS
from kinema.training.task_settings import TASKS

RUNS = {"match": "match/texts", "match_items": "match/items"}


@pytest.fixture(scope="module", name="shop")
def made_shop(task_project, tmp_path_factory):
    home = shutil.copytree(task_project.parent, tmp_path_factory.mktemp("python") / "home")
    return home / task_project.name


@pytest.fixture(scope="module", name="reports")
def made_reports(shop):
    """Every task, learnt for a moment."""
    with Project.open(shop) as project:
        return {name: learn(project, max_epochs=1, patience=1, seed=3) for name, learn in LEARN.items()}


def test_every_task_has_a_method():
    methods = {name for name in vars(Finetune) if not name.startswith("_")}
    assert methods == set(LEARN) == {*TASKS, "match_items"}


def test_the_settings_that_methods_know_are_those_of_training():
    own = {"network", "seed", "restart", "tensorboard", "find_rate", "progress"}
    assert set(Learning.__annotations__) == {one.name for one in fields(FitOptions)} | own
    assert set(Clicking.__annotations__) - set(Learning.__annotations__) == set(EXTRAS["click"])


@pytest.mark.parametrize("name", LEARN)
def test_a_task_gives_its_report_and_keeps_its_run(reports, shop, name):
    report = reports[name]
    assert is_dataclass(report)
    assert report.metrics
    assert report.folder.is_dir()
    beside = {"text": "models/text-run", "click_table": "models/click-run"}
    run = shop / beside.get(name, f"runs/{RUNS.get(name, name)}")
    assert (run / "report.json").is_file()


def test_a_run_that_is_finished_is_not_run_again_unless_asked(reports, shop):
    with Project.open(shop) as project:
        again = project.finetune.rating(max_epochs=1, patience=1, seed=3)
        anew = project.finetune.rating(max_epochs=1, patience=1, seed=3, restart=True)
    assert again.metrics == anew.metrics == reports["rating"].metrics
    assert any("finished before" in one for one in again.notices)
    assert not any("finished before" in one for one in anew.notices)


def test_settings_of_what_is_learnt_and_progress_are_given_by_name(shop):
    said = []
    with Project.open(shop) as project:
        options = {"max_epochs": 1, "restart": True, "progress": lambda *told: said.append(told)}
        report = project.finetune.click(network={"width": 8, "hidden": (16,)}, **options)
    config = json.dumps(json.loads((report.folder / MANIFEST).read_text())["config"])
    assert '"width": 8' in config
    assert '"hidden": [16]' in config
    assert said


def test_what_python_asks_for_is_what_the_command_line_asks_for():
    asked = Asked.of({"max_epochs": 2, "network": {"hidden": (8, 4)}, "seed": 5, "restart": True})
    assert asked == Asked({"max_epochs": 2, "network": {"hidden": [8, 4]}}, seed=5, restart=True)
    told = asked.options(network_that_was_not_given=None, width=3)
    assert Asked.of(told) == Asked({**asked.changes, "network.width": 3}, seed=5, restart=True)


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("rating", {"max_epoch": 3}, r"unknown key 'max_epoch' in .*rating\], did you mean 'max_epochs'"),
        ("rating", {"network": {"wdth": 3}}, "unknown key 'wdth' in network of .* did you mean 'width'"),
        ("rating", {"ensemble": 3}, "'ensemble' in .* must be of click, is of rating, which has none; leave it out"),
        ("engagement", {"distil": True}, "'distil' in .* must be of click, is of engagement"),
        ("click", {"distil": True}, "distil must come with an ensemble of at least 2, has 1"),
    ],
)
def test_what_a_task_does_not_know_is_refused(shop, task, options, message):
    with Project.open(shop) as project, pytest.raises(ConfigError, match=message):
        getattr(project.finetune, task)(**options)


def test_clips_of_a_folder_need_one_for_their_model(shop):
    with Project.open(shop) as project, pytest.raises(ConfigError, match="--clips must come with --to, the folder"):
        project.finetune.clips(clips=shop.parent / "clips", column="label")


def test_what_is_better_is_taken_up_where_that_is_wished(task_project, tmp_path):
    shutil.copy(task_project / "kinema.toml", tmp_path)
    with Project.open(tmp_path) as project:
        for better, use in ((False, True), (True, False), (True, True)):
            assert not project.settings.search.matcher
            Finetune(project)._taken_up(SimpleNamespace(better=better), "search", "matcher", use=use)
        assert project.settings.search.matcher
    assert "matcher = true" in (tmp_path / "kinema.toml").read_text()


def test_what_was_learnt_is_applied_to_tables_and_clips(reports, shop, tmp_path):
    table = shop.parent / "table.csv"
    with Project.open(shop) as project:
        predict = project.predict
        assert predict.text(reports["text"].folder, table=table, to=tmp_path / "labels.csv") == 3 * ITEMS
        assert predict.click(reports["click_table"].folder, table=table, to=tmp_path / "chances.csv") == 3 * ITEMS
        pl.DataFrame({"query": ["a b", "c d"]}).write_csv(tmp_path / "queries.csv")
        asked = {"table": tmp_path / "queries.csv", "to": tmp_path / "answers.csv"}
        assert predict.match(reports["match"].folder, **asked, num_items=4) == 8
        assert predict.clips(to=tmp_path / "classes.csv").num_clips == ITEMS
        clip = shop.parent / "clips" / "v1.avi"
        one = predict.clips(reports["clips"].folder, to=tmp_path / "one.csv", clips=[clip])
        assert one.num_clips == 1
        with pytest.raises(NotBuiltError, match="clip"):
            predict.clips(tmp_path / "nothing", to=tmp_path / "none.csv")
    whole = pl.read_csv(tmp_path / "classes.csv").filter(pl.col("clip") == "v1")
    assert pl.read_csv(tmp_path / "one.csv")["label"].to_list() == whole["label"].to_list()


def test_candidates_are_ranked_by_what_kinema_toml_names(reports, shop):
    with Project.open(shop) as project:
        found = project.rank("u1", ["v1", "v2", "v3"])
        assert {one.id for one in found.items} == {"v1", "v2", "v3"}
        with pytest.raises(DataError, match="unknown scenario 'hme'"):
            project.rank("u1", ["v1"], scenario="hme")
