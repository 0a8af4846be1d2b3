import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import quality_table  # noqa: PLC0415  # benchmarks are scripts, found only here

    yield quality_table
    sys.modules.pop("quality_table", None)


def entry(value):
    return {"rows": {"all": {"ndcg@10": value}}, "wall_seconds": 7}


@pytest.fixture
def results():
    facts = {
        "metrics": ["ndcg@10"], "protocol": "leave-one-out", "users": 2, "items": 3, "train_interactions": 4,
        "test_cases": 2, "test_cases_with_cold_target": 0,
    }  # fmt: skip
    rankers = {
        "facts": facts,
        "FLM": {"0": entry(0.5), "1": entry(0.7)},
        "FLM, query time": {"0": entry(0.9)},
        "EASE": {"0": entry(0.25)},
        "recbole": {"0": {"left_out": "no such package"}},
    }
    return {"protocol": "all items", "sets": {"films": rankers}}


@pytest.fixture
def cases(tmp_path):
    for name, value in (("FLM", 0.5), ("EASE", 0.25)):
        cells = np.full((2, 1), value)
        np.savez(tmp_path / f"{name}.npz", users_C=np.arange(2), values_CM=cells, metrics=np.array(["ndcg@10"]))
    return lambda _set, name, _seed: tmp_path / f"{name}.npz"


def ease(table, results, path):
    table.write_table(results, path)
    return next(line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("| EASE"))


def test_what_is_told_the_moment_of_the_question_stands_in_a_table_of_its_own(table, results, cases, tmp_path):
    table.compare(results, cases)
    table.write_table(results, tmp_path / "quality.md")
    blind, told = (tmp_path / "quality.md").read_text(encoding="utf-8").split("Told the moment of the question")
    rows = [line for line in blind.splitlines() if line.startswith("| ")]
    assert rows[1:] == [
        "| EASE | 0.2500 (1) | 7 | +0.2500 [+0.2500, +0.2500] |",
        "| FLM | 0.6000 ± 0.1414 | 7 |  |",
    ]
    assert "| FLM, query time | 0.9000 (1) | 7 | - |" in told
    assert "RecBole SASRec (CE) left out: no such package" in told


def test_what_was_compared_elsewhere_stays_until_one_of_the_two_is_measured_again(table, results, cases, tmp_path):
    table.compare(results, cases)
    table.compare(results, lambda *_: tmp_path / "none.npz")  # a machine without the values of single cases
    assert ease(table, results, tmp_path / "quality.md").endswith("| +0.2500 [+0.2500, +0.2500] |")
    results["sets"]["films"]["FLM"]["0"] = entry(0.6)
    table.compare(results, cases)  # values of a run before
    assert ease(table, results, tmp_path / "quality.md").endswith("| - |")
