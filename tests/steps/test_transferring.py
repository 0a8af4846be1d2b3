"""`kinema pretrain --catalogue-only`, `--from`, `--zero-shot` and `kinema delta` on whole projects."""

import json

import numpy as np
import pytest
import torch
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.encoders.text import load_text_encoder
from kinema.errors import ConfigError, NotBuiltError
from kinema.flm.model import FLM
from kinema.flm.sharing import shared_of, theta_fingerprint
from kinema.project import Project
from tiny_encoders import TOPICS, save_bert, write_topic_project

pytestmark = pytest.mark.usefixtures("one_thread")

FLM_SETTINGS = "d_model = 16\nnum_blocks = 1\nnum_heads = 1\nmax_length = 8\nmax_epochs = 2\n"


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"))


def settings(encoder, flm=FLM_SETTINGS):
    return f'[encoders]\ntext = "{encoder}"\nframes = ""\nmotion = ""\n[flm]\n{flm}'


def make_project(folder, encoder, *, items, events=True, flm=FLM_SETTINGS):
    write_topic_project(folder, items=items, events=events)
    Project.init(folder / "shop").close()
    (folder / "shop" / "kinema.toml").write_text(settings(encoder, flm))
    project = Project.open(folder / "shop")
    project.ingest(items=folder / "items.csv", events=folder / "events.csv" if events else None)
    project.extract()
    return project


@pytest.fixture(scope="module")
def source(bert, tmp_path_factory):
    with make_project(tmp_path_factory.mktemp("source"), bert, items=48) as project:
        project.pretrain()
        yield project


@pytest.fixture
def empty(bert, tmp_path):
    """A catalogue that nobody has watched."""
    with make_project(tmp_path, bert, items=40, events=False) as project:
        yield project


@pytest.fixture(scope="module")
def grown(bert, source, tmp_path_factory):
    """A project with a model that started from the source, and its report."""
    with make_project(tmp_path_factory.mktemp("grown"), bert, items=40, flm="max_epochs = 2\n") as project:
        yield project, project.pretrain(source=source.folder)


def model_of(project):
    return FLM.load(project.artifacts / "flm")


def watch(project, rows):
    table = "user,item,timestamp,kind\n" + "".join(
        f"{user},{item},{1_700_000_000 + n},click\n" for n, (user, item) in rows
    )
    path = project.folder / "more.csv"
    path.write_text(table)
    project.ingest(events=path)


def test_an_empty_log_is_refused_and_the_refusal_names_the_flag(empty):
    with pytest.raises(
        NotBuiltError, match=r"holds none; .* or learn from the items alone: kinema pretrain --catalogue-only"
    ):
        empty.pretrain()


def test_a_model_of_items_alone_serves_neighbours_and_users_with_a_few_events(empty):
    report = empty.pretrain(catalogue_only=True)
    assert not report.reused
    assert "learnt from items alone" in report.notices[0]
    assert "there is one modality, text" in report.notices[1]
    assert report.notices[2] == "the log is empty: no memory and no popularity"
    near = empty.similar("v0", num_items=3)
    assert len(near.items) == 3
    assert empty.pretrain(catalogue_only=True).reused
    watch(empty, enumerate([("u", "v0"), ("u", f"v{TOPICS}")]))
    slate = empty.recommend("u", num_items=5)
    assert len(slate.items) == 5
    assert {step.stage: step.detail for step in slate.trace}["rank"]["by"] == "model"
    again = empty.pretrain(catalogue_only=True)
    assert "counted from the log's 2 interactions" in again.notices[2]
    assert model_of(empty).counts_V.sum() == 2


def test_items_without_vectors_have_nothing_to_learn_from(bert, tmp_path):
    write_topic_project(tmp_path, items=9, events=False)
    with Project.init(tmp_path / "shop") as project:
        project.ingest(items=tmp_path / "items.csv")
        with pytest.raises(
            NotBuiltError, match="items must have vectors to learn from, have none; run: kinema extract"
        ):
            project.pretrain(catalogue_only=True)


def test_zero_shot_serves_a_catalogue_that_the_source_has_never_seen(empty, source):
    report = empty.pretrain(source=source.artifacts / "flm", zero_shot=True)
    model = model_of(empty)
    assert report.notices[0] == "nothing was trained: the source's content path scores the items"
    assert report.notices[1] == f"from source {theta_fingerprint(model_of(source))}: text, no profile column"
    assert report.facts["training interactions"] == 0
    assert model.item_ids == tuple(f"v{item}" for item in range(40))
    assert len(empty.similar("v3", num_items=4).items) == 4
    watch(empty, enumerate([("u", "v0"), ("u", f"v{TOPICS}")]))
    assert len(empty.recommend("u", num_items=5).items) == 5
    assert len(empty.audience("v1", num_users=1).members) == 1


def test_a_start_from_a_source_takes_over_its_sizes_and_keeps_the_delta_alone(grown, source):
    project, report = grown
    model, origin = model_of(project), model_of(source)
    assert (model.config.d_model, model.config.num_blocks, model.config.max_length) == (16, 1, 8)
    assert report.notices[0].startswith(f"from source {theta_fingerprint(origin)}: text")
    size = (project.artifacts / "flm-delta" / "delta.safetensors").stat().st_size
    assert report.facts["delta"].startswith(f"{size:,} bytes in flm-delta: ")
    assert project.pretrain(source=source.folder).reused


def test_the_delta_is_taken_off_and_put_on_again_and_ends_where_it_began(grown, source):
    project, _ = grown
    before = shared_of(model_of(project))
    scores = project.similar("v0", num_items=5).items
    removed = CliRunner().invoke(main, ["delta", "remove", "--project", str(project.folder)])
    assert removed.exit_code == 0, removed.output
    assert "the way back: kinema delta apply" in removed.output
    theta, bare = shared_of(model_of(source)), shared_of(model_of(project))
    assert all(torch.equal(bare[name], theta[name]) for name in theta)
    with pytest.raises(ConfigError, match="the delta must be taken off a model that holds it"):
        project.delta("remove")
    answer = CliRunner().invoke(main, ["delta", "apply", "--project", str(project.folder), "--json"])
    assert json.loads(answer.output)["action"] == "apply"
    after = shared_of(model_of(project))
    assert all(torch.equal(after[name], one) for name, one in before.items())
    assert project.similar("v0", num_items=5).items == scores
    assert project.pretrain(source=source.folder).reused


def test_a_model_without_its_delta_is_not_taken_for_a_finished_training(grown, source):
    project, _ = grown
    learnt = shared_of(model_of(project))
    project.delta("remove")
    assert "trained from the same before: it serves again" in project.pretrain(source=source.folder).notices[-1]
    assert all(torch.equal(one, learnt[name]) for name, one in shared_of(model_of(project)).items())


def test_a_delta_learnt_on_one_catalogue_moves_a_zero_shot_model_of_another(grown, empty, source):
    project, _ = grown
    empty.pretrain(source=source.folder, zero_shot=True)
    asked = empty.dataset().features
    before = model_of(empty).serve(asked, 40).content_vectors_VD
    report = empty.delta("apply", folder=project.artifacts / "flm-delta")
    after = model_of(empty).serve(asked, 40).content_vectors_VD
    assert report.source == theta_fingerprint(model_of(source))
    assert not np.allclose(before, after)


def test_what_does_not_go_together_is_refused(empty, source):
    with pytest.raises(ConfigError, match="pretraining must be either --catalogue-only or --from a source, got both"):
        empty.pretrain(catalogue_only=True, source=source.folder)
    with pytest.raises(ConfigError, match="--zero-shot must come with a model to use, got none; add --from FOLDER"):
        empty.pretrain(zero_shot=True)
    with pytest.raises(ConfigError, match="--tune must stand without --catalogue-only and --from, got both; leave one"):
        empty.pretrain(catalogue_only=True, tune_seconds=9)


def test_a_source_must_hold_a_model_and_be_another_one(empty, grown):
    project, _ = grown
    with pytest.raises(
        NotBuiltError, match=r"--from must name a project or an FLM artefact, '.*shop' holds no model; run"
    ):
        project.pretrain(source=empty.folder)
    with pytest.raises(
        ConfigError, match="--from must name a model of another project, names the one it would replace"
    ):
        project.pretrain(source=project.folder)


def test_a_setting_that_gives_another_shape_than_the_source_is_refused(empty, source):
    (empty.folder / "kinema.toml").write_text(settings("", "d_model = 32\n"))
    with Project.open(empty.folder) as project:
        for zero_shot in (True, False):
            with pytest.raises(
                ConfigError,
                match=r"flm.d_model must be 16 as in the source, is 32; take it \(or flm.size\) out of \[flm\]",
            ):
                project.pretrain(source=source.folder, zero_shot=zero_shot)


def test_another_encoder_is_refused_by_name(source, tmp_path, tmp_path_factory):
    other = save_bert(tmp_path_factory.mktemp("other"), seed=8)
    theirs, ours = (load_text_encoder(place).fingerprint for place in (source.settings.encoders.text, other))
    with make_project(tmp_path, other, items=12) as project:
        message = f"the source reads text of {theirs}, the catalogue has text of {ours}; set the same"
        with pytest.raises(ConfigError, match=message):
            project.pretrain(source=source.folder)


def test_tuned_settings_are_left_out_of_a_start_from_a_source(grown, source):
    project, _ = grown
    (project.artifacts / "tuned.json").write_text("{}")
    try:
        notices = project.pretrain(source=source.folder).notices
    finally:
        (project.artifacts / "tuned.json").unlink()
    assert "tuned.json was not used: with --from, sizes come from the source" in notices


def test_the_command_says_what_came_from_where(source, empty):
    arguments = ["pretrain", "-q", "--project", str(empty.folder), "--from", str(source.folder), "--zero-shot"]
    said = CliRunner().invoke(main, arguments).output
    assert "note: nothing was trained" in said
    assert "next: kinema similar ITEM" in said
    answer = json.loads(CliRunner().invoke(main, [*arguments, "--json"]).output)
    assert answer["facts"]["transfer"]["kept"] == ["text"]
