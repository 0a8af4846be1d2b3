"""Peers without a peer: a script of a few lines stands in, run by Kinema's own Python."""

import hashlib
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from kinema.errors import ConfigError, DataError
from kinema.evaluation.offline import evaluate
from kinema.evaluation.protocol import FunctionRanker
from kinema.store.histories import Histories
from kinema.store.splits import Cases, leave_one_out, temporal

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path += [str(BENCHMARKS), str(BENCHMARKS / "peers")]

import exchange as peer_side  # noqa: E402 - the path comes first

import peering  # noqa: E402

NUM_ITEMS = 40

POPULARITY = """
import sys
sys.path.append({peers!r})
import numpy as np
from exchange import ndcg_at_10, read_exchange, read_order, write_scores

order = read_order()
exchange = read_exchange(order.exchange)
settings = order.chosen({{"patience": 2, "max_epochs": 9, "broken": False}})
if settings["broken"]:
    raise RuntimeError("no luck today")
journal = order.journal("popularity", "1.0", settings)
counts = np.bincount(exchange.train.items, minlength=exchange.num_items).astype(np.float32)
score = lambda start, stop: np.tile(counts, (stop - start, 1))
while not journal.stop:
    journal.start_epoch()
    journal.end_epoch(lambda: ndcg_at_10(score, exchange.valid, exchange.valid_targets_C))
journal.write(order.out)
write_scores(order.out, score, exchange)
"""


@pytest.fixture
def log():
    random = np.random.default_rng(0)
    weights = 1 / np.arange(1, NUM_ITEMS + 1)
    lists = [
        random.choice(NUM_ITEMS, size=3 + user % 9, replace=False, p=weights / weights.sum()).tolist()
        for user in range(60)
    ]
    return Histories.from_lists(lists, NUM_ITEMS)


@pytest.fixture
def split(log):
    return leave_one_out(log)


@pytest.fixture
def folder(split, tmp_path):
    peering.write_exchange(tmp_path / "x", train=split.train, valid=split.valid, test=split.test)
    return tmp_path / "x"


@pytest.fixture
def popularity(monkeypatch, tmp_path):
    """A peer whose environment is this one."""
    script = tmp_path / "popularity.py"
    script.write_text(POPULARITY.format(peers=str(BENCHMARKS / "peers")), encoding="utf-8")
    monkeypatch.setitem(peering.PEERS, "popularity", str(script))
    monkeypatch.setattr(peering, "environment", lambda name: Path(sys.executable))


def popularity_ranker(split):
    counts = split.train.item_counts().astype(np.float32)
    return FunctionRanker("popularity", lambda cases: np.tile(counts, (len(cases), 1)))


def test_a_peer_reads_the_split_back_and_finds_no_test_target(split, folder):
    given = peer_side.read_exchange(folder)
    assert given.num_items == NUM_ITEMS
    for mine, theirs in ((split.train, given.train), (split.valid.histories, given.valid)):
        assert np.array_equal(mine.offsets, theirs.offsets)
        assert np.array_equal(mine.items, theirs.items)
    assert np.array_equal(split.test.histories.items, given.test.items)
    assert np.array_equal(split.valid.targets.items, given.valid_targets_C)
    assert sorted(np.load(folder / "test.npz")) == ["items", "offsets", "users"]


def test_a_validation_case_with_several_targets_becomes_several_cases(split, tmp_path):
    many = Cases(
        np.array([4, 7], dtype=np.int32),
        np.zeros(2, dtype=np.int64),
        Histories.from_lists([[1, 2], [3]], NUM_ITEMS),
        Histories.from_lists([[5, 6], [7]], NUM_ITEMS),
    )
    peering.write_exchange(tmp_path, train=split.train, valid=many, test=split.test)
    given = peer_side.read_exchange(tmp_path)
    assert given.valid_targets_C.tolist() == [5, 6, 7]
    assert [given.valid.of(row).tolist() for row in range(3)] == [[1, 2], [1, 2], [3]]


def test_peers_are_stopped_by_the_evaluators_own_measure(split, folder):
    given = peer_side.read_exchange(folder)
    random = np.random.default_rng(1)
    scores_CV = random.integers(0, 6, (len(split.valid), NUM_ITEMS)).astype(np.float32)
    scores_CV[random.random(scores_CV.shape) < 0.1] = -np.inf
    rows = iter(range(len(split.valid)))
    ranker = FunctionRanker("ties", lambda cases: scores_CV[[next(rows) for _ in range(len(cases))]])
    expected = evaluate(ranker, split.valid, split).rows["all"].mean("ndcg@10")
    found = peer_side.ndcg_at_10(lambda start, stop: scores_CV[start:stop].copy(), given.valid, given.valid_targets_C)
    assert found == pytest.approx(expected, abs=1e-12)
    assert 0 < found < 1


def test_a_peer_that_scores_everything_alike_gets_nothing(split, folder):
    given = peer_side.read_exchange(folder)
    constant = lambda start, stop: np.zeros((stop - start, NUM_ITEMS), dtype=np.float32)  # noqa: E731
    assert peer_side.ndcg_at_10(constant, given.valid, given.valid_targets_C) == 0


def test_scores_of_a_peer_equal_the_same_ranker_here(split, folder, popularity):
    run = peering.run_peer("popularity", folder, seed=3, threads=1, max_seconds=60)
    ours, theirs = (evaluate(one, split.test, split) for one in (popularity_ranker(split), run.ranker("peer")))
    assert np.array_equal(ours.rows["all"].values_RM, theirs.rows["all"].values_RM)


def test_the_log_says_what_ran_when_and_why_it_stopped(split, folder, popularity):
    run = peering.run_peer("popularity", folder, seed=3, threads=1, max_seconds=60, settings={"patience": 4})
    log = run.log
    assert (log["package"], log["version"], log["seed"], log["threads"]) == ("popularity", "1.0", 3, 1)
    assert (log["stopped_by"], log["best_epoch"], len(log["epochs"])) == ("patience", 1, 5)
    expected = evaluate(popularity_ranker(split), split.valid, split).rows["all"].mean("ndcg@10")
    assert log["best_ndcg@10"] == pytest.approx(expected)
    assert 0 < log["wall_seconds_to_best"] <= log["wall_seconds"]
    assert 0 < log["cpu_seconds_to_best"] <= log["cpu_seconds"]
    assert log["peak_memory_mb"] > 1


def test_a_peer_that_fails_is_reported_with_its_last_words(folder, popularity):
    with pytest.raises(peering.PeerError, match=r"'popularity' must end with code 0, ended with 1: .*no luck today"):
        peering.run_peer("popularity", folder, seed=0, threads=1, max_seconds=60, settings={"broken": True})


def test_an_unknown_setting_is_refused(folder, popularity):
    with pytest.raises(peering.PeerError, match=r"settings must be among .*unknown: \['depth'\]"):
        peering.run_peer("popularity", folder, seed=0, threads=1, max_seconds=60, settings={"depth": 3})


def test_a_peer_that_does_not_end_is_stopped(folder, popularity, monkeypatch):
    Path(peering.PEERS["popularity"]).write_text("import time\n\ntime.sleep(600)\n", encoding="utf-8")
    monkeypatch.setattr(peering, "_SCORING_SECONDS", 0)
    with pytest.raises(peering.PeerError, match="must end within 0 s, was stopped"):
        peering.run_peer("popularity", folder, seed=0, threads=1, max_seconds=0.2)


def journal(**changed):
    given = {"started": time.time(), "max_seconds": 1e9, "patience": 2, "max_epochs": 9, "facts": {}, **changed}
    return peer_side.Journal(**given)


def after(record, *metrics):
    gains = []
    for metric in metrics:
        record.start_epoch()
        gains.append(record.end_epoch(lambda metric=metric: metric))
    return gains


def test_training_goes_on_until_the_patience_is_spent():
    record = journal()
    assert after(record, 0.1, 0.3, 0.3) == [True, True, False]
    assert record.stop == ""
    after(record, 0.2)
    assert record.stop == "patience"
    assert record.best["epoch"] == 2


def test_training_ends_with_the_last_epoch_or_the_budget():
    record = journal(max_epochs=1)
    after(record, 0.1)
    assert record.stop == "max_epochs"
    assert journal(max_seconds=0).stop == "max_seconds"


def test_a_user_who_is_asked_often_gets_the_scores_of_each_history(log):
    split = temporal(log, test_share=0.4)
    assert len(np.unique(split.test.users_C)) < len(split.test)
    keys_C = peering.case_keys(split.test.users_C, split.test.histories.lengths)
    marks_CV = np.zeros((len(split.test), NUM_ITEMS), dtype=np.float32)
    marks_CV[:, 0] = np.arange(len(split.test))
    ranker = peering.PeerRanker("marks", keys_C, marks_CV)
    order = np.random.default_rng(2).permutation(len(split.test))
    assert ranker.score(split.test.take(order))[:, 0].tolist() == order.tolist()


def test_a_case_that_the_peer_has_not_scored_is_refused(split):
    known = split.test.take(np.arange(5))
    keys_C = peering.case_keys(known.users_C, known.histories.lengths)
    ranker = peering.PeerRanker("peer", keys_C, np.zeros((5, NUM_ITEMS), dtype=np.float32))
    with pytest.raises(DataError, match="peer must have scored every case that is asked, user 5 with 7 items"):
        ranker.score(split.test)


def test_equally_long_but_different_histories_of_one_user_are_refused(split, tmp_path):
    histories = Histories.from_lists([[1], [2]], NUM_ITEMS)
    test = Cases(np.zeros(2, dtype=np.int32), np.zeros(2, dtype=np.int64), histories, histories)
    with pytest.raises(DataError, match="those of user 0 with 1 items differ"):
        peering.write_exchange(tmp_path, train=split.train, valid=split.valid, test=test)


def test_an_unknown_peer_is_refused():
    with pytest.raises(ConfigError, match="peer must be one of rectools, recbole, implicit, is 'cornac'"):
        peering.environment("cornac")


def test_an_environment_is_made_once_and_again_when_its_pins_change(monkeypatch, tmp_path):
    pins = BENCHMARKS / "peers" / "requirements-implicit.txt"
    stamp = tmp_path / "implicit" / "installed.txt"
    stamp.parent.mkdir()
    stamp.write_text(hashlib.sha256(pins.read_bytes()).hexdigest(), encoding="ascii")
    monkeypatch.setattr(peering, "_ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(peering.sys, "executable", "false")
    assert peering.environment("implicit") == tmp_path / "implicit" / "bin" / "python"
    stamp.write_text("older pins", encoding="ascii")
    with pytest.raises(peering.PeerError, match=r"'implicit' could not be installed from requirements-implicit\.txt"):
        peering.environment("implicit")


def test_every_peer_has_its_script_and_exact_pins():
    for name, script in {**peering.PEERS, **peering.CLICK_PEERS}.items():
        assert (BENCHMARKS / "peers" / script).is_file()
        pins = (BENCHMARKS / "peers" / f"requirements-{name}.txt").read_text(encoding="utf-8").splitlines()
        assert all("==" in line for line in pins if not line.startswith("#"))
