"""Two processes extract one catalogue at the same time: nothing twice, nothing lost, also when one of them dies."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from small_catalogue import catalogue

from kinema.encoders.extract import load_features
from kinema.store.shard_files import map_shard
from kinema.testing.clips import write_clip

NUM_CLIPS = 40

SHARE = """
import json, sys, time
from pathlib import Path
sys.path.insert(0, {tests!r})
import small_catalogue as here
root, folder, name, pause = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])
class Slow(here.MeanColour):
    def encode(self, frames):
        (folder / f"{{name}}.busy").touch()
        time.sleep(pause)
        return super().encode(frames)
(folder / f"{{name}}.ready").touch()
while not (folder / "go").exists():
    time.sleep(0.01)
items = here.catalogue(sorted(path.name for path in root.iterdir()))
report = here.run(items, root, folder, frames=Slow(), num_frames=1, batch_clips=2, encode_threads=1, workers=1)
print(json.dumps({{name: [one.computed, one.cached] for name, one in report.counts.items()}}))
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("media")
    for number in range(NUM_CLIPS):
        write_clip(folder / f"c{number:02}.avi", [np.full((32, 32, 3), 6 * number, dtype=np.uint8)] * 3)
    return folder


def start(root, folder, name, *, pause):
    folder.mkdir(exist_ok=True)
    code = SHARE.format(tests=str(Path(__file__).parent))
    command = [sys.executable, "-c", code, str(root), str(folder), name, str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(path, process):
    deadline = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < deadline
        time.sleep(0.02)


def counts_of(process):
    told, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    return json.loads(told)


def keys_on_disk(folder, pattern):
    return [key for path in folder.glob(pattern) for key in map_shard(path).keys]


def assert_whole(root, folder):
    features = load_features(folder, catalogue(sorted(path.name for path in root.iterdir())))
    assert all(one.present_V.all() for one in features.values())
    assert (np.diff(features["frames"].vectors_VD.mean(axis=1)) > 0).all()
    for pattern in ("frames-*/tokens/*.safetensors", "frames-*/vectors-plain/*.safetensors", "text-*/*.safetensors"):
        keys = keys_on_disk(folder, pattern)
        assert len(keys) == len(set(keys)) == NUM_CLIPS
    assert not list(folder.rglob(".*.draft"))


def test_two_processes_share_the_work(root, tmp_path):
    both = [start(root, tmp_path, name, pause=0.1) for name in ("one", "two")]
    for name, process in zip(("one", "two"), both, strict=True):
        wait_for(tmp_path / f"{name}.ready", process)
    (tmp_path / "go").touch()
    told = [counts_of(process) for process in both]
    for modality in ("text", "frames", "motion"):
        assert sum(one[modality][0] for one in told) == NUM_CLIPS
        assert all(sum(one[modality]) == NUM_CLIPS for one in told)
    assert_whole(root, tmp_path)


def test_what_a_killed_process_was_at_work_on_is_done_by_the_other(root, tmp_path):
    victim = start(root, tmp_path, "victim", pause=600)
    (tmp_path / "go").touch()
    wait_for(tmp_path / "victim.busy", victim)
    other = start(root, tmp_path, "other", pause=0)
    wait_for(tmp_path / "other.busy", other)
    os.kill(victim.pid, signal.SIGKILL)
    victim.communicate()
    assert sum(counts_of(other)["frames"]) == NUM_CLIPS
    assert_whole(root, tmp_path)
