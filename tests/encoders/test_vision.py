"""Frame encoders: the packaged CNN, and vision transformers made from configurations."""

import numpy as np
import pytest
import torch
import transformers
from efficientnet_lite_pytorch import EfficientNet

from kinema.encoders.vision import load_frame_encoder
from kinema.encoders.weights import packaged_file
from kinema.errors import ConfigError

SMALL = {"hidden_size": 32, "num_hidden_layers": 3, "num_attention_heads": 2}
TOWER = {**SMALL, "intermediate_size": 64, "image_size": 32, "patch_size": 8}
TEXT = {**SMALL, "intermediate_size": 64, "vocab_size": 99, "bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}


def build(kind):
    square = {"size": {"height": 32, "width": 32}}
    edge = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
    if kind == "vit":
        model = transformers.ViTModel(transformers.ViTConfig(**TOWER))
        return model, transformers.ViTImageProcessorPil(**square)
    if kind == "dinov2":
        model = transformers.Dinov2Model(transformers.Dinov2Config(**SMALL, image_size=32, patch_size=8))
        return model, transformers.BitImageProcessorPil(**edge)
    if kind == "clip":
        config = transformers.CLIPConfig(text_config=TEXT, vision_config=TOWER, projection_dim=16)
        return transformers.CLIPModel(config), transformers.CLIPImageProcessorPil(**edge)
    config = transformers.SiglipConfig(text_config=TEXT, vision_config=TOWER)
    return transformers.SiglipModel(config), transformers.SiglipImageProcessorPil(**square)


@pytest.fixture(scope="module")
def cnn():
    return load_frame_encoder("packaged:efficientnet-lite0")


def pictures(count, side, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["vit", "dinov2", "clip", "siglip"])
def test_any_vision_transformer_of_the_hub_form_works(tmp_path, kind):
    transformers.set_seed(0)
    for part in build(kind):
        part.save_pretrained(tmp_path)
    encoder = load_frame_encoder(str(tmp_path))
    assert encoder.frame_side == 32
    batch = pictures(5, 32)
    vectors = encoder.encode(batch)
    shared = {"clip": 16, "siglip": 32}.get(kind, 0)
    assert encoder.shared_width == shared
    assert vectors.shape == (5, encoder.width) == (5, 96 + shared)
    assert vectors.dtype == np.float32
    alone = np.concatenate([encoder.encode(one[None]) for one in batch])
    assert vectors == pytest.approx(alone, abs=1e-5)
    assert load_frame_encoder(str(tmp_path)).fingerprint == encoder.fingerprint


def test_a_model_that_does_not_see_is_refused(tmp_path):
    config = transformers.BertConfig(**SMALL, intermediate_size=64, vocab_size=20)
    transformers.BertModel(config).save_pretrained(tmp_path)
    transformers.ViTImageProcessorPil().save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="must be a vision transformer, is BertModel"):
        load_frame_encoder(str(tmp_path))


def test_the_packaged_cnn_does_not_depend_on_the_batch(cnn):
    batch = pictures(11, cnn.frame_side)
    vectors = cnn.encode(batch)
    alone = np.concatenate([cnn.encode(one[None]) for one in batch])
    assert vectors.shape == (11, cnn.width) == (11, 1632)
    assert vectors == pytest.approx(alone, abs=1e-5)
    assert cnn.encode(batch[:0]).shape == (0, cnn.width)


def test_folding_keeps_the_networks_function(cnn):
    network = EfficientNet.from_name("efficientnet-lite0")
    path = packaged_file("packaged:efficientnet-lite0", role="frames")
    network.load_state_dict(torch.load(path, weights_only=True))
    batch = pictures(2, cnn.frame_side)
    scale = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1) * 255
    shift = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1) * 255
    with torch.inference_mode():
        maps = network.eval().extract_features((torch.from_numpy(batch).permute(0, 3, 1, 2) - shift) / scale)
        seen = torch.nn.functional.normalize(maps.mean((2, 3)), dim=1).numpy()
    assert cnn.encode(batch)[:, :1280] == pytest.approx(seen, abs=1e-4)


def test_palettes_and_textures_are_told_apart_whatever_is_shown(cnn):
    rng = np.random.default_rng(1)
    vectors, styles = [], []
    for style in range(4):
        for _ in range(4):
            picture = np.full((160, 160, 3), 128, dtype=np.int64)
            for _ in range(12):
                y, x = rng.integers(0, 130, 2)
                picture[y : y + 30, x : x + 30] = rng.integers(60, 200)
            tint = ((60, 0, -60), (-60, 0, 60), (0, 0, 0), (0, 0, 0))[style]
            picture = picture + np.array(tint)
            if style == 3:
                picture[::4] = 0
            vectors.append(cnn.encode(np.clip(picture, 0, 255).astype(np.uint8)[None])[0])
            styles.append(style)
    standard = np.stack(vectors)
    standard = (standard - standard.mean(axis=0)) / (standard.std(axis=0) + 1e-6)
    standard /= np.linalg.norm(standard, axis=1, keepdims=True)
    cosines = standard @ standard.T
    np.fill_diagonal(cosines, -2)
    assert (np.array(styles)[cosines.argmax(axis=1)] == styles).all()


def test_sides_and_arrays_that_do_not_fit_are_refused(cnn):
    with pytest.raises(
        ConfigError, match="frame_side of 'packaged:efficientnet-lite0' must be a multiple of 32 pixels, got 100"
    ):
        load_frame_encoder("packaged:efficientnet-lite0", frame_side=100)
    with pytest.raises(ConfigError, match=r"pictures must be uint8 \[N, H, W, 3\], got float32 \[1, 8, 8, 3\]"):
        cnn.encode(np.zeros((1, 8, 8, 3), dtype=np.float32))


def test_the_side_is_part_of_the_fingerprint(cnn):
    assert load_frame_encoder("packaged:efficientnet-lite0", frame_side=128).fingerprint != cnn.fingerprint
