"""An Audio Spectrogram Transformer made from a configuration."""

import numpy as np
import pytest
import transformers

from kinema.encoders.modality import Clip
from kinema.encoders.sound import load_sound_encoder
from kinema.errors import ConfigError
from kinema.media.sound import Sound

HZ = 16_000
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    transformers.set_seed(0)
    place = tmp_path_factory.mktemp("ast")
    config = transformers.ASTConfig(**SMALL, max_length=64, num_mel_bins=32)
    # Saved with its classifier, as published ones are; only the body is used.
    transformers.ASTForAudioClassification(config).save_pretrained(place)
    transformers.ASTFeatureExtractor(max_length=64, num_mel_bins=32).save_pretrained(place)
    return place


@pytest.fixture(scope="module")
def encoder(folder):
    return load_sound_encoder(str(folder))


def clip_of(samples):
    length_ms = len(samples) * 1000 / HZ
    sound = Sound((samples.astype(np.float32),), (0.0,), hz=HZ, duration_ms=length_ms, partial=False)
    return Clip(frames=None, sound=sound, sound_hz=HZ, duration_ms=round(length_ms))


def noise(seconds, seed=0):
    return np.random.default_rng(seed).normal(0, 0.1, int(seconds * HZ))


def test_windows_become_tokens_that_do_not_depend_on_the_batch(encoder):
    assert encoder.reader.wants.window_ms == 640
    assert encoder.reader.wants.num_windows == 3
    readings = [encoder.reader.read(clip_of(noise(seconds, seed))) for seed, seconds in enumerate((3, 0.01, 1.2))]
    together = encoder.encode(readings)
    assert [len(tokens.tokens_TD) for tokens in together] == [3, 1, 2]
    for reading, tokens in zip(readings, together, strict=True):
        assert tokens.tokens_TD.shape[1] == encoder.token_width == 32
        assert tokens.tokens_TD == pytest.approx(encoder.encode([reading])[0].tokens_TD, abs=1e-5)
        assert np.linalg.norm(tokens.tokens_TD, axis=1) == pytest.approx(1, abs=1e-5)
        assert encoder.pool(tokens).shape == (encoder.width,)
    assert together[0].times_ms_T.tolist() == [500, 1500, 2500]
    assert encoder.encode([]) == []


def test_tokens_are_the_models_own_summary(folder, encoder):
    samples = noise(0.6).astype(np.float32)
    reading = encoder.reader.read(clip_of(samples))
    model = transformers.ASTModel.from_pretrained(folder).eval()
    extractor = transformers.ASTFeatureExtractor.from_pretrained(folder)
    values = extractor(reading["samples"], sampling_rate=HZ, return_tensors="pt")
    summary = model(**values).last_hidden_state[0, :2].mean(dim=0).detach().numpy()
    (tokens,) = encoder.encode([reading])
    assert tokens.tokens_TD[0] == pytest.approx(summary / np.linalg.norm(summary), abs=1e-5)


def test_volume_does_not_matter_and_equal_folders_are_equal(folder, encoder):
    quiet, loud = (encoder.reader.read(clip_of(noise(0.6) * gain)) for gain in (0.1, 1.0))
    one, other = encoder.encode([quiet, loud])
    assert one.tokens_TD == pytest.approx(other.tokens_TD, abs=1e-4)
    assert load_sound_encoder(str(folder)).fingerprint == encoder.fingerprint
    assert encoder.reader.read(Clip(frames=None, sound=None, sound_hz=0, duration_ms=1)) == {}


def test_a_model_that_does_not_hear_is_refused(tmp_path):
    config = transformers.ViTConfig(**SMALL, image_size=32, patch_size=8)
    transformers.ViTModel(config).save_pretrained(tmp_path)
    transformers.ASTFeatureExtractor(num_mel_bins=32).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match="must be an audio-spectrogram-transformer, is vit"):
        load_sound_encoder(str(tmp_path))


def test_a_feature_extractor_of_another_model_is_refused(tmp_path, folder):
    transformers.ASTModel.from_pretrained(folder).save_pretrained(tmp_path)
    transformers.ASTFeatureExtractor(num_mel_bins=32).save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"must give \(64, 32\) frames and mel bands, gives \(1024, 32\)"):
        load_sound_encoder(str(tmp_path))


def test_a_name_that_leads_nowhere_says_what_is_lost(tmp_path):
    with pytest.raises(ConfigError, match="without a sound encoder items have no sound vector"):
        load_sound_encoder(str(tmp_path / "none"))
