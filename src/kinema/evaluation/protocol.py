"""What can be evaluated: anything that scores the whole catalogue for a batch of cases.

Shape suffixes: C cases, V items, P profile columns.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.store.features import Profiles
from kinema.store.histories import Histories
from kinema.store.splits import Cases


class Ranker(Protocol):
    """Scores every item for every case.

    The cases that `kinema.evaluation.offline.evaluate` passes have no targets, so that a ranker cannot read the answer.
    It may use the time stamp of the question.
    """

    @property
    def name(self) -> str:
        """How reports call it; unique within a run."""

    def score(self, cases: Cases) -> NDArray[np.float32]:
        """float32 [C, V], higher is better; -inf for an item it cannot score."""


@dataclass(frozen=True)
class FunctionRanker:
    """A ranker made of a function, for instance an oracle that looks up true probabilities.

    Attributes:
        name: How reports call it.
        function: Cases without targets -> scores [C, V].

    Example:
        >>> FunctionRanker("constant", lambda cases: np.zeros((len(cases), 3), dtype=np.float32)).name
        'constant'
    """

    name: str
    function: Callable[[Cases], NDArray[np.float32]]

    def score(self, cases: Cases) -> NDArray[np.float32]:
        """See `Ranker`."""
        return self.function(cases)


class CatalogueScorer(Protocol):
    """The part of `kinema.flm.scorer.Scorer` that an evaluation needs, so that none of it imports the model."""

    def score(
        self,
        histories: Histories,
        profiles_CP: NDArray[np.float32] | None = None,
        *,
        branch: Any = "fused",
        moments_C: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """float32 [C, V], logits over the whole catalogue."""


@dataclass(frozen=True)
class ScorerRanker:
    """One branch of FLM as a ranker.

    Attributes:
        name: How reports call it.
        scorer: FLM bound to the catalogue of the split.
        profiles: Row = user number; None where there are none.
        branch: ``fused``, ``content``, ``collaborative``, ``sequential`` or ``memory``.
    """

    name: str
    scorer: CatalogueScorer
    profiles: Profiles | None = None
    branch: str = "fused"

    def score(self, cases: Cases) -> NDArray[np.float32]:
        """See `Ranker`."""
        profiles_CP = None if self.profiles is None else self.profiles.values_UP[cases.users_C]
        return self.scorer.score(cases.histories, profiles_CP, branch=self.branch, moments_C=cases.timestamps_ms_C)


def blind(cases: Cases) -> Cases:
    """The same questions without their answers.

    Example:
        >>> from kinema.store.splits import leave_one_out
        >>> split = leave_one_out(Histories.from_lists([[3, 1, 0, 2]], num_items=4))
        >>> blind(split.test).targets.lengths
        array([0])
    """
    empty = Histories(
        np.zeros(len(cases) + 1, dtype=np.int64),
        np.zeros(0, dtype=np.int32),
        np.zeros(0, dtype=np.int64),
        cases.targets.num_items,
    )
    return Cases(cases.users_C, cases.timestamps_ms_C, cases.histories, empty)


def checked_scores(ranker: Ranker, cases: Cases) -> NDArray[np.float32]:
    """Ask a ranker, and refuse an answer of another shape than one row per case and one column per item.

    Args:
        ranker: Who is asked.
        cases: C cases; their targets are taken away first.

    Returns:
        [C, V] scores.

    Raises:
        DataError: The shape is wrong: broadcasting would otherwise score one user's ranking for everybody.
    """
    scores_CV = np.asarray(ranker.score(blind(cases)))
    expected = (len(cases), cases.targets.num_items)
    if scores_CV.shape != expected:
        raise DataError(f"scores of ranker '{ranker.name}' must have shape {expected}, have {scores_CV.shape}")
    return scores_CV
