"""A folder of video files as a catalogue.

The item id is the path in the folder without its extension. Where files differ only in the extension, they keep it:
``demo.mp4`` and ``demo.avi`` are two items. An id that another clip has becomes the path from the media folder on. A JSON file beside a clip (``clip.json`` for ``clip.mp4``) gives fields of the
item. Files that cannot be decoded are found later, when they are decoded; here only what the file system knows is judged.
"""

import glob
import json
import os
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import polars as pl

from kinema.artifacts import fingerprint
from kinema.errors import DataError
from kinema.schema import Reject
from kinema.sources.blocks import Block, Table, frame_table
from kinema.sources.columns import resolve
from kinema.sources.json_lines import columns_of_objects, objects_frame
from kinema.sources.media_paths import MediaPaths
from kinema.sources.rows import RowReader

EXTENSIONS: Final = (
    *(".mp4", ".avi", ".flv", ".webm", ".mkv", ".mov", ".mpg", ".wmv"),
    *(".mpeg", ".m4v", ".3gp", ".ts", ".mts", ".m2ts", ".ogv"),
)
_BESIDE: Final = (
    ".json",
    ".csv",
    ".tsv",
    ".jsonl",
    ".ndjson",
    ".parquet",
    ".txt",
    ".md",
    ".srt",
    ".vtt",
    ".jpg",
    ".png",
)
"""Files that belong beside clips: no items, and nothing to report."""
_PICTURES: Final = (".jpg", ".png")
_PICTURE_HEAD: Final = re.compile(rb"\xff\xd8\xff|\x89PNG|GIF8|BM|RIFF.{4}WEBP|.{4}ftyp(?:avif|hei|mif1)", re.DOTALL)


@dataclass(frozen=True)
class Clip:
    """A video file.

    Attributes:
        id: Of its item.
        path: Where it is.
        media_path: Relative to the media root, with forward slashes.
        sidecar: What the JSON file beside it says; empty where there is none.
    """

    id: str
    path: Path
    media_path: str
    sidecar: dict[str, Any]


def check_video_folder(folder: Path, *, media_root: Path | None = None) -> None:
    """Refuse a folder that cannot be one of clips.

    Raises:
        DataError: There is no such folder, or it lies outside the media root.
    """
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "there is none"
        raise DataError(f"'{folder}' must be a folder of video files, {what}; check the path")
    if media_root is not None and not folder.resolve().is_relative_to(media_root.resolve()):
        raise DataError(f"video folder '{folder}' must lie inside the media folder '{media_root}', does not; move it")


def open_video_folder(
    folder: Path,
    *,
    media_root: Path | None = None,
    owners: Mapping[str, str] | None = None,
    without_media: Collection[str] = (),
    only: Path | None = None,
    arrived_ms: int | None = None,
) -> list[Table]:
    """The clips of a folder and of all folders below it.

    Args:
        folder: Where the clips are.
        media_root: What ``media_path`` is relative to, ``folder`` or one above it; by default ``folder``.
        owners: Media path -> id of the item that has it already; such a clip is that item, and no other clip gets its id
            as long as its file is there: two uploads of one name are two items.
        without_media: Ids of known items that have no file yet. A clip whose name without extension is one of them
            becomes that item's file, in whatever folder it lies.
        only: One clip of the folder; the others are not looked at, however many there are.
        arrived_ms: When clips that are new were published, UTC milliseconds, where nothing else says so; None leaves it open.

    Returns:
        Two tables. The rows of the first fill gaps only, because a title from a file name must not replace one the owner
        wrote; those of the second are what the sidecars say.

    Raises:
        DataError: There is no such folder, or it lies outside the media root.
    """
    check_video_folder(folder, media_root=media_root)
    root = (media_root or folder).resolve()
    rejects: list[Reject] = []
    found_paths = _walk(folder) if only is None else _of_its_name(only)
    paths = [path for path in found_paths if _is_usable(path, folder, root, rejects)]
    clips = [
        _with_sidecar(clip, rejects, owners or {})
        for clip in _clips(paths, folder, root, owners or {}, without_media)
        if only in (None, clip.path)
    ]
    if only is not None:
        rejects = [one for one in rejects if one.file in (str(only), str(only.with_suffix(".json")))]
    frame = pl.DataFrame(
        {
            "row": range(1, len(clips) + 1),
            "id": [clip.id for clip in clips],
            "title": [title_of(clip.path.stem) for clip in clips],
            "media_path": [clip.media_path for clip in clips],
        },
        schema={"row": pl.Int64, "id": pl.String, "title": pl.String, "media_path": pl.String},
    )
    if arrived_ms is not None:
        old = [clip.media_path in (owners or {}) or clip.id in without_media for clip in clips]
        published = pl.Series("published_at", [None if is_old else arrived_ms for is_old in old], dtype=pl.Int64)
        frame = frame.with_columns(published)
    key = fingerprint(["videos", str((only or folder).resolve()), str(root)])
    found = frame_table(kind="item", file=str(folder), key=key, frame=frame, rejects=tuple(rejects), fill=True)
    described = [clip for clip in clips if clip.sidecar]
    said = Table("item", f"{folder}/*.json", f"{key}-sidecars", len(described), partial(_sidecar_blocks, described))
    return [replace(table, volatile=True) for table in ((found, said) if described else (found,))]


def title_of(stem: str) -> str:
    """A title from a file name: separators become blanks.

    Example:
        >>> title_of("my_holiday-2024.final")
        'My holiday 2024 final'
    """
    words = re.sub(r"[\s_.\-]+", " ", stem).strip()
    return words[:1].upper() + words[1:]


def _walk(folder: Path) -> Iterator[Path]:
    """All files but hidden ones, in an order that does not depend on the file system."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith("."):
                yield Path(parent, name)


def _of_its_name(clip: Path) -> list[Path]:
    """A clip and what differs from it in the extension only: together they decide its id."""
    return sorted(path for path in clip.parent.glob(f"{glob.escape(clip.stem)}.*") if path.stem == clip.stem)


def _is_usable(path: Path, folder: Path, root: Path, rejects: list[Reject]) -> bool:
    suffix = path.suffix.lower()
    if suffix in _BESIDE:
        if suffix in _PICTURES and not _is_picture(path):
            what = "is none by its first bytes; if it is a clip, give it the suffix of one"
            rejects.append(Reject("clip", str(path), None, f"'{path.name}' must be a picture, {what}"))
        return False
    if suffix not in EXTENSIONS:
        known = ", ".join(extension[1:] for extension in EXTENSIONS)
        rejects.append(Reject("clip", str(path), None, f"clip must be a video file ({known}), is '{path.name}'"))
        return False
    relative = pl.Series([_media_path(path, folder, root)])
    reason = next((why for _, why in MediaPaths(root).judge(relative)), "")
    if not reason and not path.is_file():
        reason = "clip must be a file, is a link to nothing"
    if not reason and path.stat().st_size == 0:
        reason = "clip must be a video file, is empty (0 bytes)"
    if reason:
        rejects.append(Reject("clip", str(path), None, reason))
    return not reason


def _is_picture(path: Path) -> bool:
    """Whether a file begins like a picture of some kind; a clip under a picture's name must not go unseen."""
    try:
        with path.open("rb") as file:
            return _PICTURE_HEAD.match(file.read(16)) is not None
    except OSError:
        return True


def _media_path(path: Path, folder: Path, root: Path) -> str:
    return (folder.resolve() / path.relative_to(folder)).relative_to(root).as_posix()


def _clips(
    paths: list[Path], folder: Path, root: Path, owners: Mapping[str, str], without_media: Collection[str]
) -> Iterator[Clip]:
    """Each clip under an id that no other clip has."""
    clip_of = {its_id: media_path for media_path, its_id in owners.items()}
    bare = Counter(path.relative_to(folder).with_suffix("").as_posix() for path in paths)
    stems = Counter(path.stem for path in paths)
    wanted = set(without_media)
    for path in paths:
        relative = path.relative_to(folder)
        its_id = relative.with_suffix("").as_posix()
        if bare[its_id] > 1:
            its_id = relative.as_posix()
        if its_id not in wanted and path.stem in wanted and stems[path.stem] == 1:
            its_id = path.stem
        media_path = _media_path(path, folder, root)
        if clip_of.get(its_id, media_path) != media_path and (root / clip_of[its_id]).is_file():
            longer = os.path.splitext(media_path)[0]  # noqa: PTH122  # with forward slashes everywhere
            its_id = media_path if longer in clip_of else longer
        yield Clip(its_id, path, media_path, {})


def _with_sidecar(clip: Clip, rejects: list[Reject], owners: Mapping[str, str]) -> Clip:
    """The clip with what the JSON file beside it says; that may name another id, if no item has the clip yet."""
    file = clip.path.with_suffix(".json")
    said: Any = {}
    try:
        said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    except (OSError, ValueError) as error:
        rejects.append(Reject("item", str(file), None, f"sidecar must be a JSON object, cannot be read: {error}"))
    if not isinstance(said, dict):
        rejects.append(Reject("item", str(file), None, f"sidecar must be a JSON object, is {type(said).__name__}"))
        said = {}
    its_id = owners.get(clip.media_path) or str(said.get("id") or clip.id)
    return replace(clip, id=its_id, sidecar=said)


def _sidecar_blocks(clips: list[Clip], position: int, row: int) -> Iterator[Block]:
    """One block for each set of fields: a sidecar replaces the fields it has and no others."""
    del row
    groups: dict[tuple[str, ...], list[tuple[int, Clip]]] = {}
    for place, clip in enumerate(clips, 1):
        groups.setdefault(tuple(sorted(clip.sidecar)), []).append((place, clip))
    done = 0
    for group in groups.values():
        done += len(group)
        if done > position:
            frame, rejects = _sidecar_rows(group)
            yield Block(frame, tuple(rejects), done, done, done=done == len(clips))


def _sidecar_rows(group: list[tuple[int, Clip]]) -> tuple[pl.DataFrame, list[Reject]]:
    files = {place: str(clip.path.with_suffix(".json")) for place, clip in group}
    said = [(place, {**clip.sidecar, "id": clip.id, "media_path": clip.media_path}) for place, clip in group]
    columns = resolve(list(said[0][1]), kind="item", mapping={}, file=files[said[0][0]])
    objects = columns_of_objects(columns)
    frame, rejects = RowReader(objects, "").check(objects_frame(said, objects))
    if not columns.rest and "attributes" not in columns.ours:
        frame = frame.drop("attributes")
    return frame, [replace(one, file=files[one.row or 0], row=None) for one in rejects]
