"""A catalogue of a few clips, and encoders that need no weights."""

import numpy as np
import polars as pl

from kinema.encoders.extract import extract
from kinema.encoders.frames import FrameTokens
from kinema.encoders.motion import MotionEncoder
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

    def readable(self, texts):
        return np.array([0.25 if "кот" in text else 1.0 for text in texts], dtype=np.float32)


def make_media(root):
    """Good clips of four containers, a picture, a copy, and files that are none."""
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
