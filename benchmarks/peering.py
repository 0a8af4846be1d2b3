"""Other libraries beside Kinema: each in an environment of its own, on exactly our split, scored by our evaluator.

A peer cannot be imported here: its pins and ours exclude each other. So the split goes out as files, the peer trains in
a process of its own, and its scores come back as an array that `PeerRanker` hands to the evaluator. The test
targets never leave this process. ``peers/exchange.py`` describes the files.

    write_exchange(folder, train=split.train, valid=split.valid, test=split.test)
    run = run_peer("rectools", folder, seed=0, threads=2, max_seconds=7200)
    result = evaluate(run.ranker("RecTools SASRec"), split.test, split)
    run.log["wall_seconds_to_best"]

A `PeerError` means that the peer could not be installed or run; a benchmark leaves it out and says why.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError, DataError, KinemaError
from kinema.store.histories import Histories
from kinema.store.splits import Cases

PEERS: Final = {
    "rectools": "rectools_sasrec.py",
    "recbole": "recbole_sasrec.py",
    "implicit": "implicit_als.py",
}
"""Peer -> its script; the pins of its environment are in ``requirements-<peer>.txt`` beside it."""

RATING_PEERS: Final = {"surprise": "surprise_rating.py"}
"""The same for peers that tell ratings; they are asked by ``rating.py``, not scored by the evaluator of rankings."""

CLICK_PEERS: Final = {"rechub": "rechub_click.py"}
"""Peers that predict clicks; ``click_speed.py`` asks them how fast they train."""

_SCRIPTS: Final = Path(__file__).resolve().parent / "peers"
_ENVIRONMENTS: Final = Path(__file__).resolve().parents[1] / "build" / "peers"
_SCORING_SECONDS: Final = 1800
"""What a peer may take beyond its training budget for the epoch's validation and for scoring the test cases."""
_KEEP_MEMORY: Final = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(2**40)}
"""glibc gives freed tensors back to the system and asks for them again; keeping them took 40 % off a step of RecBole."""


class PeerError(KinemaError):
    """A peer could not be installed or run: leave it out and say so."""


def write_exchange(folder: Path, *, train: Histories, valid: Cases, test: Cases) -> None:
    """Write what peers may see: training histories, validation cases with targets, test cases without.

    Args:
        folder: Created if absent.
        train: U rows.
        valid: Cases; one with several targets becomes one case per target, because peers stop by next-item NDCG@10.
        test: Cases.

    Raises:
        DataError: Two test cases of one user have equally long but different histories, so that scores could not be
            told apart.
    """
    _check_histories(test)
    valid_T = valid.take(np.repeat(np.arange(len(valid)), valid.targets.lengths))
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(
        folder / "train.npz",
        offsets=train.offsets,
        items=train.items,
        num_users=train.num_users,
        num_items=train.num_items,
    )
    np.savez(
        folder / "valid.npz",
        users=valid_T.users_C,
        offsets=valid_T.histories.offsets,
        items=valid_T.histories.items,
        targets=valid.targets.items,
    )
    np.savez(folder / "test.npz", users=test.users_C, offsets=test.histories.offsets, items=test.histories.items)


def environment(name: str) -> Path:
    """The peer's own Python, installed on first use and again when its pins change.

    Args:
        name: One of `PEERS`, `RATING_PEERS` or `CLICK_PEERS`.

    Returns:
        The interpreter, below ``build/peers/<name>``.

    Raises:
        ConfigError: There is no such peer.
        PeerError: The environment could not be made.
    """
    if name not in {**PEERS, **RATING_PEERS, **CLICK_PEERS}:
        raise ConfigError(f"peer must be one of {', '.join(PEERS)}, is '{name}'")
    requirements = _SCRIPTS / f"requirements-{name}.txt"
    fingerprint = hashlib.sha256(requirements.read_bytes()).hexdigest()
    folder = _ENVIRONMENTS / name
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    if stamp.is_file() and stamp.read_text(encoding="ascii") == fingerprint:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    steps = (
        [sys.executable, "-m", "venv", str(folder)],
        [str(python), "-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r", str(requirements)],
    )
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PeerError(
                f"the environment of peer '{name}' could not be installed from {requirements.name}: "
                f"{_last_lines(done.stdout + done.stderr)}; leave the peer out or make its pins available"
            )
    stamp.write_text(fingerprint, encoding="ascii")
    return python


@dataclass(frozen=True)
class PeerRanker:
    """Scores that a peer has computed, as a ranker: a case's row is found by its user and the length of its history.

    Attributes:
        name: How reports call it.
        keys_C: int64, `case_keys` of the test cases, in step with the scores.
        scores_CV: float32, may be memory-mapped.
    """

    name: str
    keys_C: NDArray[np.int64]
    scores_CV: NDArray[np.float32]

    @cached_property
    def _sorted(self) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
        return np.unique(self.keys_C, return_index=True)

    def score(self, cases: Cases) -> NDArray[np.float32]:
        """See `kinema.evaluation.protocol.Ranker`.

        Raises:
            DataError: A case was not among those that the peer has scored.
        """
        keys, rows = self._sorted
        asked_C = case_keys(cases.users_C, cases.histories.lengths)
        places_C = np.minimum(np.searchsorted(keys, asked_C), len(keys) - 1)
        unknown_C = keys[places_C] != asked_C
        if unknown_C.any():
            first = int(np.argmax(unknown_C))
            raise DataError(
                f"{self.name} must have scored every case that is asked, user {cases.users_C[first]} with "
                f"{cases.histories.lengths[first]} items was not in its test cases; write the exchange with these cases"
            )
        return np.asarray(self.scores_CV[rows[places_C]])


@dataclass(frozen=True)
class PeerRun:
    """What a peer gave back.

    Attributes:
        name: One of `PEERS`.
        folder: Where ``scores.npy`` (C x V x 4 bytes; delete it when it is evaluated), ``log.json`` and ``output.txt`` are.
        keys_C: int64, `case_keys` of the rows of `scores`.
        log: ``package``, ``version``, ``seed``, ``threads``, ``settings``; ``epochs``, each with ``ndcg@10`` on
            validation, ``wall_seconds`` and ``cpu_seconds`` since the process started (imports, data loading, all
            training and validation so far) and ``train_wall_seconds``, ``train_cpu_seconds`` of that epoch alone;
            ``best_epoch``, ``wall_seconds_to_best``, ``cpu_seconds_to_best``; ``wall_seconds`` and ``cpu_seconds`` of the
            whole training; ``stopped_by`` (``patience``, ``max_seconds``, ``max_epochs``); ``peak_memory_mb``.
    """

    name: str
    folder: Path
    keys_C: NDArray[np.int64]
    log: dict[str, Any]

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """Scores [C, V], float32, memory-mapped, in step with the test cases."""
        scores_CV: NDArray[np.float32] = np.load(self.folder / "scores.npy", mmap_mode="r")
        return scores_CV

    def ranker(self, name: str) -> PeerRanker:
        """The scores as a ranker for the evaluator."""
        return PeerRanker(name, self.keys_C, self.scores)


def run_peer(
    name: str,
    exchange: Path,
    *,
    seed: int,
    threads: int,
    max_seconds: float,
    settings: Mapping[str, Any] | None = None,
) -> PeerRun:
    """Train a peer in a process of its own and let it score the test cases.

    Args:
        name: One of `PEERS`.
        exchange: Folder of `write_exchange`; the result goes into ``<name>-<seed>`` below it.
        seed: Seed of the peer.
        threads: Threads of its numeric libraries.
        max_seconds: Wall time for training; the peer keeps its best epoch so far when it is spent.
        settings: Settings that differ from the defaults in the peer's script, such as ``{"max_epochs": 2}``.

    Returns:
        Log and scores.

    Raises:
        ConfigError: There is no such peer.
        PeerError: It could not be installed, it failed, or it did not come to an end.
    """
    python = environment(name)
    folder = (exchange / f"{name}-{seed}").resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [str(python), str(_SCRIPTS / PEERS[name]), "--exchange", str(exchange.resolve()), "--out", str(folder)]
    command += ["--seed", str(seed), "--threads", str(threads), "--max-seconds", str(max_seconds)]
    command += ["--settings", json.dumps(dict(settings or {}))]
    run_script(name, command, folder, threads=threads, timeout=max_seconds + _SCORING_SECONDS)
    with np.load(exchange / "test.npz") as test:
        keys_C = case_keys(test["users"], np.diff(test["offsets"]))
    return PeerRun(name, folder, keys_C, json.loads((folder / "log.json").read_text(encoding="utf-8")))


def run_script(name: str, command: Sequence[str], folder: Path, *, threads: int, timeout: float) -> None:
    """Start a peer's script in its folder, because some libraries write where they stand, and keep what it says.

    Args:
        name: Of the peer, for errors.
        command: Interpreter, script, options; ``--started`` is added.
        folder: Where it runs; ``output.txt`` is what it said.
        threads: Of its numeric libraries.
        timeout: Seconds after which it is stopped.

    Raises:
        PeerError: It failed, or did not come to an end.
    """
    variables = {
        **os.environ,
        "OMP_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "PASSIVE",
        **_KEEP_MEMORY,
        "CUDA_VISIBLE_DEVICES": "",
    }
    output = folder / "output.txt"
    with output.open("w", encoding="utf-8") as file:
        try:
            done = subprocess.run(
                [*command, "--started", repr(time.time())],
                cwd=folder,
                env=variables,
                stdout=file,
                stderr=subprocess.STDOUT,
                timeout=timeout,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise PeerError(f"peer '{name}' must end within {timeout:.0f} s, was stopped; see {output}") from None
    if done.returncode:
        said = _last_lines(output.read_text(encoding="utf-8"))
        raise PeerError(f"peer '{name}' must end with code 0, ended with {done.returncode}: {said}; see {output}")


def case_keys(users_C: NDArray[np.integer], lengths_C: NDArray[np.integer]) -> NDArray[np.int64]:
    """One number for user and length of the history; within one split it tells the history.

    Example:
        >>> case_keys(np.array([0, 2]), np.array([5, 1])).tolist()
        [5, 8589934593]
    """
    return users_C.astype(np.int64) * 2**32 + lengths_C


def _check_histories(cases: Cases) -> None:
    keys, firsts, which_C = np.unique(
        case_keys(cases.users_C, cases.histories.lengths), return_index=True, return_inverse=True
    )
    if len(keys) == len(cases):
        return
    for row, first in enumerate(firsts[which_C]):
        if row != first and not np.array_equal(cases.histories.of(row), cases.histories.of(int(first))):
            raise DataError(
                f"cases of one user with equally long histories must have the same history, those of user "
                f"{cases.users_C[row]} with {cases.histories.lengths[row]} items differ; peers cannot tell them apart"
            )


def _last_lines(text: str) -> str:
    return " | ".join(line.strip() for line in text.strip().splitlines()[-4:])
