"""Finds what is said in the clips of a catalogue, where somebody wrote it down, and reads it once.

It may stand in a field ``transcript`` of the item (a path inside the media folder, or the words themselves), in subtitle
files beside the clip, or in a subtitle track inside it. Nothing found here is an error: it is a reject, and the item goes on
without a transcript.
"""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path, PurePosixPath
from typing import Any, Final, Self

import polars as pl

from kinema.artifacts import fingerprint
from kinema.encoders.content_keys import inside
from kinema.encoders.text_tracks import read_all_tracks
from kinema.encoders.text_transcripts import COLUMNS, TRANSCRIPT, read_table, text_key
from kinema.errors import DataError, KinemaError, MissingExtraError
from kinema.media.subtitles import MAX_SUBTITLE_BYTES, Cue, Subtitles, is_spoken, parse_subtitles
from kinema.media.track_marks import may_have_text_track
from kinema.media.transcripts import SUBTITLE_SUFFIXES, SideFiles, choose, is_settled, language_of, read_side_file
from kinema.media_settings import LimitSettings
from kinema.progress import Progress, silent
from kinema.schema import Reject
from kinema.sources.media_paths import MediaPaths

_VERSION: Final = 1
_FIELDS: Final = ("transcript", "transcriptpath")
_SENTENCE: Final = re.compile(r"(?<=[.!?\u2026])\s+|(?<=[\u3002\uff01\uff1f])|\n+")
_TAIL: Final = "; the item goes without a transcript"


@dataclass(frozen=True)
class Transcripts:
    """What is said in a catalogue.

    Attributes:
        table: `kinema.encoders.text_transcripts.COLUMNS`, one row per item where something was found, by item number.
        rejects: Of kind ``transcript``: files, tracks and fields that cannot be used.
        notices: For people.
    """

    table: pl.DataFrame
    rejects: tuple[Reject, ...] = ()
    notices: tuple[str, ...] = ()

    @classmethod
    def none(cls) -> Self:
        """Nothing is said, or nobody asked."""
        return cls(pl.DataFrame(schema=COLUMNS))


@dataclass
class _Source:
    """Where one item's transcript may be."""

    item: str
    media_path: str
    language: str = ""
    given: str = ""
    side_files: list[tuple[Path, str, bool]] = field(default_factory=list)
    has_track: bool = False
    found: list[Subtitles] = field(default_factory=list)
    unread: list[tuple[str, str]] = field(default_factory=list)
    is_whole: bool = True

    def reject(self, file: str, reason: object) -> None:
        """Remember what cannot be used."""
        self.unread.append((_clean(file), _clean(str(reason))))

    def take_tracks(self, tracks: list[Subtitles] | str) -> None:
        """Add what is inside the clip, or why it cannot be read."""
        if isinstance(tracks, str):
            self.reject(self.media_path, tracks.replace("; the item keeps its text features", _TAIL))
        else:
            self.found.extend(tracks)


def find_transcripts(
    items: pl.DataFrame,
    *,
    media_root: Path | None,
    folder: Path,
    languages: Sequence[str],
    limits: LimitSettings,
    workers: int = 1,
    only: Collection[str] | None = None,
    progress: Progress = silent,
) -> Transcripts:
    """Find and read what is said; files that are as they were are not read again.

    Args:
        items: Of the store.
        media_root: Where media paths start; None where there are no media.
        folder: Of the features, where the last reading is kept.
        languages: Preferred ones, the best first.
        limits: What reading one clip may cost.
        workers: Processes that read tracks inside clips, >= 1.
        only: Media paths of the items that are looked at; of the others what was read before is kept. None looks at all.
        progress: Told after each clip that is opened.

    Returns:
        The transcripts. A catalogue without any costs a listing of its folders and a look at the head of each clip.
    """
    looked_at = items if only is None else items.filter(pl.col("media_path").is_in(list(only)))
    sources = {one.item: one for one in _sources(looked_at, media_root, languages)}
    if not sources and only is None:
        return Transcripts.none()
    states = {name: _state(one, media_root, languages, limits) for name, one in sources.items()}
    known = {row["id"]: row for row in read_table(folder).iter_rows(named=True)}
    fresh = {name: one for name, one in sources.items() if known.get(name, {}).get("state") != states[name]}
    for one in fresh.values():
        _read_files(one, media_root)
    notices = _read_tracks(fresh.values(), media_root, languages, limits, workers=workers, progress=progress)
    others = set() if only is None else set(items["id"]) - set(looked_at["id"])
    rows: list[Mapping[str, Any]] = [row for name, row in known.items() if name in others]
    rows += [_row(one, states[name], languages) if name in fresh else known[name] for name, one in sources.items()]
    rejects = tuple(
        Reject(TRANSCRIPT, file, None, reason, f"item {row['id']}")
        for row in rows
        for file, reason in json.loads(row["unread"])
    )
    return Transcripts(pl.DataFrame(rows, schema=COLUMNS), rejects, (*notices, *_unread_notice(rejects)))


def _sources(items: pl.DataFrame, media_root: Path | None, languages: Sequence[str]) -> Iterator[_Source]:
    """Items that may have a transcript, in order of their numbers."""
    ordered = items.sort("num")
    paths = ordered["media_path"].fill_null("")
    leading_out = {place for place, _ in MediaPaths(media_root).judge(paths)} if media_root is not None else set()
    side_files = SideFiles(root=media_root)
    given = ordered["attributes"].fill_null("")
    spoken = ordered["language"].fill_null("")
    is_given = given.str.to_lowercase().str.contains("transcript", literal=True)
    for place, (name, path) in enumerate(zip(ordered["id"], paths, strict=True)):
        one = _Source(name, path, spoken[place], _given(given[place]) if is_given[place] else "")
        if path and media_root is not None and place not in leading_out and not one.given:
            clip = media_root / path
            one.side_files = side_files.find(clip)
            best = [Subtitles((), language=language, forced=forced) for _, language, forced in one.side_files]
            one.has_track = not is_settled(best, languages) and may_have_text_track(clip)
        if one.given or one.side_files or one.has_track:
            yield one


def _given(attributes: str) -> str:
    """What the item's own field says; empty where it says nothing."""
    found: Any = json.loads(attributes)
    for name, value in found.items():
        if re.sub(r"[^a-z]", "", name.lower()) in _FIELDS and isinstance(value, str):
            return _clean(value.strip())
    return ""


def _clean(text: str) -> str:
    """Text that can be written: half a surrogate pair, from a file name or a JSON escape, cannot."""
    return text.encode("utf-8", "replace").decode()


def _is_path(given: str) -> bool:
    """Whether a field names a file instead of saying something."""
    return "\n" not in given and given.lower().endswith(SUBTITLE_SUFFIXES)


def _state(one: _Source, media_root: Path | None, languages: Sequence[str], limits: LimitSettings) -> str:
    """Fingerprint of everything that the reading depends on."""
    files = [path for path, *_ in one.side_files]
    if media_root is not None and _is_path(one.given):
        files.append(media_root / one.given)
    if media_root is not None and one.has_track:
        files.append(media_root / one.media_path)
    stamps = [(ascii(str(path)), *_stamp(path)) for path in files]
    seconds = limits.max_clip_seconds if one.has_track else 0
    return fingerprint([_VERSION, one.given, one.language, stamps, list(languages), seconds])


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file; zeros where it cannot be seen."""
    try:
        status = path.stat()
    except (OSError, ValueError):
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _read_files(one: _Source, media_root: Path | None) -> None:
    """The item's own field, or the files beside its clip."""
    if one.given:
        place = one.given if _is_path(one.given) else f"{one.item}: transcript"
        try:
            one.found.append(_read_given(one.given, media_root))
        except DataError as error:
            one.reject(place, error)
        return
    for path, language, forced in one.side_files:
        try:
            one.found.append(read_side_file(path, language=language, forced=forced))
        except (KinemaError, ValueError, RecursionError) as error:
            one.reject(PurePosixPath(one.media_path).with_name(path.name).as_posix(), error)


def _read_given(given: str, media_root: Path | None) -> Subtitles:
    """What an item's field says or names.

    Raises:
        DataError: It can be neither.
    """
    if _is_path(given):
        if media_root is None:
            raise DataError(f"transcript '{given}' must lie in the media folder, there is none yet; run: kinema ingest")
        try:
            path = inside(media_root, given)
        except DataError as error:
            raise DataError(str(error).replace("media_path", "transcript").split(";")[0] + _TAIL) from error
        language, forced = language_of(given)
        return read_side_file(path, language=language, forced=forced)
    if len(given) > MAX_SUBTITLE_BYTES:
        raise DataError(f"transcript must be at most {MAX_SUBTITLE_BYTES:,} characters, has {len(given):,}{_TAIL}")
    if "-->" in given:
        return Subtitles(parse_subtitles(given.encode()).cues)
    if len(given.split()) < 2 and given.isascii():
        raise DataError(
            f"transcript must be what is said, or the path of an srt or vtt file in the media folder, is '{given[:80]}'{_TAIL}"
        )
    return Subtitles(tuple(Cue(0, 1, part) for part in _SENTENCE.split(given) if part.strip()))


def _read_tracks(
    sources: Collection[_Source],
    media_root: Path | None,
    languages: Sequence[str],
    limits: LimitSettings,
    *,
    workers: int,
    progress: Progress,
) -> tuple[str, ...]:
    """The tracks inside clips that may have better ones than the files beside them; what could not be done."""
    if media_root is None:
        return ()
    asked: dict[str, list[_Source]] = {}
    for one in sources:
        if one.has_track and not is_settled(one.found, languages):
            asked.setdefault(one.media_path, []).append(one)
    if not asked:
        return ()
    try:
        read = read_all_tracks(
            {path: (media_root / path).resolve() for path in asked},
            max_seconds=limits.max_clip_seconds,
            max_pixels=limits.max_clip_pixels,
            num_workers=max(1, min(workers, len(asked))),
            timeout_s=limits.decode_seconds,
            memory_mb=limits.clip_memory_mb,
        )
        for done, (path, tracks) in enumerate(read, 1):
            for one in asked[path]:
                one.take_tracks(tracks)
            progress(done, len(asked), "subtitle tracks")
    except MissingExtraError as error:
        for one in chain.from_iterable(asked.values()):
            one.is_whole = False
        return (f"subtitles inside {len(asked):,} clips were not read: {error}",)
    return ()


def _row(one: _Source, state: str, languages: Sequence[str]) -> Mapping[str, str]:
    """A row of the table; one that is not whole is read again next time."""
    chosen = choose([some for some in one.found if any(is_spoken(cue.text) for cue in some.cues)], languages=languages)
    if one.found and not chosen.text:
        one.reject(one.media_path or one.item, f"transcript of item '{one.item}' must say something, does not")
    return {
        "id": one.item,
        "state": state if one.is_whole else "",
        "key": text_key(chosen.text),
        "text": chosen.text,
        "language": chosen.language or one.language,
        "source": _clean(chosen.source) or ("given" if chosen.text else ""),
        "unread": json.dumps(one.unread, ensure_ascii=False),
    }


def _unread_notice(rejects: Sequence[Reject]) -> tuple[str, ...]:
    """One line about what was set aside."""
    if not rejects:
        return ()
    first = rejects[0]
    return (f"{len(rejects):,} transcripts cannot be read and were set aside, such as '{first.file}': {first.reason}",)
