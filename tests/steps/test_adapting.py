"""`kinema adapt` on whole projects: kept where held-out items say so, nothing changed where they do not."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from kinema import extras
from kinema.cli.main import main
from kinema.encoders.text import load_text_encoder
from kinema.encoders.vision import load_frame_encoder
from kinema.errors import ConfigError, DataError, MissingExtraError, NotBuiltError
from kinema.project import Project
from kinema.steps import adapting
from kinema.steps.adapting import adapted_folder
from tiny_encoders import save_bert, save_clip, save_vit, write_topic_project

pytestmark = pytest.mark.usefixtures("one_thread")

NUM_ITEMS = 180
LEARNS = {"method": "full", "epochs": 30, "learning_rate": 5e-3}


@pytest.fixture(scope="module")
def bert(tmp_path_factory):
    return save_bert(tmp_path_factory.mktemp("bert"))


def make_project(folder, *, items=NUM_ITEMS, events=True, clips=False, text=""):
    write_topic_project(folder, items=items, events=events, clips=clips)
    project = Project.init(folder / "shop")
    (project.folder / "kinema.toml").write_text(f'[encoders]\ntext = "{text}"\nframes = ""\nmotion = ""\n')
    project = Project.open(folder / "shop")
    project.ingest(
        items=folder / "items.csv",
        events=folder / "events.csv" if events else None,
        videos=folder / "clips" if clips else None,
    )
    return project


@pytest.fixture(scope="module")
def improved(bert, tmp_path_factory):
    """A project whose text encoder was adapted, its report, and the vectors made before."""
    project = make_project(tmp_path_factory.mktemp("improved"), text=bert)
    before = project.extract().counts["text"]
    told = []
    report = project.adapt("text", use=True, progress=lambda *one: told.append(one), **LEARNS)
    yield project, report, before, told
    project.close()


def files_of(folder):
    return {
        path: path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and "store" not in path.name
    }


def test_an_encoder_that_learns_the_topics_is_kept_and_used(improved, bert):
    project, report, _, told = improved
    assert report.kept
    assert report.in_use
    assert report.gain_low > 0
    assert report.after == pytest.approx(report.before + report.gain)
    assert report.num_cases >= 10
    assert report.probe == "NDCG@10: are the nearest items by text those that are watched together"
    assert report.facts["next-sentence head"] == "the checkpoint's"
    assert report.facts["learnt from"] == "160 texts"
    assert report.setting == 'text = "artifacts/encoders/text-adapted"'
    assert report.setting in (project.folder / "kinema.toml").read_text()
    assert project.settings.encoders.text == "artifacts/encoders/text-adapted"
    assert load_text_encoder(str(report.folder)).fingerprint != load_text_encoder(bert).fingerprint
    assert (report.folder / "delta" / "difference.safetensors").stat().st_size == report.facts["delta bytes"]
    assert [path.name for path in report.folder.parent.iterdir()] == ["text-adapted"]
    assert told[-3][:2] == (report.facts["steps"], report.facts["steps"])


def test_extract_encodes_again_by_itself_and_finds_the_old_vectors_after_going_back(improved, bert):
    project, _, before, _ = improved
    assert before.computed == NUM_ITEMS
    assert project.extract().counts["text"].computed == NUM_ITEMS
    assert project.extract().counts["text"].cached == NUM_ITEMS
    with Project.open(project.folder) as again:
        path = again.folder / "kinema.toml"
        kept = path.read_text()
        path.write_text(f'[encoders]\ntext = "{bert}"\nframes = ""\nmotion = ""\n')
        with Project.open(project.folder) as back:
            assert back.extract().counts["text"].cached == NUM_ITEMS
        path.write_text(kept)


def test_the_same_adaptation_is_not_made_twice(improved, bert):
    project, report, _, _ = improved
    told = []
    again = project.adapt("text", encoder=bert, progress=lambda *one: told.append(one), **LEARNS)
    assert again.reused
    assert told == []
    assert (again.before, again.after, again.gain_low) == (report.before, report.after, report.gain_low)


def test_an_adapted_encoder_that_learns_on_does_not_overwrite_itself():
    root = Path("artifacts/encoders")
    places = [
        "packaged:minilm",
        "artifacts/encoders/text-adapted",
        "artifacts/encoders/text-adapted-2",
        "other/text-adapted",
    ]
    names = [adapted_folder(root, "text", place).name for place in places]
    assert names == ["text-adapted", "text-adapted-2", "text-adapted-3", "text-adapted"]


def test_an_encoder_that_gets_worse_is_not_kept_and_nothing_changes(improved):
    project, good, _, _ = improved
    before = files_of(project.folder)
    report = project.adapt("text", method="full", epochs=3, learning_rate=0.3, use=True)
    assert not report.kept
    assert not report.in_use
    assert report.folder is None
    assert report.setting == ""
    assert report.encoder == "artifacts/encoders/text-adapted"
    assert report.before == pytest.approx(good.after, abs=1e-4)
    assert report.after < report.before
    assert files_of(project.folder) == before


def test_a_run_that_broke_off_goes_on_to_the_same_report(bert, tmp_path, monkeypatch):
    project = make_project(tmp_path, items=60, text=bert)
    options = {"epochs": 2, "batch_size": 8}
    whole = project.adapt("text", **options)
    monkeypatch.setattr(adapting, "compare", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        project.adapt("text", **options)
    work = list((project.artifacts / "encoders").glob("text-adapted.checkpoint-*"))
    assert len(work) == 1
    monkeypatch.undo()
    told = []
    again = project.adapt("text", progress=lambda *one: told.append(one[2]), **options)
    assert told == ["asking before", "asking after"]
    assert (again.before, again.after, again.gain, again.curve) == (whole.before, whole.after, whole.gain, whole.curve)
    assert not work[0].exists()
    project.close()


def test_without_a_log_titles_must_find_their_descriptions(bert, tmp_path):
    with make_project(tmp_path, items=60, events=False, text=bert) as project:
        report = project.adapt("text", epochs=1)
    assert report.probe == "MRR: is a title nearest to its own description"
    assert report.num_cases == 20


def test_without_descriptions_hidden_tokens_decide_if_the_checkpoint_has_the_head(bert, tmp_path):
    write_topic_project(tmp_path, items=60, events=False)
    rows = [line.split(",")[:2] for line in (tmp_path / "items.csv").read_text().splitlines()]
    (tmp_path / "titles.csv").write_text("\n".join(",".join(row) for row in rows))
    headless = save_bert(tmp_path / "headless", "BertModel")
    with Project.init(tmp_path / "shop") as project:
        project.ingest(items=tmp_path / "titles.csv")
        report = project.adapt("text", encoder=bert, method="full", epochs=10, learning_rate=3e-3)
        assert report.probe == "log-likelihood of hidden tokens"
        assert report.gain == pytest.approx(report.after - report.before)
        with pytest.raises(DataError, match="must be judged by a log, by descriptions, or by a masked-token head"):
            project.adapt("text", encoder=headless)


def test_a_head_that_was_made_new_is_said_to_be(tmp_path):
    headless = save_bert(tmp_path / "headless", "BertModel")
    with make_project(tmp_path, items=60, text=headless) as project:
        facts = project.adapt("text", epochs=1).facts
    assert facts["masked-token head"] == "made new and tied to the token vectors: the checkpoint has none"
    assert facts["next-sentence head"] == "not asked: the checkpoint has no such head"


@pytest.fixture(scope="module")
def clips(bert, tmp_path_factory):
    project = make_project(tmp_path_factory.mktemp("clips"), items=66, clips=True, text=bert)
    (project.media_root / "v3.avi").write_bytes(b"no clip")
    yield project
    project.close()


def test_a_vision_transformer_is_matched_with_frozen_title_vectors(clips, tmp_path):
    vit = save_vit(tmp_path / "vit")
    report = clips.adapt("frames", encoder=vit, epochs=2, rank=2)
    assert report.probe == "NDCG@10: are the nearest items by frames those that are watched together"
    assert report.facts["not decodable"] == 1
    assert report.facts["learnt from"] == "45 clips, 4 frames each"
    assert "frozen" in report.facts["titles read by"]
    assert report.kept is (report.gain_low > 0)
    assert not list((clips.artifacts / "encoders").glob("*.checkpoint-*"))


def test_clip_reads_titles_with_its_own_tower_and_what_is_kept_can_be_loaded(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting.Comparison, "better", property(lambda _: True))
    name = save_clip(tmp_path / "clip")
    report = clips.adapt("frames", encoder=name, epochs=1, use=True)
    assert report.facts["titles read by"] == "the checkpoint's own text tower"
    assert clips.settings.encoders.frames == "artifacts/encoders/frames-adapted"
    assert load_frame_encoder(str(report.folder)).fingerprint != load_frame_encoder(name).fingerprint
    assert (report.folder / "delta" / "adapter_model.safetensors").is_file()
    assert clips.adapt("frames", encoder=name, epochs=1).reused
    assert clips.extract().counts["frames"].computed == 65


def test_without_a_log_frames_are_judged_by_what_is_near_by_text(bert, tmp_path):
    with make_project(tmp_path, items=36, events=False, clips=True, text=bert) as project:
        report = project.adapt("frames", encoder=save_vit(tmp_path / "vit"), epochs=1)
        assert report.probe == "NDCG@10: are the nearest items by frames those that are nearest by text"
        (project.folder / "kinema.toml").write_text('[encoders]\ntext = ""\n')
    with (
        Project.open(tmp_path / "shop") as project,
        pytest.raises(ConfigError, match=r"\[encoders\] text in kinema.toml is empty; name one there"),
    ):
        project.adapt("frames", encoder=str(tmp_path / "vit"), epochs=1)


def test_what_is_missing_is_named(bert, tmp_path):
    with Project.init(tmp_path / "empty") as project:
        with pytest.raises(NotBuiltError, match="the catalogue is empty; run: kinema ingest"):
            project.adapt("text", encoder=bert)
        with pytest.raises(NotBuiltError, match="no item has a clip to learn from; run: kinema ingest --videos"):
            project.adapt("frames", encoder=bert)
    with make_project(tmp_path, items=12) as project:
        with pytest.raises(ConfigError, match=r"\[encoders\] text must name an encoder to adapt, is empty"):
            project.adapt("text")
        with pytest.raises(DataError, match=r"adaptation needs >= 30 items with content, .*, has 12"):
            project.adapt("text", encoder=bert)


def test_a_missing_library_is_named_before_any_work(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None if name == "peft" else name)
    with (
        make_project(tmp_path, items=12, text=bert) as project,
        pytest.raises(
            MissingExtraError, match=r"peft is needed for adapting encoders .* pip install 'kinema\[adapt\]'"
        ),
    ):
        project.adapt("text")


def test_an_environment_variable_over_the_written_line_is_pointed_out(bert, tmp_path, monkeypatch):
    monkeypatch.setattr(adapting.Comparison, "better", property(lambda _: True))
    monkeypatch.setenv("KINEMA_ENCODERS__TEXT", bert)
    with (
        make_project(tmp_path, items=60) as project,
        pytest.raises(ConfigError, match=r"KINEMA_ENCODERS__TEXT sets '.*'; unset it"),
    ):
        project.adapt("text", epochs=1, use=True)


def test_the_command_answers_people_and_machines(bert, tmp_path):
    project = make_project(tmp_path, items=60, text=bert)
    project.close()
    call = ["adapt", "text", "-p", str(project.folder), "--epochs", "1", "--learning-rate", "0.3", "-q"]
    people = CliRunner().invoke(main, call)
    assert people.exit_code == 0
    assert "On 20 held-out items:" in people.output
    assert "not kept: the interval reaches down to 0; nothing in the project has changed" in people.output
    report = json.loads(CliRunner().invoke(main, [*call, "--json"]).output)
    assert report["kept"] is False
    assert f"before {report['before']:.4f}, after {report['after']:.4f}" in people.output
