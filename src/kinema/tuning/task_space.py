"""What is searched of each task where `kinema.toml` says nothing: few settings, each around the task's own default.

A search of an hour pays for some dozens of trainings; the settings here are those that move the result most. A setting is a
name of `FitOptions`, or ``network.NAME`` of what is learnt.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from kinema.tuning.domains import Choice, Domain
from kinema.tuning.space import Dimension, between, factor, one_of


def times(*factors: float) -> Callable[[Any, Any], Domain]:
    """Whole multiples and parts of the default, and the default."""
    return lambda default, _: Choice(tuple(sorted({default, *(max(1, round(one * default)) for one in factors)})))


_STEP: Final = (
    # Moves the result most, and depends on the size of batch and table.
    Dimension("learning_rate", factor(0.2, 5.0)),
    # More updates per epoch and more noise in each, against fewer and steadier ones.
    Dimension("batch_size", times(0.5, 2.0)),
)

SPACES: Final[Mapping[str, tuple[Dimension, ...]]] = {
    "click": (
        *_STEP,
        Dimension("weight_decay", one_of(0.0, 0.01, 0.1)),
        Dimension("network.width", one_of(16, 32, 64)),
        Dimension("network.dropout", between(0.0, 0.5)),
        # How much an item's own vector is trusted: the more a catalogue changes, the less.
        Dimension("network.id_dropout", between(0.0, 0.5)),
    ),
    "click_table": (
        *_STEP,
        Dimension("network.width", one_of(8, 10, 16)),
        Dimension("network.dropout", between(0.0, 0.5)),
        # Between learning values by heart and not at all; which it is depends on how often values repeat.
        Dimension("network.embedding_l2", factor(0.01, 10.0)),
    ),
    "engagement": (
        *_STEP,
        Dimension("network.sharing", one_of("mmoe", "ple", "shared_bottom")),
        Dimension("network.weighting", one_of("fixed", "uncertainty", "conflicts")),
        Dimension("network.dropout", between(0.0, 0.4)),
    ),
    "rating": (
        *_STEP,
        Dimension("network.width", one_of(16, 24, 48)),
        Dimension("network.dropout", between(0.0, 0.7)),
        Dimension("network.forget", between(0.0, 0.6)),
        Dimension("network.l2", factor(0.1, 10.0)),
    ),
    "clips": (
        *_STEP,
        Dimension("weight_decay", one_of(0.0, 0.05, 0.2)),
        Dimension("network.width", one_of(32, 64, 128)),
        Dimension("network.dropout", between(0.0, 0.6)),
        Dimension("network.smoothing", between(0.0, 0.2)),
    ),
    "next": (
        # The step of what is shared; that of the items' own vectors stays as it is, see kinema.steps.finetuning_next.
        *_STEP,
        Dimension("weight_decay", one_of(0.0, 0.01, 0.1)),
    ),
    "several": (
        *_STEP,
        Dimension("network.weighting", one_of("fixed", "uncertainty", "conflicts")),
        Dimension("network.hidden", one_of(32, 64, 128)),
        Dimension("network.dropout", between(0.0, 0.4)),
    ),
    "match": (
        *_STEP,
        Dimension("network.directions", one_of(16, 32, 64, 128)),
        Dimension("network.temperature", factor(0.4, 4.0)),
        # How far the towers may leave the plain encoder: the fewer the pairs, the less.
        Dimension("network.stay", factor(0.1, 10.0)),
        Dimension("network.forget_text", between(0.0, 0.6)),
    ),
    "visual": (
        *_STEP,
        Dimension("network.directions", one_of(64, 128, 256)),
        Dimension("network.temperature", factor(0.4, 4.0)),
        Dimension("network.stay", factor(0.1, 10.0)),
    ),
    "rerank": (
        *_STEP,
        Dimension("weight_decay", one_of(0.0, 0.01, 0.1)),
        # What learns stays: each way has a step size of its own. How much of it there is, is searched.
        Dimension("network.rank", one_of(4, 8, 16)),
    ),
    "text": (
        *_STEP,
        Dimension("weight_decay", one_of(0.0, 0.01, 0.1)),
        Dimension("network.rank", one_of(4, 8, 16)),
    ),
}
"""Task -> settings that are searched; a new task is one entry more."""


def usual_space(task: str, usual: Mapping[str, Any]) -> dict[str, Domain]:
    """What is searched of a task where `kinema.toml` says nothing.

    Args:
        task: One of `SPACES`.
        usual: Setting -> its value without a search.

    Example:
        >>> usual = {"learning_rate": 0.1, "batch_size": 8, "weight_decay": 0.0, "network.rank": 8}
        >>> sorted(usual_space("text", usual | {"network.method": "top"}))
        ['batch_size', 'learning_rate', 'weight_decay']
    """
    # A rank is of LoRA alone: with another way it would be searched in vain, and written as if it mattered.
    idle = {"network.rank"} if usual.get("network.method", "lora") != "lora" else set()
    return {one.name: one.around(usual[one.name], None) for one in SPACES.get(task, ()) if one.name not in idle}
