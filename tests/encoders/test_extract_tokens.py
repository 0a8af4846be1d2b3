"""Tokens beside vectors, modalities of one's own, and runs that are killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from small_catalogue import MeanColour, catalogue, make_media, run

from brightness import Bright, BrightReader
from kinema.encoders.clip_vectors import ClipSettings
from kinema.encoders.extract import ModalityCounts, load_features, load_tokens
from kinema.encoders.motion import MotionEncoder
from kinema.encoders.pooling import SegmentPooling
from kinema.errors import NotBuiltError, StaleArtifactError
from kinema.testing.clips import render_clip, write_clip


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    return make_media(tmp_path_factory.mktemp("media"))


def test_tokens_are_kept_with_their_times(media, tmp_path):
    items = catalogue(["c0.mp4", None, "single.mp4", "copy.mp4"])
    run(items, media, tmp_path, num_frames=5)
    tokens, features = load_tokens(tmp_path, items), load_features(tmp_path, items)
    assert list(tokens) == ["frames", "motion"]
    assert tokens["frames"].lengths().tolist() == [5, 0, 1, 5]
    assert tokens["motion"].lengths().tolist()[1:3] == [0, 0]
    some = tokens["frames"].get([3, 0])
    assert np.array_equal(some.of(0)[0], some.of(1)[0])
    assert (np.diff(some.of(0)[1]) > 0).all()
    assert some.of(0)[0].mean(axis=0, dtype=np.float32) == pytest.approx(features["frames"].vectors_VD[0], abs=1e-6)
    assert tokens["motion"].get([0]).tokens_MD.shape[1] == MotionEncoder().token_width


def test_another_pooling_decodes_and_encodes_nothing(media, tmp_path, monkeypatch):
    items = catalogue(["c0.mp4", "c1.avi", "single.mp4", "empty.mp4"])
    run(items, media, tmp_path)
    plain = load_features(tmp_path, items)
    monkeypatch.setattr("kinema.encoders.clip_passes.sample_frames", None)
    encoder = MeanColour()
    poolings = {"frames": SegmentPooling(), "motion": SegmentPooling(segments=(1,), statistics=("max",))}
    report = run(items, media, tmp_path, frames=encoder, poolings=poolings)
    assert encoder.calls == 0
    assert report.counts["frames"] == ModalityCounts(computed=3, failed=1)
    assert report.counts["motion"] == ModalityCounts(computed=2, missing=1, failed=1)
    other = load_features(tmp_path, items)
    assert other["frames"].vectors_VD.shape[1] == 3 * 7 * 2
    assert other["frames"].vectors_VD[:, :3] == pytest.approx(plain["frames"].vectors_VD)
    assert other["frames"].encoder != plain["frames"].encoder
    assert run(items, media, tmp_path).counts["frames"].cached == 3
    assert np.array_equal(load_features(tmp_path, items)["frames"].vectors_VD, plain["frames"].vectors_VD)


def test_lost_vectors_come_back_from_tokens_bit_for_bit(media, tmp_path):
    items = catalogue(["c0.mp4", "c1.avi"])
    run(items, media, tmp_path)
    before = load_features(tmp_path, items)
    for path in tmp_path.glob("*/vectors-plain/*.safetensors"):
        path.unlink()
    encoder = MeanColour()
    run(items, media, tmp_path, frames=encoder)
    assert encoder.calls == 0
    for name, one in load_features(tmp_path, items).items():
        assert np.array_equal(one.vectors_VD, before[name].vectors_VD)


def test_damaged_tokens_are_made_again_when_they_are_needed(media, tmp_path, capsys):
    items = catalogue(["c0.mp4", "c1.avi"])
    run(items, media, tmp_path)
    shard = next(tmp_path.glob("frames-*/tokens/*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(StaleArtifactError, match=r"its checksum differs; it was set aside.*kinema extract"):
        load_tokens(tmp_path, items)["frames"].get([0, 1])
    shard.with_name(shard.name + ".damaged").replace(shard)
    encoder = MeanColour()
    report = run(items, media, tmp_path, frames=encoder, poolings={"frames": SegmentPooling()})
    assert report.counts["frames"].computed == 2
    assert encoder.calls == 1
    assert load_tokens(tmp_path, items)["frames"].lengths().tolist() == [8, 8]


class Moody(MeanColour):
    """A model that fails for dark pictures and says nonsense of bright ones."""

    def encode(self, frames):
        tokens = super().encode(frames)
        if (frames.mean(axis=(1, 2, 3)) < 5).any():
            raise ValueError("too dark")
        tokens[frames.mean(axis=(1, 2, 3)) > 250] = np.nan
        return tokens


def test_a_clip_that_cannot_be_encoded_costs_itself(media, tmp_path):
    root = tmp_path / "media"
    root.mkdir()
    for name, value in (("dark.avi", 0), ("grey.avi", 120), ("light.avi", 255)):
        write_clip(root / name, [np.full((32, 32, 3), value, dtype=np.uint8)] * 6)
    report = run(catalogue(["dark.avi", "grey.avi", "light.avi"]), root, tmp_path / "f", frames=Moody())
    assert report.counts["frames"] == ModalityCounts(computed=1, failed=2)
    assert report.counts["motion"] == ModalityCounts(computed=3)
    assert [one.reason for one in report.rejects] == [
        "cannot encode 'dark.avi' (frames): ValueError: too dark",
        "cannot encode 'light.avi' (frames): tokens must be finite in half precision, are not",
    ]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_modality_of_ones_own_is_one_class_for_each_half(media, tmp_path, workers):
    items = catalogue(["c0.mp4", "c1.avi"])
    report = run(items, media, tmp_path, clips={"light": Bright()}, workers=workers)
    assert report.counts["light"].computed == 2
    features = load_features(tmp_path, items)["light"]
    assert features.vectors_VD.shape == (2, 2)
    assert (features.vectors_VD[:, 0] > 0).all()
    changed = run(items, media, tmp_path, clips={"light": Bright(BrightReader(num_frames=4))}, workers=workers)
    assert changed.counts["light"].computed == 2


def test_tokens_of_another_shape_than_announced_are_a_reason(media, tmp_path):
    encoder = Bright()
    encoder.token_width = 2
    report = run(catalogue(["c0.mp4"]), media, tmp_path, clips={"light": encoder})
    assert report.rejects[0].reason == "cannot encode 'c0.mp4' (light): tokens must be [T, 2] for 3 times, are [3, 1]"
    encoder = Bright()
    encoder.width = 5
    report = run(catalogue(["c0.mp4"]), media, tmp_path / "other", clips={"light": encoder})
    assert report.rejects[0].reason == "cannot encode 'c0.mp4' (light): its vector must be 5 finite numbers, is [2]"


def test_few_clips_are_on_their_way_at_any_moment():
    settings = ClipSettings(
        max_seconds=60, max_pixels=2**20, timeout_s=9, memory_mb=99, workers=2, batch_clips=4, encode_threads=2
    )
    assert settings.most_on_the_way == 24


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import small_catalogue as here
import kinema.encoders.clip_vectors
kinema.encoders.clip_vectors._FLUSH_CLIPS = 32
class Stuck(here.MeanColour):
    def encode(self, frames):
        if self.calls == 4:
            time.sleep(600)
        return super().encode(frames)
root, folder = Path(sys.argv[1]), Path(sys.argv[2])
items = here.catalogue(sorted(path.name for path in root.iterdir()))
here.run(items, root, folder, frames=Stuck(), num_frames=1, batch_clips=8, encode_threads=1, workers=1)
"""


def test_after_kill_9_the_next_run_goes_on_behind_the_last_shard(tmp_path):
    root, folder = tmp_path / "media", tmp_path / "features"
    root.mkdir()
    for number in range(40):
        render_clip(root / f"c{number:02}.avi", seed=number, seconds=0.25, width=32, height=32)
    code = KILLED.format(tests=str(Path(__file__).parent))
    process = subprocess.Popen([sys.executable, "-c", code, str(root), str(folder)], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(folder.glob("motion-*/vectors-plain/*.safetensors")):
        assert process.poll() is None, process.stderr.read().decode()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    decoders = psutil.Process(process.pid).children()
    assert decoders
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert psutil.wait_procs(decoders, timeout=30)[1] == []
    process.stderr.close()
    items = catalogue(sorted(path.name for path in root.iterdir()))
    with pytest.raises(NotBuiltError, match="run: kinema extract"):
        load_features(folder, items)
    resumed = run(items, root, folder, num_frames=1)
    assert resumed.counts["frames"] == ModalityCounts(computed=8, cached=32)
    assert resumed.counts["motion"] == ModalityCounts(computed=8, cached=32)
    assert resumed.counts["text"] == ModalityCounts(cached=40)
    whole = load_features(folder, items)
    run(items, root, tmp_path / "at_once", num_frames=1)
    for name, other in load_features(tmp_path / "at_once", items).items():
        assert whole[name].vectors_VD == pytest.approx(other.vectors_VD, abs=1e-5)
        assert whole[name].present_V.all()
