"""What one clip may cost."""

from kinema.media.limits import MAX_BYTES, MAX_PIXELS, Deadline, decoding_bytes


def needed(width, height, pixel_format="yuv420p", num_pictures=24):
    return decoding_bytes(width, height, pixel_format=pixel_format, num_pictures=num_pictures, max_side=256)


def test_a_deadline_passes():
    assert Deadline(0.0).passed
    assert not Deadline(1e9).passed


def test_the_largest_picture_allowed_fits_into_the_memory_allowed():
    assert MAX_PIXELS == 8192 * 4096
    assert needed(8192, 4096, "yuv420p10le") <= MAX_BYTES


def test_deeper_and_larger_pictures_need_more():
    assert needed(1920, 1080) < needed(1920, 1080, "yuv420p10le") < needed(3840, 2160, "yuv420p10le")
    assert needed(64, 48) < needed(64, 48, num_pictures=200)
