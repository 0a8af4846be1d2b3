"""The approximate index against comparing with everything."""

import json

import numpy as np
import pytest

from kinema.errors import MissingExtraError
from kinema.retrieval import ivf
from kinema.retrieval.content import ContentRetriever, unit_rows
from kinema.retrieval.exact import ExactRetriever
from kinema.retrieval.ivf import Indexing, IvfIndex, IvfRetriever
from kinema.retrieval.query import Query
from kinema.store.histories import Histories

SIZE, WIDTH = 3000, 16


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(5)
    rows = unit_rows(rng.normal(size=(20, WIDTH))[rng.integers(0, 20, SIZE)] + 0.5 * rng.normal(size=(SIZE, WIDTH)))
    rows[[3, 40]] = 0
    return rows


@pytest.fixture(scope="module")
def index(vectors):
    pytest.importorskip("faiss")
    return IvfIndex.build(vectors)


def query(vector, allowed, history=()):
    return Query(Histories.from_lists([list(history)], len(allowed)), allowed, 0, vector)


def items(found):
    return [one.item for one in found]


def test_almost_all_of_the_true_hundred_nearest_are_found(vectors, index):
    assert index.recall >= ivf.RECALL
    rng = np.random.default_rng(6)
    shares = []
    for question in unit_rows(vectors[rng.integers(0, SIZE, 50)] + 0.2 * rng.normal(size=(50, WIDTH))):
        true = np.argsort(-(vectors @ question), kind="stable")[:100]
        found, scores = index.search(question, 100)
        np.testing.assert_allclose(scores, vectors[found] @ question, rtol=1e-5)
        assert (np.diff(scores) <= 0).all()
        shares.append(np.isin(true, found).mean())
    assert np.mean(shares) >= 0.95


def test_items_without_a_vector_are_never_found(vectors, index):
    found = index.search(np.zeros(WIDTH, dtype=np.float32), SIZE)[0]
    assert not {3, 40} & set(found.tolist())


@pytest.mark.parametrize("share", [1.0, 0.7, 0.3, 0.02])
def test_only_allowed_items_are_proposed_and_as_many_as_wanted(vectors, index, share, monkeypatch):
    monkeypatch.setattr(ivf, "_FEW", 30)
    rng = np.random.default_rng(7)
    shares = []
    for item in rng.integers(0, SIZE, 20).tolist():
        asked = query(unit_rows(vectors[[item]] + 0.1)[0], rng.random(SIZE) < share, range(30))
        found = items(IvfRetriever(index)(asked, 40))
        assert asked.allowed_V[found].all()
        assert len(set(found)) == len(found) == 40
        shares.append(np.isin(items(ExactRetriever(vectors)(asked, 40)), found).mean())
    assert np.mean(shares) >= 0.9


def test_of_few_allowed_items_each_is_compared(vectors, index):
    allowed = np.arange(SIZE) < 50
    asked = query(vectors[60], allowed)
    exact, found = ExactRetriever(vectors)(asked, 9), IvfRetriever(index)(asked, 9)
    assert items(found) == items(exact)


def test_where_the_index_finds_too_few_everything_is_compared(vectors, index, monkeypatch):
    monkeypatch.setattr(ivf, "_FEW", 0)
    nothing = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
    monkeypatch.setattr(IvfIndex, "search", lambda *_: nothing)
    asked = query(vectors[60], np.ones(SIZE, dtype=bool))
    assert items(IvfRetriever(index)(asked, 9)) == items(ExactRetriever(vectors)(asked, 9))


def test_without_a_user_vector_nothing_is_proposed(index):
    assert not len(IvfRetriever(index)(query(None, np.ones(SIZE, dtype=bool)), 5))


def test_near_content_is_found_by_the_index(vectors, index):
    asked = query(None, np.ones(SIZE, dtype=bool), [5, 9])
    near = [ContentRetriever(vectors, num_near=300, index=one)(asked, 40) for one in (index, None)]
    assert np.isin(items(near[0]), items(near[1])).mean() >= 0.9


def test_an_index_is_kept_extended_and_made_again_when_vectors_changed(vectors, tmp_path, monkeypatch):
    pytest.importorskip("faiss")
    built = []
    build = IvfIndex.build
    monkeypatch.setattr(IvfIndex, "build", lambda *one, **two: built.append(1) or build(*one, **two))
    indexing = Indexing("ivf", tmp_path / "new")
    first = indexing.index("items", vectors[:2000])
    again = indexing.index("items", vectors[:2000])
    assert (len(built), again.num_probes, again.index.ntotal) == (1, first.num_probes, 1998)
    grown = indexing.index("items", vectors)
    assert (len(built), grown.index.ntotal) == (1, SIZE - 2)
    assert grown.search(vectors[2500], 1)[0].tolist() == [2500]
    facts = json.loads((tmp_path / "new" / "nearest-items.json").read_text(encoding="utf-8"))
    assert facts["items"] == SIZE
    indexing.index("items", -vectors)
    assert len(built) == 2
    (tmp_path / "new" / "nearest-items.faiss").write_bytes(b"damaged")
    indexing.index("items", -vectors)
    assert len(built) == 3


def test_small_catalogues_are_not_indexed_unless_asked_for(vectors, monkeypatch):
    monkeypatch.setattr(ivf, "is_installed", lambda _: True)
    assert Indexing("auto").index("items", vectors) is None
    assert not Indexing("exact").wanted(10**9)
    assert Indexing("auto").wanted(ivf.LEAST_ITEMS)
    assert Indexing("ivf").index("items", np.zeros((5, 2), dtype=np.float32)) is None


def test_without_faiss_everything_is_compared_and_the_log_says_so(vectors, monkeypatch, capsys):
    monkeypatch.setattr(ivf, "is_installed", lambda _: False)
    assert not Indexing("auto").wanted(60_000)
    told = "".join(capsys.readouterr())  # where the log goes depends on who has configured it before
    assert "60000 items is compared with every user: slow; run: pip install 'kinema[index]'" in told
    monkeypatch.setattr("kinema.extras.is_installed", lambda _: False)
    with pytest.raises(MissingExtraError, match=r"faiss is needed for approximate retrieval .* 'kinema\[index\]'"):
        Indexing("ivf").index("items", vectors)
