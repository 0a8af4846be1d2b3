"""Decoding processes: order, crashes, hangs and hostile output."""

import io
import subprocess
import sys

import numpy as np
import pytest

from kinema.encoders.clip_readers import WORKER_COMMAND, read_clips
from kinema.encoders.clip_worker import (
    ClipReading,
    ClipRequest,
    read_clip,
    read_reading,
    read_request,
    write_reading,
    write_request,
)
from kinema.encoders.motion import MotionEncoder
from kinema.testing.clips import render_clip

FRAGILE = """
import os, time
from kinema.encoders import clip_worker
read = clip_worker.read_clip
def fragile(request):
    print("noise from a library")
    if "crash" in request.name:
        os._exit(9)
    if "hang" in request.name:
        time.sleep(60)
    return read(request)
clip_worker.read_clip = fragile
clip_worker.serve()
"""


def request_for(path, name=None, **changes):
    fields = {
        "path": str(path),
        "name": name or path.name,
        "num_frames": 2,
        "num_pairs": 2,
        "frame_side": 32,
        "motion": MotionEncoder(),
        "max_seconds": 60.0,
        "max_pixels": 2**20,
    }
    return ClipRequest(**{**fields, **changes})


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return render_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", seconds=1.0)


def test_requests_and_readings_survive_the_pipe(clip):
    pipe = io.BytesIO()
    request = request_for(clip, motion=MotionEncoder(grid=2, segments=(1, 2)))
    write_request(pipe, request)
    pipe.seek(0)
    assert read_request(pipe) == request
    assert read_request(pipe) is None

    pipe = io.BytesIO()
    reading = read_clip(request)
    write_reading(pipe, reading)
    content = pipe.getvalue()
    received = read_reading(io.BytesIO(content))
    assert (received.reason, received.quality) == ("", 1.0)
    assert received.arrays["frames"].shape == (2, 32, 32, 3)
    for name, array in reading.arrays.items():
        assert np.array_equal(received.arrays[name], array)
    assert read_reading(io.BytesIO(content[:-1])) is None
    assert read_reading(io.BytesIO(b"")) is None


def test_only_what_is_wanted_is_computed(clip):
    assert set(read_clip(request_for(clip, motion=None)).arrays) == {"frames"}
    assert set(read_clip(request_for(clip, frame_side=None)).arrays) == {"motion"}


def test_processes_and_this_process_read_the_same(clip, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no clip")
    requests = [request_for(clip), request_for(tmp_path / "bad.mp4"), request_for(clip, frame_side=64)]
    here = list(read_clips(requests, num_workers=0, timeout_s=60))
    there = list(read_clips(requests, num_workers=2, timeout_s=60))
    assert [one.reason for one in here] == [one.reason for one in there]
    assert "cannot decode 'bad.mp4'" in there[1].reason
    for one, other in zip(here, there, strict=True):
        assert one.arrays.keys() == other.arrays.keys()
        assert all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)


def test_a_crash_and_a_hang_cost_one_clip_each(clip):
    names = ["good0", "crash1", "good2", "hang3", "good4"]
    requests = [request_for(clip, name=name, motion=None) for name in names]
    command = (sys.executable, "-c", FRAGILE)
    readings = list(read_clips(requests, num_workers=1, timeout_s=5, command=command))
    assert [bool(one.arrays) for one in readings] == [True, False, True, False, True]
    assert readings[1].reason == (
        "cannot decode 'crash1': the decoder crashed on it twice; the item keeps its text features"
    )
    assert readings[3].reason == "cannot decode 'hang3': not done after 5 s; the item keeps its text features"


def test_leaving_early_ends_the_processes(clip):
    command = (sys.executable, "-c", FRAGILE)
    requests = [request_for(clip, name=name, motion=None) for name in ["good", "hang", "hang", "hang", "hang", "hang"]]
    readings = read_clips(requests, num_workers=1, timeout_s=60, command=command)
    assert next(readings).arrays
    readings.close()


def test_a_surprise_in_one_clip_is_a_reason_and_no_exception(clip, monkeypatch):
    def surprise(*args, **settings):
        raise MemoryError("too much")

    monkeypatch.setattr("kinema.encoders.clip_worker.sample_frames", surprise)
    assert read_clip(request_for(clip)) == ClipReading(reason="cannot read 'clip.mp4': MemoryError: too much")


def test_decoding_processes_never_import_torch():
    code = (
        "import sys, kinema.encoders.clip_worker; print(sorted({'torch', 'transformers', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert WORKER_COMMAND[-1] == "kinema.encoders.clip_worker"
