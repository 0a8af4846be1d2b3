"""The one evaluator, for our models, the baselines and every peer: full ranking, nothing sampled.

Shape suffixes: C cases, B cases of a batch, V items, T targets of all cases, M metrics, D content width.
"""

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.evaluation.protocol import Ranker, checked_scores
from kinema.evaluation.results import RankingResult, Row
from kinema.metrics.catalogue import coverage, gini, intra_list_diversity, novelty
from kinema.metrics.chance import chance_metrics
from kinema.metrics.ranking import case_metrics
from kinema.metrics.ranks import target_ranks, top_items
from kinema.progress import Progress, silent
from kinema.store.splits import Cases, Split, blocked_items

CHANCE: Final = "chance"
"""Name of the exact expectation of a random order."""

_MAX_CELLS = 32_000_000

_Measured: TypeAlias = tuple[dict[str, NDArray[np.float64]], NDArray[np.int64]]


@dataclass(frozen=True)
class _Standing:
    """Ranks of all targets and the number of candidates of all cases, filled batch by batch."""

    ranks_T: NDArray[np.int64]
    candidates_C: NDArray[np.int64]

    @classmethod
    def empty(cls, cases: Cases) -> "_Standing":
        """First place for everybody until `fill` says otherwise."""
        return cls(np.ones(len(cases.targets.items), dtype=np.int64), np.zeros(len(cases), dtype=np.int64))

    def fill(
        self, rows_B: NDArray[np.int64], cases: Cases, scores_BV: NDArray[np.float32], blocked_BV: NDArray[np.bool_]
    ) -> None:
        """Rank the targets of some of the cases."""
        lengths_B = cases.targets.lengths[rows_B]
        owners_T = np.repeat(np.arange(len(rows_B)), lengths_B)
        first_T = np.repeat(cases.targets.offsets[rows_B] - np.cumsum(lengths_B) + lengths_B, lengths_B)
        places_T = first_T + np.arange(len(owners_T))
        self.ranks_T[places_T] = target_ranks(
            scores_BV, rows_T=owners_T, items_T=cases.targets.items[places_T], blocked_CV=blocked_BV
        )
        self.candidates_C[rows_B] = scores_BV.shape[1] - np.count_nonzero(blocked_BV, axis=1)

    def measured(self, cases: Cases, ks: Sequence[int]) -> _Measured:
        """Metrics and candidates per case."""
        return case_metrics(self.ranks_T, cases.targets.offsets, ks=ks), self.candidates_C


def evaluate(
    ranker: Ranker,
    cases: Cases,
    split: Split,
    *,
    ks: Sequence[int] = (5, 10, 20),
    slate_length: int = 10,
    batch_size: int = 256,
    content_VD: NDArray[np.floating] | None = None,
    num_resamples: int = 1000,
    seed: int = 0,
    progress: Progress = silent,
) -> RankingResult:
    """Rank the whole catalogue for every case, less what `blocked_items` removes, and see where the targets stand.

    Ties count against the ranker; a score that is not finite stands last. The ranker never sees the targets.

    Args:
        ranker: What is evaluated.
        cases: ``split.test``, or ``split.valid`` while choosing.
        split: Publication times, hidden and cold items, training counts.
        ks: Cut-offs of the metrics.
        slate_length: Places of the slates behind coverage, Gini, novelty and diversity.
        batch_size: Cases scored at once; made smaller where the catalogue is so large that a batch would not fit.
        content_VD: Content vectors for the diversity of slates; None leaves it undefined.
        num_resamples: Bootstrap resamples behind the intervals; 0 for none.
        seed: Seed of the bootstrap. Results to be compared need the same.
        progress: Told after each batch.

    Returns:
        Per-case metrics for all, warm and cold cases, slate measures and the time the ranker took.

    Raises:
        DataError: There are no cases, a case has no target, or the ranker returns another shape.
    """
    full, among_cold = _Standing.empty(cases), _Standing.empty(cases)
    slates = np.empty((len(cases), slate_length), dtype=np.int32)
    seconds, num_invalid = 0.0, 0
    for rows_B, batch, blocked_BV in _batches(cases, split, batch_size):
        started = time.perf_counter()
        scores_BV = checked_scores(ranker, batch)
        seconds += time.perf_counter() - started
        # NaN and +inf alone are not below +inf.
        num_invalid += int(np.count_nonzero(~(scores_BV < np.inf) & ~blocked_BV))
        slates[rows_B] = top_items(scores_BV, num_places=slate_length, blocked_CV=blocked_BV)
        full.fill(rows_B, cases, scores_BV, blocked_BV)
        asked = np.flatnonzero(_num_cold(batch, split.cold_V))
        if len(asked):
            among_cold.fill(rows_B[asked], cases, scores_BV[asked], blocked_BV[asked] | ~split.cold_V)
        progress(int(rows_B[-1]) + 1, len(cases), ranker.name)
    return RankingResult(
        ranker.name,
        tuple(ks),
        _rows(cases, split.cold_V, full.measured(cases, ks), among_cold.measured(cases, ks), num_resamples, seed=seed),
        num_cases=len(cases),
        cases_key=_key(cases),
        catalogue=_catalogue(slates, split, content_VD),
        slate_length=slate_length,
        seconds=seconds,
        num_invalid=num_invalid,
    )


def chance_level(
    cases: Cases,
    split: Split,
    *,
    ks: Sequence[int] = (5, 10, 20),
    batch_size: int = 256,
    num_resamples: int = 1000,
    seed: int = 0,
) -> RankingResult:
    """What a random order of the candidates would score, exactly, in the form of a result.

    Args:
        cases: See `evaluate`.
        split: See `evaluate`.
        ks: See `evaluate`.
        batch_size: See `evaluate`.
        num_resamples: See `evaluate`.
        seed: See `evaluate`.

    Returns:
        A result named ``chance``.

    Raises:
        DataError: There are no cases.
    """
    candidates_C, cold_candidates_C = np.empty((2, len(cases)), dtype=np.int64)
    for rows_B, _, blocked_BV in _batches(cases, split, batch_size):
        candidates_C[rows_B] = (~blocked_BV).sum(axis=1)
        cold_candidates_C[rows_B] = (~blocked_BV & split.cold_V).sum(axis=1)
    targets_C = cases.targets.lengths
    # Warm cases have no say in the row that ranks cold items only; any defined number will do for them.
    enough_C = np.maximum(cold_candidates_C, targets_C)
    rows = _rows(
        cases,
        split.cold_V,
        (chance_metrics(candidates_C, targets_C, ks=ks), candidates_C),
        (chance_metrics(enough_C, targets_C, ks=ks), cold_candidates_C),
        num_resamples,
        seed=seed,
    )
    return RankingResult(CHANCE, tuple(ks), rows, num_cases=len(cases), cases_key=_key(cases))


def _batches(
    cases: Cases, split: Split, batch_size: int
) -> Iterator[tuple[NDArray[np.int64], Cases, NDArray[np.bool_]]]:
    """Rows, cases and blocked items of one batch after another."""
    if not len(cases):
        raise DataError(f"an evaluation must have at least one case, the {split.name} split has none here")
    if (cases.targets.lengths < 1).any():
        raise DataError(f"every case must have a target, case {int(np.argmin(cases.targets.lengths))} has none")
    size = max(1, min(batch_size, _MAX_CELLS // max(split.train.num_items, 1)))
    for start in range(0, len(cases), size):
        rows_B = np.arange(start, min(start + size, len(cases)))
        batch = cases.take(rows_B)
        yield rows_B, batch, blocked_items(batch, published_ms_V=split.published_ms_V, hidden_V=split.hidden_V)


def _rows(
    cases: Cases,
    cold_V: NDArray[np.bool_],
    full: _Measured,
    among_cold: _Measured,
    num_resamples: int,
    *,
    seed: int,
) -> dict[str, Row]:
    """The rows of the table. A case whose targets are partly cold is in ``all`` only."""
    num_cold_C = _num_cold(cases, cold_V)
    is_cold_C = num_cold_C == cases.targets.lengths
    members = {
        "all": (np.ones(len(cases), dtype=bool), *full),
        "warm": (num_cold_C == 0, *full),
        "cold": (is_cold_C, *full),
        "cold among cold": (is_cold_C, *among_cold),
    }
    return {
        name: Row(
            tuple(chosen),
            cases.users_C[member_C],
            np.flatnonzero(member_C),
            np.stack([column_C[member_C] for column_C in chosen.values()], axis=1),
            float(num_C[member_C].mean()),
            num_resamples,
            seed,
        )
        for name, (member_C, chosen, num_C) in members.items()
        if member_C.any()
    }


def _num_cold(cases: Cases, cold_V: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Cold targets of each case."""
    counts_C: NDArray[np.int64] = np.add.reduceat(
        cold_V[cases.targets.items], cases.targets.offsets[:-1], dtype=np.int64
    )
    return counts_C


def _catalogue(slates: NDArray[np.int32], split: Split, content_VD: NDArray[np.floating] | None) -> dict[str, float]:
    """Measures of the slates over the items that could have been shown."""
    shown_V = np.bincount(slates[slates >= 0], minlength=split.train.num_items)
    offered_V = ~split.hidden_V | (shown_V > 0)
    spread = np.full(1, np.nan) if content_VD is None else intra_list_diversity(slates, content_VD)
    known = spread[~np.isnan(spread)]
    return {
        "coverage": coverage(slates, num_items=int(offered_V.sum())),
        "gini": gini(shown_V[offered_V]),
        "novelty": novelty(slates, split.train.item_counts()),
        "diversity": float(known.mean()) if len(known) else float("nan"),
    }


def _key(cases: Cases) -> str:
    """Fingerprint of who was asked what, when."""
    digest = hashlib.sha256()
    for array in (cases.users_C, cases.timestamps_ms_C, cases.targets.offsets, cases.targets.items):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
