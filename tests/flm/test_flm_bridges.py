"""Texts that were never an item's find the pictures of such items through what the content loss has aligned."""

from dataclasses import replace

import numpy as np
import pytest

from kinema.flm.bridges import ModalityBridge
from kinema.flm.config import FLMConfig
from kinema.training.loop import pretrain
from two_catalogues import NUM_SUBJECTS, Catalogue


@pytest.fixture(scope="module")
def trained():
    world = Catalogue(1, items=120, users=120, events=6)
    features = {name: world.modality(name, tells=1.0) for name in ("text", "frames")}
    frames = features["frames"]
    features["frames"] = replace(frames, present_V=np.arange(120) != 4)
    config = FLMConfig(
        d_model=16,
        num_blocks=1,
        max_epochs=40,
        weight_content=1.0,
        auxiliary_every=1,
        learning_rate=0.01,
        max_length=10,
    )
    model = pretrain(
        train=world.log, valid=None, features=features, profiles=None, item_ids=world.ids, config=config, seed=1
    )
    return world, features, model


def test_a_text_finds_pictures_of_its_subject(trained):
    world, features, model = trained
    bridge = ModalityBridge.of(model, features, source="text", target="frames")
    strangers = Catalogue(2, items=60, users=6, events=2)
    asked = bridge.carry(strangers.modality("text", tells=1.0).vectors_VD)
    nearest = np.argsort(-(asked @ bridge.rows_VD.T), axis=1)[:, :5]
    right = (world.subjects[nearest] == strangers.subjects[:, None]).mean()
    assert right > 3 / NUM_SUBJECTS


def test_rows_are_of_unit_length_and_empty_where_there_is_no_picture(trained):
    _, features, model = trained
    rows = ModalityBridge.of(model, features, source="text", target="frames").rows_VD
    assert not rows[4].any()
    np.testing.assert_allclose(np.linalg.norm(np.delete(rows, 4, axis=0), axis=1), 1, rtol=1e-5)


def test_there_is_no_bridge_where_nothing_was_aligned(trained):
    _, features, model = trained
    assert ModalityBridge.of(model, features, source="text", target="sound") is None
    assert ModalityBridge.of(model, {"text": features["text"]}, source="text", target="frames") is None
    for change in ({"weight_content": 0.0}, {"content_terms": ("next", "align")}):
        alone = replace(model, config=replace(model.config, **change))
        assert ModalityBridge.of(alone, features, source="text", target="frames") is None
