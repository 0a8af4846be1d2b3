"""Models from elsewhere are checked before they serve."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from kinema.artifacts import MANIFEST
from kinema.errors import ConfigError, DataError, NotBuiltError, StaleArtifactError
from kinema.flm.model import FLM, FORMAT_VERSION
from kinema.project import Project
from small_shop import make_shop

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("publish") / "shop"
    with make_shop(folder) as project:
        project.pretrain(seed=1)
    return folder


@pytest.fixture
def shop(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "shop", symlinks=True)
    with Project.open(tmp_path / "shop") as project:
        yield project


@pytest.fixture
def elsewhere(trained, tmp_path):
    """The same catalogue on another machine, trained with another seed."""
    shutil.copytree(trained, tmp_path / "elsewhere")
    with Project.open(tmp_path / "elsewhere") as project:
        project.pretrain(seed=9)
        yield project


def test_a_model_that_was_trained_elsewhere_serves_here(shop, elsewhere):
    before = shop.models.serving()
    done = shop.models.publish(elsewhere.folder)
    assert (done.before, done.version.command, done.version.seed) == (before, "kinema model publish", 9)
    assert done.version.parent == before.id
    theirs, ours = FLM.load(elsewhere.artifacts / "flm"), FLM.load(shop.artifacts / "flm")
    assert (theirs.network.tower.ids_VD == ours.network.tower.ids_VD).all()
    assert [one.serving for one in shop.models.list()] == [True, False]
    assert shop.models.rollback().version == before
    again = shop.models.publish(elsewhere.artifacts / "flm")
    assert again.version.id > done.version.id


def test_what_is_known_of_a_version(shop):
    told = shop.models.show().version
    assert (told.command, told.seed, told.parent) == ("kinema pretrain", 1, None)
    assert told.training_seconds > 0
    assert set(told.validation) >= {"sequential", "fused"}
    assert told.data == {"items": 24, "users": 60, "interactions": 300, "newest_ms": 1_700_017_940_000}


def test_a_model_that_is_not_there_or_serves_already_is_refused(shop, tmp_path):
    with pytest.raises(NotBuiltError, match="must be an FLM artefact or a project with one, holds no model"):
        shop.models.publish(tmp_path)
    with pytest.raises(ConfigError, match="must be another model than the one that serves, is that one"):
        shop.models.publish(shop.folder)


def test_a_model_of_other_items_is_refused_with_the_way_to_use_it(shop, elsewhere, tmp_path):
    model = FLM.load(elsewhere.artifacts / "flm")
    ids = (*model.item_ids[:5], "other", *model.item_ids[6:])
    replace(model, item_ids=ids).save(tmp_path / "model")
    with pytest.raises(
        DataError,
        match=r"must know the first 24 items of this store in their order, knows 23 of 24 items and differs from item number 5 on; "
        "start from it instead: kinema pretrain --from",
    ):
        shop.models.publish(tmp_path / "model")
    assert len(shop.models.list()) == 1


def test_a_damaged_model_is_refused(shop, elsewhere):
    (elsewhere.artifacts / "flm" / "arrays.safetensors").write_bytes(b"spoilt")
    with pytest.raises(StaleArtifactError, match=r"file 'arrays.safetensors' of artefact .* is missing or damaged"):
        shop.models.publish(elsewhere.folder)


def test_a_model_that_answers_with_no_numbers_is_refused(shop, elsewhere, tmp_path):
    model = FLM.load(elsewhere.artifacts / "flm")
    replace(model, popularity_V=np.full_like(model.popularity_V, np.nan)).save(tmp_path / "model")
    with pytest.raises(DataError, match="must answer with finite numbers, does not; train it again"):
        shop.models.publish(tmp_path / "model")


def test_a_model_that_needs_a_delta_beside_it_is_refused(shop, elsewhere, tmp_path):
    model = FLM.load(elsewhere.artifacts / "flm")
    replace(model, report={**model.report, "next": {"put_on": "adapters"}}).save(tmp_path / "model")
    with pytest.raises(ConfigError, match="must be whole by itself, needs the delta 'adapters' beside it"):
        shop.models.publish(tmp_path / "model")


def test_a_model_of_another_kind_is_refused(shop, elsewhere):
    path = elsewhere.artifacts / "flm" / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | {"kind": "click"}))
    with pytest.raises(
        StaleArtifactError, match=f"must be flm version {FORMAT_VERSION}, is click version {FORMAT_VERSION}"
    ):
        shop.models.publish(elsewhere.folder)


def test_a_version_that_nobody_knows_is_refused(shop):
    with pytest.raises(DataError, match="unknown version 'x'; kept: 2"):
        shop.models.show("x")
