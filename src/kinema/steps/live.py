"""`kinema ingest --videos FILE --live`: a clip is taken in, understood and recommendable at once, without training.

What is trained already reads it: its vectors are made by the same encoders, and the model imputes the rest from the items whose content
is nearest.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kinema.artifacts import sha256_file
from kinema.errors import DataError
from kinema.sources.video_files import EXTENSIONS

FOLDER: Final = "live"
"""Where clips go that come from outside the media folder, inside it."""


@dataclass(frozen=True)
class LiveItem:
    """A clip that came in.

    Attributes:
        id: Of its item.
        title: As far as known.
        similar: Ids of the items nearest to it, nearest first.
        audience: Users it fits best, best first.
        reason: Why nothing can be had of its pictures; empty where all is well.
    """

    id: str
    title: str
    similar: tuple[str, ...]
    audience: tuple[str, ...]
    reason: str = ""


@dataclass(frozen=True)
class LiveReport:
    """What came in.

    Attributes:
        items: The new items.
        seconds: Stage -> wall time.
        notices: For the user.
    """

    items: tuple[LiveItem, ...]
    seconds: Mapping[str, float]
    notices: tuple[str, ...] = ()


class Stopwatch:
    """Wall time by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside."""
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 3)


def placed(video: Path, media_root: Path) -> Path:
    """The folder to read a clip from: its own inside the media folder, or ``live`` there, with a copy of the clip.

    Args:
        video: A file, or a folder inside the media folder.
        media_root: Made if it is not there.

    Returns:
        A folder inside the media folder.

    Raises:
        DataError: There is no such file, it is no video by its name, or it is a folder elsewhere.
    """
    video, media_root = video.resolve(), media_root.resolve()
    if video.is_dir():
        if not video.is_relative_to(media_root):
            raise DataError(
                f"video folder '{video}' must lie inside the media folder '{media_root}', does not; move it"
            )
        return video
    if not video.is_file():
        raise DataError(f"'{video}' must be a video file or a folder of them, there is none; check the path")
    if video.suffix.lower() not in EXTENSIONS:
        raise DataError(f"'{video.name}' must be a video file by its name, is none; known: {', '.join(EXTENSIONS)}")
    if video.is_relative_to(media_root):
        return video.parent
    folder = media_root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    copy_beside(video, folder)
    return folder


def copy_beside(video: Path, folder: Path) -> Path:
    """Copy a clip into a folder; one of the same name and content is there already, one of other content keeps its name.

    Returns:
        The copy.
    """
    for number in range(1, 10_000):
        target = folder / (video.name if number == 1 else f"{video.stem}-{number}{video.suffix}")
        if not target.exists():
            draft = target.with_name(f".{target.name}.draft")
            shutil.copyfile(video, draft)
            draft.replace(target)
            return target
        if sha256_file(target) == sha256_file(video):
            return target
    raise DataError(f"'{folder.name}' must have room for one more '{video.name}', has 10,000; tidy it up")


def described(
    ids: tuple[str, ...],
    *,
    titles: Mapping[str, str],
    reasons: Mapping[str, str],
    similar: Callable[[str], tuple[str, ...]],
    audience: Callable[[str], tuple[str, ...]],
) -> tuple[LiveItem, ...]:
    """Where new items stand among the others.

    Args:
        ids: Of the new items.
        titles: By id.
        reasons: Id -> why its clip cannot be used.
        similar: Id -> items like it.
        audience: Id -> users it fits.
    """
    return tuple(LiveItem(one, titles.get(one, ""), similar(one), audience(one), reasons.get(one, "")) for one in ids)
