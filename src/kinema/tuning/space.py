"""What is searched: a few settings of FLM, each over a few values around the default.

A budget of minutes pays for ten to thirty trainings, so the space is small and every line of it needs a reason. One
more line in `SPACE` is one more dimension.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from kinema.flm.blocks import BLOCKS
from kinema.flm.config import FLMConfig
from kinema.store.features import ModalityFeatures
from kinema.store.histories import Histories
from kinema.tuning.domains import Choice, Domain, Span


@dataclass(frozen=True)
class DataFacts:
    """What decides which settings can matter.

    Attributes:
        longest: Interactions of the longest training history.
        has_content: Any item has a vector of any modality.
    """

    longest: int
    has_content: bool

    @classmethod
    def of(cls, train: Histories, features: Mapping[str, ModalityFeatures]) -> "DataFacts":
        """Read them off the training data."""
        longest = int(train.lengths.max(initial=0))
        return cls(longest, any(bool(np.any(one.present_V)) for one in features.values()))


@dataclass(frozen=True)
class Dimension:
    """One searched setting.

    Attributes:
        name: Field of `FLMConfig`; of a task (`kinema.tuning.task_space`), of `FitOptions` or ``network.NAME``.
        around: Default and data -> its domain, which holds the default; a domain of one value is not searched. A task
            gives no data.
    """

    name: str
    around: Callable[[Any, Any], Domain]


def factor(low: float, high: float) -> Callable[[Any, Any], Domain]:
    """From ``low`` times the default to ``high`` times it, in equal factors."""
    return lambda default, _: Span(low * default, high * default, log=True)


def between(low: float, high: float) -> Callable[[Any, Any], Domain]:
    """From ``low`` to ``high``, stretched to the default where that lies outside."""
    return lambda default, _: Span(min(low, default), max(high, default))


def one_of(*values: Any) -> Callable[[Any, Any], Domain]:
    """One of these, or the default."""
    return lambda default, _: Choice(tuple(sorted({*values, default})))


def on_or_off(on: float) -> Callable[[Any, Any], Domain]:
    """Off, or on with the default weight; ``on`` is the weight where the default is off."""
    return lambda default, _: Choice((0.0, default or on))


def _content_on_or_off(default: float, facts: DataFacts) -> Domain:
    return Choice((0.0, default or 0.1) if facts.has_content else (default,))


def _lengths(default: int, facts: DataFacts) -> Domain:
    return Choice(tuple(sorted({default, *(one for one in (20, 50, 100, 200) if one < facts.longest)})))


SPACE: Final[tuple[Dimension, ...]] = (
    # Moves the result most and depends on size, batch and number of steps, which defaults only guess.
    Dimension("learning_rate", factor(0.25, 2.5)),
    # How sharply the softmax tells near items apart: depends on how alike the items of a catalogue are.
    Dimension("temperature", factor(0.5, 2.0)),
    # The more a log repeats itself, the less regularisation it needs.
    Dimension("dropout", between(0.0, 0.5)),
    # Order that takes two looks to see needs two blocks; more than three seldom get anywhere in the time of a trial.
    Dimension("num_blocks", one_of(1, 2, 3)),
    # Whether gates pay differs from log to log, and they cost time.
    Dimension("block", one_of(*BLOCKS)),
    # Smoothing helps where order within a few interactions is noise.
    Dimension("filter_share", one_of(0.0, 0.5)),
    # Width costs time in proportion, and pays only where there is enough to learn.
    Dimension("d_model", one_of(64, 96, 128)),
    # Several heads follow several threads of one history; short ones have one.
    Dimension("num_heads", one_of(1, 2, 4)),
    # An auxiliary loss may help rare items and takes gradient from the order; which weighs more depends on the log.
    Dimension("weight_collab", on_or_off(0.3)),
    # The same for content, where there is any.
    Dimension("weight_content", _content_on_or_off),
    # Old interactions help where taste is steady and cost time where it is not; only where histories are that long.
    Dimension("max_length", _lengths),
)


def searched(
    defaults: FLMConfig, *, fixed: Collection[str], facts: DataFacts, space: tuple[Dimension, ...] = SPACE
) -> dict[str, Domain]:
    """The domains of one search.

    Args:
        defaults: The configuration without a search, the user's choices included.
        fixed: Settings the user has chosen; they are kept.
        facts: Of the training data.
        space: Dimensions to choose from.

    Returns:
        Setting -> domain, in the order of ``space``. Widths and heads are such that every pair fits.

    Example:
        >>> found = searched(FLMConfig(), fixed=["d_model"], facts=DataFacts(longest=30, has_content=False))
        >>> found["dropout"], found["num_heads"], "d_model" in found, "weight_content" in found
        (Span(low=0.0, high=0.5, log=False, whole=False), Choice(values=(1, 2, 4)), False, False)
    """
    found = {one.name: one.around(getattr(defaults, one.name), facts) for one in space if one.name not in set(fixed)}
    _fit_heads(found, defaults)
    return {name: domain for name, domain in found.items() if not isinstance(domain, Choice) or len(domain.values) > 1}


def _fit_heads(found: dict[str, Domain], defaults: FLMConfig) -> None:
    """Leave only widths that the default heads divide, then only heads that divide every width left."""
    widths: tuple[int, ...] = (defaults.d_model,)
    if isinstance(domain := found.get("d_model"), Choice):
        widths = tuple(width for width in domain.values if width % defaults.num_heads == 0)
        found["d_model"] = Choice(widths)
    if isinstance(domain := found.get("num_heads"), Choice):
        found["num_heads"] = Choice(
            tuple(heads for heads in domain.values if all(width % heads == 0 for width in widths))
        )
