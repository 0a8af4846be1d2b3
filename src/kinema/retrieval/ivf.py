"""Approximate nearest items, for catalogues in which a product with every item takes too long.

Items are grouped around centres and kept as one byte per dimension; a question looks into the groups whose centres are nearest to it,
and what it finds there is scored again with the vectors as they are. How many groups are looked into is chosen when the index is
built, on questions whose right answers are computed.

Shape suffixes: V items, D width, Q questions, N indexed items, K results.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

from kinema.drafts import own_draft
from kinema.extras import is_installed, require
from kinema.logs import get_logger
from kinema.retrieval.query import Query
from kinema.retrieval.top import Candidates, as_candidates, best_of, nothing, top
from kinema.seeds import generator

RECALL: Final = 0.98
"""Share of the true hundred nearest that an index is built to find; .97 are wanted of it later."""
LEAST_ITEMS: Final = 50_000
"""From so many items on an index is made where the settings say nothing else."""
MANY_NEW: Final = 256
"""New items from which an index is written again."""
_AMONG, _QUESTIONS, _ROUNDS, _PER_GROUP, _MOST_GROUPS = 100, 256, 8, 64, 4096
_FEW: Final = 20_000
"""Of so few allowed items each is compared."""
_OPEN: Final = 0.5
"""Where more than this share of the catalogue is allowed, what is not allowed is left out of the answer, not of the search."""
_LOG = get_logger("retrieval.ivf")


@dataclass(frozen=True, eq=False)
class IvfIndex:
    """The nearest items of a question by inner product, most of them.

    Attributes:
        vectors_VD: float32, unit rows; rows of zeros are not found.
        index: Of faiss, over the rows that are not zero.
        num_probes: Groups that a question looks into.
        recall: What was found of the true hundred nearest when the index was built.
    """

    vectors_VD: NDArray[np.float32]
    index: Any
    num_probes: int
    recall: float

    @classmethod
    def build(cls, vectors_VD: NDArray[np.float32], *, asked_QD: NDArray[np.float32] | None = None) -> "IvfIndex":
        """Group the items and choose how many groups to look into.

        Args:
            vectors_VD: float32, unit rows, finite.
            asked_QD: Questions as they will be asked; None takes items, moved a little.

        Raises:
            MissingExtraError: faiss is not installed.
        """
        faiss, random = require("faiss"), generator(0, "ivf")
        items_N = np.flatnonzero(vectors_VD.any(axis=1))
        num_groups = int(np.clip(round(np.sqrt(len(items_N))), 1, _MOST_GROUPS))
        width = vectors_VD.shape[1]
        index = faiss.index_factory(width, f"IVF{num_groups},SQ8", faiss.METRIC_INNER_PRODUCT)
        index.cp.niter, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = _ROUNDS, _PER_GROUP, 1
        taught_by = random.choice(items_N, min(len(items_N), _PER_GROUP * num_groups), replace=False)
        index.train(np.ascontiguousarray(vectors_VD[taught_by]))
        if asked_QD is None or not len(asked_QD):
            asked_QD = vectors_VD[random.choice(items_N, min(len(items_N), _QUESTIONS), replace=False)]
            noise_QD = random.normal(size=asked_QD.shape) / np.sqrt(width)
            asked_QD = (asked_QD + 0.5 * noise_QD).astype(np.float32)
        return cls(vectors_VD, index, num_groups, 0.0).added(items_N).probing(asked_QD[:_QUESTIONS])

    def grown(self, vectors_VD: NDArray[np.float32]) -> "IvfIndex":
        """The index of a catalogue whose first items are those of this one, which is not to be used any more."""
        start = len(self.vectors_VD)
        return replace(self, vectors_VD=vectors_VD).added(start + np.flatnonzero(vectors_VD[start:].any(axis=1)))

    def added(self, items_N: NDArray[np.int64]) -> "IvfIndex":
        """With these items in it."""
        for start in range(0, len(items_N), 1 << 16):
            part = items_N[start : start + (1 << 16)]
            self.index.add_with_ids(np.ascontiguousarray(self.vectors_VD[part]), part)
        return self

    def probing(self, asked_QD: NDArray[np.float32]) -> "IvfIndex":
        """With the fewest probes that find enough."""
        true_QK = [top(row_V, _AMONG) for row_Q in np.array_split(asked_QD, 16) for row_V in row_Q @ self.vectors_VD.T]
        found = self
        for num_probes in _steps(self.num_probes):
            found = replace(self, num_probes=num_probes)
            answers = [found.search(question_D, _AMONG)[0] for question_D in asked_QD]
            hits = [np.isin(true_K, items_K).mean() for true_K, items_K in zip(true_QK, answers, strict=True)]
            found = replace(found, recall=float(np.mean(hits)))
            if found.recall >= RECALL:
                break
        return found

    def search(
        self, question_D: NDArray[np.float32], num: int, allowed_V: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The nearest items of one question.

        Args:
            question_D: float32.
            num: How many, at most.
            allowed_V: Only among these, which are looked for in more groups the fewer they are; None for all.

        Returns:
            Items int64, best first, ties by number; and their inner products float32.
        """
        faiss = require("faiss")
        num_probes, options = self.num_probes, {}
        if allowed_V is not None:
            share = max(np.count_nonzero(allowed_V) / len(allowed_V), 1e-9)
            num_probes = min(self.index.nlist, int(np.ceil(self.num_probes / share)))
            bits = np.packbits(allowed_V, bitorder="little")
            options = {"sel": faiss.IDSelectorBitmap(bits)}
        wanted = num + num // 2 + 16  # one byte per dimension is not exact
        how = faiss.SearchParametersIVF(nprobe=num_probes, **options)
        found_K = self.index.search(np.ascontiguousarray(question_D[None]), wanted, params=how)[1][0]
        items_K = np.sort(found_K[found_K >= 0])
        scores_K = self.vectors_VD[items_K] @ question_D
        places_K = top(scores_K, num)
        return items_K[places_K], scores_K[places_K]


def _steps(most: int) -> list[int]:
    """Numbers of probes to try, a third more each time.

    Example:
        >>> _steps(12)
        [1, 2, 3, 4, 5, 7, 9, 12]
    """
    found = [1]
    while found[-1] < most:
        found.append(min(most, max(found[-1] + 1, round(found[-1] * 4 / 3))))
    return found


@dataclass(frozen=True)
class IvfRetriever:
    """`kinema.retrieval.exact.ExactRetriever` by an index: nearly the same items, at a cost that hardly grows with the catalogue.

    Attributes:
        index: Over the model's item vectors.
        name: The source its candidates carry.
    """

    index: IvfIndex
    name: str = "flm"

    def __call__(self, query: Query, num: int) -> Candidates:
        """The ``num`` nearest allowed items, most of them; none without a user vector. Of few allowed items, exactly."""
        if query.user_vector_D is None:
            return nothing(self.name)
        allowed_V, vectors_VD = query.allowed_V, self.index.vectors_VD
        num_allowed = int(np.count_nonzero(allowed_V))
        if num_allowed <= max(_FEW, num):
            items_N = np.flatnonzero(allowed_V)
            return best_of(items_N, vectors_VD[items_N] @ query.user_vector_D, num, allowed_V, source=self.name)
        if num_allowed > _OPEN * len(allowed_V):
            wanted = int(num * len(allowed_V) / num_allowed) + len(query.items)
            found = self._among(*self.index.search(query.user_vector_D, wanted), num, allowed_V)
            if len(found) >= num:
                return found
        found = self._among(*self.index.search(query.user_vector_D, num, allowed_V), num, allowed_V)
        if len(found) >= num:
            return found
        return as_candidates(vectors_VD @ query.user_vector_D, num, allowed_V, source=self.name)

    def _among(
        self, items_N: NDArray[np.int64], scores_N: NDArray[np.float32], num: int, allowed_V: NDArray[np.bool_]
    ) -> Candidates:
        places_K = np.flatnonzero(allowed_V[items_N])[:num]
        return Candidates(self.name, items_N[places_K], scores_N[places_K])


@dataclass(frozen=True)
class Indexing:
    """Whether indexes are made, and where they are kept.

    Attributes:
        kind: ``auto`` makes them from `LEAST_ITEMS` items on where faiss is installed; ``exact`` never; ``ivf`` always.
        folder: Where they lie between one reading of the catalogue and the next; None makes them anew.
        asked_QD: Questions as users ask them, to choose by; None for none.
    """

    kind: Literal["auto", "exact", "ivf"] = "exact"
    folder: Path | None = None
    asked_QD: NDArray[np.float32] | None = field(default=None, compare=False, repr=False)

    def wanted(self, num_items: int) -> bool:
        """Whether a catalogue of this size is indexed. Where faiss is missing and not insisted on, the log says so."""
        if self.kind == "auto" and num_items >= LEAST_ITEMS and not is_installed("faiss"):
            _LOG.warning(
                "every one of %d items is compared with every user: slow; run: pip install 'kinema[index]'", num_items
            )
            return False
        return self.kind == "ivf" or (self.kind == "auto" and num_items >= LEAST_ITEMS)

    def index(self, name: str, vectors_VD: NDArray[np.float32], *, asked: bool = False) -> IvfIndex | None:
        """The index of some vectors, read where it was kept and extended by the items that are new; None for none.

        Args:
            name: Under which it is kept.
            vectors_VD: float32, unit rows, finite.
            asked: The questions are those of users.

        Raises:
            MissingExtraError: The settings insist on an index and faiss is not installed.
        """
        if not self.wanted(len(vectors_VD)) or not vectors_VD.any():
            return None
        file = None if self.folder is None else self.folder / f"nearest-{name}.faiss"
        kept = None if file is None else _read(file, vectors_VD)
        start = 0 if kept is None else len(kept.vectors_VD)
        found = kept.grown(vectors_VD) if kept is not None else None
        if found is None:
            found = IvfIndex.build(vectors_VD, asked_QD=self.asked_QD if asked else None)
        if file is not None and (kept is None or len(vectors_VD) - start >= MANY_NEW):
            _write(file, found)
        return found


def _digest(vectors_VD: NDArray[np.float32]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(vectors_VD).view(np.uint8).data, digest_size=16).hexdigest()


def _read(file: Path, vectors_VD: NDArray[np.float32]) -> IvfIndex | None:
    """What is kept, if it is of the first of these vectors; None where it is not, or is damaged."""
    with suppress(OSError, ValueError, KeyError, TypeError, RuntimeError):
        facts = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
        num = int(facts["items"])
        if not 0 < num <= len(vectors_VD) or facts["vectors"] != _digest(vectors_VD[:num]):
            return None
        index = require("faiss").read_index(str(file))
        if facts["indexed"] == index.ntotal and index.d == vectors_VD.shape[1]:
            return IvfIndex(vectors_VD[:num], index, int(facts["probes"]), float(facts["recall"]))
    return None


def _write(file: Path, found: IvfIndex) -> None:
    """Keep an index; a folder that cannot be written to costs time only."""
    facts = {
        "items": len(found.vectors_VD),
        "indexed": found.index.ntotal,
        "vectors": _digest(found.vectors_VD),
        "probes": found.num_probes,
        "recall": round(found.recall, 4),
    }
    with suppress(OSError, RuntimeError):
        file.parent.mkdir(parents=True, exist_ok=True)
        draft = own_draft(file)
        require("faiss").write_index(found.index, str(draft))
        draft.replace(file)
        told = draft.with_suffix(".json")
        told.write_text(json.dumps(facts), encoding="utf-8")
        told.replace(file.with_suffix(".json"))
