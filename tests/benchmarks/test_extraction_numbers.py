"""What the benchmark of extraction concludes from its measurements."""

import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[2] / "benchmarks")]

import extraction


def test_shares_compare_the_parts_alone_with_the_whole():
    parts = {
        "decoding": {"seconds": 10.0, "cpu_seconds": 16.0},
        "reading": {"seconds": 20.0, "cpu_seconds": 36.0},
        "encoding": {"seconds": 30.0, "cpu_seconds": 60.0},
        "whole": {"seconds": 60.0, "cpu_seconds": 100.0, "memory_mb": [50, 90, *[95] * 8], "decoders_mb": [10] * 10},
    }
    found = extraction.summary(parts, num_clips=100, cores=2)
    assert found["share"] == pytest.approx(50 / 60, abs=1e-3)
    assert found["share_of_cores"] == pytest.approx(0.8)
    assert found["extra_work"] == pytest.approx(100 / 96, abs=1e-3)
    assert found["cpu_seconds_per_clip"] == {"decode": 0.16, "flow_and_pictures": 0.2, "encode": 0.6, "whole": 1.0}
    assert found["clips_per_minute"] == 100.0
    assert found["memory_growth"] == 1.05


def test_memory_is_kept_by_tenths_of_the_clips():
    memory = extraction.Memory()
    tenths = []
    for done in (0, 9, 10, 55, 100):
        memory.progress(done, 100, "clips")
        tenths.append(memory.tenth)
    memory.progress(1, 2, "texts")
    assert tenths == [0, 0, 1, 5, 9]
    assert memory.tenth == 9
