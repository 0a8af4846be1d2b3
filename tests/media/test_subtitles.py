"""SubRip and WebVTT as people write them, and what a transcript makes of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import ConfigError
from kinema.media.subtitles import Cue, Subtitles, clean_text, decode_text, is_garbled, parse_subtitles, transcript

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Grüße</i> &amp; Küsse

2
00:00:04,000 --> 00:00:03,000
backwards

3
00:00:xx --> 00:00:09,000
no time

4
00:00:02,000 --> 00:00:05,000 X1:1 X2:2
{\\an8}over
lapping

1984

5
00:01:00,000 --> 00:01:01,000


6
100:00:00.5 --> 100:00:01
late
"""
VTT = """WEBVTT - title

NOTE not said
neither is this

STYLE
::cue { color: red }

intro
00:01.000 --> 00:02.500 align:start
<v Bob>Hello <00:01.500><c.red>there</c></v>

00:00:03.000 --> 00:00:04.000
a < b

trailing words without a time
"""


def test_srt_with_bad_and_overlapping_cues():
    found = parse_subtitles(SRT.encode())
    assert [(cue.start_ms, cue.end_ms, cue.text) for cue in found.cues] == [
        (1000, 2500, "Grüße & Küsse"),
        (2000, 5000, "over\nlapping\n1984"),
        (360_000_500, 360_001_000, "late"),
    ]
    assert found.num_bad == 3


def test_vtt_leaves_notes_styles_and_tags_out():
    assert parse_subtitles(VTT.replace("\n", "\r\n").encode()) == Subtitles(
        (Cue(1000, 2500, "Hello there"), Cue(3000, 4000, "a < b"))
    )


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"])
def test_every_encoding_gives_the_same_cues(encoding):
    assert parse_subtitles(SRT.encode(encoding)).cues == parse_subtitles(SRT.encode()).cues


def test_utf8_with_one_bad_byte_stays_utf8():
    damaged = ("Grüße und Küsse, für Ärzte öffnen Türen " * 3).encode().replace(b"\xc3\xbc", b"\xc3", 1)
    assert decode_text(damaged).startswith("Gr")
    assert "Küsse, für Ärzte" in decode_text(damaged)


def test_empty_and_foreign_files_have_no_cues():
    for data in (b"", b"WEBVTT", b"\xff\xfe", b"\x00\x01\x02" * 1000, b"just words\n" * 10, b"-->\n-->\n"):
        assert parse_subtitles(data).cues == ()
    assert parse_subtitles(b"-->\n-->\n").num_bad == 2


@given(st.binary(max_size=300))
def test_any_bytes_are_survived(data):
    parse_subtitles(data)
    parse_subtitles(b"WEBVTT\n\n00:01.000 --> 00:02.000\n" + data)


def test_markup_goes_and_words_stay():
    assert (
        clean_text("<b>I</b> <3 you &lt;3\\Nline <font color='red'>two</font>  {\\i1}now")
        == "I <3 you <3\nline two now"
    )
    assert len(clean_text("word " * 10_000)) <= 2000


def test_rolling_and_growing_captions_are_said_once():
    cues = [
        Cue(0, 1000, "so today we"),
        Cue(1000, 2000, "so today we\nlook at bees"),
        Cue(2000, 3000, "look at bees\n- and"),
        Cue(3000, 4000, "and flowers"),
        Cue(9000, 9900, "so today we"),
    ]
    assert transcript(cues) == "so today we look at bees and flowers so today we"
    assert transcript([]) == ""


def test_a_long_text_keeps_passages_of_its_whole_length():
    cues = [Cue(place * 1000, place * 1000 + 900, f"sentence number {place} of many") for place in range(1000)]
    text = transcript(cues, max_chars=2000)
    assert 1700 < len(text) <= 2000
    for place in (0, 500, 878):
        assert any(f"number {number} " in text for number in range(place, place + 8)), place
    assert len(transcript([Cue(0, 1, "x" * 1500), Cue(1, 2, "y" * 1500)], max_chars=400)) <= 400


def test_too_short_a_transcript_is_refused():
    with pytest.raises(ConfigError, match="max_chars of a transcript must be >= 100, got 9"):
        transcript([], max_chars=9)


def test_lines_that_only_name_music_or_noises_are_not_said():
    cues = [Cue(0, 1, "[door\nslams]"), Cue(1, 2, "♪ I will survive ♪\n(cheering)"), Cue(2, 3, "(sighs) No. ♪")]
    assert transcript(cues) == "I will survive (sighs) No."


@pytest.mark.parametrize("encoding", ["cp1251", "koi8-r", "cp1253", "shift-jis", "gbk", "euc-kr", "cp1256"])
def test_letters_of_other_encodings_are_told_from_western_ones(encoding):
    text = {"cp1253": "Καλημέρα σας", "shift-jis": "おはようございます", "gbk": "早上好大家", "euc-kr": "안녕하세요"}
    data = SRT.replace("late", text.get(encoding, "مرحبا بكم" if encoding == "cp1256" else "Доброе утро") * 20)
    assert is_garbled(data.replace("ü", "u").replace("ß", "s").encode(encoding))
    assert not is_garbled(data.encode())


def test_western_accents_are_not_garbled():
    french = "Où étais-tu ? J'ai été très déçu, à côté de la forêt où l'été s'achève." * 5
    assert not any(is_garbled(french.encode(one)) for one in ("utf-8", "utf-16", "cp1252", "latin-1"))
    assert not is_garbled(b"")
