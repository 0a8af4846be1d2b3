"""Two hundred damaged files: each gives frames or an error that says why, and none more than the limit in time."""

import time
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from kinema.errors import ConfigError, DataError
from kinema.media.probe import probe
from kinema.media.sampling import sample_frames
from kinema.testing.clips import render_clip, write_clip
from kinema.testing.damage import DAMAGES, damage_files

NUM_VARIANTS = 200
LIMIT_S = 2.0
MARGIN_S = 8.0


def small_clips(folder):
    suffixes = (".mp4", ".avi", ".flv", ".mkv", ".webm", ".mpg", ".wmv", ".ts")
    clips = [
        render_clip(folder / f"{suffix[1:]}{suffix}", seconds=0.7, width=64, height=48, seed=number)
        for number, suffix in enumerate(suffixes)
    ]
    pictures = [np.full((64, 64, 3), 20 * number, dtype=np.uint8) for number in range(10)]
    clips.append(write_clip(folder / "h264.mp4", pictures, codec="libx264", gop=5))
    Image.fromarray(pictures[5]).save(folder / "still.jpg")
    Image.fromarray(pictures[5]).save(folder / "still.png")
    return [*clips, folder / "still.jpg", folder / "still.png"]


def outcome(path, mode):
    """What became of a file; fails when it takes too long."""
    started = time.thread_time()
    try:
        frames = sample_frames(path, num_frames=3, num_pairs=1, max_side=48, mode=mode, decode_seconds=LIMIT_S)
    except DataError as error:
        result = "refused" if str(error).startswith(f"cannot decode '{path}': ") else str(error)
    else:
        result = "partial" if frames.partial else "whole"
        assert 1 <= len(frames.array) <= 3
        assert 0 < frames.quality <= 1
        assert frames.partial <= (frames.quality < 1)
        assert mode == "key" or frames.partial == (frames.quality < 1)
        assert len(frames.times_ms) == len(frames.array)
    assert time.thread_time() - started < LIMIT_S + MARGIN_S, path.name
    return result


def test_two_hundred_damaged_files_give_frames_or_a_reason(tmp_path):
    variants = damage_files(small_clips(tmp_path), tmp_path / "damaged", num_variants=NUM_VARIANTS)
    results = Counter()
    for number, path in enumerate(variants):
        results[path.name.split("-")[1], outcome(path, ("even", "shots", "key")[number % 3])] += 1
    assert results.total() == NUM_VARIANTS
    assert {kind for kind, _ in results} == set(DAMAGES)
    assert {result for _, result in results} == {"whole", "partial", "refused"}
    assert results["renamed", "whole"] > 0
    assert results["truncated", "partial"] > 0
    assert results["random", "refused"] > 0
    assert min(results[kind, "partial"] for kind in ("bits", "zeros", "huge")) > 0


def test_a_wrong_suffix_changes_nothing(tmp_path):
    for source in small_clips(tmp_path):
        renamed = source.rename(source.with_name(f"renamed-{source.name}.mkv"))
        frames = sample_frames(renamed, num_frames=2, num_pairs=0)
        assert len(frames.array) == (1 if source.stem == "still" else 2)
    first = render_clip(tmp_path / "clip.mpg", seconds=0.5, width=64, height=48).rename(tmp_path / "clip.jpg")
    with pytest.raises(DataError, match="image2 is not a video container"):
        sample_frames(first)


def test_damaged_real_files_give_frames_or_a_reason(data_dir, tmp_path):
    sources = [data_dir / "clips" / name for name in ("real/park.mp4", "real/b.avi", "real/small.mp4")]
    for path in damage_files(sources, tmp_path, num_variants=18, seed=1):
        outcome(path, "even")


def test_the_same_seed_damages_alike(tmp_path):
    (tmp_path / "a.mp4").write_bytes(np.random.default_rng(0).bytes(5_000))
    first, again, other = (
        [one.read_bytes() for one in damage_files([tmp_path / "a.mp4"], tmp_path / name, num_variants=6, seed=seed)]
        for name, seed in (("x", 1), ("y", 1), ("z", 2))
    )
    assert first == again
    assert first != other


def test_damage_needs_a_file(tmp_path):
    with pytest.raises(ConfigError, match="sources must name at least one file, got none"):
        damage_files([], tmp_path, num_variants=3)


def test_a_picture_that_grows_in_the_middle_is_not_decoded_beyond_the_limit(tmp_path):
    path = write_clip(tmp_path / "clip.mp4", [np.zeros((64, 64, 3), dtype=np.uint8)] * 3)
    with pytest.raises(DataError, match="a frame must have at most 100 pixels, has 64 x 64"):
        sample_frames(path, max_pixels=100)
    assert probe(path).width == 64
