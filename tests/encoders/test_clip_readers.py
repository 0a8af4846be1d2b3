"""Decoding processes: order, crashes, hangs and hostile output."""

import io
import resource
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from kinema.encoders.clip_readers import WORKER_COMMAND, read_clips
from kinema.encoders.clip_worker import (
    ClipRequest,
    check_sendable,
    read_clip,
    read_reading,
    read_request,
    write_reading,
    write_request,
)
from kinema.encoders.frames import FrameReader
from kinema.encoders.modality import Wants
from kinema.encoders.motion import MotionReader
from kinema.errors import ConfigError
from kinema.testing.clips import render_clip

FRAGILE = """
import os, time
from kinema.encoders import clip_worker
read = clip_worker.read_clip
def fragile(request, **limits):
    print("noise from a library")
    if "crash" in request.name:
        os._exit(9)
    if "hang" in request.name:
        time.sleep(60)
    return read(request, **limits)
clip_worker.read_clip = fragile
clip_worker.serve(2048)
"""


def request_for(path, name=None, **changes):
    fields = {
        "path": str(path),
        "name": name or path.name,
        "readers": {"frames": FrameReader(32, 2), "motion": MotionReader(num_pairs=2)},
        "max_seconds": 60.0,
        "max_pixels": 2**20,
    }
    return ClipRequest(**{**fields, **changes})


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return render_clip(tmp_path_factory.mktemp("clips") / "clip.mp4", seconds=1.0)


def frames_only(path, name):
    return request_for(path, name, readers={"frames": FrameReader(32, 2)})


def flat(reading):
    return {(one, name): array for one, arrays in reading.arrays.items() for name, array in arrays.items()}


def test_requests_and_readings_survive_the_pipe(clip):
    pipe = io.BytesIO()
    request = request_for(clip)
    write_request(pipe, request)
    pipe.seek(0)
    assert read_request(pipe) == request
    assert read_request(pipe) is None

    pipe = io.BytesIO()
    reading = read_clip(request)
    write_reading(pipe, reading)
    content = pipe.getvalue()
    received = read_reading(io.BytesIO(content))
    assert (received.reasons, received.quality) == ({}, {"frames": 1.0, "motion": 1.0})
    assert received.arrays["frames"]["frames"].shape == (2, 32, 32, 3)
    assert flat(received).keys() == flat(reading).keys()
    assert all(np.array_equal(flat(received)[name], array) for name, array in flat(reading).items())
    assert read_reading(io.BytesIO(content[:-1])) is None
    assert read_reading(io.BytesIO(b"")) is None


def test_processes_and_this_process_read_the_same(clip, tmp_path):
    (tmp_path / "bad.mp4").write_bytes(b"no clip")
    requests = [request_for(clip), request_for(tmp_path / "bad.mp4"), frames_only(clip, "clip.mp4")]
    here = list(read_clips(requests, num_workers=0))
    there = list(read_clips(requests, num_workers=2))
    assert [one.reasons for one in here] == [one.reasons for one in there]
    assert set(there[1].reasons) == {"frames", "motion"}
    assert "cannot decode 'bad.mp4'" in there[1].reasons["frames"]
    for one, other in zip(map(flat, here), map(flat, there), strict=True):
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_a_crash_and_a_hang_cost_one_clip_each(clip):
    names = ["good0", "crash1", "good2", "hang3", "good4"]
    requests = [frames_only(clip, name) for name in names]
    command = (sys.executable, "-c", FRAGILE)
    readings = list(read_clips(requests, num_workers=1, timeout_s=5, command=command))
    assert [bool(one.arrays) for one in readings] == [True, False, True, False, True]
    assert readings[1].reasons["frames"] == (
        "cannot decode 'crash1': the decoder crashed on it twice; the item keeps its text features"
    )
    assert (
        readings[3].reasons["frames"] == "cannot decode 'hang3': not done after 5 s; the item keeps its text features"
    )


WORKING = """
import sys, time
from kinema.encoders import clip_worker
def work(request, **limits):
    spins = request.name == "spins"
    started = time.monotonic()
    while spins or time.monotonic() - started < 3:
        sum(range(50_000))
        time.sleep(0 if spins else 0.02)
    return clip_worker.ClipReading(quality={"frames": 1.0}, arrays={"frames": {}})
clip_worker.read_clip = work
clip_worker.serve(2048)
"""


def test_a_clip_whose_process_works_on_and_off_is_waited_for_and_one_that_works_for_too_long_is_not(clip):
    requests = [frames_only(clip, name) for name in ("on and off", "spins")]
    command = (sys.executable, "-c", WORKING)
    slow, spinning = read_clips(requests, num_workers=1, timeout_s=2.5, command=command)
    assert slow.arrays == {"frames": {}}
    assert spinning.reasons["frames"].startswith("cannot decode 'spins': not done after 2.5 s; ")


def test_leaving_early_ends_the_processes(clip):
    command = (sys.executable, "-c", FRAGILE)
    requests = [frames_only(clip, name) for name in ["good", "hang", "hang", "hang", "hang", "hang"]]
    readings = read_clips(requests, num_workers=1, timeout_s=60, command=command)
    assert next(readings).arrays
    readings.close()


@dataclass(frozen=True)
class Greedy:
    """A reader that needs 4 GB."""

    num_frames: int = 1

    @property
    def wants(self):
        return Wants(num_frames=self.num_frames)

    def read(self, clip):
        return {"zeros": np.zeros(4 << 30, dtype=np.uint8)[:1]}


def test_a_clip_that_takes_too_much_memory_costs_itself(clip):
    large = request_for(clip, "large", readers={"frames": Greedy()})
    readings = list(read_clips([frames_only(clip, "a"), large, frames_only(clip, "b")], num_workers=1))
    assert [bool(one.arrays) for one in readings] == [True, False, True]
    assert readings[1].reasons["frames"] == (
        "cannot decode 'large': it takes more memory than a clip may; the item keeps its text features; "
        "raise clip_memory_mb in [limits] of kinema.toml"
    )


def test_a_clip_whose_header_asks_for_too_much_memory_is_told_what_to_raise(tmp_path):
    large = render_clip(tmp_path / "clip.mp4", seconds=0.2, width=1600, height=1200)
    (reading,) = read_clips([request_for(large, max_pixels=2**22)], num_workers=1, memory_mb=64)
    assert reading.reasons["frames"].startswith("cannot decode 'clip.mp4': decoding needs about ")
    assert (
        "at most 32 MB are allowed (max_bytes, half of clip_memory_mb in [limits] of kinema.toml)"
        in (reading.reasons["frames"])
    )


def test_the_limit_of_memory_is_that_of_the_process_and_not_ours(clip):
    before = resource.getrlimit(resource.RLIMIT_AS)
    (reading,) = read_clips([frames_only(clip, "clip.mp4")], num_workers=1, memory_mb=512)
    assert reading.reasons == {}
    assert resource.getrlimit(resource.RLIMIT_AS) == before


def test_a_process_is_replaced_after_many_clips(clip, monkeypatch):
    monkeypatch.setattr("kinema.encoders.clip_readers._CLIPS_PER_PROCESS", 1)
    readings = list(read_clips([frames_only(clip, "clip.mp4")] * 2, num_workers=1))
    assert [one.reasons for one in readings] == [{}, {}]


def test_a_surprise_in_one_clip_is_a_reason_and_no_exception(clip, monkeypatch):
    def surprise(*args, **settings):
        raise ValueError("odd")

    monkeypatch.setattr("kinema.encoders.clip_passes.sample_frames", surprise)
    reason = "cannot read 'clip.mp4': ValueError: odd; the item keeps its text features"
    assert read_clip(request_for(clip)).reasons == {"frames": reason, "motion": reason}


@dataclass(frozen=True)
class Broken:
    """A reader with a mistake in it."""

    wants = Wants(num_frames=1)

    def read(self, clip):
        raise KeyError("gone")


def test_a_reader_that_fails_costs_its_own_modality(clip):
    reading = read_clip(request_for(clip, readers={"broken": Broken(), "frames": FrameReader(32, 1)}))
    assert set(reading.arrays) == {"frames"}
    assert reading.reasons == {"broken": "cannot read 'clip.mp4': KeyError: 'gone'; the item keeps its text features"}


@dataclass(frozen=True)
class Listed:
    """A list is not a tuple after the trip."""

    sides: list

    wants = Wants()


class Plain:
    """No dataclass."""

    wants = Wants()


def test_readers_that_cannot_be_sent_are_refused():
    check_sendable("frames", FrameReader(32, 2))
    with pytest.raises(ConfigError, match=r"reader of modality 'x' must be made of JSON values: .*Plain, no dataclass"):
        check_sendable("x", Plain())
    with pytest.raises(ConfigError, match=r"must be made of JSON values: .* or decode with workers = 0"):
        check_sendable("x", Listed(sides={1, 2}))
    with pytest.raises(ConfigError, match="must be equal to itself after a trip as JSON"):
        check_sendable("x", Listed(sides=[1]))

    @dataclass(frozen=True)
    class Inside:
        wants = Wants()

    with pytest.raises(
        ConfigError, match=r"reader of modality 'x' must be importable by name, is .*Inside of test_clip"
    ):
        check_sendable("x", Inside())


def test_decoding_processes_never_import_torch():
    code = (
        "import sys, kinema.encoders.clip_worker; print(sorted({'torch', 'transformers', 'polars'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert WORKER_COMMAND[-1] == "kinema.encoders.clip_worker"
