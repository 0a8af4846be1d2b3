"""What is said in a clip, where somebody wrote it down: subtitle files beside it, subtitle tracks inside it."""

import re
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from kinema.errors import DataError
from kinema.extras import require
from kinema.media.probe import open_file
from kinema.media.sound import SOUND_FORMATS
from kinema.media.subtitles import (
    MAX_SUBTITLE_BYTES,
    TRANSCRIPT_CHARS,
    Cue,
    Subtitles,
    clean_text,
    decode_text,
    is_garbled,
    is_spoken,
    parse_subtitles,
    transcript,
)

SUBTITLE_SUFFIXES: Final = (".srt", ".vtt")

_TEXT_CODECS: Final = ("subrip", "srt", "mov_text", "webvtt", "ass", "ssa", "text")
_ASS_FIELDS: Final = 8
_SHOWN_MS: Final = 3000
"""How long a cue is shown that does not say it."""
_MAX_CUES: Final = 20_000
_LANGUAGE: Final = re.compile(r"^[a-z]{2,3}(?:[-_][a-z0-9]{2,8})*$", re.IGNORECASE)
_KINDS: Final = ("forced", "sdh", "cc", "default", "full")
_HEARING_IMPAIRED: Final = "hi"
_SHORT: Final[dict[str, str]] = dict(
    re.findall(
        r"(\w+)=(\w*)",
        "eng=en deu=de ger=de fra=fr fre=fr spa=es ita=it por=pt nld=nl dut=nl pol=pl swe=sv "
        "rus=ru ukr=uk zho=zh chi=zh jpn=ja kor=ko ara=ar hin=hi tur=tr und=",
    )
)
"""ISO 639-2 as tracks have it -> ISO 639-1 as file names have it."""


@dataclass(frozen=True)
class Transcript:
    """What is said in a clip.

    Attributes:
        text: One line of plain text; empty where nothing was found.
        language: Such as ``en``; empty where unknown.
        source: The side file's name or ``track 2``; empty where nothing was found.
        problems: Sentences about subtitles that could not be used, or not wholly.
    """

    text: str = ""
    language: str = ""
    source: str = ""
    problems: tuple[str, ...] = ()


def read_transcript(
    video: Path,
    *,
    side_files: "SideFiles",
    name: str | None = None,
    languages: Sequence[str] = (),
    max_chars: int = TRANSCRIPT_CHARS,
    max_seconds: float = 600.0,
) -> Transcript:
    """Find and read what is said in a clip.

    Args:
        video: The clip.
        side_files: Finds the files beside it; keep one for a whole catalogue.
        name: How problems call the clip; the path as given where None.
        languages: Preferred ones, the best first, such as ``("en", "de")``.
        max_chars: Longest text, see `kinema.media.subtitles.transcript`.
        max_seconds: Tracks inside the clip are read up to here, seconds, > 0; side files wholly.

    Returns:
        The text of the best subtitles: of a preferred language, else without a language in the name, else the first; a file
        beside the clip rather than a track inside; one with only foreign parts (forced) last. Nothing is raised: a clip
        whose subtitles are bad is still a clip.
    """
    found: list[Subtitles] = []
    problems: list[str] = []
    for path, language, forced in side_files.find(video):
        try:
            found.append(read_side_file(path, language=language, forced=forced))
        except DataError as error:
            problems.append(str(error))
    if not is_settled(found, languages):
        try:
            found.extend(read_tracks(video, name=name, max_seconds=max_seconds))
        except DataError as error:
            problems.append(str(error))
    return choose(found, languages=languages, problems=problems, max_chars=max_chars)


def is_settled(found: Sequence[Subtitles], languages: Sequence[str]) -> bool:
    """Whether no other subtitles could be better than the best of these."""
    return any(_rank(one, languages) == (False, 0) for one in found)


def choose(
    found: Sequence[Subtitles],
    *,
    languages: Sequence[str] = (),
    problems: Sequence[str] = (),
    max_chars: int = TRANSCRIPT_CHARS,
) -> Transcript:
    """What is said by the best of several subtitles of one clip.

    Args:
        found: Files beside the clip first.
        languages: Preferred ones, the best first.
        problems: What is known to be wrong with others.
        max_chars: Longest text.

    Returns:
        The transcript; empty with the problems where nothing was found. Bad cues are a problem, too.
    """
    bad = (f"{one.num_bad} cues of '{one.source}' cannot be read and were left out" for one in found if one.num_bad)
    told = (*problems, *bad)
    if not found:
        return Transcript(problems=told)
    best = min(found, key=lambda one: _rank(one, languages))
    return Transcript(transcript(best.cues, max_chars=max_chars), best.language, best.source, told)


def _rank(subtitles: Subtitles, languages: Sequence[str]) -> tuple[bool, int]:
    """Smaller is better; (False, 0) cannot be bettered."""
    spoken = subtitles.language.split("-")[0].lower()
    wanted = [language.split("-")[0].lower() for language in languages]
    place = wanted.index(spoken) if spoken in wanted else len(wanted) + (spoken != "")
    return subtitles.forced, place


@dataclass
class SideFiles:
    """Finds the subtitle files beside videos; each folder is listed once, because catalogues have many files in few folders.

    Attributes:
        root: Files outside of it are not read, wherever links lead; None allows all.
    """

    root: Path | None = None
    _folders: dict[Path, dict[str, list[tuple[Path, str, bool]]]] = field(default_factory=dict, repr=False)

    def find(self, video: Path) -> list[tuple[Path, str, bool]]:
        """Subtitle files of a video.

        Args:
            video: ``clip.mp4`` has ``clip.srt``, ``clip.en.vtt``, ``clip.pt-BR.forced.srt`` and ``clip.mp4.srt``, but not
                ``clip.two.srt`` where there is a ``clip.two.mp4``.

        Returns:
            (file, language, whether it is forced): files without a language first, then by name.
        """
        folder = video.parent
        if folder not in self._folders:
            self._folders[folder] = self._list(folder)
        listed = self._folders[folder]
        found = {one[0]: one for key in (video.stem, video.name) for one in listed.get(key, ())}
        return sorted(found.values(), key=lambda one: (one[2], one[1] != "", one[0].name))

    def _list(self, folder: Path) -> dict[str, list[tuple[Path, str, bool]]]:
        """Name of a video, with or without suffix -> its subtitle files."""
        listed: dict[str, list[tuple[Path, str, bool]]] = {}
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith(".")) if folder.is_dir() else []
        others = [path for path in paths if path.suffix.lower() not in SUBTITLE_SUFFIXES]
        taken = {path.stem for path in others} | {path.name for path in others}
        for path in paths:
            if path.suffix.lower() in SUBTITLE_SUFFIXES and self._is_inside(path):
                key, language, forced = _tags(path.stem, taken)
                listed.setdefault(key, []).append((path, language, forced))
        return listed

    def _is_inside(self, path: Path) -> bool:
        return path.is_file() and (self.root is None or path.resolve().is_relative_to(self.root.resolve()))


def language_of(name: str) -> tuple[str, bool]:
    """Language and whether only what is foreign is in it, as the name of a subtitle file says.

    Example:
        >>> language_of("subtitles/clip.eng.forced.srt"), language_of("clip.srt")
        (('en', True), ('', False))
    """
    _, language, forced = _tags(Path(name).stem, set())
    return language, forced


def _tags(stem: str, taken: set[str]) -> tuple[str, str, bool]:
    """(name of the video, language, whether it is forced) from ``clip.pt-BR.forced``."""
    language, forced = "", False
    while stem not in taken and "." in stem:
        shorter, _, tag = stem.rpartition(".")
        if tag.lower() in _KINDS:
            forced = forced or tag.lower() == "forced"
        elif _LANGUAGE.match(tag) and language in ("", _HEARING_IMPAIRED):
            language = tag.replace("_", "-")
        else:
            break
        stem = shorter
    return stem, _short(language), forced


def _short(language: str) -> str:
    """Two letters where they are known."""
    return _SHORT.get(language.lower(), language)


def read_side_file(path: Path, *, language: str = "", forced: bool = False) -> Subtitles:
    """Read a subtitle file.

    Args:
        path: An srt or vtt file.
        language: Of its name.
        forced: The same.

    Returns:
        The subtitles.

    Raises:
        DataError: The file cannot be read, is too large, has no cue, only music or noises, or letters of an unknown encoding.
    """
    try:
        with path.open("rb") as stream:
            data = stream.read(MAX_SUBTITLE_BYTES + 1)
    except OSError as error:
        raise DataError(f"cannot read subtitles '{path.name}': {error.strerror}; check its permissions") from error
    if not data.strip():
        raise DataError(f"subtitles '{path.name}' must have cues, are empty; repair or remove the file")
    if len(data) > MAX_SUBTITLE_BYTES:
        raise DataError(
            f"subtitles '{path.name}' must be at most {MAX_SUBTITLE_BYTES >> 20} MB, are larger; remove what is no text"
        )
    subtitles = parse_subtitles(data)
    if not subtitles.cues:
        raise DataError(
            f"subtitles '{path.name}' must be srt or vtt, have no cue that can be read ({subtitles.num_bad} bad); "
            "repair or remove the file"
        )
    if is_garbled(data):
        raise DataError(
            f"subtitles '{path.name}' must be UTF-8, UTF-16 or Western European, have letters of another encoding; "
            "convert them: iconv -f THEIRS -t UTF-8"
        )
    if not any(is_spoken(cue.text) for cue in subtitles.cues):
        raise DataError(
            f"subtitles '{path.name}' must say something, name music or noises only; the clip goes without a transcript"
        )
    return replace(subtitles, language=language, source=path.name, forced=forced)


def read_tracks(
    path: Path,
    *,
    name: str | None = None,
    max_seconds: float = 600.0,
    deadline_s: float = 30.0,
    max_bytes: int = 1 << 30,
) -> list[Subtitles]:
    """Read the subtitle tracks inside a clip. Tracks of pictures (DVD, Blu-ray) have no text and are left out.

    Args:
        path: The clip.
        name: How errors call it; the path as given where None.
        max_seconds: Only so much of the beginning is looked at, seconds, > 0.
        deadline_s: After so many seconds what has been read is returned, > 0.
        max_bytes: After so many bytes of packets the same, > 0.

    Returns:
        One per track in which something is said, in the file's order. A clip without text tracks costs no more than opening it.

    Raises:
        DataError: The file is missing, empty or no known container.
        MissingExtraError: PyAV is not installed.
    """
    av = require("av")
    until = time.monotonic() + deadline_s
    with open_file(path, name=name or str(path), formats=SOUND_FORMATS) as container:
        tracks = {one.index: one for one in container.streams.subtitles if _codec(one) in _TEXT_CODECS}
        cues: dict[int, list[Cue]] = {index: [] for index in tracks}
        num_bad = dict.fromkeys(tracks, 0)
        origin_ms = float(container.start_time or 0) / 1000
        try:
            for packet in container.demux() if tracks else ():
                max_bytes -= packet.size
                start_ms = float((packet.dts or 0) * (packet.time_base or 0)) * 1000 - origin_ms
                if max_bytes < 0 or time.monotonic() > until or start_ms > max_seconds * 1000:
                    break
                index = packet.stream_index
                if index in tracks and packet.size and len(cues[index]) < _MAX_CUES:
                    text = _packet_text(bytes(packet), _codec(tracks[index]))
                    if text is None:
                        num_bad[index] += 1
                    elif text:
                        cues[index].append(_timed(packet, text, origin_ms))
        except av.FFmpegError:
            pass  # the rest of a damaged file; what was read counts
        forced = av.stream.Disposition.forced
        return [
            Subtitles(
                cues=tuple(sorted(cues[index], key=lambda cue: cue.start_ms)),
                num_bad=num_bad[index],
                language=_short(track.language or ""),
                source=f"track {index}",
                forced=bool(track.disposition & forced),
            )
            for index, track in tracks.items()
            if any(is_spoken(cue.text) for cue in cues[index])
        ]


def _codec(stream: Any) -> str:
    """FFmpeg's name of a stream's codec; empty where it has none that can be decoded."""
    return str(stream.codec_context.name) if stream.codec_context is not None else ""


def _timed(packet: Any, text: str, origin_ms: float) -> Cue:
    stamp = packet.pts if packet.pts is not None else packet.dts or 0
    start_ms = round(float(stamp * packet.time_base) * 1000 - origin_ms)
    shown_ms = round(float((packet.duration or 0) * packet.time_base) * 1000)
    return Cue(start_ms, start_ms + (shown_ms if shown_ms > 0 else _SHOWN_MS), text)


def _packet_text(data: bytes, codec: str) -> str | None:
    """A cue's text, empty where nothing is shown, None where it is damaged.

    The bytes are read here rather than by FFmpeg's decoders, whose results differ between releases of PyAV.
    """
    if codec == "mov_text":
        if len(data) < 2:
            return None
        (size,) = struct.unpack(">H", data[:2])
        return clean_text(decode_text(data[2 : 2 + size])) if len(data) >= 2 + size else None
    text = decode_text(data)
    if codec in ("ass", "ssa"):
        fields = text.split(",", _ASS_FIELDS)
        return clean_text(fields[-1]) if len(fields) == _ASS_FIELDS + 1 else None
    return clean_text(text)
