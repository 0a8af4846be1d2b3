"""Convolutional networks of the hub form, made from configurations, as frame encoders."""

import numpy as np
import pytest
import torch
import transformers

from kinema.encoders.hub_cnn import is_convolutional
from kinema.encoders.vision import load_frame_encoder
from kinema.errors import ConfigError


def build(kind):
    sizes = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1]}
    if kind == "resnet":
        model = transformers.ResNetModel(transformers.ResNetConfig(**sizes, embedding_size=8, layer_type="basic"))
        return model, transformers.ConvNextImageProcessorPil(size={"shortest_edge": 64})
    if kind == "convnext":
        model = transformers.ConvNextModel(transformers.ConvNextConfig(**sizes, image_size=64))
        return model, transformers.ConvNextImageProcessorPil(size={"shortest_edge": 64})
    config = transformers.EfficientNetConfig(
        image_size=64, width_coefficient=0.25, depth_coefficient=0.25, hidden_dim=320, num_hidden_layers=8
    )
    model = transformers.EfficientNetModel(config)
    for layer in model.modules():  # as the library draws them, nothing is left of a picture after eight layers
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(layer.weight)
    return model, transformers.EfficientNetImageProcessorPil(size={"height": 64, "width": 64})


def pictures(count, side, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8)


@pytest.mark.parametrize("kind", ["resnet", "convnext", "efficientnet"])
def test_any_convolutional_network_of_the_hub_form_works(tmp_path, kind):
    transformers.set_seed(0)
    parts = build(kind)
    for part in parts:
        part.save_pretrained(tmp_path)
    encoder = load_frame_encoder(str(tmp_path))
    assert encoder.frame_side == 64
    batch = pictures(10, 64)
    vectors = encoder.encode(batch)
    alone = np.concatenate([encoder.encode(one[None]) for one in batch])
    assert vectors == pytest.approx(alone, abs=1e-5)
    assert vectors.dtype == np.float32
    assert vectors.shape == (10, encoder.width)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.sqrt(2), abs=1e-4)
    assert encoder.encode(batch[:0]).shape == (0, encoder.width)
    assert load_frame_encoder(str(tmp_path)).fingerprint == encoder.fingerprint
    assert load_frame_encoder(str(tmp_path), frame_side=96).fingerprint != encoder.fingerprint


def test_early_layers_tell_palettes_apart_even_in_an_untrained_network(tmp_path):
    for part in build("resnet"):
        part.save_pretrained(tmp_path)
    encoder = load_frame_encoder(str(tmp_path))
    noise = np.stack([pictures(1, 64, seed)[0] // 2 for seed in range(6)])
    noise[3:, ..., 0] += 100
    look = encoder.encode(noise)[:, 32:]
    near, far = look[:3] @ look[:3].T, look[:3] @ look[3:].T
    assert near.min() > far.max()


def test_the_edges_of_a_picture_are_not_cropped_off(tmp_path):
    for part in build("convnext"):
        part.save_pretrained(tmp_path)
    encoder = load_frame_encoder(str(tmp_path))
    plain = pictures(1, 64)
    framed = plain.copy()
    framed[:, :2] = 255
    assert np.abs(encoder.encode(plain) - encoder.encode(framed)).max() > 1e-3


def test_the_configuration_tells_a_network_that_attends():
    assert is_convolutional(transformers.ResNetConfig())
    assert not is_convolutional(transformers.ViTConfig())
    assert not is_convolutional(transformers.SwinConfig())
    assert not is_convolutional(transformers.CLIPConfig())
    assert not is_convolutional(transformers.BertConfig())


def test_a_side_that_a_network_cannot_take_is_refused(tmp_path):
    for part in build("convnext"):
        part.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"must take squares of 8 pixels, cannot: .*; choose frame_side"):
        load_frame_encoder(str(tmp_path), frame_side=8)
