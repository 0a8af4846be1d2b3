"""`kinema refresh`: what the newest events say decides; nothing else is published."""

import json
import shutil

import pytest

from kinema.errors import ConfigError, ConflictError, DataError, NotBuiltError
from kinema.flm.model import FLM
from kinema.project import Project
from kinema.steps import refreshing, staged_ranker
from kinema.steps.locking import only_one
from kinema.steps.pretraining import serving_split
from kinema.steps.refreshing import LOCK, known_until
from kinema.steps.versions import serving_folder, version_of
from small_shop import BROKEN, GOOD, OTHERS, START, forget_versions, make_shop, rows, set_up, take_in

pytestmark = pytest.mark.usefixtures("one_thread")

NEW = 300


def grown(tmp_path_factory, settings):
    """A project whose log has grown by as much again since its model was trained."""
    folder = tmp_path_factory.mktemp("refresh") / "shop"
    with make_shop(folder, settings=settings + OTHERS) as project:
        project.pretrain()
        take_in(project, rows(first=300, count=NEW))
    return folder


@pytest.fixture(scope="module")
def with_good_model(tmp_path_factory):
    return grown(tmp_path_factory, GOOD)


@pytest.fixture(scope="module")
def with_bad_model(tmp_path_factory):
    return grown(tmp_path_factory, BROKEN)


@pytest.fixture
def good(with_good_model, tmp_path):
    shutil.copytree(with_good_model, tmp_path / "shop", symlinks=True)
    with Project.open(tmp_path / "shop") as project:
        yield project


@pytest.fixture
def bad(with_bad_model, tmp_path):
    shutil.copytree(with_bad_model, tmp_path / "shop", symlinks=True)
    with Project.open(tmp_path / "shop") as project:
        set_up(project, GOOD + OTHERS)
        yield project


def test_a_better_model_is_published_and_has_learnt_from_the_questions_too(bad):
    before = bad.models.serving()
    report = bad.refresh()
    assert (report.decision, report.good, report.serving) == ("published", True, before.id)
    serving = bad.models.serving()
    assert (serving.id, serving.parent, serving.command) == (report.version, before.id, "kinema refresh")
    assert serving.notes["why"] == report.why
    assert report.why.endswith("clearly better")
    row = report.comparison.rows["all"]
    assert row.questions == 90
    assert row.difference.low > 0
    assert report.new_interactions == NEW
    assert report.asked_from == "2023-11-15T06:43:20+00:00"
    train, _ = serving_split(bad.dataset().histories)
    assert FLM.load(bad.artifacts / "flm").counts_V.tolist() == train.item_counts().tolist()
    assert bad.pretrain().reused
    assert set(report.seconds) == {"train candidate", "compare", "train final", "ranker", "publish"}
    assert sorted(path.name for path in (bad.artifacts / "refresh").iterdir()) == [".lock", report.file.name]


def test_a_worse_model_is_not_published_and_the_report_says_why(good):
    before = good.models.serving()
    set_up(good, BROKEN + OTHERS)
    report = good.refresh()
    assert (report.decision, report.good, report.version) == ("kept", False, None)
    assert "worse, or no better by the margin of" in report.why
    assert report.why.endswith(f"version {before.id} goes on serving")
    assert good.models.serving() == before
    told = json.loads(report.file.read_text())
    assert told["decision"] == "kept"
    assert told["comparison"]["rows"]["all"]["difference"]["high"] < 0
    assert told["comparison"]["rows"]["warm items"]["questions"] == 90
    again = good.refresh(force=True)
    assert again.decision == "published"
    assert again.why.endswith("published by force")


def test_a_dry_run_publishes_nothing_and_its_candidate_is_not_trained_again(bad, monkeypatch):
    before = bad.models.serving()
    report = bad.refresh(dry_run=True)
    assert (report.decision, report.good, report.dry_run) == ("kept", True, True)
    assert report.why.endswith("it would be published, this was a dry run")
    assert bad.models.serving() == before
    found = []
    trained = refreshing.train_model
    monkeypatch.setattr(refreshing, "train_model", lambda **how: found.append(trained(**how)) or found[-1])
    assert bad.refresh().decision == "published"
    assert [report.reused for _, report in found] == [True, False]


def test_where_too_little_is_new_nothing_is_done(good):
    good.refresh()
    serving = good.models.serving()
    report = good.refresh()
    assert (report.decision, report.new_interactions, report.comparison) == ("skipped", 0, None)
    assert report.why == f"0 interactions are new since version {serving.id}, at least 20 must be"
    take_in(good, rows(first=600, count=19))
    assert good.refresh().decision == "skipped"
    assert good.refresh(min_events=0, dry_run=True).comparison is not None
    good.refresh(force=True)
    assert good.models.serving() != serving


def test_what_is_new_but_too_little_is_learnt_by_force(good):
    good.refresh()
    serving = good.models.serving()
    take_in(good, rows(first=600, count=1))
    report = good.refresh(force=True)
    assert (report.decision, report.good, report.comparison) == ("published", False, None)
    assert "1 interactions are new" in report.why
    assert report.why.endswith("published by force")
    assert good.models.serving().parent == serving.id


def test_what_the_serving_model_was_trained_on_is_not_asked(good):
    known = known_until(good.models.serving(), serving_folder(good.artifacts), good.dataset().histories)
    assert known == (START + 60 * 299) * 1000
    forget_versions(good)
    folder = serving_folder(good.artifacts)
    # The newest interaction of each user was held out: what is left of the log ends so much earlier.
    assert known_until(version_of(folder), folder, good.dataset().histories) == (START + 60 * 239) * 1000


def test_a_model_that_does_not_say_what_it_knows_is_refused(bad):
    set_up(bad, BROKEN + OTHERS)
    forget_versions(bad)
    with pytest.raises(NotBuiltError, match="must say what it was trained on, is older than versions are; run once"):
        bad.refresh()


def test_training_can_go_on_from_the_serving_model(good):
    set_up(good, GOOD.replace("max_epochs = 3", "") + OTHERS.replace("min_events", 'start = "serving"\nmin_events'))
    source = FLM.load(good.artifacts / "flm")
    report = good.refresh()
    assert report.decision == "published", report.why
    model = FLM.load(good.artifacts / "flm")
    assert model.report["transfer"]["items"]
    assert model.config.max_epochs == 10
    assert model.config.max_length == source.config.max_length


def test_without_a_final_training_the_candidate_itself_serves(bad):
    set_up(bad, GOOD + OTHERS.replace("min_events", "final = false\nmin_events"))
    report = bad.refresh()
    assert report.decision == "published"
    assert "train final" not in report.seconds
    newest = bad.models.serving().data["newest_ms"]
    assert newest < int(bad.dataset().histories.timestamps_ms.max())
    assert bad.refresh(min_events=2, dry_run=True).new_interactions == 90


def test_a_final_training_that_went_wrong_gives_way_to_the_candidate(bad, monkeypatch):
    monkeypatch.setattr(refreshing, "answered", lambda *_: 0.0)
    report = bad.refresh()
    assert "went wrong (NDCG@10 0.0000 on them, at least" in report.notices[0]
    assert bad.models.serving().data["interactions"] == 510


def test_the_ranker_learns_with_the_new_model_and_comes_into_service_with_it(bad):
    bad.finetune.click(max_epochs=1)
    set_up(bad, GOOD + OTHERS + '[recommend]\nranker = "click"\n[finetune.click]\nmax_epochs = 1\n')
    first = bad.models.serving()
    report = bad.refresh()
    assert report.decision == "published"
    assert not report.notices
    assert bad.slates().ranking is not None
    bad.models.rollback()
    assert bad.models.serving() == first
    assert bad.slates().ranking is not None


def test_a_ranker_that_cannot_learn_does_not_stop_the_model(bad, monkeypatch):
    bad.finetune.click(max_epochs=1)
    set_up(bad, GOOD + OTHERS + '[recommend]\nranker = "click"\n')

    def fails(self, **_):
        raise DataError("too few")

    monkeypatch.setattr(staged_ranker.Finetune, "click", fails)
    report = bad.refresh()
    assert report.decision == "published"
    assert report.notices[0] == "ranker 'click' could not learn with the new model: too few"
    assert "slates are FLM's alone" in report.notices[1]


def test_new_items_are_read_first_where_the_project_has_had_that_done(good, monkeypatch):
    asked = []
    monkeypatch.setattr(Project, "extract", lambda self, **_: asked.append(self))
    good.refresh(min_events=10_000)
    assert not asked
    (good.artifacts / "features").mkdir()
    (good.artifacts / "features" / "manifest.json").write_text("{}")
    monkeypatch.setattr(
        Project, "dataset", lambda self, **_: pytest.fail("read before it was extracted") if not asked else None
    )
    with pytest.raises(AttributeError):
        good.refresh(min_events=10_000)
    assert asked == [good]


def test_two_refreshes_at_once_are_refused(good):
    with only_one(good.artifacts / "refresh" / LOCK, wait=False) as ours:
        assert ours
        with pytest.raises(ConflictError, match="only one refresh of a project may be at work, another one is"):
            good.refresh()


def test_what_cannot_be_refreshed_is_refused(good, tmp_path):
    set_up(good, GOOD + OTHERS + '[recommend]\nmodel = "next"\n')
    with pytest.raises(ConfigError, match=r'\[recommend\] model must be "flm" to be refreshed, is "next"; set it back'):
        good.refresh()
    with (
        make_shop(tmp_path / "new") as project,
        pytest.raises(
            NotBuiltError, match="must have a model to compare with, there is none yet; run: kinema pretrain"
        ),
    ):
        project.refresh()
