"""Subtitles: the cues of SubRip and WebVTT files of any encoding, and the plain text of what is said."""

import html
import re
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from kinema.errors import ConfigError

TRANSCRIPT_CHARS: Final = 8000
"""Longest transcript, characters: some 1,400 English words, eight windows of a text encoder that reads 256 tokens."""

MAX_SUBTITLE_BYTES: Final = 4 << 20
"""Of a subtitle file, so much is read."""
_MAX_CUES: Final = 20_000
_MAX_CUE_CHARS: Final = 2000
_PASSAGES: Final = 8
_ECHO_LINES: Final = 3

_TIME: Final = r"(?:(\d{1,3}):)?(\d{1,2}):(\d{1,2})(?:[.,](\d{1,3}))?"
_TIMING: Final = re.compile(rf"^\s*{_TIME}\s*-->\s*{_TIME}(?:\s.*)?$")
_TAG: Final = re.compile(r"</?[A-Za-z][^<>\n]{0,200}>|<[\d:.]{5,15}>|\{\\[^{}\n]{0,200}\}")
_ASIDE: Final = re.compile(
    r"\[[^\[\]]*\]|\([^()]*\)|\{[^{}]*\}|\uff08[^\uff08\uff09]*\uff09|\u3010[^\u3010\u3011]*\u3011"
)
_NOTES: Final = re.compile("[\u2669-\u266c]+")
_FOREIGN: Final = 0.4
"""Share of letters beyond ASCII from which a text of one-byte letters is not Western European: French has .08."""
_LOOKED_AT: Final = 200_000
_SPEAKER_DASH: Final = re.compile(r"^[-\u2010-\u2015]\s*(?=\S)")


@dataclass(frozen=True)
class Cue:
    """One subtitle.

    Attributes:
        start_ms: When it appears, from the beginning of the clip.
        end_ms: When it goes, > ``start_ms``.
        text: What is said; lines are kept, markup is not.
    """

    start_ms: int
    end_ms: int
    text: str


@dataclass(frozen=True)
class Subtitles:
    """The subtitles of one clip in one language.

    Attributes:
        cues: By start.
        num_bad: Cues that were left out: times that cannot be read or run backwards, no text.
        language: As the file's name or the track says, such as ``en``; empty where neither does.
        source: The side file's name, or ``track 2``.
        forced: Whether only what is foreign to the film's own language is in it.
    """

    cues: tuple[Cue, ...]
    num_bad: int = 0
    language: str = ""
    source: str = ""
    forced: bool = False


def decode_text(data: bytes) -> str:
    """Text of unknown encoding.

    Args:
        data: UTF-8 or UTF-16 with or without a byte order mark, else what Windows writes in Western Europe. Other encodings
            of one byte cannot be told from that; their letters come out wrong.

    Returns:
        The text. UTF-8 with a few damaged bytes stays UTF-8 without them.

    Example:
        >>> decode_text("Señor".encode("utf-16")), decode_text("Señor".encode("latin-1"))
        ('Señor', 'Señor')
    """
    return _decode(data)[0]


def is_garbled(data: bytes) -> bool:
    """Whether bytes are letters of an encoding that cannot be told, such as Russian, Greek or Chinese not in Unicode.

    Args:
        data: Its first 200,000 bytes are looked at.

    Example:
        >>> [is_garbled("Привет".encode(one)) for one in ("cp1251", "utf-8")], is_garbled("Où est-ce".encode("cp1252"))
        ([True, False], False)
    """
    text, is_guess = _decode(data[:_LOOKED_AT])
    num_other = sum(letter > "\x7f" for letter in text)
    num_plain = sum(letter.isalpha() and letter <= "\x7f" for letter in text)
    return is_guess and num_other > _FOREIGN * (num_other + num_plain)


def _decode(data: bytes) -> tuple[str, bool]:
    """The text, and whether its encoding is only a guess."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="ignore"), False
    nulls = data[:4000].count(0)
    if nulls > len(data[:4000]) // 4:
        high_first = data[:4000:2].count(0) > nulls // 2
        return data.decode("utf-16-be" if high_first else "utf-16-le", errors="ignore"), False
    text = data.decode("utf-8-sig", errors="replace")
    num_other = sum(letter > "\x7f" for letter in text)
    if text.count("\ufffd") > 0.2 * num_other:
        return data.decode("cp1252", errors="ignore"), True
    return text.replace("\ufffd", ""), False


def parse_subtitles(data: bytes) -> Subtitles:
    r"""Read a SubRip (srt) or WebVTT (vtt) file; what it is shows in its content.

    Args:
        data: The file; only its first 4 MB and 20,000 cues are read.

    Returns:
        The cues. Notes, styles and regions of WebVTT are no cues. A bad cue is counted and left out.

    Example:
        >>> parse_subtitles(b"1\n00:00:01,000 --> 00:00:02,500\n<i>Hello</i> &amp; welcome\n").cues
        (Cue(start_ms=1000, end_ms=2500, text='Hello & welcome'),)
    """
    text = decode_text(data[:MAX_SUBTITLE_BYTES]).lstrip("\ufeff").replace("\0", "")
    is_vtt = text.lstrip().startswith("WEBVTT")
    lines = text.splitlines()
    places = [place for place, line in enumerate(lines) if "-->" in line]
    cues: list[Cue] = []
    num_bad = 0
    for place, following in zip(places, [*places, len(lines)][1:], strict=True):
        if len(cues) >= _MAX_CUES:
            break
        body = lines[place + 1 : following]
        cue = _cue(lines[place], _body(body, is_vtt=is_vtt, is_last=following == len(lines)))
        num_bad += cue is None
        cues.extend([cue] if cue else [])
    return Subtitles(tuple(sorted(cues, key=lambda cue: cue.start_ms)), num_bad)


def _body(lines: list[str], *, is_vtt: bool, is_last: bool) -> list[str]:
    """A cue's lines: up to a blank one in WebVTT; in SubRip all but the next cue's number, for texts may have gaps."""
    if is_vtt:
        blank = next((place for place, line in enumerate(lines) if not line.strip()), len(lines))
        return lines[:blank]
    kept = [line for line in lines if line.strip()]
    return kept[:-1] if kept and not is_last and kept[-1].strip().isdigit() else kept


def _cue(timing: str, lines: list[str]) -> Cue | None:
    """A cue, None where it is bad."""
    match = _TIMING.match(timing)
    if match is None:
        return None
    start_ms, end_ms = _milliseconds(match.groups()[:4]), _milliseconds(match.groups()[4:])
    text = clean_text("\n".join(lines))
    return Cue(start_ms, end_ms, text) if end_ms > start_ms and text else None


def _milliseconds(parts: Sequence[str | None]) -> int:
    """Hours, minutes, seconds and a fraction: ``,5`` is half a second."""
    hours, minutes, seconds = (int(part or 0) for part in parts[:3])
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + int((parts[3] or "").ljust(3, "0"))


def clean_text(text: str) -> str:
    r"""A cue's text without markup: HTML-like tags, entities, override codes in braces, blanks at the ends.

    Example:
        >>> clean_text("{\\an8}<v Roger>a < b &gt; c</v>")
        'a < b > c'
    """
    plain = html.unescape(_TAG.sub("", text[:_MAX_CUE_CHARS])).replace("\u00a0", " ").replace("\u200b", "")
    lines = (
        " ".join(line.split())
        for line in plain.replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ").splitlines()
    )
    return "\n".join(line for line in lines if line)


def is_spoken(text: str) -> bool:
    r"""Whether anything is said, and not only played or heard: what stands in brackets is not said.

    Example:
        >>> [is_spoken(text) for text in ("\u266a \u266a", "(door\nslams)", "\u266a I will survive", "[sighs] No.")]
        [False, False, True, True]
    """
    return any(letter.isalnum() for letter in _ASIDE.sub("", text))


def transcript(cues: Sequence[Cue], *, max_chars: int = TRANSCRIPT_CHARS) -> str:
    r"""What is said, as plain text.

    Captions that roll repeat their last lines, and captions that grow repeat their beginning; both are said once here. Lines
    that only name music or noises are left out.

    Args:
        cues: By start.
        max_chars: Longest result, characters, >= 100. Of a longer text eight passages are kept, evenly spread, so that the
            end of a film counts as much as its beginning.

    Returns:
        One line; empty without cues.

    Raises:
        ConfigError: ``max_chars`` is too small.

    Example:
        >>> transcript([Cue(0, 9, "Hello"), Cue(5, 15, "Hello\n- and welcome"), Cue(10, 20, "and welcome to us")])
        'Hello and welcome to us'
    """
    if max_chars < 100:
        raise ConfigError(f"max_chars of a transcript must be >= 100, got {max_chars}")
    spoken = (cue.text for cue in cues if is_spoken(cue.text))
    said = _said_once(_NOTES.sub("", line) for text in spoken for line in text.splitlines() if is_spoken(line))
    total = sum(len(line) + 1 for line in said)
    if total <= max_chars + 1:
        return " ".join(said)
    share = max_chars // _PASSAGES - 1
    passages: list[list[str]] = [[] for _ in range(_PASSAGES)]
    position = 0
    for line in said:
        passages[position * _PASSAGES // total].append(line)
        position += len(line) + 1
    return " ".join(cut_at_word(" ".join(passage), share) for passage in passages if passage)


def _said_once(lines: Iterable[str]) -> list[str]:
    """Lines without echoes of the last few."""
    said: list[str] = []
    recent: deque[str] = deque(maxlen=_ECHO_LINES)
    for raw in lines:
        line = _SPEAKER_DASH.sub("", raw.strip())
        key = line.casefold()
        if not line or key in recent:
            continue
        if said and key.startswith(said[-1].casefold() + " "):
            said[-1] = line
        else:
            said.append(line)
        recent.append(key)
    return said


def cut_at_word(text: str, max_chars: int) -> str:
    """The beginning of a text, without half a word at its end.

    Example:
        >>> cut_at_word("one two three", 9)
        'one two'
    """
    if len(text) <= max_chars:
        return text
    beginning = text[: max_chars + 1]
    return beginning.rpartition(" ")[0].rstrip() or text[:max_chars]
