"""CLIP and SigLIP from configurations: one space for pictures and texts."""

import numpy as np
import pytest
import torch
import transformers

from kinema.encoders.frames import FrameTokens
from kinema.encoders.shared_space import has_shared_space, load_shared_space
from kinema.encoders.vision import load_frame_encoder
from kinema.errors import ConfigError
from tiny_encoders import save_bert, save_clip, save_siglip, save_vit

TEXTS = ["ak al", "bk", "ck cl cm cn co cp ck cl", ""]


SAVE = {"clip": save_clip, "siglip": save_siglip}


@pytest.fixture(scope="module", params=SAVE)
def space(request, tmp_path_factory):
    return load_shared_space(SAVE[request.param](tmp_path_factory.mktemp(request.param)), batch_size=3)


def pictures(count):
    return np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)


def test_pictures_and_texts_are_unit_vectors_of_one_width(space):
    seen, read = space.encode_pictures(pictures(4)), space.encode_texts(TEXTS)
    assert seen.shape == read.shape == (4, space.width)
    assert seen.dtype == read.dtype == np.float32
    assert np.linalg.norm(np.concatenate([seen, read]), axis=1) == pytest.approx(1.0, abs=1e-5)
    assert space.encode_pictures(pictures(0)).shape == space.encode_texts([]).shape == (0, space.width)
    assert space.scale >= 1


def test_rows_do_not_depend_on_their_batch(space):
    alone = np.concatenate([space.encode_texts([text]) for text in TEXTS])
    assert space.encode_texts(TEXTS) == pytest.approx(alone, abs=1e-5)
    alone = np.concatenate([space.encode_pictures(one[None]) for one in pictures(4)])
    assert space.encode_pictures(pictures(4)) == pytest.approx(alone, abs=1e-5)


def test_cosines_are_the_checkpoints_own(space):
    batch = dict(space._tokenizer(TEXTS[:2], padding="max_length", max_length=space._longest, return_tensors="pt"))
    batch.pop("token_type_ids", None)
    if space._fills:
        batch.pop("attention_mask")
    pixels = space.pictures._processor(images=list(pictures(2)), return_tensors="pt")["pixel_values"]
    output = space._model(pixel_values=pixels, **batch)
    cosines = space.encode_pictures(pictures(2)) @ space.encode_texts(TEXTS[:2]).T
    bias = space._model.logit_bias.item() if hasattr(space._model, "logit_bias") else 0.0
    assert output.logits_per_image.detach().numpy() == pytest.approx(cosines * space.scale + bias, abs=1e-3)


def test_the_picture_half_is_a_frame_encoder(space):
    encoder = FrameTokens(space.pictures, num_frames=2)
    reading = {"frames": pictures(2), "times_ms": np.array([0, 500])}
    assert encoder.reader.side == 32
    tokens_TD = encoder.encode([reading])[0].tokens_TD
    assert tokens_TD.shape[1] == encoder.width == 3 * 32 + space.width
    assert tokens_TD[:, -space.width :] == pytest.approx(space.encode_pictures(pictures(2)))
    assert space.pictures.fingerprint == load_frame_encoder(space.name).fingerprint


def test_another_projection_is_another_encoder(tmp_path):
    before = load_frame_encoder(save_clip(tmp_path / "clip")).fingerprint
    model = transformers.CLIPModel.from_pretrained(tmp_path / "clip")
    with torch.no_grad():
        model.visual_projection.weight *= -1
    model.save_pretrained(tmp_path / "clip")
    assert load_frame_encoder(str(tmp_path / "clip")).fingerprint != before


def test_the_configuration_tells_who_shares_a_space(tmp_path):
    assert has_shared_space(save_clip(tmp_path / "clip"))
    assert not has_shared_space(save_vit(tmp_path / "vit"))
    (tmp_path / "adapted").mkdir()
    (tmp_path / "adapted" / "config.json").write_text('{"architecture": "efficientnet-lite0"}')
    assert not has_shared_space(str(tmp_path / "adapted"))
    with pytest.raises(ConfigError, match="'nobody/nothing' cannot be loaded"):
        has_shared_space("nobody/nothing")


def test_a_model_without_two_towers_is_refused(tmp_path):
    save_vit(tmp_path)
    save_bert(tmp_path, "BertModel")
    with pytest.raises(ConfigError, match=r"must be CLIP, SigLIP or alike, .*, is BertModel"):
        load_shared_space(str(tmp_path))
    with pytest.raises(ConfigError, match="batch_size of a shared space must be >= 1, got 0"):
        load_shared_space(save_clip(tmp_path / "clip"), batch_size=0)
