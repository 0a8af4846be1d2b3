"""The same path as the benchmark's, with few copies: the commands as processes of their own, limits, outcomes, a kill."""

import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[2] / "benchmarks")]

import damaged

SETTINGS = damaged.strict(60, 512, encoders='[encoders]\ntext = ""\nframes = ""\n')
NAMES = ("real/a.mp4", "real/b.avi", "containers/demo.flv", "containers/demo.mkv")


@pytest.fixture(scope="module")
def sources(data_dir):
    return [data_dir / "clips" / name for name in NAMES]


def test_every_damaged_copy_has_vectors_or_a_reject(sources, tmp_path):
    found, wrong = damaged.damaged(sources, tmp_path, num_variants=24, seed=0, settings=SETTINGS)
    assert wrong == []
    assert sum(sum(one.values()) for one in found["by_kind"].values()) == found["variants"] == 24
    assert sum(one["partial"] for one in found["by_kind"].values()) > 0
    assert sum(one["rejected"] for one in found["by_kind"].values()) > 0
    assert found["by_kind"]["renamed"]["partial"] == 0
    assert 0 < found["decoder_peak_mb"] < 512 + 128


def test_a_process_killed_in_the_middle_costs_its_clip_at_most(sources, tmp_path):
    found, wrong = damaged.killed(sources, tmp_path, victim=sources[3], settings=SETTINGS)
    assert wrong == []
    assert found["kills"] >= 1
    assert found["lost"] <= 1
    assert found["lost_after_next"] == 0


def test_what_does_not_hold_is_said(sources, tmp_path):
    _, wrong = damaged.damaged(sources[:1], tmp_path, num_variants=2, seed=0, settings="[limits]\nclip_memory_mb = 1\n")
    assert len(wrong) == 1
    assert wrong[0].startswith("exit codes 1 and 1: ")
