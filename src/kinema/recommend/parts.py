"""Everything a request reads, checked once and made safe: a damaged vector or a stale model shows up here, not in a slate.

Shape suffixes: V items, D width.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError, StaleArtifactError
from kinema.notices import Notice
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.evidence import ContentSpace
from kinema.recommend.explain import Explainer
from kinema.recommend.fallback import system_notices
from kinema.recommend.model import Memory, Scorer
from kinema.retrieval.content import joint, unit_rows
from kinema.retrieval.kept import Changes
from kinema.retrieval.popularity import DAY_MS, Segments


@dataclass(frozen=True)
class Parts:
    """What the pipeline works with. Nothing in here changes after it was made, so requests may run in parallel.

    Attributes:
        catalogue: V items.
        scorer: The model; None without.
        item_vectors_VD: The model's item vectors, unit rows, finite; None without a model.
        content: Modality -> unit rows, finite, zero rows where absent.
        joint_VD: All modalities together; None where there is none.
        memory: Item-item transitions; None without.
        popularity_V: float64, >= 0.
        segments: Popularity by profile attribute; None without profiles.
        changes: Told when a count of popularity changes.
        explainer: Finds reasons.
        fresh_ms: Items published within this time are new.
        copies_V: int64, the group of copies that each item belongs to, -1 where it has none; None without any group.
        notices: What is missing or damaged, for every slate.
    """

    catalogue: Catalogue
    scorer: Scorer | None
    item_vectors_VD: NDArray[np.float32] | None
    content: Mapping[str, NDArray[np.float32]]
    joint_VD: NDArray[np.float32] | None
    memory: Memory | None
    popularity_V: NDArray[np.float64]
    segments: Segments | None
    changes: Changes
    explainer: Explainer
    fresh_ms: int
    copies_V: NDArray[np.int64] | None
    notices: tuple[Notice, ...]

    @classmethod
    def of(
        cls,
        *,
        catalogue: Catalogue,
        scorer: Scorer | None,
        content: Mapping[str, NDArray[np.float32]] | None,
        memory: Memory | None,
        popularity_V: NDArray[np.floating] | None,
        segments: Segments | None,
        fresh_days: float,
        copies_V: NDArray[np.integer] | None = None,
    ) -> Self:
        """Check the parts against the catalogue and clean them. See `Recommender` for what they are.

        Raises:
            StaleArtifactError: Model, vectors or copies were made for another number of items.
            DataError: Popularity is negative, not finite or of another length.
        """
        size = len(catalogue)
        raw = content if content is not None else scorer.content_VD if scorer is not None else {}
        vectors = None if scorer is None else scorer.item_vectors_VD
        for name, rows in {**raw, **({} if vectors is None else {"item": vectors})}.items():
            if len(rows) != size:
                raise StaleArtifactError(
                    f"'{name}' vectors must have one row per item of the catalogue ({size}), got {len(rows)}; "
                    "bind the model to the current catalogue again: FLM.serve(features, num_items)"
                )
        num_damaged = sum(_num_damaged(rows) for rows in raw.values()) + (
            0 if vectors is None else _num_damaged(vectors)
        )
        clean = {name: unit_rows(rows) for name, rows in raw.items()}
        given_joint = scorer.content_joint_VD if scorer is not None and content is None else None
        joint_VD = joint(clean) if given_joint is None or not clean else unit_rows(given_joint)
        popularity = _checked_popularity(popularity_V, scorer, size)
        kept_memory = memory if memory is not None else scorer.memory if scorer is not None else None
        spaces = tuple(ContentSpace.of(name, rows) for name, rows in clean.items())
        has_content = any(space.present_V.any() for space in spaces)
        fresh_ms, changes = int(fresh_days * DAY_MS), Changes()
        return cls(
            catalogue=catalogue,
            scorer=scorer,
            item_vectors_VD=None if vectors is None else unit_rows(vectors),
            content=clean,
            joint_VD=joint_VD,
            memory=kept_memory,
            popularity_V=popularity,
            segments=None if segments is None else replace(segments, changes=changes),
            changes=changes,
            explainer=Explainer(catalogue, spaces, kept_memory, popularity, fresh_ms, changes),
            fresh_ms=fresh_ms,
            copies_V=_checked_copies(copies_V, size),
            notices=tuple(
                system_notices(has_model=scorer is not None, has_content=has_content, num_damaged=num_damaged)
            ),
        )

    def count(self, item: int, weight: float = 1.0) -> None:
        """One more interaction with an item."""
        self.popularity_V[item] += weight
        self.changes.tell(item)


def _num_damaged(rows_VD: NDArray[np.floating]) -> int:
    return int((~np.isfinite(rows_VD).all(axis=1)).sum())


def _checked_copies(copies_V: NDArray[np.integer] | None, size: int) -> NDArray[np.int64] | None:
    if copies_V is None or not (np.asarray(copies_V) >= 0).any():
        return None
    if len(copies_V) != size:
        raise StaleArtifactError(
            f"groups of copies must have one number per item of the catalogue ({size}), got {len(copies_V)}; "
            "run: kinema duplicates"
        )
    return np.asarray(copies_V, dtype=np.int64)


def _checked_popularity(
    popularity_V: NDArray[np.floating] | None, scorer: Scorer | None, size: int
) -> NDArray[np.float64]:
    if popularity_V is None:
        popularity_V = np.zeros(size) if scorer is None else scorer.popularity_V
    counts_V = np.asarray(popularity_V, dtype=np.float64)
    if len(counts_V) != size:
        raise DataError(f"popularity must have one number per item of the catalogue ({size}), got {len(counts_V)}")
    bad_V = ~(np.isfinite(counts_V) & (counts_V >= 0))
    if bad_V.any():
        first = int(np.flatnonzero(bad_V)[0])
        raise DataError(f"popularity must be finite and >= 0, got {counts_V[first]} at item number {first}")
    return counts_V
