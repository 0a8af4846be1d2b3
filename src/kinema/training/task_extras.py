"""What a task can do beside the settings of training: histories changed, ensembles, a clean test; keys of ``[finetune.TASK]``.

They are read where `kinema.toml` is, so that this module imports nothing that trains.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Self

from kinema.errors import ConfigError
from kinema.training.given_values import check_names, read_value

EXTRAS: Final[Mapping[str, tuple[str, ...]]] = {
    "click": ("ensemble", "distil", "augment", "clean"),
    "engagement": ("augment",),
}
"""Task -> its keys."""
NAMES: Final = tuple(dict.fromkeys(name for names in EXTRAS.values() for name in names))
"""Every key that is no setting of training; which of them a task knows, `check_extras` says."""


@dataclass(frozen=True)
class HistoryChanges:
    """How much of a history is changed, each a share in [0, 1).

    Attributes:
        crop: Left out at the ends.
        mask: Left out anywhere.
        reorder: Length of a stretch whose events exchange their times.
        substitute: Probability that an event's item is replaced by a neighbour of it.
        chance: Share of the examples whose history is changed at all, in (0, 1]: a model must know whole ones too.

    Raises:
        ConfigError: A share is out of range.
    """

    crop: float = 0.0
    mask: float = 0.0
    reorder: float = 0.0
    substitute: float = 0.0
    chance: float = 0.5

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name == "chance":
                if not 0 < value <= 1:
                    raise ConfigError(f"chance of a changed history must be in (0, 1], is {value:g}; choose another")
            elif not 0 <= value < 1:
                raise ConfigError(f"{one.name} of a history must be in [0, 1), is {value:g}; choose another")

    @property
    def anything(self) -> bool:
        """Whether something is changed."""
        return max(self.crop, self.mask, self.reorder, self.substitute) > 0

    @classmethod
    def from_mapping(cls, values: Mapping[str, float]) -> Self:
        """From a table of settings.

        Raises:
            ConfigError: A name is unknown, or a value is no share.
        """
        known = [one.name for one in fields(cls)]
        for name, value in values.items():
            if name not in known:
                raise ConfigError(f"'{name}' is no change of a history; known: {', '.join(known)}")
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ConfigError(f"{name} of a history must be a number, is {value!r}; correct it")
        return cls(**{name: float(value) for name, value in values.items()})

    @classmethod
    def from_text(cls, text: str) -> Self:
        """From a text like ``crop=0.2,mask=0.1``.

        Raises:
            ConfigError: See `from_mapping`.

        Example:
            >>> HistoryChanges.from_text("crop=0.2,mask=0.1").mask
            0.1
        """
        values = {}
        for part in text.split(","):
            name, _, value = part.partition("=")
            try:
                values[name.strip()] = float(value)
            except ValueError as error:
                raise ConfigError(
                    f"changes of histories must be given as in crop=0.2,mask=0.1, got '{part.strip()}'"
                ) from error
        return cls.from_mapping(values)


@dataclass(frozen=True)
class ClickExtras:
    """What a click model of a log can do beside the settings of training.

    Attributes:
        ensemble: Networks that are trained, each from a seed of its own; 1 is one network.
        distil: One more network learns from the labels and from what the ensemble says, and is served alone.
        changes: What becomes of histories in training; None leaves them as they are.
        clean: Also measure a model whose item vectors come from an FLM that knows nothing of validation and test.

    Raises:
        ConfigError: There is no ensemble to distil from, or no network.
    """

    ensemble: int = 1
    distil: bool = False
    changes: HistoryChanges | None = None
    clean: bool = False

    def __post_init__(self) -> None:
        if self.ensemble < 1:
            raise ConfigError(f"ensemble must be >= 1, is {self.ensemble}; 1 is one network")
        if self.distil and self.ensemble == 1:
            raise ConfigError("distil must come with an ensemble of at least 2, has 1; raise ensemble")

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, where: str = "[finetune.click]") -> Self:
        """From keys of ``[finetune.click]``; what is left out is as by default.

        Args:
            values: ``ensemble``, ``distil``, ``augment`` and ``clean``, as TOML gives them.
            where: They stand; named in errors.

        Raises:
            ConfigError: A key is unknown, or a value is not what it may be.

        Example:
            >>> ClickExtras.from_mapping({"ensemble": 3, "augment": {"crop": 0.2}}).changes.crop
            0.2
        """
        check_names(values, EXTRAS["click"], where=where)
        plain = {name: one for name, one in values.items() if name != "augment"}
        read = {name: read_value(name, one, getattr(cls(), name), where=where) for name, one in plain.items()}
        try:
            return cls(**read, changes=changes_of(values, where=where))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error


def changes_of(values: Mapping[str, Any], *, where: str) -> HistoryChanges | None:
    """What ``augment`` says: a table, or a text like ``crop=0.2,mask=0.1``; None where it is not there.

    Args:
        values: Keys of a task.
        where: They stand; named in errors.

    Raises:
        ConfigError: It is neither, a name is unknown, or a share is out of range.
    """
    value = values.get("augment")
    if value is None:
        return None
    if isinstance(value, Mapping):
        return HistoryChanges.from_mapping(value)
    if isinstance(value, str):
        return HistoryChanges.from_text(value)
    raise ConfigError(
        f"'augment' in {where} must be a table such as {{crop = 0.2, mask = 0.1}}, is {value!r}; write one"
    )


def check_extras(task: str, values: Mapping[str, Any], *, where: str) -> None:
    """Refuse keys of `NAMES` that a task does not know, and values that cannot be.

    Args:
        task: One of `kinema.training.task_settings.TASKS`.
        values: Those of its settings that are in `NAMES`.
        where: They stand; named in errors.

    Raises:
        ConfigError: Which, and what to do.
    """
    for name in values:
        if name not in EXTRAS.get(task, ()):
            known = " and ".join(one for one, names in EXTRAS.items() if name in names)
            raise ConfigError(f"'{name}' in {where} must be of {known}, is of {task}, which has none; leave it out")
    if task == "click":
        ClickExtras.from_mapping(values, where=where)
    elif values:
        try:
            changes_of(values, where=where)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
