"""Engagement: click, like, share, finish and watch time from one model, and one value of them.

The model: an input (any `RowInput`), what the heads share (`kinema.tasks.sharing`), and a head per label.

Shape suffixes: N rows, B rows of a step, D width of the input, W width of what heads read, K thresholds, H heads.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kinema.artifacts import read_manifest, write_artifact
from kinema.errors import ConfigError, DataError
from kinema.flm.draws import Draws
from kinema.seeds import derive_seed
from kinema.tasks.engagement_labels import WATCH
from kinema.tasks.row_inputs import DrawnInput
from kinema.tasks.sharing import SHARINGS
from kinema.tasks.task_weighting import WEIGHTINGS
from kinema.tasks.watch_time import DurationGroups, cumulative_logits, ordinal_expectation

WATCH_LABELS: Final = ("ordinal", "quantile", "regression")
BLENDS: Final = ("sum", "product")
_FORMAT: Final = 1
_REMEDY: Final = "kinema.steps.engagement.train_engagement and save"
_CHUNK: Final = 8192


@dataclass(frozen=True)
class EngagementConfig:
    """What defines an engagement model.

    Attributes:
        heads: Labels it tells, ``watch`` for the time; one at least.
        sharing: One of `SHARINGS`.
        widths: Layers of each expert or tower.
        weighting: One of `WEIGHTINGS`.
        task_weights: Head -> weight of its loss, 1 where none is given.
        watch: How watch time is learnt: ``ordinal`` (thresholds on its quantile among videos of similar length),
            ``quantile`` (the same label by squared error), ``regression`` (seconds by squared error; rewards length).
        num_thresholds: K of the ordinal head.
        num_groups: Groups of similar duration at most.
        dropout: After each layer, in [0, 1).
    """

    heads: tuple[str, ...]
    sharing: str = "mmoe"
    widths: tuple[int, ...] = (64, 32)
    weighting: str = "fixed"
    task_weights: Mapping[str, float] = field(default_factory=dict)
    watch: str = "ordinal"
    num_thresholds: int = 20
    num_groups: int = 20
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name, known in (("sharing", SHARINGS), ("weighting", WEIGHTINGS), ("watch", WATCH_LABELS)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}, is '{getattr(self, name)}'")
        if not self.heads or len(set(self.heads)) != len(self.heads):
            raise ConfigError(f"heads must be different and one at least, are {', '.join(self.heads) or 'none'}")
        for head in self.task_weights:
            if head not in self.heads:
                raise ConfigError(f"task_weights names '{head}', which is no head; known: {', '.join(self.heads)}")
        if self.num_thresholds < 1 or self.num_groups < 1:
            raise ConfigError(
                f"num_thresholds and num_groups must be >= 1, are {self.num_thresholds} and {self.num_groups}"
            )

    @property
    def loss_weights(self) -> tuple[float, ...]:
        """One per head."""
        return tuple(float(self.task_weights.get(head, 1.0)) for head in self.heads)


class EngagementNetwork(nn.Module):
    """Input, sharing and heads.

    Args:
        inputs: A `RowInput` that is a module.
        width: Of what it gives.
        config: What to build.
    """

    def __init__(self, inputs: nn.Module, width: int, config: EngagementConfig) -> None:
        super().__init__()
        self.inputs = inputs
        self.sharing = SHARINGS[config.sharing](len(config.heads), width, config.widths, dropout=config.dropout)
        sizes = {WATCH: config.num_thresholds if config.watch == "ordinal" else 1}
        self.heads = nn.ModuleList(nn.Linear(config.widths[-1], sizes.get(head, 1)) for head in config.heads)
        self.weighting = WEIGHTINGS[config.weighting](config.loss_weights)
        self._names = config.heads
        self._is_ordinal = config.watch == "ordinal"

    def forward(self, rows_B: Tensor, draws: Draws | None = None) -> dict[str, Tensor]:
        """Head -> what it says: float32 [B] log-odds, or of watch time [B, K] log-odds or [B] a number."""
        if draws is not None and isinstance(self.inputs, DrawnInput):
            return self.told(self.inputs.drawn(rows_B, draws), draws)
        return self.told(self.inputs(rows_B), draws)

    def told(self, x_BD: Tensor, draws: Draws | None = None) -> dict[str, Tensor]:
        """The same from vectors that are there already."""
        told = {}
        for name, head, x_BW in zip(self._names, self.heads, self.sharing(x_BD, draws), strict=True):
            raw = head(x_BW)
            told[name] = cumulative_logits(raw) if name == WATCH and self._is_ordinal else raw.squeeze(1)
        return told

    def shared_parameters(self) -> list[nn.Parameter]:
        """What more than one head uses."""
        return [*self.inputs.parameters(), *self.sharing.shared_parameters()]


@dataclass(frozen=True)
class WatchScale:
    """What turns a regression of seconds into numbers around 0: mean and deviation of the training rows, ms."""

    mean_ms: float = 0.0
    deviation_ms: float = 1.0


def fresh_network(inputs: nn.Module, config: EngagementConfig, *, seed: int) -> EngagementNetwork:
    """A network with new parameters beside the input's own.

    Raises:
        ConfigError: The input has no width.
    """
    width = getattr(inputs, "width", None)
    if not isinstance(width, int) or width < 1:
        raise ConfigError(f"an input must have a width >= 1, {type(inputs).__name__} has {width}; see RowInput")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "engagement/network"))
        return EngagementNetwork(inputs, width, config)


@dataclass(frozen=True)
class EngagementModel:
    """A trained model.

    Attributes:
        config: What defines it.
        network: In evaluation mode.
        groups: Of duration, from the training rows; None without watch time.
        scale: Of watch time, for a regression.
    """

    config: EngagementConfig
    network: EngagementNetwork
    groups: DurationGroups | None = None
    scale: WatchScale = field(default_factory=WatchScale)

    def predict(
        self,
        rows_N: NDArray[np.integer],
        *,
        inputs: nn.Module | None = None,
        duration_ms_N: NDArray[np.floating] | None = None,
    ) -> dict[str, NDArray[np.float32]]:
        """What each head says.

        Args:
            rows_N: Numbers of rows of the input.
            inputs: Reads other rows, such as ``model.network.inputs.of(...)``; None for the model's own.
            duration_ms_N: Length of each row's video, ms; needed for ``watch_ms``, and for ``watch`` of a regression.

        Returns:
            Binary head -> probability; ``watch`` -> expected quantile among videos of similar length, in [0, 1], which
            is what values are blended from; ``watch_ms`` -> milliseconds, where durations are given; each float32 [N].

        Raises:
            DataError: Durations are missing, or there are not as many as rows.
        """
        reader = self.network.inputs if inputs is None else inputs
        parts: list[dict[str, Tensor]] = []
        with torch.inference_mode():
            for start in range(0, max(len(rows_N), 1), _CHUNK):
                rows_B = torch.from_numpy(np.asarray(rows_N[start : start + _CHUNK], dtype=np.int64))
                parts.append(self.network.told(reader(rows_B)))
        return self._meant({head: torch.cat([one[head] for one in parts]) for head in self.config.heads}, duration_ms_N)

    def tell(
        self, x_ND: Tensor, *, duration_ms_N: NDArray[np.floating] | None = None
    ) -> dict[str, NDArray[np.float32]]:
        """What `predict` gives, from what the input says of some rows, float32 [N, D]."""
        with torch.inference_mode():
            return self._meant(self.network.told(x_ND), duration_ms_N)

    def _meant(
        self, told: Mapping[str, Tensor], duration_ms_N: NDArray[np.floating] | None
    ) -> dict[str, NDArray[np.float32]]:
        found = {head: one.sigmoid().numpy() for head, one in told.items() if head != WATCH}
        if WATCH in told:
            found |= self._watch(told[WATCH], duration_ms_N)
        return found

    def _watch(self, told: Tensor, duration_ms_N: NDArray[np.floating] | None) -> dict[str, NDArray[np.float32]]:
        assert self.groups is not None
        if duration_ms_N is not None and len(duration_ms_N) != len(told):
            raise DataError(f"each row must have a duration_ms, got {len(duration_ms_N)} for {len(told)} rows")
        if self.config.watch == "regression":
            if duration_ms_N is None:
                raise DataError("watch time by regression needs duration_ms_N to be compared, got none; give it")
            watch_ms_N = np.maximum(told.numpy() * self.scale.deviation_ms + self.scale.mean_ms, 0)
            return {WATCH: self.groups.quantile(watch_ms_N, duration_ms_N), "watch_ms": watch_ms_N.astype(np.float32)}
        quantile_N = (ordinal_expectation(told) if told.ndim == 2 else told.clamp(0, 1)).numpy()
        if duration_ms_N is None:
            return {WATCH: quantile_N}
        return {WATCH: quantile_N, "watch_ms": self.groups.watch_ms(quantile_N, duration_ms_N).astype(np.float32)}

    def save(self, folder: Path, *, seed: int | None = None) -> None:
        """Write the artefact; one that is there is replaced. The input's data are not in it, its parameters are."""
        config = self.as_dict()
        with write_artifact(folder, kind="engagement", format_version=_FORMAT, config=config, seed=seed) as draft:
            state = {name: one.detach().contiguous() for name, one in self.network.state_dict().items()}
            save_file(state, draft / "network.safetensors")

    @classmethod
    def load(cls, folder: Path, inputs: nn.Module) -> Self:
        """Read an artefact.

        Args:
            folder: Where it is.
            inputs: Of the same kind and shape as the one it was trained with; its parameters are filled.

        Raises:
            NotBuiltError: There is none.
            StaleArtifactError: It is of another kind or version, or damaged.
            DataError: The input has another shape.
        """
        found = read_manifest(folder, kind="engagement", format_version=_FORMAT, remedy=_REMEDY).config
        return cls.from_dict(found, load_file(folder / "network.safetensors"), inputs, name=folder.name)

    def as_dict(self) -> dict[str, Any]:
        """JSON values of all but the network's numbers."""
        groups = None if self.groups is None else [self.groups.edges_G.tolist(), self.groups.grid_GQ.tolist()]
        return {"model": asdict(self.config), "groups": groups, "scale": asdict(self.scale)}

    @classmethod
    def from_dict(cls, found: Mapping[str, Any], state: Mapping[str, Tensor], inputs: nn.Module, *, name: str) -> Self:
        """A model from what `as_dict` gave and the network's numbers.

        Args:
            found: From `as_dict`.
            state: Of the network, its input's included.
            inputs: To be filled.
            name: Of the folder, for the message.

        Raises:
            DataError: The input has another shape.
        """
        told = dict(found["model"])
        config = EngagementConfig(**told | {"heads": tuple(told["heads"]), "widths": tuple(told["widths"])})
        network = fresh_network(inputs, config, seed=0)
        try:
            network.load_state_dict(dict(state))
        except RuntimeError as error:
            raise DataError(
                f"the input must have the shape of the one that '{name}' was trained with, has another: "
                f"{str(error).splitlines()[-1].strip()}; build it from the same fields"
            ) from error
        groups = None if found["groups"] is None else DurationGroups(*(np.array(one) for one in found["groups"]))
        return cls(config, network.eval(), groups, WatchScale(**found["scale"]))


def blend(
    predictions: Mapping[str, NDArray[np.floating]], weights: Mapping[str, float], *, how: str = "sum"
) -> NDArray[np.float32]:
    """One value from several heads, by weights that a scenario sets.

    Args:
        predictions: Head -> float [N], probabilities or quantiles.
        weights: Head -> weight, any sign; heads without one do not count.
        how: ``sum``: ``sum_h w_h p_h``; ``product``: ``prod_h p_h ** w_h``, where one head near 0 decides. The order of
            a product does not change when a head is miscalibrated by a factor.

    Returns:
        float32 [N].

    Raises:
        ConfigError: There is no such way, no weight, or a weight for a head that is not there.

    Example:
        >>> blend({"click": np.array([0.5]), "like": np.array([0.1])}, {"click": 1.0, "like": 2.0})
        array([0.7], dtype=float32)
        >>> blend({"click": np.array([0.5]), "like": np.array([0.1])}, {"click": 1.0, "like": 2.0}, how="product")
        array([0.005], dtype=float32)
    """
    if how not in BLENDS:
        raise ConfigError(f"a blend must be one of {', '.join(BLENDS)}, is '{how}'")
    if not weights:
        raise ConfigError(f"a blend must weigh at least one head, weighs none; known: {', '.join(predictions)}")
    for head in weights:
        if head not in predictions:
            raise ConfigError(f"weight of '{head}' has no head; known: {', '.join(predictions)}")
    if how == "sum":
        total_N: NDArray[np.float32] = np.sum([w * predictions[head] for head, w in weights.items()], axis=0)
        return total_N.astype(np.float32)
    logs_HN = [w * np.log(np.maximum(predictions[head], 1e-9)) for head, w in weights.items()]
    product_N: NDArray[np.float64] = np.exp(np.sum(logs_HN, axis=0))
    return product_N.astype(np.float32)
