"""`kinema ingest --videos FILE --live`: a clip is taken in, understood and recommendable at once, without training.

What is trained already reads it: its vectors are made by the same encoders, and the model imputes the rest from the items whose content
is nearest.

The clip is being decoded, in a process of its own, before anything is loaded that only its encoders and the model need.
"""

import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from kinema.artifacts import sha256_file
from kinema.errors import DataError, NotBuiltError
from kinema.media.transcripts import SideFiles
from kinema.progress import Progress, silent
from kinema.settings import Settings
from kinema.sources.video_files import EXTENSIONS
from kinema.steps.reading_ahead import read_ahead
from kinema.store.protocols import Store

if TYPE_CHECKING:
    from kinema.steps.slates import SlateMaker

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


class LiveProject(Protocol):
    """The part of `kinema.project.Project` that this step needs."""

    @property
    def store(self) -> Store:
        """Its data."""

    @property
    def media_root(self) -> Path | None:
        """Where media paths start."""

    @property
    def folder(self) -> Path:
        """Where it is."""

    @property
    def settings(self) -> Settings:
        """Of its `kinema.toml`."""

    @property
    def workers(self) -> int:
        """Decoding processes."""

    def slates(self) -> "SlateMaker":
        """The recommender as store and vectors are now."""


class Stopwatch:
    """Wall time by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time what is done inside, added to what the stage has taken before."""
        started = time.perf_counter()
        yield
        self.seconds[name] = round(self.seconds.get(name, 0.0) + time.perf_counter() - started, 3)


def placed(video: Path, media_root: Path) -> Path:
    """Where clips are read from: where they are, inside the media folder, or a copy in the folder ``live`` there.

    Args:
        video: A file, or a folder inside the media folder.
        media_root: Made if it is not there.

    Returns:
        The file or folder inside the media folder.

    Raises:
        DataError: There is no such file, it is empty or no video by its name, or it is a folder elsewhere.
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
    if video.stat().st_size == 0:
        raise DataError(
            f"'{video.name}' must be a video file, is empty (0 bytes); copy it again from where it comes from"
        )
    if video.is_relative_to(media_root):
        return video
    folder = media_root / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    copy = copy_beside(video, folder)
    copy_subtitles(video, copy)
    return copy


def copy_subtitles(video: Path, copy: Path) -> None:
    """Copy the subtitle files beside a clip to its copy, whose name may differ; those that are there are replaced."""
    for path, *_ in SideFiles(root=video.parent).find(video):
        kept = path.name.removeprefix(video.name if path.name.startswith(video.name) else video.stem)
        stem = copy.name if path.name.startswith(video.name) else copy.stem
        with suppress(OSError):
            shutil.copyfile(path, copy.with_name(stem + kept))


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


def take_in(
    video: Path,
    *,
    project: LiveProject,
    rejects_folder: Path,
    num_shown: int = 5,
    progress: Progress = silent,
) -> LiveReport:
    """Take a clip in and say where it stands among the others.

    Args:
        video: A file, or a folder inside the media folder.
        project: Where to.
        rejects_folder: Where what was set aside is listed.
        num_shown: Items and users named for each new item.
        progress: Told files and clips.

    Returns:
        The items that came in with this call; a clip that was there already is none.

    Raises:
        DataError: The clip is no video file, or its folder lies elsewhere.
    """
    watch = Stopwatch()
    store, root = project.store, project.media_root
    if root is None:
        raise NotBuiltError("a project must have a media folder, has none; run: kinema ingest --videos FOLDER")
    with watch.stage("take in"):
        place = placed(video, root)
    parts: dict[str, Any] = {"folder": project.folder, "settings": project.settings}
    begun = None if place.is_dir() else read_ahead(place, media_root=root, **parts)
    with begun or nullcontext():
        from kinema.steps.extracting import extract_project  # noqa: PLC0415  # the clip is being read meanwhile
        from kinema.steps.ingest import ingest  # noqa: PLC0415  # the same

        with watch.stage("take in"):
            _, num_known = store.size()
            read: dict[str, Any] = {"videos": place} if place.is_dir() else {"videos": place.parent, "only": place}
            read |= {"media_root": root, "arrived_ms": time.time_ns() // 1_000_000}
            ingest(store=store, **read, rejects_folder=rejects_folder, progress=progress)
        with watch.stage("understand"):
            report = extract_project(
                **parts,
                store=store,
                media_root=root,
                workers=project.workers,
                only=_media_paths(store, place, root),
                begun=begun,
                progress=progress,
            )
    reasons = {one.raw.removeprefix("item "): one.reason for one in report.rejects}
    with watch.stage("bind"):
        maker = project.slates()
    found = []
    with watch.stage("place"):
        new = slice(num_known, None)  # numbers are given in the order of arrival
        for name, title in zip(maker.dataset.item_ids[new], maker.dataset.titles[new], strict=True):
            found.append(_placed_item(maker, name, title, reasons.get(name, ""), num_shown))
    return LiveReport(tuple(found), watch.seconds, (*_unchanged(store, place, root, found, reasons), *report.notices))


def _unchanged(
    store: Store, place: Path, media_root: Path, found: Sequence[LiveItem], reasons: Mapping[str, str]
) -> Iterator[str]:
    """What is said of files that brought no new item; reasons are those of items whose clip cannot be used."""
    inside = place.relative_to(media_root.resolve()).as_posix()
    owner = dict(store.media().drop_nulls().select("media_path", "id").iter_rows()).get(inside)
    if owner is not None and not found:
        state = reasons.get(owner, "its vectors are up to date")
        yield f"'{inside}' is the clip of item '{owner}', which was there before; {state}"
    lost = [one for one in store.rejects() if one.kind == "clip" and Path(one.file).is_relative_to(place)]
    if lost:
        yield f"set aside: {len(lost)} files, such as '{Path(lost[0].file).name}': {lost[0].reason}"


def _media_paths(store: Store, place: Path, media_root: Path) -> set[str]:
    """Media path of a file, or those of the items whose files lie in a folder."""
    inside = place.relative_to(media_root.resolve()).as_posix()
    if not place.is_dir():
        return {inside}
    paths = {path for path in store.media()["media_path"].to_list() if path}
    return paths if inside == "." else {path for path in paths if path.startswith(f"{inside}/")}


def _placed_item(maker: "SlateMaker", name: str, title: str, reason: str, num_shown: int) -> LiveItem:
    try:
        audience = tuple(one.user for one in maker.audience(name, num_users=num_shown).members)
    except NotBuiltError:
        audience = ()
    similar = tuple(one.id for one in maker.similar(name, num_items=num_shown).items)
    return LiveItem(name, title, similar, audience, reason)
