"""`[finetune]` of `kinema.toml`: how tasks learn, all of them or one, as plain tables that are checked when they are read.

``[finetune]`` and ``[finetune.TASK]`` hold settings of `FitOptions`, the second over the first, both over what the task takes by
itself; ``[finetune.TASK.network]`` holds settings of what is learnt, which the task checks when it runs. What else some tasks can do
stands in ``[finetune.TASK]`` as well, see `kinema.training.task_extras`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from kinema.errors import ConfigError
from kinema.training.fit_options import FitOptions
from kinema.training.given_values import check_names
from kinema.training.task_extras import EXTRAS, NAMES, check_extras

TASKS: Final[tuple[str, ...]] = (
    "click",
    "click_table",
    "engagement",
    "rating",
    "next",
    "several",
    "clips",
    "match",
    "visual",
    "rerank",
    "text",
)
"""What may have a section of its own; a new task is one name more."""
NETWORK: Final = "network"
_OPTIONS: Final = tuple(one.name for one in fields(FitOptions))
_ANY_METRIC: Final = {"metric": "loss"}


@dataclass(frozen=True)
class TaskSettings:
    """What was asked of one task.

    Attributes:
        options: Settings of `FitOptions`.
        network: Settings of what is learnt.
        extras: What else the task is to do; keys of `kinema.training.task_extras`.
    """

    options: Mapping[str, Any] = field(default_factory=dict)
    network: Mapping[str, Any] = field(default_factory=dict)
    extras: Mapping[str, Any] = field(default_factory=dict)

    def over(self, other: "TaskSettings") -> "TaskSettings":
        """These settings, and those of another where these say nothing."""
        return TaskSettings(
            {**other.options, **self.options},
            {**other.network, **self.network},
            {**other.extras, **self.extras},
        )


def check_finetune(tree: Mapping[str, Any]) -> None:
    """Check the whole of ``[finetune]``.

    Raises:
        ConfigError: A key is neither a setting nor a task, or a value is not what it may be; the text says what to write.
    """
    for_all = {name: one for name, one in tree.items() if name not in TASKS}
    _check_options(for_all, where="[finetune]", known=(*_OPTIONS, *TASKS))
    for task in TASKS:
        if task not in tree:
            continue
        where = f"[finetune.{task}]"
        if not isinstance(tree[task], Mapping):
            raise ConfigError(f"{where} must be a table, is {tree[task]!r}; write the settings below {where}")
        found = split(tree[task], where=where)
        check_extras(task, found.extras, where=where)
        _check_options({**for_all, **found.options}, where=where, known=(*_OPTIONS, NETWORK, *EXTRAS.get(task, ())))


def task_settings(tree: Mapping[str, Any], task: str) -> TaskSettings:
    """What a checked ``[finetune]`` says of one task.

    Args:
        tree: The section.
        task: One of `TASKS`.

    Example:
        >>> task_settings({"patience": 3, "click": {"learning_rate": 0.01, "network": {"width": 8}}}, "click")
        TaskSettings(options={'patience': 3, 'learning_rate': 0.01}, network={'width': 8}, extras={})
    """
    check_names([task], TASKS, where="the tasks of [finetune]")
    for_all = TaskSettings({name: one for name, one in tree.items() if name not in TASKS})
    return split(tree.get(task, {}), where=f"[finetune.{task}]").over(for_all)


def split(values: Mapping[str, Any], *, where: str) -> TaskSettings:
    """Settings of one task; those of the network are in a table of their own or named ``network.NAME``.

    Raises:
        ConfigError: ``network`` is no table.
    """
    network = values.get(NETWORK, {})
    if not isinstance(network, Mapping):
        raise ConfigError(f"'{NETWORK}' in {where} must be a table, is {network!r}; write network.NAME = VALUE")
    prefix = f"{NETWORK}."
    dotted = {name.removeprefix(prefix): one for name, one in values.items() if name.startswith(prefix)}
    extras = {name: one for name, one in values.items() if name in NAMES}
    options = {
        name: one
        for name, one in values.items()
        if name != NETWORK and not name.startswith(prefix) and name not in extras
    }
    return TaskSettings(options, {**network, **dotted}, extras)


def fit_options(defaults: Mapping[str, Any], values: Mapping[str, Any], *, where: str) -> FitOptions:
    """Options of a run.

    Args:
        defaults: What the task takes by itself; names the metric.
        values: What was asked for.
        where: That stands.

    Raises:
        ConfigError: A name is unknown, or a value is not what it may be.
    """
    check_names(values, _OPTIONS, where=where, hint="; settings of what is learnt are network.NAME")
    return FitOptions.from_mapping({**defaults, **values}, where=where)


def _check_options(values: Mapping[str, Any], *, where: str, known: tuple[str, ...]) -> None:
    check_names(values, known, where=where)
    FitOptions.from_mapping({**_ANY_METRIC, **values}, where=where)
