"""Extraction over a catalogue: counts, caches, rejects, crashes."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest

from kinema.encoders.clip_vectors import ClipSettings
from kinema.encoders.extract import ModalityCounts, extract, load_features, load_tokens
from kinema.encoders.frames import FrameTokens
from kinema.encoders.modality import Tokens, Wants
from kinema.encoders.motion import MotionEncoder
from kinema.encoders.pooling import SegmentPooling
from kinema.errors import ConfigError, NotBuiltError, StaleArtifactError
from kinema.testing.clips import render_clip, write_clip


class MeanColour:
    """A frame encoder that needs no weights."""

    name, width, frame_side = "mean colour", 3, 32

    def __init__(self, fingerprint="v1"):
        self.fingerprint = fingerprint
        self.calls = 0

    def encode(self, frames):
        self.calls += 1
        return frames.mean(axis=(1, 2)).astype(np.float32) / 255


class Letters:
    """A text encoder that needs no weights."""

    name, fingerprint, width = "letters", "letters1", 26

    def encode(self, texts):
        rows = [[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(texts), 26) + 0.5

    def readable(self, texts):
        return np.array([0.25 if "кот" in text else 1.0 for text in texts], dtype=np.float32)


@pytest.fixture(scope="module")
def media(tmp_path_factory):
    root = tmp_path_factory.mktemp("media")
    for number in range(4):
        suffix = (".mp4", ".avi", ".flv", ".mkv")[number]
        render_clip(root / f"c{number}{suffix}", seed=number, seconds=0.7, width=96, height=64)
    render_clip(root / "single.mp4", seconds=1 / 12, width=96, height=64)
    (root / "copy.mp4").write_bytes((root / "c0.mp4").read_bytes())
    whole = (root / "c1.avi").read_bytes()
    (root / "half.avi").write_bytes(whole[: len(whole) * 2 // 3])
    (root / "empty.mp4").write_bytes(b"")
    (root / "renamed.mp4").write_text("not a clip")
    return root


def catalogue(paths, titles=None):
    return pl.DataFrame(
        {
            "num": list(range(len(paths))),
            "id": [f"item{number}" for number in range(len(paths))],
            "title": titles or [f"title {chr(97 + number)}" for number in range(len(paths))],
            "media_path": paths,
        },
        schema_overrides={"media_path": pl.String},
    )


def run(items, media, folder, *, frames=None, num_frames=8, **settings):
    clips = {
        "frames": FrameTokens(frames or MeanColour(), num_frames=num_frames),
        "motion": MotionEncoder(),
    }
    return extract(
        items=items, media_root=media, folder=folder, **{"text": Letters(), "clips": clips, "workers": 0, **settings}
    )


def test_texts_that_are_hardly_read_count_for_less_and_are_named(tmp_path):
    items = pl.DataFrame({"num": [0, 1], "id": ["a", "b"], "title": ["a cat", "кот"]})
    report = run(items, None, tmp_path)
    assert any("hardly reads 1 of 2 texts, such as 'кот'" in notice for notice in report.notices)
    assert load_features(tmp_path, items)["text"].quality_V.tolist() == [1.0, 0.25]


def test_every_item_is_counted_once_per_modality_and_bad_clips_do_not_stop_good_ones(media, tmp_path):
    paths = [
        "c0.mp4",
        "c1.avi",
        "copy.mp4",
        None,
        "single.mp4",
        "half.avi",
        "empty.mp4",
        "renamed.mp4",
        "../secret",
        "gone.mp4",
    ]
    titles = [f"title {number}" for number in range(9)] + [""]
    report = run(catalogue(paths, titles), media, tmp_path)
    assert report.counts == {
        "text": ModalityCounts(computed=9, missing=1),
        "frames": ModalityCounts(computed=5, missing=1, failed=4),
        "motion": ModalityCounts(computed=4, missing=2, failed=4),
    }
    reasons = {one.file: one.reason for one in report.rejects}
    assert {one.kind for one in report.rejects} == {"clip"}
    assert "the file is empty" in reasons["empty.mp4"]
    assert "cannot decode 'renamed.mp4'" in reasons["renamed.mp4"]
    assert "must stay inside the media root" in reasons["../secret"]
    assert "there is no 'gone.mp4'" in reasons["gone.mp4"]
    assert report.rejects[0].raw == "item item6"
    assert report.notices == ("truncated or damaged clips, used as far as they decode: 1, such as 'half.avi'",)

    features = load_features(tmp_path, catalogue(paths, titles))
    assert list(features) == ["text", "frames", "motion"]
    assert features["frames"].present_V.tolist() == [True, True, True, False, True, True, False, False, False, False]
    assert features["motion"].present_V.tolist() == [True, True, True, False, False, True, False, False, False, False]
    assert features["text"].present_V.tolist() == [True] * 9 + [False]
    assert np.array_equal(features["frames"].vectors_VD[0], features["frames"].vectors_VD[2])
    assert not features["frames"].vectors_VD[6].any()
    assert 0 < features["frames"].quality_V[5] < 1
    assert features["motion"].vectors_VD.shape == (10, MotionEncoder().width)
    assert all(one.vectors_VD.dtype == np.float32 for one in features.values())


def test_a_second_run_computes_nothing_and_new_items_are_added(media, tmp_path):
    items = catalogue(["c0.mp4", "c1.avi"])
    run(items, media, tmp_path)
    encoder = MeanColour()
    again = run(items, media, tmp_path, frames=encoder)
    assert encoder.calls == 0
    assert again.counts == {name: ModalityCounts(cached=2) for name in ("text", "frames", "motion")}
    more = run(catalogue(["c0.mp4", "c1.avi", "c2.flv"]), media, tmp_path)
    assert more.counts["frames"] == ModalityCounts(computed=1, cached=2)


def test_rows_follow_item_numbers_and_not_the_order_of_the_frame(media, tmp_path):
    items = catalogue(["c0.mp4", "c1.avi", "c2.flv"])
    run(items.reverse(), media, tmp_path)
    forwards = load_features(tmp_path, items)
    backwards = load_features(tmp_path, items.reverse())
    for name in forwards:
        assert np.array_equal(forwards[name].vectors_VD, backwards[name].vectors_VD)
    assert np.abs(np.diff(forwards["frames"].vectors_VD, axis=0)).max(axis=1).min() > 0


def test_a_changed_file_gets_new_vectors_under_its_old_name(media, tmp_path):
    root = tmp_path / "media"
    root.mkdir()
    (root / "a.mp4").write_bytes((media / "c0.mp4").read_bytes())
    items = catalogue(["a.mp4"])
    run(items, root, tmp_path / "features")
    before = load_features(tmp_path / "features", items)["frames"].vectors_VD
    (root / "a.mp4").write_bytes((media / "c3.mkv").read_bytes())
    assert run(items, root, tmp_path / "features").counts["frames"].computed == 1
    assert np.abs(load_features(tmp_path / "features", items)["frames"].vectors_VD - before).max() > 0


def test_another_encoder_has_vectors_of_its_own_and_the_old_ones_stay(media, tmp_path):
    items = catalogue(["c0.mp4"])
    run(items, media, tmp_path)
    first = load_features(tmp_path, items)["frames"].encoder
    changed = run(items, media, tmp_path, frames=MeanColour("v2"))
    assert changed.counts["frames"].computed == 1
    assert changed.counts["motion"].cached == 1
    assert load_features(tmp_path, items)["frames"].encoder != first
    assert run(items, media, tmp_path).counts["frames"].cached == 1


def test_a_modality_that_is_switched_off_is_not_loaded(media, tmp_path):
    items = catalogue(["c0.mp4"])
    run(items, media, tmp_path)
    report = run(items, media, tmp_path, clips={})
    assert list(report.counts) == ["text"]
    assert list(load_features(tmp_path, items)) == ["text"]


def test_items_without_any_media_root_keep_their_text(tmp_path):
    report = run(catalogue(["c0.mp4", None]), None, tmp_path)
    assert report.counts["text"].computed == 2
    assert report.counts["frames"] == ModalityCounts(missing=2)
    assert report.rejects == ()


def test_an_empty_catalogue_is_no_error(tmp_path):
    items = catalogue([])
    assert run(items, None, tmp_path).counts["text"] == ModalityCounts()
    assert load_features(tmp_path, items)["text"].vectors_VD.shape[0] == 0


def test_results_do_not_depend_on_the_batch_or_the_processes(media, tmp_path):
    items = catalogue(["c0.mp4", "c1.avi", "c2.flv", "c3.mkv"])
    run(items, media, tmp_path / "one", batch_clips=1)
    seen = []
    run(
        items,
        media,
        tmp_path / "two",
        batch_clips=3,
        workers=2,
        progress=lambda done, total, note="": seen.append((done, total, note)),
    )
    one, two = (load_features(tmp_path / name, items) for name in ("one", "two"))
    for name in one:
        assert one[name].vectors_VD == pytest.approx(two[name].vectors_VD, abs=1e-5)
    assert seen[0] == (4, 4, "texts")
    assert seen[-1] == (4, 4, "clips")


def test_missing_and_damaged_features_say_what_to_run(media, tmp_path):
    items = catalogue(["c0.mp4"])
    with pytest.raises(NotBuiltError, match=r"no features artefact .* run: kinema extract"):
        load_features(tmp_path, items)
    run(items, media, tmp_path)
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(StaleArtifactError, match=r"cannot be read.*run: kinema extract"):
        load_features(tmp_path, items)


def test_a_damaged_shard_is_reported_and_made_again(media, tmp_path, capsys):
    items = catalogue(["c0.mp4", "c1.avi"])
    run(items, media, tmp_path)
    whole = load_features(tmp_path, items)["motion"].vectors_VD
    shard = next(tmp_path.glob("motion-*/vectors-plain/*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(StaleArtifactError, match=r"its checksum differs; it was set aside.*kinema extract"):
        load_features(tmp_path, items)
    assert run(items, media, tmp_path).counts["motion"].computed == 2
    assert list(tmp_path.glob("motion-*/tokens/*.safetensors"))
    assert np.array_equal(load_features(tmp_path, items)["motion"].vectors_VD, whole)


def test_settings_out_of_range_are_refused(tmp_path):
    with pytest.raises(
        ConfigError,
        match=r"batch_clips and encode_threads >= 1, workers >= 0, .* > 0, got 0, 1, 0, 120\.0 and 2048",
    ):
        run(catalogue([]), None, tmp_path, batch_clips=0)
    for name in ("text", "my sound", "../x"):
        with pytest.raises(ConfigError, match=rf"an encoder and a name of letters, digits and _ .*, got '{name}'"):
            run(catalogue([]), None, tmp_path, clips={name: FrameTokens(MeanColour(), num_frames=1)})
    with pytest.raises(ConfigError, match=r"a modality of clips must have an encoder and a name .*, got 'sound'"):
        run(catalogue([]), None, tmp_path, poolings={"sound": SegmentPooling()})


def test_a_folder_of_an_older_format_is_refused_and_made_again(media, tmp_path):
    items = catalogue(["c0.mp4"])
    run(items, media, tmp_path)
    path = tmp_path / "manifest.json"
    path.write_text(path.read_text().replace('"format_version": 2', '"format_version": 1'))
    for load in (load_features, load_tokens):
        with pytest.raises(
            StaleArtifactError, match="must be features version 2, is features version 1; run: kinema extract"
        ):
            load(tmp_path, items)
    run(items, media, tmp_path)
    assert load_features(tmp_path, items)["frames"].present_V.all()


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


@dataclass(frozen=True)
class BrightReader:
    """A modality of a user's own: how bright each frame is."""

    num_frames: int = 3

    @property
    def wants(self):
        return Wants(num_frames=self.num_frames)

    def read(self, clip):
        return {"mean": clip.frames.array.mean(axis=(1, 2, 3)), "times": clip.frames.times_ms}


class Bright:
    name, fingerprint, token_width, width = "brightness", "b1", 1, 2

    def __init__(self, reader=None):
        self.reader = reader or BrightReader()

    def encode(self, readings):
        return [Tokens(one["mean"][:, None].astype(np.float32), one["times"]) for one in readings]

    def pool(self, tokens):
        return np.array([tokens.tokens_TD.mean(), tokens.tokens_TD.std()], dtype=np.float32)


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
import test_extract as here
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
