"""Two models on the same questions: is the new one no worse than the one that serves?

The test is one of non-inferiority. What must be shown is not that the new model is better, which a refresh seldom is by much, but that it does
not lose more than a margin; where too few questions have been asked to tell, the serving model stays.

Shape suffixes: C cases, V catalogue, B resamples.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.evaluation.bootstrap import Interval, percentile_interval, resampled_means
from kinema.evaluation.offline import evaluate
from kinema.evaluation.protocol import CatalogueScorer, FunctionRanker, Ranker, ScorerRanker
from kinema.store.features import Profiles
from kinema.store.splits import Cases, Split

METRIC: Final = "ndcg@10"
ALL: Final = "all"
_ROWS: Final = (ALL, "warm items", "new items", "cold items", "users without history")


@dataclass(frozen=True)
class Contender:
    """A model bound to the catalogue, with its memory counted on to the cut.

    Attributes:
        name: In reports.
        scorer: What is asked.
        counts_V: Interactions per item that it was trained on; shorter where items came later.
        profiles: With the columns it was trained on; None for none.
    """

    name: str
    scorer: CatalogueScorer
    counts_V: NDArray[np.int64]
    profiles: Profiles | None

    def known(self, num_items: int) -> NDArray[np.bool_]:
        """Items it was trained on, bool [V]."""
        return np.pad(self.counts_V, (0, num_items - len(self.counts_V))) > 0


@dataclass(frozen=True)
class ComparedRow:
    """Some of the questions.

    Attributes:
        questions: How many.
        serving: NDCG@10 of the model that serves.
        candidate: NDCG@10 of the new one.
        difference: Candidate minus serving, with the 95 % interval of the paired bootstrap over users.
    """

    questions: int
    serving: float
    candidate: float
    difference: Interval


@dataclass(frozen=True)
class Comparison:
    """What the questions said.

    Attributes:
        rows: ``all``; ``warm items`` both were trained on; ``new items`` only the candidate was; ``cold items`` neither was;
            ``users without history``. A row without questions is absent.
        popularity: NDCG@10 of what is watched most, over all questions.
        margin: How much may be lost: a share of what the serving model is better than popularity.
    """

    rows: Mapping[str, ComparedRow]
    popularity: float
    margin: float

    @property
    def no_worse(self) -> bool:
        """Whether the whole interval lies above minus the margin."""
        return self.rows[ALL].difference.low > -self.margin

    def sentence(self) -> str:
        """The decision and why."""
        row = self.rows[ALL]
        found = row.difference
        told = (
            f"NDCG@10 on {row.questions:,} held-out questions is {row.candidate:.4f} against {row.serving:.4f} of the serving model, "
            f"difference {found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
        )
        if self.no_worse and found.low > 0:
            return f"{told}: clearly better"
        if self.no_worse:
            return f"{told}: it loses less than the margin of {self.margin:.4f}, if it loses at all"
        if found.high < 0 or found.mean <= -self.margin:
            return f"{told}: worse, or no better by the margin of {self.margin:.4f}"
        return f"{told}: it may lose more than the margin of {self.margin:.4f}; about {self._needed():,} questions would tell"

    def _needed(self) -> int:
        """Questions with which the same difference would be told apart from minus the margin."""
        row = self.rows[ALL]
        found = row.difference
        return math.ceil(row.questions * ((found.mean - found.low) / (found.mean + self.margin)) ** 2)


def compare_models(
    serving: Contender,
    candidate: Contender,
    questions: Cases,
    split: Split,
    *,
    popularity_V: NDArray[np.floating],
    tolerance: float,
    num_resamples: int = 1000,
    seed: int = 0,
) -> Comparison:
    """Ask both the same.

    Args:
        serving: What serves.
        candidate: What might.
        questions: Neither was trained on their answers.
        split: Training part of the candidate, publication times, hidden items.
        popularity_V: What would be shown without any model.
        tolerance: Share of what the serving model is better than popularity that may be lost.
        num_resamples: Of the bootstrap.
        seed: Of it.

    Raises:
        DataError: There is no question.
    """
    scores_V = popularity_V.astype(np.float32)
    popular = FunctionRanker("popularity", lambda cases: np.tile(scores_V, (len(cases), 1)))
    ours, theirs = (ScorerRanker(one.name, one.scorer, one.profiles) for one in (serving, candidate))
    values = [_asked(one, questions, split) for one in (ours, theirs, popular)]
    num_items = split.train.num_items
    groups = _groups(questions, serving.known(num_items), candidate.known(num_items))
    rows = {
        name: _row(values[0][place], values[1][place], questions.users_C[place], num_resamples, seed)
        for name, place in zip(_ROWS, groups, strict=True)
        if place.any()
    }
    lead = max(0.0, float(values[0].mean() - values[2].mean()))
    return Comparison(rows, float(values[2].mean()), tolerance * lead)


def answered(model: Contender, questions: Cases, split: Split) -> float:
    """NDCG@10 of one model."""
    return float(_asked(ScorerRanker(model.name, model.scorer, model.profiles), questions, split).mean())


def _asked(ranker: Ranker, questions: Cases, split: Split) -> NDArray[np.float64]:
    """NDCG@10 per question."""
    return evaluate(ranker, questions, split, ks=(10,), num_resamples=0).rows[ALL].values(METRIC)


def _groups(
    questions: Cases, serving_V: NDArray[np.bool_], candidate_V: NDArray[np.bool_]
) -> Sequence[NDArray[np.bool_]]:
    """The questions of each row, bool [C]."""
    targets_C = questions.targets.items[questions.targets.offsets[:-1]]
    warm_C, new_C = serving_V[targets_C], candidate_V[targets_C] & ~serving_V[targets_C]
    every_C = np.ones(len(questions), dtype=bool)
    return every_C, warm_C, new_C, ~warm_C & ~new_C, questions.histories.lengths == 0


def _row(
    serving_C: NDArray[np.float64],
    candidate_C: NDArray[np.float64],
    users_C: NDArray[np.integer],
    num_resamples: int,
    seed: int,
) -> ComparedRow:
    gain_C = candidate_C - serving_C
    samples_B = resampled_means(gain_C[:, None], users_C, num_resamples=num_resamples, seed=seed)[:, 0]
    interval = percentile_interval(float(gain_C.mean()), samples_B)
    return ComparedRow(len(gain_C), float(serving_C.mean()), float(candidate_C.mean()), interval)
