"""A service sees a new version at once, and what it loads is all of one version."""

import shutil

import pytest

from kinema.errors import NotBuiltError, StaleArtifactError
from kinema.project import Project
from kinema.steps import model_watch
from kinema.steps.model_watch import load_serving, serving_version
from kinema.steps.slates import make_slates
from kinema.steps.versions import kept_versions
from small_shop import BROKEN, GOOD, OTHERS, forget_versions, make_shop, set_up

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A project with two versions."""
    folder = tmp_path_factory.mktemp("watch") / "shop"
    with make_shop(folder) as project:
        project.pretrain(seed=1)
        project.pretrain(seed=2)
    return folder


@pytest.fixture
def shop(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "shop", symlinks=True)
    with Project.open(tmp_path / "shop") as project:
        yield project


def load(project, read=None):
    return load_serving(
        artifacts=project.artifacts,
        settings=project.settings.recommend,
        store=project.store,
        read=read or (lambda schema: project.dataset(profile_schema=schema)),
    )


def seed_of(project, version):
    return project.models.show(version.id).version.seed


def test_the_version_that_serves_is_seen_without_reading_a_file(shop, monkeypatch):
    def refused(folder):
        raise AssertionError(folder)

    monkeypatch.setattr(model_watch, "version_of", refused)
    one, two = (path.name for path in sorted((shop.artifacts / "versions").glob("2*")))
    assert serving_version(shop.artifacts).id == two
    monkeypatch.undo()
    shop.models.rollback()
    assert serving_version(shop.artifacts).id == one


def test_a_project_without_a_model_has_no_version_and_serves(tmp_path):
    with make_shop(tmp_path / "shop") as project:
        assert serving_version(project.artifacts) is None
        assert serving_version(project.artifacts, model="next") is None
        found = load(project)
        assert found.version is None
        assert found.maker.recommender.parts.scorer is None


def test_a_model_that_was_never_published_has_a_version_too_read_once(shop):
    forget_versions(shop)
    found = serving_version(shop.artifacts)
    assert not found.settled
    assert found == serving_version(shop.artifacts)
    assert found.id in {one.id for one in kept_versions(shop.artifacts)}
    assert load(shop).version == found


def test_a_publication_while_a_version_is_loaded_mixes_nothing(shop):
    reads = []

    def read(schema):
        if not reads:
            shop.models.rollback()
        reads.append(schema)
        return shop.dataset(profile_schema=schema)

    found = load(shop, read)
    assert seed_of(shop, found.version) == 2
    assert seed_of(shop, serving_version(shop.artifacts)) == 1
    assert len(reads) == 1


def test_a_version_that_is_removed_while_it_is_loaded_gives_way_to_the_next(shop):
    reads = []

    def read(schema):
        if not reads:
            gone = serving_version(shop.artifacts).folder
            shop.models.rollback()
            shutil.rmtree(gone)
        reads.append(schema)
        return shop.dataset(profile_schema=schema)

    found = load(shop, read)
    assert found.version == serving_version(shop.artifacts)
    assert seed_of(shop, found.version) == 1
    assert len(reads) == 2
    assert found.maker.recommender.parts.scorer is not None


def test_a_folder_that_changes_while_it_is_loaded_is_loaded_again(shop):
    forget_versions(shop)
    reads = []

    def read(schema):
        reads.append(schema)
        if len(reads) == 1:
            shop.models.rollback(next(one.version.id for one in shop.models.list() if not one.serving))
        return shop.dataset(profile_schema=schema)

    found = load(shop, read)
    assert len(reads) == 2
    assert found.version == serving_version(shop.artifacts)


def test_what_does_not_fit_is_an_error_and_not_tried_again(shop):
    (serving_version(shop.artifacts).folder / "network.safetensors").unlink()
    with pytest.raises(StaleArtifactError, match=r"file 'network.safetensors' of artefact"):
        load(shop)


def test_a_version_that_is_gone_is_not_taken_for_a_project_without_a_model(shop):
    made_of = {"artifacts": shop.artifacts, "settings": shop.settings.recommend}
    with pytest.raises(NotBuiltError, match="version 'gone' is gone; see: kinema model list"):
        make_slates(shop.dataset(), **made_of, folder=shop.artifacts / "versions" / "gone")


def test_the_items_as_the_model_sees_them_come_with_the_version(shop):
    for folder in (shop.artifacts / "versions").glob("2*"):
        assert (folder / "bound.safetensors").is_file()
    first = load(shop).maker.recommender.parts.scorer.item_vectors_VD
    shop.models.rollback()
    second = load(shop).maker.recommender.parts.scorer.item_vectors_VD
    assert not (first == second).all()


def test_the_project_takes_up_what_serves(shop):
    before = shop.serving().version
    assert shop.serving().maker is shop.slates()
    shop.models.rollback()
    assert shop.serving().version.id < before.id


def test_a_ranker_that_does_not_fit_is_left_out_and_named_and_comes_back_with_its_model(shop):
    shop.finetune.click(max_epochs=1)
    set_up(shop, GOOD + OTHERS + '[recommend]\nranker = "click"\n')
    assert "FLM's alone" not in shop.recommend("u1", num_items=3).notice
    assert shop.slates().ranking is not None
    done = shop.models.rollback()
    told = f"ranker 'click' has not learnt with version {done.version.id}: slates are FLM's alone; run: kinema finetune click"
    assert done.notices == (told,)
    slate = shop.recommend("u1", num_items=3)
    assert slate.notice.startswith(
        "slates are FLM's alone: the click model must be asked with item vectors of the model"
    )
    assert "; run: kinema finetune click" in slate.notice
    assert len(slate.items) == 3
    ranked = shop.rank("u1", ["v1", "v2"])
    assert (ranked.ranker, ranked.weight) == ("flm", 0.0)
    assert "slates are FLM's alone" in ranked.notice
    shop.finetune.click(max_epochs=1)
    assert shop.slates().ranking is not None
    assert shop.models.rollback(done.before.id).notices == ()
    assert shop.slates().ranking is not None


def test_pretraining_says_what_does_not_follow_it(shop):
    shop.finetune.click(max_epochs=1)
    set_up(shop, GOOD + OTHERS + '[recommend]\nranker = "click"\n')
    assert any("ranker 'click' has not learnt with version" in one for one in shop.pretrain(seed=3).notices)
    set_up(shop, GOOD + OTHERS + '[recommend]\nmodel = "next"\n')
    assert any('[recommend] model = "next" goes on serving' in one for one in shop.pretrain(seed=4).notices)


def test_a_training_that_was_rolled_back_from_serves_again_when_it_is_asked_for_again(shop):
    newest = serving_version(shop.artifacts).id
    shop.models.rollback()
    report = shop.pretrain(seed=2)
    assert report.reused
    assert serving_version(shop.artifacts).id == newest
    assert f"version {newest} was trained from the same before: it serves again" in report.notices
    set_up(shop, BROKEN + OTHERS)
    assert not shop.pretrain(seed=2).reused
