"""Click as a task on a project's log: will this user click this item now?

Shape suffixes: N exposures, B examples of a step, L history length, R distinct items, V catalogue, D width of given item vectors, P profile
columns, C numbers of the context.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kinema.errors import DataError
from kinema.flm.draws import Draws
from kinema.metrics.classification import auc, grouped_auc, log_loss
from kinema.store.exposures import Exposures
from kinema.store.growing_trails import GrowingTrails
from kinema.store.trails import Trails
from kinema.tasks.history_click_ensemble import HistoryClickEnsemble
from kinema.tasks.predicting import Meaning
from kinema.tasks.target_attention import (
    NUM_GAPS,
    NUM_POSITIONS,
    HistoryBatch,
    HistoryClickConfig,
    HistoryClickNetwork,
)

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_THURSDAY: Final = 3
"""The weekday of the first of January 1970, Monday being 0."""
_AT_ONCE: Final = 2048


class Trailed(NamedTuple):
    """What users of a batch did before, oldest first.

    Attributes:
        items_BL: Item numbers.
        kinds_BL: Kinds of the events.
        there_BL: bool, whether there is an event.
    """

    items_BL: NDArray[np.integer]
    kinds_BL: NDArray[np.integer]
    there_BL: NDArray[np.bool_]


class ChangeTrails(Protocol):
    """Gives histories of the same shape, in which events may be others or gone; see `kinema.training.history_augmentation`."""

    def __call__(self, trails: Trailed, random: np.random.Generator) -> Trailed:
        """Not in place."""


@dataclass(frozen=True)
class ClickWorld:
    """What a click is judged by, beside the example itself.

    Attributes:
        vectors_VD: float32, item vectors from outside.
        popularity_V: float32, interactions per item in training.
        published_ms_V: int64; the smallest int64 where unknown.
        trails: Everything that users did.
        profiles_UP: float32; None for none.
    """

    vectors_VD: NDArray[np.float32]
    popularity_V: NDArray[np.float32]
    published_ms_V: NDArray[np.int64]
    trails: Trails | GrowingTrails
    profiles_UP: NDArray[np.float32] | None = None

    def batch(
        self,
        users_B: NDArray[np.integer],
        items_B: NDArray[np.integer],
        times_ms_B: NDArray[np.int64],
        *,
        ends_B: NDArray[np.int64],
        positions_B: NDArray[np.integer] | None,
        max_length: int,
        num_ids: int,
        change: Callable[[Trailed], Trailed] | None = None,
    ) -> HistoryBatch:
        """Examples as tensors.

        Args:
            users_B: User numbers; one alone, with one moment, one end and no places, is that of all examples and is read once.
            items_B: Item numbers.
            times_ms_B: Moments.
            ends_B: Where what each user did before ends, see `Trails.ends_before`.
            positions_B: Place in the slate, -1 where unknown; None for all unknown.
            max_length: Newest events that are read.
            num_ids: Items from the first that have a vector of their own.
            change: What becomes of the histories first; for training.
        """
        trails = self.trails
        places_BL, there_BL = trails.newest(users_B, ends_B, length=max_length)
        events_BL: NDArray[np.integer] = trails.items_E[places_BL] if len(trails.items_E) else np.zeros_like(places_BL)
        kinds_BL: NDArray[np.integer] = trails.kinds_E[places_BL] if len(trails.items_E) else places_BL
        passed_BL = times_ms_B[:, None] - (trails.times_ms_E[places_BL] if len(trails.items_E) else places_BL)
        if change is not None:
            events_BL, kinds_BL, there_BL = change(Trailed(events_BL, kinds_BL, there_BL))
        rows_R, numbers = np.unique(np.concatenate([items_B, events_BL.ravel()]), return_inverse=True)
        local_ms_B = times_ms_B // _HOUR_MS
        positions = np.full(len(users_B), -1) if positions_B is None else np.asarray(positions_B)
        profiles = None
        if self.profiles_UP is not None:
            known_B = users_B < len(self.profiles_UP)
            profiles = torch.from_numpy(self.profiles_UP[np.where(known_B, users_B, 0)] * known_B[:, None])
        return HistoryBatch(
            items_RD=torch.from_numpy(np.ascontiguousarray(self.vectors_VD[rows_R])),
            ids_R=torch.from_numpy(np.where(rows_R < num_ids, rows_R + 1, 0).astype(np.int64)),
            targets_B=torch.from_numpy(numbers[: len(items_B)]),
            places_BL=torch.from_numpy(numbers[len(items_B) :].reshape(events_BL.shape)),
            there_BL=torch.from_numpy(there_BL),
            kinds_BL=torch.from_numpy(kinds_BL.astype(np.int64)),
            gaps_BL=torch.from_numpy(gap_buckets(np.where(there_BL, passed_BL, 0))),
            hours_B=torch.from_numpy(local_ms_B % 24),
            weekdays_B=torch.from_numpy((times_ms_B // _DAY_MS + _THURSDAY) % 7),
            positions_B=torch.from_numpy(np.minimum(positions + 1, NUM_POSITIONS - 1).astype(np.int64)),
            numbers_BC=torch.from_numpy(self._numbers(users_B, items_B, times_ms_B, ends_B)),
            profiles_BP=profiles,
        )

    def candidates(
        self, items_K: NDArray[np.integer], *, user: int, now_ms: int, max_length: int, num_ids: int
    ) -> HistoryBatch:
        """Items that one user may be shown at one moment; what is the user's is read once for all of them.

        Args:
            items_K: Item numbers.
            user: User number; one behind the known ones has done nothing yet.
            now_ms: The moment, UTC.
            max_length: See `batch`.
            num_ids: See `batch`.
        """
        users, moments = np.array([user]), np.array([now_ms], dtype=np.int64)
        ends = self.trails.ends_before(users, moments)
        how: dict[str, Any] = {"max_length": max_length, "num_ids": num_ids}
        return self.batch(users, items_K, moments, ends_B=ends, positions_B=None, **how)

    def _numbers(
        self,
        users_B: NDArray[np.integer],
        items_B: NDArray[np.integer],
        times_ms_B: NDArray[np.int64],
        ends_B: NDArray[np.int64],
    ) -> NDArray[np.float32]:
        """float32 [B, C], logarithms scaled to about 1: events before, popularity, days since publication (0 where unknown)."""
        before_B = ends_B - self.trails.starts(users_B)
        published_B = self.published_ms_V[items_B]
        dated_B = published_B > np.iinfo(np.int64).min
        age_B = np.where(dated_B, np.maximum(times_ms_B - np.where(dated_B, published_B, 0), 0), 0) / _DAY_MS
        columns = np.broadcast_arrays(before_B, self.popularity_V[items_B], age_B)
        return np.stack([np.log1p(one) / 4 for one in columns], axis=1).astype(np.float32)


def gap_buckets(passed_ms: NDArray[np.integer]) -> NDArray[np.int64]:
    """Buckets of times that have passed, each twice as long as the one before.

    Example:
        >>> gap_buckets(np.array([0, 59_999, 60_000, 180_000, 10**15])).tolist()
        [0, 0, 1, 2, 23]
    """
    minutes = np.maximum(passed_ms, 0) // _MINUTE_MS
    return np.asarray(np.minimum(np.log2(minutes + 1), NUM_GAPS - 1), dtype=np.int64)


def by_time(exposures: Exposures, shares: Sequence[float] = (0.8, 0.1)) -> tuple[NDArray[np.int64], ...]:
    """Rows before, between and behind moments that leave these shares of the exposures before them.

    Exposures of one moment stay together.

    Args:
        exposures: Oldest first.
        shares: Of all parts but the last; they must add up to less than 1.

    Returns:
        One array of rows more than shares.
    """
    times_ms_N = exposures.times_ms_N
    marks = [times_ms_N[min(int(share * len(times_ms_N)), len(times_ms_N) - 1)] for share in np.cumsum(shares)]
    edges = [0, *np.searchsorted(times_ms_N, marks).tolist(), len(times_ms_N)]
    return tuple(np.arange(first, last) for first, last in pairwise(edges))


def fresh_network(
    world: ClickWorld, shown_N: NDArray[np.integer], *, config: HistoryClickConfig, seed: int
) -> HistoryClickNetwork:
    """A network for a world.

    Args:
        world: What it will read.
        shown_N: Items of the training examples. Items are numbered by arrival: the vectors of their own end with the newest of these, and
            are zero, with nothing to learn from, for those that were never shown.
        config: Of the network.
        seed: Of its start.
    """
    seen = np.unique(shown_N)
    num_ids = int(seen[-1]) + 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = HistoryClickNetwork(
            config,
            num_ids=num_ids,
            item_width=world.vectors_VD.shape[1],
            num_kinds=len(world.trails.kinds),
            profile_width=0 if world.profiles_UP is None else world.profiles_UP.shape[1],
        )
    with torch.no_grad():
        network.ids.weight[torch.from_numpy(np.setdiff1d(np.arange(num_ids), seen) + 1)] = 0.0
    return network


class HistoryClick:
    """The task with its data; see `kinema.tasks.task.Learner`.

    Args:
        world: Of the project.
        exposures: Examples.
        label: Kind of outcome that is asked for.
        train: Rows that are learnt from.
        valid: Rows that decide.
        config: Of the network.
        seed: Of its start.
        change: What becomes of histories in training.

    Raises:
        DataError: There is nothing to learn or to choose on, or every label is the same.
    """

    meaning: Meaning = "chances"

    def __init__(
        self,
        world: ClickWorld,
        exposures: Exposures,
        *,
        label: str,
        train: NDArray[np.int64],
        valid: NDArray[np.int64],
        config: HistoryClickConfig,
        seed: int,
        change: ChangeTrails | None = None,
    ) -> None:
        if label not in exposures.outcomes:
            raise DataError(f"label '{label}' must be an outcome of the log; known: {', '.join(exposures.outcomes)}")
        labels_N = exposures.outcomes[label]
        for name, rows in (("train", train), ("validation", valid)):
            if not 0 < np.count_nonzero(labels_N[rows]) < len(rows):
                raise DataError(
                    f"the {name} part must have examples with and without '{label}', has {np.count_nonzero(labels_N[rows])} "
                    f"of {len(rows)} with it; give a longer log"
                )
        self.world, self.exposures, self.config = world, exposures, config
        self.num_examples = len(train)
        self._train, self._valid, self._change = train, valid, change
        self._labels_N = labels_N.astype(np.float32)
        self._ends_N = world.trails.ends_before(exposures.users_N, exposures.times_ms_N)
        self.network: HistoryClickNetwork | HistoryClickEnsemble = fresh_network(
            world, exposures.items_N[train], config=config, seed=seed
        )

    @property
    def num_ids(self) -> int:
        """Items from the first that have a vector of their own."""
        return self.network.num_ids

    def predictions(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Logits of training examples."""
        change = None
        if self._change is not None and draws is not None:
            change = partial(self._change, random=draws.generator())
        logits_B: Tensor = self.network(self._batch(self._train[rows_B], with_positions=True, change=change), draws)
        return logits_B

    def loss_of(self, predictions: Tensor, rows_B: NDArray[np.int64]) -> Tensor:
        """Mean log loss of those logits."""
        return functional.binary_cross_entropy_with_logits(
            predictions, torch.from_numpy(self._labels_N[self._train[rows_B]])
        )

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Mean log loss of training examples."""
        return self.loss_of(self.predictions(rows_B, draws), rows_B)

    def validate(self) -> Mapping[str, float]:
        """AUC, AUC within users, log loss."""
        return self.measure(self._valid)

    def measure(self, rows_N: NDArray[np.int64]) -> dict[str, float]:
        """The same numbers on any examples; places in slates are not looked at, as when slates are made."""
        probs_N, labels_N = self.probabilities(rows_N), self._labels_N[rows_N]
        within = grouped_auc(probs_N, labels_N, self.exposures.users_N[rows_N])
        return {
            "auc": auc(probs_N, labels_N),
            "grouped_auc": within.value,
            "log_loss": log_loss(probs_N, labels_N),
        }

    def probabilities(self, rows_N: NDArray[np.int64], *, with_places: bool = False) -> NDArray[np.float32]:
        """float32 [N], of a click on each of these exposures; their places in slates are looked at on wish only."""
        self.network.eval()
        found = []
        with torch.inference_mode():
            for start in range(0, len(rows_N), _AT_ONCE):
                batch = self._batch(rows_N[start : start + _AT_ONCE], with_positions=with_places)
                found.append(torch.sigmoid(self.network(batch)).numpy())
        return np.concatenate(found) if found else np.zeros(0, dtype=np.float32)

    def embeddings(self) -> Sequence[nn.Parameter]:
        """Own vectors of items, and kinds of events."""
        networks = [one for one in self.network.modules() if isinstance(one, HistoryClickNetwork)]
        return [parameter for one in networks for table in (one.ids, one.kinds) for parameter in table.parameters()]

    def _batch(
        self, rows: NDArray[np.int64], *, with_positions: bool, change: Callable[[Trailed], Trailed] | None = None
    ) -> HistoryBatch:
        exposures = self.exposures
        return self.world.batch(
            exposures.users_N[rows],
            exposures.items_N[rows],
            exposures.times_ms_N[rows],
            ends_B=self._ends_N[rows],
            positions_B=exposures.positions_N[rows] if with_positions else None,
            max_length=self.config.max_length,
            num_ids=self.num_ids,
            change=change,
        )
