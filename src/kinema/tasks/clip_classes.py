"""Which class a clip belongs to, by what is seen and how it moves: frames and motion of clips with a label each.

The encoders stay as they are; what learns reads their tokens. Probabilities are brought into line with held-out clips by one
temperature.

Shape suffixes: N clips, B of them in a batch, C classes.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
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
from kinema.errors import ConfigError, DataError, StaleArtifactError
from kinema.flm.draws import Draws
from kinema.flm.whitening import Whitening
from kinema.losses.classification import class_cross_entropy
from kinema.seeds import derive_seed
from kinema.store.features import ClipTokens
from kinema.tasks.clip_measures import clip_metrics, fit_temperature
from kinema.tasks.clip_moments import ClipInput, fit_projection, joined, read_inputs
from kinema.tasks.clip_network import ClipNetwork
from kinema.tasks.clip_recipe import INPUTS, ClipRecipe
from kinema.tasks.clip_variation import PICTURES, check_ways, vary_moments

KIND: Final = "clip-classes"
REMEDY: Final = "kinema finetune clips"
_FORMAT: Final = 1
_ROWS: Final = 512
_LEAST: Final = 1e-12


@dataclass(frozen=True)
class ClipClassConfig:
    """What defines a classifier of clips.

    Attributes:
        inputs: ``frames``, ``motion`` or ``both``.
        width: Of everything inside.
        dropout: On tokens, scales and the head, in [0, 1).
        balance: How far rare classes are made up for, in [0, 1]: 0 counts every clip alike, 1 every class.
        smoothing: Share of a label that is spread over all classes, in [0, 1).
        augment: How clips to learn from are made different, of `kinema.tasks.clip_variation.PICTURES` and ``MOMENTS``.
        copies: Of each clip with changed pictures, >= 1; made once. Only where pictures are changed.

    Raises:
        ConfigError: A setting is not what it may be.
    """

    inputs: str = "both"
    width: int = 64
    dropout: float = 0.3
    balance: float = 0.5
    smoothing: float = 0.05
    augment: tuple[str, ...] = ()
    copies: int = 4

    @property
    def changes(self) -> tuple[str, ...]:
        """How pictures are changed."""
        return tuple(way for way in self.augment if way in PICTURES)

    def __post_init__(self) -> None:
        if self.inputs not in INPUTS:
            raise ConfigError(f"inputs must be one of {', '.join(INPUTS)}, is '{self.inputs}'")
        if self.width < 1 or not 0 <= self.balance <= 1:
            raise ConfigError(
                f"a classifier of clips needs width >= 1 and balance in [0, 1], got {self.width} and {self.balance:g}"
            )
        if self.copies < 1:
            raise ConfigError(f"copies of a clip must be >= 1, are {self.copies}; leave augment empty to have none")
        check_ways(self.augment)
        for name in ("dropout", "smoothing"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), is {getattr(self, name):g}")


@dataclass(frozen=True)
class LabelledClips:
    """Clips by number, with their classes.

    Attributes:
        rows_N: Numbers of the clips, rows of the tokens.
        labels_N: int64, class of each.
    """

    rows_N: NDArray[np.int64]
    labels_N: NDArray[np.int64]

    def __len__(self) -> int:
        """N."""
        return len(self.rows_N)


def check_inputs(tokens: Mapping[str, ClipTokens], inputs: str) -> None:
    """Refuse clips that lack a modality altogether.

    Raises:
        DataError: They do.
    """
    lacking = [name for name in INPUTS[inputs] if name not in tokens]
    if lacking:
        raise DataError(
            f"inputs '{inputs}' must have {lacking[0]} of the clips, there is none; run: kinema extract, or choose other --inputs"
        )


class ClipClassLearner:
    """Labelled clips as a `kinema.tasks.task.Learner`.

    Args:
        tokens: Modality -> tokens of all clips.
        train: To learn from.
        valid: That validation looks at.
        num_classes: C, >= 2.
        config: What is learnt.
        seed: Of the first parameters.
        copies: Tokens of the same clips with changed pictures; clips that have none there are as they are.

    Attributes:
        network: A `ClipNetwork`.
        num_examples: Clips to learn from; in each step one is seen as it is or as one of its copies, each as often.
        num_copies: Copies there are of them.
        projections: Modality -> map of its tokens.

    Raises:
        DataError: A modality or a class is missing among the clips to learn from.
    """

    def __init__(
        self,
        tokens: Mapping[str, ClipTokens],
        train: LabelledClips,
        valid: LabelledClips,
        *,
        num_classes: int,
        config: ClipClassConfig,
        seed: int = 0,
        copies: Sequence[Mapping[str, ClipTokens]] = (),
    ) -> None:
        counts_C = np.bincount(train.labels_N, minlength=num_classes)
        if num_classes < 2 or len(counts_C) > num_classes or not counts_C.all():
            raise DataError(
                f"each of at least 2 classes must have clips to learn from, they have {counts_C.tolist()}; label more clips"
            )
        check_inputs(tokens, config.inputs)
        self.projections = {
            name: fit_projection(tokens[name], train.rows_N, copies=[one[name] for one in copies])
            for name in INPUTS[config.inputs]
        }
        self.network = make_network(self.projections, config, num_classes=num_classes, seed=seed)
        self.num_examples = len(train)
        self._config = config
        self._valid = read_inputs(tokens, self.projections, valid.rows_N)
        versions = [read_inputs(one, self.projections, train.rows_N) for one in (tokens, *copies)]
        self._train = {name: joined([one[name] for one in versions]) for name in self.projections}
        self._versions = _versions(versions)
        self.num_copies = int((self._versions > 0).sum())
        self._labels, self._valid_labels = torch.from_numpy(train.labels_N), valid.labels_N
        weights_C = (len(train) / (num_classes * counts_C)) ** config.balance
        self._weights = torch.from_numpy(weights_C.astype(np.float32))

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Mean cross entropy of smoothed labels, classes weighted; without draws of clips as they are."""
        rows = seen = torch.from_numpy(rows_B)
        if draws is not None and self._versions.shape[1] > 1:
            chosen_B = draws.generator().integers(0, self._versions.shape[1], len(rows_B))
            seen = rows + len(self._versions) * torch.from_numpy(self._versions[rows_B, chosen_B])
        inputs = {name: one.take(seen) for name, one in self._train.items()}
        if draws is not None:
            inputs = vary_moments(inputs, self._config.augment, draws)
        logits_BC = self.network(inputs, draws)
        return class_cross_entropy(
            logits_BC, self._labels[rows], smoothing=self._config.smoothing, class_weights_C=self._weights
        )

    def validate(self) -> Mapping[str, float]:
        """See `clip_metrics`; before the temperature."""
        return clip_metrics(softmax(self.valid_logits()), self._valid_labels)

    def embeddings(self) -> Sequence[nn.Parameter]:
        """There are none."""
        return []

    def valid_logits(self) -> NDArray[np.float64]:
        """float64 [N, C] of the clips that validation looks at."""
        return logits(self.network, self._valid, len(self._valid_labels))

    def valid_gains(self, metric: str) -> NDArray[np.float64] | None:
        """What each validation clip says, larger is better, their mean the metric or minus it; None where it is no mean over clips."""
        probs_NC, rows_N = softmax(self.valid_logits()), np.arange(len(self._valid_labels))
        if metric == "log_loss":
            return np.asarray(np.log(np.clip(probs_NC[rows_N, self._valid_labels], _LEAST, 1.0)))
        return (probs_NC.argmax(axis=1) == self._valid_labels).astype(np.float64) if metric == "accuracy" else None

    def finish(self, classes: Sequence[str], recipe: ClipRecipe, told: Mapping[str, Any] | None = None) -> "ClipModel":
        """The model with the temperature that validation asks for."""
        temperature = fit_temperature(self.valid_logits(), self._valid_labels)
        network = self.network.eval()
        return ClipModel(self._config, tuple(classes), network, self.projections, recipe, temperature, dict(told or {}))


def _versions(versions: Sequence[Mapping[str, ClipInput]]) -> NDArray[np.int64]:
    """int64 [N, 1 + copies], which version a draw leads to: a copy that lacks something the clip has leads to the clip."""
    there = [torch.stack([one[name].present for name in one]) for one in versions]
    whole = torch.stack([(one == there[0]).all(dim=0) for one in there], dim=1).numpy()
    return np.where(whole, np.arange(len(versions)), 0).astype(np.int64)


def make_network(
    projections: Mapping[str, Whitening], config: ClipClassConfig, *, num_classes: int, seed: int
) -> ClipNetwork:
    """A fresh network."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "clip classes/network"))
        widths = {name: one.width for name, one in projections.items()}
        return ClipNetwork(widths, d_model=config.width, num_classes=num_classes, dropout=config.dropout)


def logits(network: nn.Module, inputs: Mapping[str, ClipInput], size: int) -> NDArray[np.float64]:
    """float64 [N, C] of some clips."""
    with torch.inference_mode():
        parts = [
            network({name: one.take(torch.arange(start, min(start + _ROWS, size))) for name, one in inputs.items()})
            for start in range(0, size, _ROWS)
        ]
    return np.asarray(torch.cat(parts).double().numpy(), dtype=np.float64)


def softmax(logits_NC: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows that add up to 1.

    Example:
        >>> softmax(np.zeros((1, 2))).tolist()
        [[0.5, 0.5]]
    """
    raised_NC = np.exp(logits_NC - logits_NC.max(axis=1, keepdims=True))
    return np.asarray(raised_NC / raised_NC.sum(axis=1, keepdims=True), dtype=np.float64)


@dataclass(frozen=True)
class ClipModel:
    """A trained classifier of clips.

    Attributes:
        config: What defines it.
        classes: Names, by number.
        network: In evaluation mode.
        projections: Modality -> map of its tokens.
        recipe: How clips are read for it.
        temperature: What logits are divided by.
        told: What the training reported, JSON values.
    """

    config: ClipClassConfig
    classes: tuple[str, ...]
    network: nn.Module
    projections: Mapping[str, Whitening]
    recipe: ClipRecipe
    temperature: float = 1.0
    told: Mapping[str, Any] = field(default_factory=dict)

    def uncalibrated(self) -> Self:
        """The same with temperature 1."""
        return replace(self, temperature=1.0)

    def readable(self, tokens: Mapping[str, ClipTokens], rows_N: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which clips have a moment of at least one modality that the model reads: bool [N]."""
        there_N = np.zeros(len(rows_N), dtype=bool)
        for name in self.projections:
            there_N |= tokens[name].lengths()[rows_N] > 0
        return there_N

    def predict(self, tokens: Mapping[str, ClipTokens], rows_N: NDArray[np.int64]) -> NDArray[np.float64]:
        """float64 [N, C], probabilities of the classes, in the order of the rows.

        Raises:
            DataError: A modality is missing, or its tokens have another width.
        """
        if not len(rows_N):
            return np.zeros((0, len(self.classes)))
        inputs = read_inputs(tokens, self.projections, rows_N)
        return softmax(logits(self.network, inputs, len(rows_N)) / self.temperature)

    def check_encoders(self, fingerprints: Mapping[str, str], *, where: str) -> None:
        """Refuse tokens of other encoders.

        Args:
            fingerprints: Modality -> fingerprint of what made the tokens.
            where: They are; for the error.

        Raises:
            StaleArtifactError: A modality is missing or was made otherwise than in training.
        """
        for name in self.projections:
            if fingerprints.get(name) != self.recipe.fingerprints.get(name):
                what = "come from another encoder or other media settings" if name in fingerprints else "are not there"
                raise StaleArtifactError(
                    f"{name} of {where} must be those the model of clips has learnt from "
                    f"('{self.recipe.encoders.get(name)}'), {what}; run: {REMEDY}"
                )

    def save(self, folder: Path, *, seed: int | None = None, texts: Mapping[str, str] | None = None) -> None:
        """Write the artefact; one that is there is replaced.

        Args:
            folder: Of the artefact.
            seed: Of the run.
            texts: File name -> text, kept beside.
        """
        config = {"model": asdict(self.config), "recipe": self.recipe.as_dict(), "temperature": self.temperature}
        with write_artifact(folder, kind=KIND, format_version=_FORMAT, config=config, seed=seed) as draft:
            save_file(
                {name: one.contiguous() for name, one in self.network.state_dict().items()},
                draft / "network.safetensors",
            )
            arrays: dict[str, NDArray[np.float32]] = {}
            for name, one in self.projections.items():
                arrays |= {key: np.ascontiguousarray(part) for key, part in one.arrays(name).items()}
            save_arrays(arrays, draft / "projections.safetensors")
            facts = {"classes": list(self.classes), "told": dict(self.told)}
            (draft / "classes.json").write_text(json.dumps(facts, ensure_ascii=False) + "\n", encoding="utf-8")
            for name, text in (texts or {}).items():
                (draft / name).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an artefact.

        Raises:
            NotBuiltError: There is none.
            StaleArtifactError: It is of another kind or version, or damaged.
        """
        saved = read_manifest(folder, kind=KIND, format_version=_FORMAT, remedy=REMEDY).config
        config = ClipClassConfig(**saved["model"] | {"augment": tuple(saved["model"].get("augment", ()))})
        arrays = load_arrays(folder / "projections.safetensors")
        projections = {name: Whitening.from_arrays(name, arrays) for name in INPUTS[config.inputs]}
        facts = json.loads((folder / "classes.json").read_text(encoding="utf-8"))
        network = make_network(projections, config, num_classes=len(facts["classes"]), seed=0)
        network.load_state_dict(load_file(folder / "network.safetensors"))
        recipe = ClipRecipe.from_dict(saved["recipe"])
        return cls(
            config,
            tuple(facts["classes"]),
            network.eval(),
            projections,
            recipe,
            saved["temperature"],
            facts["told"],
        )
