"""Rating: the value a user would give to an item, with an interval.

Two models share one interface: biased matrix factorisation, the baseline everyone knows, and a neural one that also
sees histories, features of users and items, and their product.

Shape suffixes: N ratings, B ratings of a step, U users, V items, A numbers per user, E numbers per item.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file as load_arrays
from safetensors.numpy import save_file as save_arrays
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kinema.artifacts import read_manifest, write_artifact
from kinema.errors import ConfigError, DataError
from kinema.flm.draws import Draws
from kinema.losses import regression
from kinema.metrics.regression import mae, mse, rmse
from kinema.seeds import derive_seed
from kinema.tasks.intervals import conformal_margin
from kinema.tasks.rating_data import RatedBy, Ratings
from kinema.tasks.rating_network import BiasedFactors, NeuralRating, RatingSide

MODELS: Final = ("factors", "neural")
LOSSES: Final = ("mse", "mae")
INTERVALS: Final = ("conformal", "quantile")
_FORMAT: Final = 1
_REMEDY: Final = "kinema.steps.rating.train_rating and save"
_CHUNK: Final = 8192


@dataclass(frozen=True)
class RatingConfig:
    """What defines a rating model.

    Attributes:
        model: ``factors`` (biased matrix factorisation) or ``neural``.
        width: Of the factors.
        hidden: Width of the small network of ``neural``.
        dropout: On what that network reads, in [0, 1).
        forget: Share of the others that histories go without in a training step of ``neural``, in [0, 1).
        l2: Weight of the mean squared numbers that a rating uses.
        loss: ``mse`` tells the mean, ``mae`` the median.
        interval: ``conformal`` puts one margin around the value, ``quantile`` learns both ends and corrects them.
        coverage: Share of ratings that must fall inside, in (0, 1).
    """

    model: str = "neural"
    width: int = 24
    hidden: int = 64
    dropout: float = 0.2
    forget: float = 0.3
    l2: float = 0.02
    loss: str = "mse"
    interval: str = "conformal"
    coverage: float = 0.9

    def __post_init__(self) -> None:
        for name, known in (("model", MODELS), ("loss", LOSSES), ("interval", INTERVALS)):
            if getattr(self, name) not in known:
                raise ConfigError(f"{name} must be one of {', '.join(known)}, is '{getattr(self, name)}'")
        if min(self.width, self.hidden) < 1 or self.l2 < 0 or not 0 < self.coverage < 1:
            raise ConfigError(
                "a rating model needs width and hidden >= 1, l2 >= 0 and coverage in (0, 1), got "
                f"{self.width}, {self.hidden}, {self.l2:g} and {self.coverage:g}"
            )
        for name in ("dropout", "forget"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), is {getattr(self, name):g}")
        if self.model == "factors" and self.interval == "quantile":
            raise ConfigError("interval of 'factors' must be conformal, is 'quantile'; it has one output only")


@dataclass(frozen=True)
class SideFeatures:
    """What is known of users and items beside their ratings: fields, genres, vectors of texts.

    Attributes:
        users_UA: float32, or None.
        items_VE: float32, or None.
    """

    users_UA: NDArray[np.float32] | None = None
    items_VE: NDArray[np.float32] | None = None


class RatingLearner:
    """Ratings to learn from, and some held out.

    Args:
        train: Also the histories.
        valid: Held out, of the same users and items; None where the number of epochs is known: then validation says only
            how often it was asked, as ``epochs``, and the last state is the best.
        config: What is learnt.
        features: Of users and items.
        seed: Of the first parameters.

    Attributes:
        network: A `BiasedFactors` or a `NeuralRating`.
        num_examples: Ratings to learn from.

    Raises:
        DataError: Features have another number of rows than there are users or items.
    """

    def __init__(
        self,
        train: Ratings,
        valid: Ratings | None,
        config: RatingConfig,
        *,
        features: SideFeatures | None = None,
        seed: int = 0,
    ) -> None:
        self.network = make_network(train, config, features or SideFeatures(), seed=seed)
        self.num_examples = len(train)
        self._config, self._valid, self._looks = config, valid, 0
        self._columns = tuple(torch.from_numpy(one) for one in (train.users_N, train.items_N, train.values_N))

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Loss of some ratings, those of both quantiles and L2 included."""
        users_B, items_B, values_B = (one[rows_B] for one in self._columns)
        told_BO, squares = self.network(users_B, items_B, own_B=values_B, draws=draws)
        fit = regression.mse if self._config.loss == "mse" else regression.mae
        loss: Tensor = fit(told_BO[:, 0], values_B) + self._config.l2 * squares
        if told_BO.shape[1] == 3:
            outside = (1 - self._config.coverage) / 2
            # Summed over both quantiles: the mean would make them learn at half the pace.
            loss = loss + 2 * regression.pinball(told_BO[:, 1:], values_B, quantiles=(outside, 1 - outside))
        return loss

    def validate(self) -> Mapping[str, float]:
        """``mse``, ``rmse`` and ``mae`` clipped to the scale, and ``epochs``, how often it was asked."""
        self._looks += 1
        errors = {} if self._valid is None else rating_errors(self._told(self._valid), self._valid.values_N)
        return errors | {"epochs": float(self._looks)}

    def embeddings(self) -> Sequence[nn.Parameter]:
        """All tables."""
        tables = [one for one in self.network.modules() if isinstance(one, nn.Embedding)]
        return [one for table in tables for one in table.parameters()]

    def _told(self, ratings: Ratings) -> NDArray[np.float32]:
        return np.clip(outputs(self.network, ratings.users_N, ratings.items_N)[:, 0], ratings.low, ratings.high)


def make_network(ratings: Ratings, config: RatingConfig, features: SideFeatures, *, seed: int) -> nn.Module:
    """A fresh network whose histories are these ratings (see `RatingLearner`)."""
    return _assemble(
        config,
        features,
        users=RatedBy.users(ratings),
        items=RatedBy.items(ratings),
        mean=ratings.mean,
        seed=seed,
    )


def _assemble(
    config: RatingConfig, features: SideFeatures, *, users: RatedBy, items: RatedBy, mean: float, seed: int
) -> nn.Module:
    sizes = len(users.offsets) - 1, len(items.offsets) - 1
    for name, told, size in (("users_UA", features.users_UA, sizes[0]), ("items_VE", features.items_VE, sizes[1])):
        if told is not None and len(told) != size:
            raise DataError(
                f"{name} must have a row for each of {size}, has {len(told)}; give zeros where nothing is known"
            )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "rating/network"))
        if config.model == "factors":
            return BiasedFactors(*sizes, width=config.width, mean=mean)
        sides: dict[str, Any] = {"width": config.width, "forget": config.forget, "dropout": config.dropout}
        return NeuralRating(
            RatingSide(users, features.users_UA, **sides),
            RatingSide(items, features.items_VE, **sides),
            mean=mean,
            width=config.width,
            hidden=config.hidden,
            num_outputs=3 if config.interval == "quantile" else 1,
            dropout=config.dropout,
        )


def outputs(network: nn.Module, users_N: NDArray[np.int64], items_N: NDArray[np.int64]) -> NDArray[np.float32]:
    """float32 [N, O], what a network tells of ratings that it has not in its histories."""
    with torch.inference_mode():
        parts = [
            network(
                torch.from_numpy(users_N[start : start + _CHUNK]), torch.from_numpy(items_N[start : start + _CHUNK])
            )[0]
            for start in range(0, len(users_N), _CHUNK)
        ]
    told_NO: NDArray[np.float32] = torch.cat(parts).numpy()
    return told_NO


def rating_errors(told_N: NDArray[np.floating], actual_N: NDArray[np.floating]) -> dict[str, float]:
    """``mse``, ``rmse`` and ``mae``.

    Example:
        >>> rating_errors(np.array([2.0, 3.0]), np.array([1.0, 3.0]))["mse"]
        0.5
    """
    return {name: function(told_N, actual_N) for name, function in (("mse", mse), ("rmse", rmse), ("mae", mae))}


@dataclass(frozen=True)
class RatingModel:
    """A trained model.

    Attributes:
        config: What defines it.
        network: In evaluation mode.
        features: Of users and items.
        low: Lowest value of the scale.
        high: Highest value of the scale.
        margin: By which intervals are widened, of the scale's unit.
    """

    config: RatingConfig
    network: nn.Module
    features: SideFeatures
    low: float
    high: float
    margin: float = 0.0

    def predict(self, users_N: NDArray[np.int64], items_N: NDArray[np.int64]) -> NDArray[np.float32]:
        """float32 [N], within the scale."""
        return np.clip(outputs(self.network, users_N, items_N)[:, 0], self.low, self.high)

    def interval(
        self, users_N: NDArray[np.int64], items_N: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Lower and upper end, float32 [N] each, within the scale."""
        low_N, high_N = _ends(outputs(self.network, users_N, items_N))
        low_N, high_N = low_N - self.margin, high_N + self.margin
        middle_N = (low_N + high_N) / 2
        ends = (np.minimum(low_N, middle_N), np.maximum(high_N, middle_N))
        return np.clip(ends[0], self.low, self.high), np.clip(ends[1], self.low, self.high)

    def calibrated(self, held_out: Ratings) -> Self:
        """The same model with the margin that held-out ratings ask for (see `conformal_margin`)."""
        low_N, high_N = _ends(outputs(self.network, held_out.users_N, held_out.items_N))
        scores_N = np.maximum(low_N - held_out.values_N, held_out.values_N - high_N)
        return replace(self, margin=conformal_margin(scores_N, coverage=self.config.coverage))

    def save(self, folder: Path, *, seed: int | None = None) -> None:
        """Write the artefact; one that is there is replaced."""
        facts = {"low": self.low, "high": self.high, "margin": self.margin}
        config = {"model": asdict(self.config), **facts}
        with write_artifact(folder, kind="rating", format_version=_FORMAT, config=config, seed=seed) as draft:
            arrays: dict[str, NDArray[Any]] = {}
            if isinstance(self.network, NeuralRating):
                arrays |= self.network.users.history.arrays("users") | self.network.items.history.arrays("items")
            found = {"features/users": self.features.users_UA, "features/items": self.features.items_VE}
            arrays |= {name: np.ascontiguousarray(one) for name, one in found.items() if one is not None}
            save_arrays(arrays, draft / "histories.safetensors")
            save_file(
                {name: one.contiguous() for name, one in self.network.state_dict().items()},
                draft / "network.safetensors",
            )
            (draft / "sizes.json").write_text(json.dumps(_sizes(self.network)) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an artefact.

        Raises:
            NotBuiltError: There is none.
            StaleArtifactError: It is of another kind or version, or damaged.
        """
        facts = read_manifest(folder, kind="rating", format_version=_FORMAT, remedy=_REMEDY).config
        config = RatingConfig(**facts["model"])
        arrays = load_arrays(folder / "histories.safetensors")
        features = SideFeatures(arrays.get("features/users"), arrays.get("features/items"))
        network: nn.Module
        if config.model == "factors":
            sizes = json.loads((folder / "sizes.json").read_text(encoding="utf-8"))
            network = BiasedFactors(*sizes, width=config.width, mean=0.0)
        else:
            users, items = RatedBy.from_arrays(arrays, "users"), RatedBy.from_arrays(arrays, "items")
            network = _assemble(config, features, users=users, items=items, mean=0.0, seed=0)
        network.load_state_dict(load_file(folder / "network.safetensors"))
        return cls(config, network.eval(), features, facts["low"], facts["high"], facts["margin"])


def _sizes(network: nn.Module) -> list[int]:
    """How many users and items a network knows."""
    if isinstance(network, NeuralRating):
        return [network.users.num_rows, network.items.num_rows]
    assert isinstance(network, BiasedFactors)
    return [network.users.num_embeddings, network.items.num_embeddings]


def _ends(told_NO: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Both ends before the margin: the learnt quantiles, or the value itself twice."""
    if told_NO.shape[1] == 3:
        return np.minimum(told_NO[:, 1], told_NO[:, 2]), np.maximum(told_NO[:, 1], told_NO[:, 2])
    return told_NO[:, 0], told_NO[:, 0]
