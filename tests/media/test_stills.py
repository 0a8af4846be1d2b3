"""Still images are known by their bytes, and their size is read before anything is decoded."""

import io
import struct

import numpy as np
import pytest
from PIL import Image

from kinema.errors import DataError
from kinema.media.probe import probe
from kinema.media.sampling import sample_frames
from kinema.media.stills import HEAD_BYTES, still_format, still_is_whole, still_size


def encoded(kind, **options):
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 50, 3), dtype=np.uint8)).save(
        buffer, format=kind, **options
    )
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("JPEG", {}, "jpeg_pipe"),
        ("JPEG", {"progressive": True, "exif": Image.Exif()}, "jpeg_pipe"),
        ("PNG", {}, "png_pipe"),
        ("WEBP", {}, "webp_pipe"),
        ("WEBP", {"lossless": True}, "webp_pipe"),
        ("WEBP", {"exif": b"Exif\x00\x00II*\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00"}, "webp_pipe"),
    ],
)
def test_format_and_size_are_read_from_the_first_bytes(kind, options, expected):
    head = encoded(kind, **options)[:HEAD_BYTES]
    assert still_format(head) == expected
    assert still_size(head) == (50, 30)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_damaged_headers_have_no_size(kind):
    head = encoded(kind)
    assert all(still_size(head[:length]) in {None, (50, 30)} for length in range(40))
    assert still_size(b"text") is None


def test_a_picture_that_declares_gigabytes_is_refused_before_it_is_decoded(tmp_path):
    content = bytearray(encoded("PNG"))
    struct.pack_into(">II", content, 16, 60_000, 60_000)
    (tmp_path / "bomb.png").write_bytes(content)
    with pytest.raises(DataError, match="'bomb': a frame must have at most 33554432 pixels, has 60000 x 60000"):
        sample_frames(tmp_path / "bomb.png", name="bomb")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_half_a_picture_is_partial_or_an_error(tmp_path, kind):
    content = encoded(kind)
    path = tmp_path / f"half.{kind.lower()}"
    path.write_bytes(content)
    assert sample_frames(path).quality == 1.0
    path.write_bytes(content[: len(content) // 2])
    assert not still_is_whole(content[:16], content[: len(content) // 2][-64:], len(content) // 2)
    if kind != "JPEG":
        with pytest.raises(DataError, match="cannot decode"):
            sample_frames(path)
    else:
        frames = sample_frames(path)
        assert frames.array.shape == (1, 30, 50, 3)
        assert frames.quality <= 0.5


def test_a_name_with_a_pattern_reads_no_other_file(tmp_path):
    (tmp_path / "a%03d.jpg").write_bytes(encoded("JPEG"))
    (tmp_path / "a001.jpg").write_bytes(b"another")
    assert probe(tmp_path / "a%03d.jpg").width == 50
