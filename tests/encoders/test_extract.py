"""Extraction over a catalogue: counts, caches, rejects, crashes."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import psutil
import pytest

from kinema.encoders.extract import ModalityCounts, extract, load_features
from kinema.encoders.motion import MotionEncoder
from kinema.errors import ConfigError, NotBuiltError, StaleArtifactError
from kinema.testing.clips import render_clip


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


def run(items, media, folder, **settings):
    encoders = {"text": Letters(), "frames": MeanColour(), "motion": MotionEncoder(), "workers": 0}
    return extract(items=items, media_root=media, folder=folder, **{**encoders, **settings})


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
    report = run(items, media, tmp_path, frames=None, motion=None)
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
    run(items, media, tmp_path / "one", batch_size=1)
    seen = []
    run(
        items,
        media,
        tmp_path / "two",
        batch_size=7,
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
    shard = next(tmp_path.glob("motion-*/*.safetensors"))
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    with pytest.raises(StaleArtifactError, match=r"its checksum differs; it was set aside.*kinema extract"):
        load_features(tmp_path, items)
    assert run(items, media, tmp_path).counts["motion"].computed == 2
    assert np.array_equal(load_features(tmp_path, items)["motion"].vectors_VD, whole)


def test_settings_out_of_range_are_refused(tmp_path):
    with pytest.raises(
        ConfigError, match="num_frames and batch_size >= 1, workers >= 0 and clip_timeout_s > 0, got 0, 32, 0 and 120"
    ):
        run(catalogue([]), None, tmp_path, num_frames=0)


KILLED = """
import sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_extract as here
class Stuck(here.MeanColour):
    def encode(self, frames):
        if self.calls:
            time.sleep(600)
        return super().encode(frames)
root, folder = Path(sys.argv[1]), Path(sys.argv[2])
items = here.catalogue(sorted(path.name for path in root.iterdir()))
here.run(items, root, folder, frames=Stuck(), num_frames=1, batch_size=32, workers=1)
"""


def test_after_kill_9_the_next_run_goes_on_behind_the_last_shard(tmp_path):
    root, folder = tmp_path / "media", tmp_path / "features"
    root.mkdir()
    for number in range(40):
        render_clip(root / f"c{number:02}.avi", seed=number, seconds=0.25, width=32, height=32)
    code = KILLED.format(tests=str(Path(__file__).parent))
    process = subprocess.Popen([sys.executable, "-c", code, str(root), str(folder)], stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not list(folder.glob("motion-*/*.safetensors")):
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
