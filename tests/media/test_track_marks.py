"""Marks of subtitle tracks in the heads of clips."""

import struct

import pytest

from kinema.media.track_marks import may_have_text_track
from kinema.testing.clips import render_clip
from subtitled import embed_mov_text, srt, with_track


def box(kind, body=b""):
    return struct.pack(">I", 8 + len(body)) + kind + body


HANDLER = box(b"hdlr", bytes(8) + b"sbtl" + bytes(13))


def test_clips_with_and_without_text_tracks_are_told_apart(tmp_path, data_dir):
    for name in ("a.mkv", "b.avi"):
        render_clip(tmp_path / name, seed=0, seconds=0.2, width=64, height=48)
    assert not may_have_text_track(tmp_path / "a.mkv")
    assert may_have_text_track(with_track(tmp_path / "a.mkv", srt("Hello")))
    assert may_have_text_track(embed_mov_text(tmp_path / "c.mp4", ["Hello"]))
    assert not may_have_text_track(tmp_path / "b.avi")
    for path in sorted((data_dir / "clips" / "containers").iterdir()):
        assert not may_have_text_track(path), path.name


@pytest.mark.parametrize(
    ("content", "marked"),
    [
        (box(b"ftyp", b"isom") + box(b"mdat", bytes(100)) + box(b"moov", HANDLER), True),
        (box(b"ftyp") + struct.pack(">I4sQ", 1, b"mdat", 16 + 40) + bytes(40) + box(b"moov", HANDLER), True),
        (struct.pack(">I4s", 0, b"moov") + HANDLER, True),
        (box(b"moov", HANDLER.replace(b"sbtl", b"vide")), False),
        (box(b"ftyp") + struct.pack(">I4s", 4, b"moof"), False),
        (box(b"ftyp") + box(b"moof") * 200 + box(b"moov", HANDLER), False),
        (box(b"ftyp") + b"\0\0", False),
        (b"RIFF" + HANDLER, False),
        (b"", False),
    ],
)
def test_the_index_is_found_wherever_it_lies(tmp_path, content, marked):
    (tmp_path / "clip.mp4").write_bytes(content)
    assert may_have_text_track(tmp_path / "clip.mp4") is marked


def test_what_is_no_file_has_no_marks(tmp_path):
    assert not may_have_text_track(tmp_path)
    assert not may_have_text_track(tmp_path / "none.mp4")
