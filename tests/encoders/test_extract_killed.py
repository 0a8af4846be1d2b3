"""A decoding process that is killed in the middle of a clip costs that clip at most, and only until the next extraction."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from small_catalogue import Letters, catalogue

from kinema.encoders.extract import ModalityCounts, extract, load_features
from kinema.encoders.modality import Tokens, Wants
from kinema.testing.clips import write_clip

NUM_CLIPS = 6
WHITE = 3
"""The clip whose process is killed."""


@dataclass(frozen=True)
class Watched:
    """A reader that waits in a bright clip until its process is killed, as often as a file says."""

    folder: str

    wants = Wants(num_frames=1)

    def read(self, clip):
        mean = clip.frames.array.mean(axis=(1, 2, 3))
        waits = Path(self.folder) / "waits"
        if mean[0] > 200 and int(waits.read_text()):
            waits.write_text(str(int(waits.read_text()) - 1))
            (Path(self.folder) / f"{os.getpid()}.pid").touch()
            time.sleep(600)
        return {"mean": mean, "times": clip.frames.times_ms}


class Bright:
    """Brightness."""

    name, fingerprint, token_width, width = "brightness", "b1", 1, 1

    def __init__(self, folder):
        self.reader = Watched(str(folder))

    def encode(self, readings):
        return [Tokens(one["mean"][:, None].astype(np.float32), one["times"]) for one in readings]

    def pool(self, tokens):
        return tokens.tokens_TD.mean(axis=0)


@pytest.fixture
def media(tmp_path):
    root = tmp_path / "media"
    root.mkdir()
    for number in range(NUM_CLIPS):
        grey = 250 if number == WHITE else 20 * number
        write_clip(root / f"c{number}.avi", [np.full((32, 32, 3), grey, dtype=np.uint8)] * 3)
    return root


def kill_waiting(folder, over):
    """Kill whichever decoding process says that it is in the middle of the clip."""
    while not over.wait(0.02):
        for path in folder.glob("*.pid"):
            path.unlink()
            os.kill(int(path.stem), signal.SIGKILL)


def run(media, folder, *, waits, workers=2):
    (folder / "waits").write_text(str(waits))
    over = threading.Event()
    killer = threading.Thread(target=kill_waiting, args=(folder, over))
    killer.start()
    try:
        return extract(
            items=items(media),
            media_root=media,
            folder=folder / "features",
            text=Letters(),
            clips={"bright": Bright(folder)},
            workers=workers,
            batch_clips=2,
        )
    finally:
        over.set()
        killer.join()


def items(media):
    return catalogue(sorted(path.name for path in media.iterdir()))


def test_a_process_killed_once_costs_nothing(media, tmp_path):
    report = run(media, tmp_path, waits=1)
    assert report.rejects == ()
    assert report.counts["bright"] == ModalityCounts(computed=NUM_CLIPS)


def test_processes_killed_over_one_clip_cost_this_clip_until_the_next_extraction(media, tmp_path):
    report = run(media, tmp_path, waits=99)
    assert [(one.file, one.reason) for one in report.rejects] == [
        (
            f"c{WHITE}.avi",
            f"cannot decode 'c{WHITE}.avi': the decoder crashed on it twice; the item keeps its text features",
        )
    ]
    assert report.counts["bright"] == ModalityCounts(computed=NUM_CLIPS - 1, failed=1)
    again = run(media, tmp_path, waits=0)
    assert again.rejects == ()
    assert again.counts["bright"] == ModalityCounts(computed=1, cached=NUM_CLIPS - 1)
    assert load_features(tmp_path / "features", items(media))["bright"].vectors_VD[WHITE] > 200
