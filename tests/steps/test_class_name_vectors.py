"""Vectors of class names are made by whoever needs them first, and by several at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np

from kinema.steps.bridges import Ways

QUERIES = SimpleNamespace(fingerprint="abc", place=None, device="cpu")


def test_several_at_once_make_the_same(tmp_path, monkeypatch):
    both = threading.Barrier(2, timeout=20)

    def made(_encoder):
        both.wait()
        return np.ones((3, 2), dtype=np.float32)

    monkeypatch.setattr("kinema.steps.bridges.name_vectors", made)
    monkeypatch.setattr("kinema.steps.bridges.load_query_encoder", lambda *_: None)
    asked = SimpleNamespace(artifacts=tmp_path, queries=QUERIES)
    with ThreadPoolExecutor(2) as pool:
        found = [one.result() for one in [pool.submit(Ways._name_vectors, asked) for _ in range(2)]]
    assert [one.shape for one in found] == [(3, 2), (3, 2)]
    (kept,) = (tmp_path / "search").iterdir()
    np.testing.assert_array_equal(np.load(kept), found[0])
