"""How a task is trained: every setting with its default, what it may be, and what is said where it is not.

The same names stand in ``[finetune]`` of `kinema.toml`; `FitOptions.from_mapping` reads them.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final, Self

from kinema.errors import ConfigError, did_you_mean
from kinema.training.given_values import changed, check_names

_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "optimizer": ("adamw", "adam", "rmsprop", "sgd"),
    "schedule": ("constant", "linear", "cosine"),
    "precision": ("float32", "bf16", "fp16"),
    "adversarial": ("none", "fgm", "pgd"),
    "averaging": ("none", "ema", "swa"),
    "bad_steps": ("stop", "skip"),
}
_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "batch_size": (1, 1 << 24),
    "learning_rate": (1e-12, 100.0),
    "momentum": (0.0, 0.9999),
    "weight_decay": (0.0, 100.0),
    "l2": (0.0, 100.0),
    "warmup_share": (0.0, 0.9),
    "last_rate": (0.0, 1.0),
    "refine": (0.0, 1.0),
    "clip_norm": (0.0, math.inf),
    "accumulate": (1, 1 << 16),
    "max_epochs": (1, 1_000_000),
    "patience": (1, 1_000_000),
    "min_gain": (0.0, math.inf),
    "adversarial_radius": (1e-9, 10.0),
    "adversarial_steps": (1, 100),
    "adversarial_weight": (0.0, 100.0),
    "consistency": (0.0, 100.0),
    "ema_decay": (0.0, 0.999999),
    "swa_start": (0.0, 0.99),
    "keep_epochs": (0, 1000),
}
"""Least and largest, both allowed."""


@dataclass(frozen=True)
class FitOptions:
    """How a task is trained.

    Attributes:
        metric: Name of the validation number that decides; `kinema.tasks.measures.lower_is_better` says which way.
        batch_size: Examples whose loss is taken at once.
        learning_rate: Step size at its largest.
        weight_decay: Decoupled decay: each update takes away this times the step size. Of matrices and tables only;
            biases and scales are left alone. With ``adam`` it would be ``adamw``, so it is refused there.
        max_epochs: Passes over the examples at most.
        patience: Looks at validation without gain before training ends.
        optimizer: ``adamw``, ``adam``, ``rmsprop`` or ``sgd``.
        momentum: Of ``sgd`` and ``rmsprop``; the others have their own.
        l2: Plain L2: this times the weights is added to their gradient. Not with ``adamw``, where it would be divided by
            the size of the gradients, which decoupled decay is there to avoid.
        schedule: ``constant``, ``linear`` or ``cosine``, from the largest step size down to ``last_rate`` of it.
        warmup_share: Share of all updates in which the step size grows from nothing.
        last_rate: Share of the step size that is left at the end of a schedule.
        refine: Share of the step size of a second round, from the best state of the first, for as many epochs again; 0 is
            none. What large steps leave behind in a table of vectors is noise: on clicks it gains more than most changes
            of the network (docs/tasks-click.md).
        clip_norm: Gradients longer than this together are shortened to it; 0 leaves them alone.
        accumulate: Batches per update; the update is that of one batch of all of them.
        precision: ``float32``, ``bf16`` or ``fp16``, of the loss's computation; parameters stay float32.
        rate_factors: Beginning of a parameter's name -> what its step size is multiplied by; the longest one counts.
            ``{"encoder": 0.1}`` is the usual wish.
        min_gain: What the metric must gain for ``patience`` to start again.
        adversarial: ``fgm`` trains on tables moved one step uphill as well, ``pgd`` on tables moved several steps.
        adversarial_radius: How far a row may be moved, as a share of the usual length of the rows.
        adversarial_steps: Of ``pgd``.
        adversarial_weight: Of the loss there; the loss where nothing is moved counts 1.
        consistency: R-Drop: weight of the disagreement between two passes with different dropout; 0 is one pass.
        averaging: ``ema`` serves a running average of the weights, ``swa`` the mean over the last epochs.
        ema_decay: Share of the running average that stays at each update.
        swa_start: Share of ``max_epochs`` after which epochs enter the mean.
        bad_steps: What is done where a loss or gradient is no number: ``stop`` with its place, or ``skip`` and count.
        keep_epochs: So many of the best epochs are kept as files in the folder, to be averaged; 0 keeps none.

    Raises:
        ConfigError: A setting is not what it may be.
    """

    metric: str
    batch_size: int = 1024
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    max_epochs: int = 20
    patience: int = 2
    optimizer: str = "adamw"
    momentum: float = 0.9
    l2: float = 0.0
    schedule: str = "constant"
    warmup_share: float = 0.0
    last_rate: float = 0.01
    refine: float = 0.0
    clip_norm: float = 0.0
    accumulate: int = 1
    precision: str = "float32"
    rate_factors: Mapping[str, float] = field(default_factory=dict)
    min_gain: float = 0.0
    adversarial: str = "none"
    adversarial_radius: float = 0.1
    adversarial_steps: int = 3
    adversarial_weight: float = 1.0
    consistency: float = 0.0
    averaging: str = "none"
    ema_decay: float = 0.999
    swa_start: float = 0.5
    bad_steps: str = "stop"
    keep_epochs: int = 0

    def __post_init__(self) -> None:
        for name, known in _CHOICES.items():
            _check_choice(name, getattr(self, name), known)
        for name, (low, high) in _RANGES.items():
            _check_range(name, getattr(self, name), low, high)
        for prefix, factor in self.rate_factors.items():
            _check_range(f"rate_factors['{prefix}']", factor, 1e-9, 1e9)
        if self.weight_decay and self.optimizer == "adam":
            raise ConfigError(
                f"weight_decay must be 0 with optimizer 'adam', is {self.weight_decay}; "
                "decoupled decay is optimizer = 'adamw', plain decay is l2"
            )
        if self.l2 and self.optimizer == "adamw":
            raise ConfigError(f"l2 must be 0 with optimizer 'adamw', is {self.l2}; use weight_decay, or 'adam'")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, where: str = "[finetune]") -> Self:
        """Options from a table of settings; what is left out has its default.

        Args:
            values: Name -> value, as TOML gives them.
            where: They stand; named in errors.

        Raises:
            ConfigError: A key is unknown, a value is of another kind or out of range, or ``metric`` is missing.

        Example:
            >>> FitOptions.from_mapping({"metric": "auc", "learning_rate": 1}).learning_rate
            1.0
        """
        known = [one.name for one in fields(cls)]
        check_names(values, known, where=where)
        if "metric" not in values:
            raise ConfigError(f'{where} must name the metric that decides; add metric = "auc", for example')
        if not isinstance(values["metric"], str):
            raise ConfigError(f"'metric' in {where} must be a text, is {values['metric']!r}; correct it")
        return changed(cls(values["metric"]), values, where=where)


def _check_choice(name: str, value: Any, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ConfigError(f"unknown {name} {value!r}{did_you_mean(str(value), known)} known: {', '.join(known)}")


def _check_range(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        most = f"in [{low:g}, {high:g}]" if high < math.inf else f">= {low:g}"
        raise ConfigError(f"{name} must be {most}, is {value:g}; choose another")
