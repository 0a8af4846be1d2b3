"""Video transformers made from configurations: VideoMAE and TimeSformer as encoders of motion."""

import json

import numpy as np
import pytest
import torch
import transformers

from kinema.encoders.modality import Clip
from kinema.encoders.motion import MotionEncoder
from kinema.encoders.video_transformer import VideoReader, load_motion, load_video_transformer
from kinema.errors import ConfigError
from kinema.media.sampling import sample_frames
from kinema.testing.clips import render_clip

SMALL = {
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 16,
    "num_frames": 4,
}
KINDS = {"videomae": {}, "divided_space_time": {}, "joint_space_time": {}, "space_only": {}}


def save(folder, kind):
    transformers.set_seed(0)
    if kind == "videomae":
        model = transformers.VideoMAEModel(transformers.VideoMAEConfig(**SMALL, use_mean_pooling=False))
    else:
        model = transformers.TimesformerModel(transformers.TimesformerConfig(**SMALL, attention_type=kind))
        torch.nn.init.normal_(model.embeddings.position_embeddings)
    model.save_pretrained(folder)
    return str(folder)


def reading_of(count, seed=0):
    frames = np.random.default_rng(seed).integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    return {"frames": frames, "times_ms": np.arange(count, dtype=np.int64) * 100}


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_moments_and_do_not_depend_on_other_clips(tmp_path, kind):
    encoder = load_video_transformer(save(tmp_path, kind), batch_size=2)
    readings = [reading_of(4, seed) for seed in range(3)]
    together = encoder.encode(readings)
    step = 2 if kind == "videomae" else 1
    for reading, tokens in zip(readings, together, strict=True):
        (alone,) = encoder.encode([reading])
        assert tokens.tokens_TD == pytest.approx(alone.tokens_TD, abs=1e-5)
        assert tokens.tokens_TD.shape == (4 // step, encoder.token_width) == (4 // step, 16)
        assert tokens.times_ms_T.tolist() == ([50, 250] if step == 2 else [0, 100, 200, 300])
    assert np.abs(together[0].tokens_TD - together[1].tokens_TD).max() > 1e-3
    assert encoder.pool(together[0]).shape == (encoder.width,)
    assert encoder.encode([]) == []


@pytest.mark.parametrize("kind", ["videomae", "divided_space_time"])
def test_a_moments_token_is_that_of_its_own_frames(tmp_path, kind):
    """Without attention between moments, a change in the last frames must show in the last token alone."""
    encoder = load_video_transformer(save(tmp_path, kind))
    layer = encoder._model.encoder.layer[0]
    with torch.no_grad():
        for name, weight in layer.named_parameters():
            if "attention" in name or "temporal" in name:
                weight.zero_()
    before, after = reading_of(4), reading_of(4)
    after["frames"][-1] = 255 - after["frames"][-1]
    difference = np.abs(encoder.encode([before])[0].tokens_TD - encoder.encode([after])[0].tokens_TD).max(axis=1)
    assert difference[-1] > 1e-3
    assert difference[:-1].max() < 1e-5


def test_windows_cut_a_clip_into_stretches_and_short_clips_are_filled_up(tmp_path):
    name = save(tmp_path, "videomae")
    encoder = load_video_transformer(name, windows=2)
    assert encoder.reader == VideoReader(32, 8)
    (whole,) = encoder.encode([reading_of(8)])
    first = {key: value[:4] for key, value in reading_of(8).items()}
    assert whole.tokens_TD[:2] == pytest.approx(load_video_transformer(name).encode([first])[0].tokens_TD, abs=1e-5)
    (short,) = encoder.encode([reading_of(3)])
    assert short.tokens_TD.shape == (4, 16)
    assert (np.diff(short.times_ms_T) >= 0).all()
    assert encoder.fingerprint != load_video_transformer(name).fingerprint


def test_colours_are_brought_to_the_scale_of_the_checkpoint(tmp_path):
    name = save(tmp_path, "videomae")
    plain = load_video_transformer(name)
    settings = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    scaled = load_video_transformer(name)
    assert scaled.fingerprint != plain.fingerprint
    video = torch.from_numpy(reading_of(4)["frames"]).permute(0, 3, 1, 2)[None].float() / 127.5 - 1
    with torch.inference_mode():
        hidden = transformers.VideoMAEModel.from_pretrained(name).eval()(video).last_hidden_state
    expected = torch.nn.functional.normalize(hidden.reshape(2, -1, 16).mean(1), dim=1).numpy()
    assert scaled.encode([reading_of(4)])[0].tokens_TD == pytest.approx(expected, abs=1e-5)


def test_a_rendered_clip_goes_all_the_way_and_a_single_picture_has_nothing(tmp_path):
    encoder = load_motion(save(tmp_path / "model", "divided_space_time"))
    frames = sample_frames(render_clip(tmp_path / "clip.mp4", seconds=1.0), num_frames=encoder.reader.num_frames)
    reading = encoder.reader.read(Clip(frames, None, 0, frames.duration_ms))
    assert encoder.encode([reading])[0].times_ms_T.tolist() == frames.times_ms.tolist()
    still = sample_frames(render_clip(tmp_path / "one.mp4", seconds=1 / 12))
    assert encoder.reader.read(Clip(still, None, 0, 83)) == {}


def test_the_name_decides_between_flow_and_transformer():
    assert load_motion("flow:dis-fast") == MotionEncoder(method="dis-fast")
    with pytest.raises(
        ConfigError, match=r"motion encoder must be .* 'nobody/video' cannot be loaded.* without a motion"
    ):
        load_motion("nobody/video")


def test_a_model_that_sees_no_video_is_refused(tmp_path):
    config = transformers.BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, vocab_size=20)
    transformers.BertModel(config).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="must be flow:METHOD, VideoMAE or TimeSformer, is BertModel"):
        load_video_transformer(str(tmp_path))
    with pytest.raises(ConfigError, match="needs windows and batch_size >= 1, got 0 and 2"):
        load_video_transformer(save(tmp_path / "video", "videomae"), windows=0)
