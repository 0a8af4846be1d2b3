"""What a modality of clips is: something taken from a clip where it is decoded, and something that makes tokens of it.

Decoding happens in processes of its own, without torch, once per clip for all modalities; encoding happens in the process
that holds the models, batched over clips, on several threads at once. A modality is one file with these two halves and one line where modalities are listed.

Shape suffixes: T moments, D width of a token.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.media.sampling import Frames
from kinema.media.sound import Sound


@dataclass(frozen=True)
class Wants:
    """What has to be decoded for a modality; those of several modalities are joined, and a clip is decoded once.

    Attributes:
        num_frames: Frames spread over the clip; 0 for none.
        num_pairs: Pairs of frames close in time; 0 for none.
        max_side: Longest side of the pictures, pixels.
        sound_hz: Sampling rate of the sound, mono; 0 for none.
        num_windows: Windows of sound spread over the clip.
        window_ms: Length of each, milliseconds.
    """

    num_frames: int = 0
    num_pairs: int = 0
    max_side: int = 256
    sound_hz: int = 0
    num_windows: int = 1
    window_ms: int = 1000

    def join(self, other: "Wants") -> "Wants":
        """Enough for both.

        Example:
            >>> Wants(num_frames=8).join(Wants(num_pairs=4, max_side=320))
            Wants(num_frames=8, num_pairs=4, max_side=320, sound_hz=0, num_windows=1, window_ms=1000)
        """
        return Wants(
            max(self.num_frames, other.num_frames),
            max(self.num_pairs, other.num_pairs),
            max(self.max_side, other.max_side),
            max(self.sound_hz, other.sound_hz),
            max(self.num_windows, other.num_windows),
            max(self.window_ms, other.window_ms),
        )


@dataclass(frozen=True)
class Clip:
    """A clip as far as it was decoded.

    Attributes:
        frames: Samples of the picture; None where there is none, as in a file with sound only.
        sound: Samples of the sound; None where there is no sound or nobody wants it.
        sound_hz: Its sampling rate, 0 without sound.
        duration_ms: Length of what is there.
    """

    frames: Frames | None
    sound: Sound | None
    sound_hz: int
    duration_ms: int


class Reader(Protocol):
    """The half that runs where clips are decoded: no torch. A frozen dataclass of JSON values, so it can be sent there."""

    @property
    def wants(self) -> Wants:
        """What `read` needs."""

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """Arrays that `ClipEncoder.encode` gets; empty where the clip has nothing for this modality."""


@dataclass(frozen=True)
class Tokens:
    """The moments of one clip in one modality.

    Attributes:
        tokens_TD: float32 [T, D], oldest first, T >= 1.
        times_ms_T: int64 [T], from the beginning of the clip.
    """

    tokens_TD: NDArray[np.float32]
    times_ms_T: NDArray[np.int64]


class ClipEncoder(Protocol):
    """The half that holds the model. Plain attributes will do for the properties.

    `encode` is called from several threads at once, for different clips.
    """

    @property
    def name(self) -> str:
        """As in the configuration."""

    @property
    def fingerprint(self) -> str:
        """Equal for equal tokens and vectors."""

    @property
    def token_width(self) -> int:
        """D."""

    @property
    def width(self) -> int:
        """Of the vector that `pool` makes."""

    @property
    def reader(self) -> Reader:
        """The other half."""

    def encode(self, readings: Sequence[dict[str, NDArray[Any]]]) -> list[Tokens]:
        """Tokens of several clips at once; those of one clip must not depend on the others."""

    def pool(self, tokens: Tokens) -> NDArray[np.float32]:
        """float32 [width], the plain vector of a clip, without anything learnt."""
