"""`kinema duplicates`: groups of copies among a project's clips, and which of each to keep.

Shape suffixes: N different files, P pairs.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import polars as pl

from kinema.encoders.content_keys import ContentKeys, inside
from kinema.errors import DataError, NotBuiltError
from kinema.media.probe import probe
from kinema.progress import Progress, silent
from kinema.retrieval.duplicates import MOST_PER_CLIP, group_pairs, near_pairs
from kinema.retrieval.same_pictures import LEAST_ALIKE, LEAST_OVERLAP, MOST_CHANGE_LOST, Prints, align, is_same
from kinema.settings import Settings
from kinema.steps.copies import write_copies
from kinema.steps.fingerprints import Fingerprints
from kinema.store.protocols import Store


@dataclass(frozen=True)
class Member:
    """One clip of a group.

    Attributes:
        item: Item id.
        title: Its title.
        file: Its media path.
        interactions: How often it was interacted with.
        quality: Share of the file that is there and decodes, in (0, 1].
        pixels: Width times height of the stored picture; 0 where the header does not tell.
        alike: Correlation with the pictures of the clip the group was built around, at most 1.
    """

    item: str
    title: str
    file: str
    interactions: int
    quality: float
    pixels: int
    alike: float


@dataclass(frozen=True)
class DuplicateReport:
    """What the search found.

    Attributes:
        groups: The copies of one clip each, the one to keep first: most interactions, then best quality (whole files
            first, then more pixels), then first in the catalogue.
        num_clips: Items with a file that is there.
        num_made: Fingerprints made by this run; the others were there.
        num_empty: Clips that show nothing (black, one colour): copies of nothing but an equal file.
        num_compared: Pairs that were looked at closely.
        unreadable: Media path -> why it cannot be read.
        notices: What a person should know.
        seconds: Wall-clock time.
    """

    groups: tuple[tuple[Member, ...], ...]
    num_clips: int
    num_made: int
    num_empty: int
    num_compared: int
    unreadable: Mapping[str, str]
    notices: tuple[str, ...]
    seconds: float


def duplicates_of_project(
    *,
    folder: Path,
    settings: Settings,
    store: Store,
    media_root: Path | None,
    workers: int,
    progress: Progress = silent,
) -> DuplicateReport:
    """Find the copies among a project's clips and write them where slates are made.

    Args:
        folder: The project.
        settings: Its settings.
        store: Its data.
        media_root: Where media paths start.
        workers: Decoding processes.
        progress: Told clips, then pairs.

    Returns:
        The groups, also written to ``artifacts/duplicates``.

    Raises:
        NotBuiltError: No item has a file.
        MissingExtraError: PyAV or OpenCV is not installed.
    """
    start = time.perf_counter()
    prints = Fingerprints.open(folder / "artifacts" / "features", settings.limits, num_frames=settings.media.num_frames)
    clips, files, unreadable = _clips(store, media_root, prints.folder, workers=workers)
    if not clips:
        raise NotBuiltError("no item has a video file; run: kinema ingest --videos FOLDER")
    lacking = {key for key in files if key not in prints.cache.vectors.index}
    failed = prints.make(files, workers=workers, progress=progress)
    unreadable |= {files[key][0]: reason for key, reason in failed.items()}
    keys = [key for key in files if key not in failed]
    found = search(prints, keys, progress=progress)
    counts = Counter(store.events(kinds=settings.histories.kinds, columns=["item"])["item"].to_list())
    grouped = {key for group in found.groups for key in group}
    shared = [[key] for key in keys if len(clips[key]) > 1 and key not in grouped]
    groups = tuple(
        _members({key: clips[key] for key in group}, files, found, prints=prints, counts=counts)
        for group in [*found.groups, *shared]
    )
    write_copies(
        folder / "artifacts" / "duplicates",
        [[one.item for one in group] for group in groups],
        config={"encoder": prints.cache.encoder_fingerprint, "least": [LEAST_ALIKE, MOST_CHANGE_LOST, LEAST_OVERLAP]},
    )
    return DuplicateReport(
        groups=groups,
        num_clips=sum(map(len, clips.values())),
        num_made=len(lacking.intersection(keys)),
        num_empty=found.num_empty,
        num_compared=found.num_compared,
        unreadable=unreadable,
        notices=_notices(unreadable, found.num_cut),
        seconds=time.perf_counter() - start,
    )


@dataclass(frozen=True)
class Found:
    """Groups of content keys.

    Attributes:
        groups: Each with its middle first.
        alike: How alike each key is to its middle.
        num_empty: Clips that show nothing.
        num_compared: Pairs that were looked at closely.
        num_cut: Clips that had more others near than were looked at.
    """

    groups: list[list[str]]
    alike: dict[str, float]
    num_empty: int
    num_compared: int
    num_cut: int


@dataclass(frozen=True)
class _Clip:
    """An item with a file: its number, id, title and media path."""

    num: int
    item: str
    title: str
    file: str


def _clips(
    store: Store, media_root: Path | None, folder: Path, *, workers: int
) -> tuple[dict[str, list[_Clip]], dict[str, tuple[str, Path]], dict[str, str]]:
    """Content key -> items, key -> (media path, file), and media path -> why it cannot be read."""
    clips: dict[str, list[_Clip]] = {}
    files: dict[str, tuple[str, Path]] = {}
    paths: dict[str, Path] = {}
    unreadable: dict[str, str] = {}
    if media_root is None:
        return clips, files, unreadable
    rows = store.items().filter(pl.col("media_path").is_not_null()).iter_rows(named=True)
    named = [_Clip(row["num"], row["id"], row["title"] or "", row["media_path"]) for row in rows]
    for name in dict.fromkeys(one.file for one in named):
        try:
            paths[name] = inside(media_root, name)
        except DataError as error:
            unreadable[name] = str(error)
    keys = ContentKeys(folder).update(paths, num_threads=workers)
    vanished = sorted(paths.keys() - keys.keys())
    unreadable |= {name: f"cannot read '{name}': the file vanished or is not readable" for name in vanished}
    for one in named:
        if one.file in keys:
            clips.setdefault(keys[one.file], []).append(one)
            files.setdefault(keys[one.file], (one.file, paths[one.file]))
    return clips, files, unreadable


def search(prints: Fingerprints, keys: Sequence[str], *, progress: Progress) -> Found:
    """Find groups among fingerprints.

    Args:
        prints: The cache.
        keys: N content keys that it has.
        progress: Told pairs.

    Returns:
        The groups.
    """
    vectors_ND = prints.vectors(keys)

    @lru_cache(maxsize=1024)
    def of(number: int) -> Prints:
        return Prints(prints.tokens(keys[number]))

    pairs_P2, num_cut = near_pairs(vectors_ND)
    same = []
    for done, (one, other) in enumerate(pairs_P2.tolist(), start=1):
        if is_same(align(of(one), of(other))):
            same.append((one, other))
        progress(done, len(pairs_P2), "pairs")
    groups = group_pairs(
        len(keys), np.array(same, dtype=np.int64).reshape(-1, 2), lambda one, other: is_same(align(of(one), of(other)))
    )
    return Found(
        groups=[[keys[one] for one in group] for group in groups],
        alike={keys[one]: align(of(middle), of(one)).alike for middle, *others in groups for one in others},
        num_empty=int((~vectors_ND.any(axis=1)).sum()),
        num_compared=len(pairs_P2),
        num_cut=num_cut,
    )


def _members(
    clips: Mapping[str, Sequence[_Clip]],
    files: Mapping[str, tuple[str, Path]],
    found: Found,
    *,
    prints: Fingerprints,
    counts: Mapping[int, int],
) -> tuple[Member, ...]:
    """The items of a group, the one to keep first."""
    members = []
    for key, quality in zip(clips, prints.cache.vectors.index.quality(list(clips)).tolist(), strict=True):
        pixels, alike = _pixels(files[key][1]), found.alike.get(key, 1.0)
        for one in clips[key]:
            member = Member(one.item, one.title, one.file, counts.get(one.num, 0), round(quality, 3), pixels, alike)
            members.append(((-member.interactions, -quality, -pixels, one.num), member))
    return tuple(member for _, member in sorted(members, key=lambda ranked: ranked[0]))


def _pixels(path: Path) -> int:
    """Size of the stored picture; 0 where the file cannot be opened any more."""
    try:
        info = probe(path)
    except DataError:
        return 0
    return info.width * info.height


def _notices(unreadable: Mapping[str, str], num_cut: int) -> tuple[str, ...]:
    """What could not be looked at."""
    notices = []
    if unreadable:
        first = min(unreadable)
        notices.append(f"clips that cannot be read: {len(unreadable)}, such as '{first}': {unreadable[first]}")
    if num_cut:
        notices.append(
            f"clips with more than {MOST_PER_CLIP} others near, of which only the nearest were compared: {num_cut}"
        )
    return tuple(notices)
