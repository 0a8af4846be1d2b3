"""Several tasks at once: one trunk reads who is asked about which item, a head per task says what it wants to know.

A step has examples of all tasks in one pass through the trunk; each task's loss is the mean over its own, and the weighting
makes one scalar of them.

Shape suffixes: B examples of a step, R rows through the trunk, K items a choice is made from, D width, N rows of a task.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kinema.errors import ConfigError
from kinema.flm.draws import Draws
from kinema.metrics.classification import auc
from kinema.seeds import derive_seed, generator
from kinema.tasks.history_click import ClickWorld, fresh_network
from kinema.tasks.history_facts import HistoryReading
from kinema.tasks.several_examples import CutRows, Meaning, Offsets
from kinema.tasks.target_attention import HistoryClickConfig
from kinema.tasks.task_weighting import WEIGHTINGS

_OFFSETS: Final = 2
_AT_ONCE: Final = 2048


@dataclass(frozen=True)
class SeveralConfig:
    """What defines a model of several tasks.

    Attributes:
        tasks: Name -> what is told.
        weighting: One of `WEIGHTINGS`.
        weights: Task -> weight of its loss, 1 where none is given.
        hidden: Width of each head's one layer.
        num_negatives: Items drawn for each choice to be made from, >= 1.
        dropout: In the heads.
    """

    tasks: Mapping[str, Meaning]
    weighting: str = "fixed"
    weights: Mapping[str, float] = field(default_factory=dict)
    hidden: int = 64
    num_negatives: int = 7
    dropout: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not self.tasks:
            raise ConfigError("several tasks must be one at least, are none; name some: --tasks click,next")
        if self.weighting not in WEIGHTINGS:
            raise ConfigError(f"weighting must be one of {', '.join(WEIGHTINGS)}, is '{self.weighting}'")
        for name in self.weights:
            if name not in self.tasks:
                raise ConfigError(f"weights names '{name}', which is no task; known: {', '.join(self.tasks)}")
        if self.hidden < 1 or self.num_negatives < 1 or not 0 <= self.dropout < 1:
            raise ConfigError(
                "a model of several tasks needs hidden and num_negatives >= 1 and dropout in [0, 1), got "
                f"{self.hidden}, {self.num_negatives} and {self.dropout:g}"
            )

    @property
    def loss_weights(self) -> tuple[float, ...]:
        """One per task."""
        return tuple(float(self.weights.get(name, 1.0)) for name in self.tasks)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave."""
        return cls(**values)


class SeveralNetwork(nn.Module):
    """Trunk, heads and weighting.

    Args:
        reading: The trunk.
        config: What to build on it.
    """

    def __init__(self, reading: HistoryReading, config: SeveralConfig) -> None:
        super().__init__()
        self.reading = reading
        self._dropout, self._meanings = config.dropout, dict(config.tasks)
        self.inner = nn.ModuleDict()
        self.outer = nn.ModuleDict()
        for name, meaning in config.tasks.items():
            more = _OFFSETS if meaning == "value" else 0
            self.inner[name] = nn.Linear(reading.width + more, config.hidden)
            self.outer[name] = nn.Linear(config.hidden + more, 1)
        self.weighting = WEIGHTINGS[config.weighting](config.loss_weights)

    def told(self, name: str, x_RD: Tensor, offsets_R2: Tensor | None = None, draws: Draws | None = None) -> Tensor:
        """What one head says of rows the trunk has read: log-odds, or a value in deviations from the mean, float32 [R]."""
        given = [] if offsets_R2 is None else [offsets_R2]
        hidden_RH = functional.relu(self.inner[name](torch.cat([x_RD, *given], dim=1)))
        if draws is not None:
            hidden_RH = draws.dropout(hidden_RH, self._dropout)
        told_R: Tensor = self.outer[name](torch.cat([hidden_RH, *given], dim=1)).squeeze(1)
        return told_R


def fresh_several(reading: HistoryReading, config: SeveralConfig, *, seed: int) -> SeveralNetwork:
    """A network with new heads on a trunk."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "several/heads"))
        return SeveralNetwork(reading, config)


@dataclass(frozen=True)
class Asked:
    """Rows of a task as the trunk is asked about them.

    Attributes:
        users_R: int64.
        items_R: int64.
        times_ms_R: int64.
        ends_R: int64, where what each user did before ends.
    """

    users_R: NDArray[np.int64]
    items_R: NDArray[np.int64]
    times_ms_R: NDArray[np.int64]
    ends_R: NDArray[np.int64]


class SeveralLearner:
    """All tasks with their data; see `kinema.tasks.task.Learner`.

    Args:
        world: What rows are judged by.
        tasks: Name -> examples; those of the configuration, in its order.
        config: What is learnt.
        reading: Shape of the trunk.
        seed: Of its start.

    Attributes:
        network: A `SeveralNetwork`.
        num_examples: Training examples of all tasks.
        offsets: Task of a value -> what lies under it.
    """

    def __init__(
        self,
        world: ClickWorld,
        tasks: Mapping[str, CutRows],
        *,
        config: SeveralConfig,
        reading: HistoryClickConfig,
        seed: int,
    ) -> None:
        self.world, self.config, self._tasks = world, config, {name: tasks[name] for name in config.tasks}
        sizes = world.trails.num_users, len(world.vectors_VD)
        trains = {name: one.parts["train"] for name, one in self._tasks.items()}
        shown = np.concatenate([one.rows.items_N[trains[name]] for name, one in self._tasks.items()])
        trunk = fresh_network(world, shown, config=reading, seed=derive_seed(seed, "several/trunk"))
        self.network = fresh_several(HistoryReading(trunk), config, seed=seed)
        self._starts = np.concatenate([[0], np.cumsum([len(one) for one in trains.values()])])
        self.num_examples = int(self._starts[-1])
        self._trains = trains
        self._ends = {
            name: world.trails.ends_before(one.rows.users_N, one.rows.times_ms_N) for name, one in self._tasks.items()
        }
        values = {name: one for name, one in self._tasks.items() if one.rows.meaning == "value"}
        self.offsets = {
            name: Offsets.fit(one.rows, trains[name], num_users=sizes[0], num_items=sizes[1])
            for name, one in values.items()
        }
        self._own = {name: self.offsets[name].without_own(one.rows, trains[name]) for name, one in values.items()}
        self._by_age = np.argsort(world.published_ms_V, kind="stable")
        self._fixed = {name: self._drawn(one.rows.times_ms_N, seed) for name, one in self._tasks.items()}
        self._constants = {name: self._constant(name) for name in self._tasks}

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """The tasks' losses, combined by the weighting."""
        places = {
            name: self._trains[name][rows_B[(rows_B >= first) & (rows_B < last)] - first]
            for name, first, last in zip(self._tasks, self._starts[:-1], self._starts[1:], strict=True)
        }
        seed = zlib.crc32(np.ascontiguousarray(rows_B).tobytes())
        drawn = {name: self._drawn(self._tasks[name].rows.times_ms_N[rows], seed) for name, rows in places.items()}
        each = self._losses(places, drawn, draws=draws, own=True)
        losses_T = torch.stack([one.mean() if len(one) else one.sum() for one in each.values()])
        shared = [*self.network.reading.parameters()] if len(each) > 1 else []
        loss: Tensor = self.network.weighting(losses_T, shared=shared, draws=draws)
        return loss

    def validate(self) -> Mapping[str, float]:
        """``<task>.loss`` of each, ``<task>.auc`` of a chance, and ``loss``: their weighted mean in parts of what a constant has."""
        found = {f"{name}.loss": float(one.mean()) for name, one in self.row_losses("valid").items()}
        weights_T = np.array(self.config.loss_weights)
        shares_T = np.array([found[f"{name}.loss"] / self._constants[name] for name in self._tasks])
        for name, one in self._tasks.items():
            if one.rows.meaning == "chance":
                rows = one.parts["valid"]
                found[f"{name}.auc"] = auc(self.chances(name, rows), one.rows.labels_N[rows])
        return found | {"loss": float(weights_T @ shares_T / weights_T.sum())}

    def relative_losses(self) -> NDArray[np.float64]:
        """What each held-out row of each task adds to ``loss`` of `validate`, float64 [N]: their mean is that number."""
        weights_T, losses = np.array(self.config.loss_weights), self.row_losses("valid")
        whole = sum(len(one) for one in losses.values())
        return np.concatenate(
            [
                one_N.astype(np.float64) * (weight * whole / (len(one_N) * self._constants[name] * weights_T.sum()))
                for (name, one_N), weight in zip(losses.items(), weights_T, strict=True)
            ]
        )

    def row_losses(self, part: str) -> dict[str, NDArray[np.float32]]:
        """Task -> loss of each row of a part; choices are made from items drawn once, the same for every model."""
        found = {}
        for name, one in self._tasks.items():
            chunks = []
            for start in range(0, len(one.parts[part]), _AT_ONCE // 8):
                rows = one.parts[part][start : start + _AT_ONCE // 8]
                with torch.inference_mode():
                    chunks.append(
                        self._losses({name: rows}, {name: self._fixed[name][rows]}, draws=None, own=False)[name]
                    )
            found[name] = torch.cat(chunks).numpy()
        return found

    def chances(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities of a task of yes and no, float32 [N]."""
        return np.asarray(1 / (1 + np.exp(-self._told(name, rows))), dtype=np.float32)

    def values(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Values of a task of numbers, on their own scale, float32 [N]."""
        offsets = self.offsets[name]
        return np.asarray(offsets.mean + offsets.deviation * self._told(name, rows), dtype=np.float32)

    def embeddings(self) -> Sequence[nn.Parameter]:
        """Own vectors of items, and kinds of events."""
        tables = (self.network.reading.network.ids.weight, self.network.reading.network.kinds.weight)
        return [one for one in tables if isinstance(one, nn.Parameter)]

    def asked(self, name: str, rows: NDArray[np.int64]) -> Asked:
        """Some rows of a task."""
        one = self._tasks[name].rows
        return Asked(one.users_N[rows], one.items_N[rows], one.times_ms_N[rows], self._ends[name][rows])

    def _told(self, name: str, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        found = []
        with torch.inference_mode():
            for start in range(0, len(rows), _AT_ONCE):
                chunk = rows[start : start + _AT_ONCE]
                x_RD = self._read([self.asked(name, chunk)], None)
                found.append(self.network.told(name, x_RD, self._given(name, chunk, own=False)))
        return torch.cat(found).numpy() if found else np.zeros(0, dtype=np.float32)

    def _losses(
        self,
        places: Mapping[str, NDArray[np.int64]],
        drawn: Mapping[str, NDArray[np.int64]],
        *,
        draws: Draws | None,
        own: bool,
    ) -> dict[str, Tensor]:
        """Task -> loss of each of its rows, all tasks in one pass through the trunk."""
        asked = {name: self._widened(name, rows, drawn[name]) for name, rows in places.items()}
        x_RD = self._read(list(asked.values()), draws)
        parts = torch.split(x_RD, [len(one.users_R) for one in asked.values()])
        return {
            name: self._each(name, rows, part, draws, own=own)
            for (name, rows), part in zip(places.items(), parts, strict=True)
        }

    def _each(self, name: str, rows: NDArray[np.int64], x_RD: Tensor, draws: Draws | None, *, own: bool) -> Tensor:
        task = self._tasks[name].rows
        told_R = self.network.told(name, x_RD, self._given(name, rows, own=own), draws)
        if task.meaning == "choice":
            told_NK = told_R.view(len(rows), -1) if len(rows) else told_R.view(0, 1)
            return torch.logsumexp(told_NK, dim=1) - told_NK[:, 0]
        labels_N = torch.from_numpy(task.labels_N[rows])
        if task.meaning == "chance":
            return functional.binary_cross_entropy_with_logits(told_R, labels_N, reduction="none")
        offsets = self.offsets[name]
        return (told_R - (labels_N - offsets.mean) / offsets.deviation).square()

    def _given(self, name: str, rows: NDArray[np.int64], *, own: bool) -> Tensor | None:
        """Offsets under a value; where a row is learnt from, without what its own label adds to them."""
        if name not in self.offsets:
            return None
        if own:
            return torch.from_numpy(self._own[name][rows])
        task = self._tasks[name].rows
        return torch.from_numpy(self.offsets[name].of(task.users_N[rows], task.items_N[rows]))

    def _widened(self, name: str, rows: NDArray[np.int64], drawn_NK: NDArray[np.int64]) -> Asked:
        """Rows of a choice, each beside the items it is told from, the right one first; rows of other tasks as they are."""
        one = self.asked(name, rows)
        if self._tasks[name].rows.meaning != "choice":
            return one
        wide = 1 + drawn_NK.shape[1]
        items_R = np.concatenate([one.items_R[:, None], drawn_NK], axis=1).ravel()
        return Asked(
            np.repeat(one.users_R, wide), items_R, np.repeat(one.times_ms_R, wide), np.repeat(one.ends_R, wide)
        )

    def _drawn(self, times_ms_N: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
        """Items out by then, drawn uniformly: one that was not there yet would make everything new look wrong."""
        out_N = np.searchsorted(self.world.published_ms_V[self._by_age], times_ms_N, side="right").clip(1)
        shares_NK = generator(seed, "several/drawn").random((len(times_ms_N), self.config.num_negatives))
        return np.asarray(self._by_age[(shares_NK * out_N[:, None]).astype(np.int64)], dtype=np.int64)

    def _read(self, asked: Sequence[Asked], draws: Draws | None) -> Tensor:
        trunk = self.network.reading.network
        batch = self.world.batch(
            np.concatenate([one.users_R for one in asked]),
            np.concatenate([one.items_R for one in asked]),
            np.concatenate([one.times_ms_R for one in asked]),
            ends_B=np.concatenate([one.ends_R for one in asked]),
            positions_B=None,
            max_length=trunk.config.max_length,
            num_ids=trunk.num_ids,
        )
        return trunk.features(batch, draws)

    def _constant(self, name: str) -> float:
        """Loss of the best constant on the training rows, never 0."""
        one = self._tasks[name].rows
        if one.meaning == "choice":
            return float(np.log(1 + self.config.num_negatives))
        if one.meaning == "value":
            return 1.0
        share = float(one.labels_N[self._trains[name]].mean())
        return max(float(-share * np.log(share) - (1 - share) * np.log1p(-share)), 1e-6)
