"""Posters and preview strips of clips, named by content key: which are there, and which cannot be had.

They are drawn from the frames that are decoded for the encoders anyway; a clip whose vectors were there before has a few
key frames decoded for them.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from kinema.drafts import own_draft
from kinema.encoders.clip_passes import SOUND_ONLY
from kinema.errors import KinemaError
from kinema.media.poster import POSTER_SUFFIX, write_pictures
from kinema.media.sampling import Frames, Mode, sample_frames

NONE_SUFFIX: Final = ".none.json"
"""Of the file that says why a clip has no poster."""
LEAST_FRAMES: Final = 4
"""Frames that a poster is chosen from, where the clip has as many."""
_STRIP_FRAMES: Final = 8


def is_drawn(folder: str | Path, stem: str) -> bool:
    """Whether a clip has its poster."""
    return (Path(folder) / f"{stem}{POSTER_SUFFIX}").is_file()


def draw(frames: Frames, folder: str, stem: str) -> None:
    """Write poster and strip, from frames at hand.

    Raises:
        OSError: They cannot be written.
        MissingExtraError: Pillow is not installed.
    """
    write_pictures(frames, Path(folder), stem)


def draw_alone(path: Path, folder: str, stem: str, *, mode: Mode, **limits: Any) -> str | None:
    """Decode a clip for its poster and strip only.

    Key frames will do, for they are sharp and cheap; where there are hardly any, evenly spaced frames are taken, unless
    key frames are all that is wanted of clips.

    Args:
        path: The file.
        folder: Of the pictures.
        stem: What their names begin with.
        mode: Which frames are taken of clips otherwise.
        limits: Of `kinema.media.sampling.sample_frames`.

    Returns:
        Why there is no poster, empty for a file without pictures; None where there is one, or where it could not be
        written, which says nothing about the clip.
    """
    try:
        frames = sample_frames(path, mode="key", num_frames=_STRIP_FRAMES, num_pairs=0, **limits)
        if len(frames.array) < LEAST_FRAMES and mode != "key":
            frames = sample_frames(path, num_frames=_STRIP_FRAMES, num_pairs=0, **limits)
    except KinemaError as error:
        return "" if SOUND_ONLY in str(error) else str(error)
    try:
        draw(frames, folder, stem)
    except (OSError, KinemaError):
        return None
    return None


@dataclass
class PictureFolder:
    """The posters of a project.

    A clip of which no poster can be had is remembered together with the limits that held, and tried again under others.

    Attributes:
        folder: Where they are; made where missing.
        limits: Equal for equal limits of what one clip may cost.
    """

    folder: Path
    limits: str
    _settled: dict[str, str] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        """See what is there."""
        self.folder.mkdir(parents=True, exist_ok=True)
        names = os.listdir(self.folder)  # noqa: PTH208  # ten times faster
        self._settled = {name.removesuffix(POSTER_SUFFIX): "" for name in names if name.endswith(POSTER_SUFFIX)}
        for name in names:
            if name.endswith(NONE_SUFFIX):
                self._recall(name.removesuffix(NONE_SUFFIX))

    def __contains__(self, key: str) -> bool:
        """Whether a clip has a poster, or is known to have none; also by what other processes have done meanwhile."""
        if key not in self._settled and is_drawn(self.folder, key):
            self._settled[key] = ""
        if key not in self._settled:
            self._recall(key)
        return key in self._settled

    def reason(self, key: str) -> str:
        """Why a clip has no poster; empty where it has, or where nothing is wrong with that."""
        return self._settled.get(key, "")

    def remember(self, key: str, why: str) -> None:
        """Note that no poster of a clip can be had."""
        self._settled[key] = why
        draft = own_draft(self.folder / key)
        draft.write_text(json.dumps({"limits": self.limits, "reason": why}) + "\n", encoding="utf-8")
        draft.replace(self.folder / f"{key}{NONE_SUFFIX}")

    def _recall(self, key: str) -> None:
        """Read a note; one made under other limits, or that cannot be read, does not count."""
        try:
            note = json.loads((self.folder / f"{key}{NONE_SUFFIX}").read_text(encoding="utf-8"))
            if note["limits"] == self.limits:
                self._settled[key] = str(note["reason"])
        except (OSError, ValueError, KeyError, TypeError):
            return
