"""What a peer gets and gives back. Runs in the peer's environment, so it knows numpy and nothing of Kinema.

A peer is another library that is trained on exactly our split. `peering.write_exchange` writes the folder, this module
reads it:

- ``train.npz``: ``offsets`` int64 [U + 1], ``items`` int32 [N], ``num_users``, ``num_items``;
- ``valid.npz``: ``users`` int32 [C], ``offsets`` int64 [C + 1], ``items`` int32 (histories), ``targets`` int32 [C];
- ``test.npz``: as ``valid.npz`` without targets: nobody can read the answers.

The peer writes ``scores.npy``, float32 [C, V] in step with ``test.npz``, higher is better, -inf for what it cannot score,
and ``log.json``, which `Journal` fills.

Shape suffixes: U users, C cases, B cases of a batch, V items, K items that the peer knows.
"""

import argparse
import json
import resource
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

BATCH = 512


@dataclass(frozen=True)
class Packed:
    """Histories, packed: row r owns ``items[offsets[r]:offsets[r + 1]]``, oldest first."""

    offsets: NDArray[np.int64]
    items: NDArray[np.int32]

    def __len__(self) -> int:
        """Number of rows."""
        return len(self.offsets) - 1

    @property
    def owners(self) -> NDArray[np.int64]:
        """int64 [N], the row of each item."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))

    @property
    def places(self) -> NDArray[np.int64]:
        """int64 [N], the place of each item in its row, from 0."""
        return np.arange(len(self.items)) - np.repeat(self.offsets[:-1], np.diff(self.offsets))

    def of(self, row: int) -> NDArray[np.int32]:
        """Items of one row."""
        return self.items[self.offsets[row] : self.offsets[row + 1]]

    def only(self, known_V: NDArray[np.bool_]) -> "Packed":
        """The same rows without the items that are not known."""
        keep = known_V[self.items]
        kept = np.concatenate([[0], np.cumsum(keep)])
        return Packed(kept[self.offsets], self.items[keep])


@dataclass(frozen=True)
class Exchange:
    """Everything a peer may look at."""

    train: Packed
    num_items: int
    valid: Packed
    valid_targets_C: NDArray[np.int32]
    test: Packed

    def known_items(self) -> NDArray[np.bool_]:
        """Mask [V] of the items with an interaction in training."""
        return np.bincount(self.train.items, minlength=self.num_items) > 0

    @property
    def mean_length(self) -> float:
        """Interactions per user who has any."""
        return len(self.train.items) / max(int((np.diff(self.train.offsets) > 0).sum()), 1)


def read_exchange(folder: Path) -> Exchange:
    """Read what `peering.write_exchange` wrote."""
    names = ("train.npz", "valid.npz", "test.npz")
    train, valid, test = (dict(np.load(folder / name)) for name in names)
    return Exchange(
        Packed(train["offsets"], train["items"]),
        int(train["num_items"]),
        Packed(valid["offsets"], valid["items"]),
        valid["targets"],
        Packed(test["offsets"], test["items"]),
    )


Scorer = Callable[[int, int], NDArray[np.float32]]
"""First and last + 1 row of the cases -> float32 [B, V], which the caller may change."""


def ndcg_at_10(score: Scorer, histories: Packed, targets_C: NDArray[np.int32]) -> float:
    """Mean NDCG@10 over the full catalogue with the history's items removed; ties count against the peer.

    The same definition as Kinema's evaluator, so that every method is stopped by the same measure.
    """
    gains = 0.0
    for start, stop in batches(len(histories)):
        scores_BV = score(start, stop)
        rows_B = np.arange(stop - start)
        targets_B = targets_C[start:stop]
        found_B = scores_BV[rows_B, targets_B].copy()
        lengths_B = np.diff(histories.offsets[start : stop + 1])
        seen = histories.items[histories.offsets[start] : histories.offsets[stop]]
        scores_BV[np.repeat(rows_B, lengths_B), seen] = -np.inf
        scores_BV[rows_B, targets_B] = found_B
        ranks_B = (scores_BV >= found_B[:, None]).sum(axis=1)
        hit_B = (ranks_B <= 10) & np.isfinite(found_B)
        gains += float((1 / np.log2(ranks_B[hit_B] + 1)).sum())
    return gains / max(len(histories), 1)


def batches(num_rows: int) -> Iterator[tuple[int, int]]:
    """First and last + 1 row of one batch after another."""
    for start in range(0, num_rows, BATCH):
        yield start, min(start + BATCH, num_rows)


def write_scores(folder: Path, score: Scorer, exchange: Exchange) -> None:
    """Score all test cases into ``scores.npy``, batch by batch."""
    shape = (len(exchange.test), exchange.num_items)
    scores_CV = np.lib.format.open_memmap(folder / "scores.npy", mode="w+", dtype=np.float32, shape=shape)
    for start, stop in batches(len(exchange.test)):
        scores_CV[start:stop] = score(start, stop)
    scores_CV.flush()


@dataclass
class Journal:
    """What happened when, and whether to go on.

    Wall and CPU seconds count from the start of the process: imports, data loading and validation are in them.

    Attributes:
        started: When the process was started, seconds since the epoch.
        max_seconds: No further epoch once so much wall time has passed.
        patience: Stop after so many epochs without a gain in validation NDCG@10.
        max_epochs: Stop after so many epochs.
        facts: Package, version, settings.
        epochs: One entry per epoch.
    """

    started: float
    max_seconds: float
    patience: int
    max_epochs: int
    facts: dict[str, Any]
    epochs: list[dict[str, Any]] = field(default_factory=list)
    mark: tuple[float, float] = (0.0, 0.0)

    @property
    def now(self) -> tuple[float, float]:
        """Wall and CPU seconds since the process was started."""
        return time.time() - self.started, time.process_time()

    @property
    def out_of_time(self) -> bool:
        """Whether the budget is spent; looked at within an epoch as well."""
        return self.now[0] >= self.max_seconds

    def start_epoch(self) -> None:
        """Remember when the epoch started."""
        self.mark = self.now
        self.facts.setdefault("seconds_before_training", [round(one, 2) for one in self.mark])

    def end_epoch(self, validate: Callable[[], float], **notes: Any) -> bool:
        """Validate, note the epoch, and say whether it is the best so far."""
        trained = self.now
        cut_short = self.out_of_time
        metric = validate()
        wall, cpu = self.now
        best = max((one["ndcg@10"] for one in self.epochs), default=-1.0)
        self.epochs.append(
            {
                "epoch": len(self.epochs) + 1,
                "ndcg@10": metric,
                "wall_seconds": round(wall, 3),
                "cpu_seconds": round(cpu, 3),
                "train_wall_seconds": round(trained[0] - self.mark[0], 3),
                "train_cpu_seconds": round(trained[1] - self.mark[1], 3),
                "cut_short": cut_short,
                **notes,
            }
        )
        print(json.dumps(self.epochs[-1]), flush=True)
        return metric > best

    @property
    def best(self) -> dict[str, Any]:
        """The epoch with the highest validation NDCG@10, the first of equals."""
        return max(self.epochs, key=lambda one: float(one["ndcg@10"]))

    @property
    def stop(self) -> str:
        """Why training ends here; empty where it goes on."""
        if self.out_of_time:
            return "max_seconds"
        if len(self.epochs) >= self.max_epochs:
            return "max_epochs"
        if self.epochs and len(self.epochs) - self.best["epoch"] >= self.patience:
            return "patience"
        return ""

    def write(self, folder: Path) -> None:
        """Write ``log.json``; call it before scoring, whose memory map would count as memory of the training."""
        wall, cpu = self.now
        best = self.best
        result = {
            **self.facts,
            "stopped_by": self.stop or "end",
            "best_epoch": best["epoch"],
            "best_ndcg@10": best["ndcg@10"],
            "wall_seconds_to_best": best["wall_seconds"],
            "cpu_seconds_to_best": best["cpu_seconds"],
            "wall_seconds": round(wall, 3),
            "cpu_seconds": round(cpu, 3),
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
            "epochs": self.epochs,
        }
        (folder / "log.json").write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


@dataclass(frozen=True)
class Order:
    """What `peering.run_peer` asks for."""

    exchange: Path
    out: Path
    seed: int
    threads: int
    max_seconds: float
    started: float
    settings: dict[str, Any]

    def journal(self, package: str, version: str, settings: dict[str, Any]) -> Journal:
        """The journal of this run."""
        facts = {
            "package": package,
            "version": version,
            "seed": self.seed,
            "threads": self.threads,
            "max_seconds": self.max_seconds,
            "settings": settings,
        }
        return Journal(self.started, self.max_seconds, settings["patience"], settings["max_epochs"], facts)

    def chosen(self, defaults: dict[str, Any]) -> dict[str, Any]:
        """The peer's defaults with the settings of this run.

        Raises:
            SystemExit: A setting is unknown to the peer.
        """
        unknown = sorted(set(self.settings) - set(defaults))
        if unknown:
            raise SystemExit(f"settings must be among {sorted(defaults)}, unknown: {unknown}")
        return {**defaults, **self.settings}


def read_order() -> Order:
    """Read the command line of a peer script."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--exchange", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--max-seconds", type=float, required=True)
    parser.add_argument("--started", type=float, required=True)
    parser.add_argument("--settings", type=json.loads, required=True)
    return Order(**vars(parser.parse_args()))
