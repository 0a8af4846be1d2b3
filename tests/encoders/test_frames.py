"""Frames as a modality: what is read of a clip, and an image model over several clips at once."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from kinema.encoders.frames import FrameReader, FrameTokens, load_frames
from kinema.encoders.modality import Clip, Wants
from kinema.errors import ConfigError
from kinema.media.sampling import Frames, sample_frames


class MeanColour:
    name, width, fingerprint, frame_side = "colour", 3, "abc", 16

    def __init__(self):
        self.batches = []

    def encode(self, frames_NHW3):
        self.batches.append(len(frames_NHW3))
        return frames_NHW3.mean(axis=(1, 2)).astype(np.float32)


def clip_of(count, *, duration_ms=1000, height=24, width=40):
    array = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, height, width, 3))
    times = np.round((np.arange(count) + 0.5) * duration_ms / count).astype(np.int64)
    pairs = np.zeros((0, 2, height, width, 3), dtype=np.uint8)
    none = np.zeros(0, dtype=np.int64)
    frames = Frames(array.copy(), times, pairs, none.astype(np.float32), none, duration_ms, partial=False, quality=1.0)
    return Clip(frames, None, 0, duration_ms)


def test_clips_share_forward_passes_and_get_their_own_tokens():
    model = MeanColour()
    encoder = FrameTokens(model, num_frames=8, batch_size=5)
    clips = [clip_of(8), clip_of(3), clip_of(1)]
    tokens = encoder.encode([encoder.reader.read(clip) for clip in clips])
    assert model.batches == [5, 5, 2]
    assert [len(one.tokens_TD) for one in tokens] == [8, 3, 1]
    assert tokens[1].tokens_TD[:, 0].tolist() == [0, 1, 2]
    assert tokens[1].times_ms_T.tolist() == clips[1].frames.times_ms.tolist()
    assert encoder.pool(tokens[0]) == pytest.approx([3.5] * 3)
    assert encoder.encode([]) == []


def test_another_modality_that_wants_more_frames_does_not_add_tokens():
    reading = FrameReader(16, 4).read(clip_of(16))
    assert reading["frames"].shape == (4, 16, 16, 3)
    assert reading["frames"][:, 0, 0, 0].tolist() == [1, 5, 9, 13]
    assert FrameReader(16, 4).read(clip_of(4))["frames"][:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_sound_alone_has_no_frames():
    assert FrameReader(16).read(Clip(None, np.zeros(4, dtype=np.float32), 16_000, 1)) == {}


def test_a_frame_reader_survives_the_way_to_another_process():
    reader = FrameReader(384, 6)
    assert FrameReader(**json.loads(json.dumps(asdict(reader)))) == reader
    assert reader.wants == Wants(num_frames=6, max_side=384)
    assert FrameReader(160).wants == Wants(num_frames=8, max_side=256)


def test_the_number_of_frames_is_part_of_the_fingerprint():
    fingerprints = {FrameTokens(MeanColour(), num_frames=count).fingerprint for count in (4, 8, 8)}
    assert len(fingerprints) == 2
    assert FrameTokens(MeanColour(), batch_size=3).fingerprint in fingerprints


def test_a_real_clip_gives_the_vector_it_gave_before(data_dir):
    encoder = load_frames("packaged:efficientnet-lite0", num_frames=3)
    frames = sample_frames(data_dir / "clips" / "real" / "park.mp4", num_frames=3, num_pairs=0)
    (tokens,) = encoder.encode([encoder.reader.read(Clip(frames, None, 0, frames.duration_ms))])
    assert tokens.tokens_TD.shape == (3, encoder.token_width) == (3, 1632)
    assert encoder.pool(tokens) == pytest.approx(tokens.tokens_TD.mean(axis=0))


def test_frame_settings_out_of_range_are_refused():
    with pytest.raises(ConfigError, match="frames need a side >= 8 and num_frames >= 1, got 4 and 0"):
        FrameReader(4, 0)
    with pytest.raises(ConfigError, match="batch_size of frames must be >= 1, got 0"):
        FrameTokens(MeanColour(), batch_size=0)
