"""`kinema finetune next`: a model of one catalogue learns on, on the log of another, and serves there."""

import json

import numpy as np
import polars as pl
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.errors import ConfigError, NotBuiltError, StaleArtifactError
from kinema.flm.model import FLM
from kinema.project import Project
from kinema.steps.finetuning_next import finetune_next
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.next_model import completed
from kinema.steps.slates import trained_profile_schema
from kinema.training.task_settings import TaskSettings
from tiny_encoders import save_bert, write_topic_project

pytestmark = pytest.mark.usefixtures("one_thread")

FLM_SETTINGS = "d_model = 16\nnum_blocks = 1\nnum_heads = 1\nmax_length = 8\nmax_epochs = 2\n"


@pytest.fixture(scope="module", name="bert")
def made_bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"))


def settings(encoder, more=""):
    return f'[encoders]\ntext = "{encoder}"\nframes = ""\nmotion = ""\n[flm]\n{FLM_SETTINGS}{more}'


def make_project(folder, encoder, *, items):
    write_topic_project(folder, items=items, events=True)
    log = pl.read_csv(folder / "events.csv").with_columns(place=pl.int_range(pl.len()).over("user"))
    hourly = 1_700_000_000 + 3600 * pl.col("place") + pl.col("user").str.slice(1).cast(pl.Int64)
    log.with_columns(timestamp=hourly).drop("place").write_csv(folder / "events.csv")
    Project.init(folder / "shop").close()
    (folder / "shop" / "kinema.toml").write_text(settings(encoder))
    project = Project.open(folder / "shop")
    project.ingest(items=folder / "items.csv", events=folder / "events.csv")
    project.extract()
    return project


@pytest.fixture(scope="module", name="source")
def made_source(bert, tmp_path_factory):
    with make_project(tmp_path_factory.mktemp("source"), bert, items=48) as project:
        project.pretrain()
        return project.folder


@pytest.fixture(scope="module", name="shop")
def made_shop(bert, tmp_path_factory):
    with make_project(tmp_path_factory.mktemp("target"), bert, items=40) as project:
        return project.folder


def tuned(shop, source, learn, *, seed=0):
    with Project.open(shop) as project:
        dataset = project.dataset(profile_schema=trained_profile_schema(project.artifacts / "flm"))
        plan = FitPlan(asked=TaskSettings(options={"max_epochs": 2}), seed=seed)
        return finetune_next(dataset, artifacts=project.artifacts, source=source, learn=learn, plan=plan)


def slate(shop, bert, user="u1"):
    (shop / "kinema.toml").write_text(settings(bert, '[recommend]\nmodel = "next"\n'))
    try:
        with Project.open(shop) as project:
            return project.recommend(user, num_items=5)
    finally:
        (shop / "kinema.toml").write_text(settings(bert))


@pytest.mark.parametrize("learn", ["full", "frozen", "top", "lora", "adapters", "prefix"])
def test_each_choice_learns_keeps_its_delta_alone_and_serves(shop, source, bert, learn):
    report = tuned(shop, source, learn)
    assert set(report.metrics) == {"popularity", "zero-shot", "fine-tuned"}
    assert all(0 <= one["all"]["ndcg@10"] <= 1 for one in report.metrics.values())
    assert report.num_own == 40 * 16 + 40
    assert report.num_learning == (report.num_own if learn == "frozen" else report.num_learning) > 0
    assert (report.num_learning == report.num_all) == (learn == "full")
    assert learn in {one.name for one in report.deltas}
    assert report.delta.size_bytes > 0
    folder = shop / "artifacts" / "next" / "model"
    model = FLM.load(folder)
    whole = completed(FLM.load(folder), folder)
    assert model.counts_V.sum() == whole.counts_V.sum() > 0
    with Project.open(shop) as project:
        dataset = project.dataset()
    histories = dataset.histories.take(np.arange(6))
    one, other = (m.serve(dataset.features, 40).score(histories, branch="sequential") for m in (model, whole))
    assert np.array_equal(one, other) == (learn not in {"adapters", "prefix"})
    assert len(slate(shop, bert).items) == 5


def test_the_same_seed_gives_the_same_model(shop, source):
    folder = shop / "artifacts" / "next" / "model" / "network.safetensors"
    found = []
    for _ in range(2):
        tuned(shop, source, "top", seed=3)
        found.append(folder.read_bytes())
    assert found[0] == found[1]


def test_the_source_stays_as_it_was_and_its_items_vectors_stay_behind(shop, source):
    before = (source / "artifacts" / "flm" / "network.safetensors").read_bytes()
    tuned(shop, source, "frozen")
    assert (source / "artifacts" / "flm" / "network.safetensors").read_bytes() == before
    theirs, ours = FLM.load(source / "artifacts" / "flm"), FLM.load(shop / "artifacts" / "next" / "model")
    assert len(theirs.item_ids) == 48
    assert ours.network.tower.ids_VD.shape == (40, 16)
    same = theirs.network.encoder.blocks[0].feed_out.weight.equal(ours.network.encoder.blocks[0].feed_out.weight)
    assert same, "frozen layers are the source's"


def test_the_command_tells_what_learnt_and_whether_it_helped(shop, source):
    asked = ["finetune", "next", "-p", str(shop), "--from", str(source), "--epochs", "1", "--quiet"]
    done = CliRunner().invoke(main, [*asked, "--learn", "lora", "--rank", "2", "--json"])
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["delta"]["name"] == "lora"
    assert "against no training" in report["verdict"]
    people = CliRunner().invoke(main, asked)
    assert people.exit_code == 0, people.output
    assert "next item on the newest tenth" in people.output
    assert 'model = "next"' in people.output


def test_its_own_model_learns_on_and_the_report_says_what_that_means(source):
    report = tuned(source, None, "full")
    assert "has learnt from this log" in report.notices[0]
    assert report.num_own == 48 * 16 + 48


def test_without_a_model_both_ways_to_one_are_named(bert, tmp_path):
    with make_project(tmp_path, bert, items=20) as project:
        with pytest.raises(NotBuiltError, match=r"next item needs a pre-trained FLM, there is none.*--from FOLDER"):
            finetune_next(project.dataset(), artifacts=project.artifacts)
        with pytest.raises(ConfigError, match=r"what learns must be one of full, frozen, .* is 'some'"):
            finetune_next(project.dataset(), artifacts=project.artifacts, learn="some")
    with pytest.raises(NotBuiltError, match=r"model 'next' of .recommend. was not made yet; run: kinema finetune next"):
        slate(tmp_path / "shop", bert)


def test_a_delta_that_is_gone_is_missed(shop, source):
    tuned(shop, source, "prefix")
    folder = shop / "artifacts" / "next" / "model"
    delta = shop / "artifacts" / "next" / "deltas" / "prefix"
    delta.rename(delta.with_name(".away"))
    with pytest.raises(NotBuiltError, match="needs its delta 'prefix', it is gone; run: kinema finetune next"):
        completed(FLM.load(folder), folder)
    delta.with_name(".away").rename(delta)


def test_an_own_model_of_other_items_or_modalities_is_refused(shop, source):
    with Project.open(shop) as project:
        dataset = project.dataset()
    with pytest.raises(StaleArtifactError, match="must know the first 48 items of this store"):
        finetune_next(dataset, artifacts=source / "artifacts")
    with Project.open(source) as project:
        dataset = project.dataset()
    dataset.features.clear()
    with pytest.raises(StaleArtifactError, match=r"must read the modalities of the catalogue \(none\), reads text"):
        finetune_next(dataset, artifacts=source / "artifacts")
