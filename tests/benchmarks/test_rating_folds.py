import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


@pytest.fixture
def rating(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import rating  # noqa: PLC0415  # benchmarks are scripts, found only here

    yield rating
    sys.modules.pop("rating", None)


def test_validation_is_a_tenth_of_the_base_and_the_same_each_time(rating, data_dir):
    train, valid, base, test = rating.fold(data_dir / "ml-100k", 1)
    assert (len(train), len(valid), len(base), len(test)) == (72000, 8000, 80000, 20000)
    pairs = [set(zip(one.users_N.tolist(), one.items_N.tolist(), strict=True)) for one in (train, valid, test)]
    assert not pairs[0] & pairs[1]
    assert not (pairs[0] | pairs[1]) & pairs[2]
    assert np.array_equal(rating.fold(data_dir / "ml-100k", 1)[1].users_N, valid.users_N)


def test_every_user_and_film_has_features(rating, data_dir):
    features = rating.side_features(data_dir / "ml-100k", use_texts=False)["fields"]
    assert (len(features.users_UA), len(features.items_VE)) == rating.SIZES
    assert np.isfinite(features.users_UA).all()
    assert np.isfinite(features.items_VE).all()


def test_the_peer_has_its_script_and_exact_pins(rating):
    for name, script in rating.RATING_PEERS.items():
        assert (BENCHMARKS / "peers" / script).is_file()
        pins = (BENCHMARKS / "peers" / f"requirements-{name}.txt").read_text(encoding="utf-8").splitlines()
        assert all("==" in line for line in pins if not line.startswith("#"))


def test_the_table_has_means_over_folds_and_says_how_many(rating, tmp_path):
    row = {"mse": 0.81, "rmse": 0.9, "mae": 0.7}
    results = {"protocol": "How.", "models": {"one": {"u1": row, "u2": row | {"mse": 0.83}}}}
    rating.write_table(results, tmp_path / "rating.md")
    assert "| one (2 folds) | 0.8200 | 0.9000 | 0.7000 | 0.9000, 0.9000 | - | - |" in (
        tmp_path / "rating.md"
    ).read_text(encoding="utf-8")
