"""A modality of a user's own for tests: how bright the frames of a clip are."""

from dataclasses import dataclass

import numpy as np

from kinema.encoders.modality import Tokens, Wants


@dataclass(frozen=True)
class BrightReader:
    """One number per frame."""

    num_frames: int = 3

    @property
    def wants(self):
        return Wants(num_frames=self.num_frames)

    def read(self, clip):
        return {"mean": clip.frames.array.mean(axis=(1, 2, 3)), "times": clip.frames.times_ms}


class Bright:
    """Mean and deviation over time."""

    name, fingerprint, token_width, width = "brightness", "b1", 1, 2

    def __init__(self, reader=None):
        self.reader = reader or BrightReader()

    def encode(self, readings):
        return [Tokens(one["mean"][:, None].astype(np.float32), one["times"]) for one in readings]

    def pool(self, tokens):
        return np.array([tokens.tokens_TD.mean(), tokens.tokens_TD.std()], dtype=np.float32)
