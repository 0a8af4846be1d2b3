"""What was shown to whom, and what came of it: the examples that click and watch time are learnt from.

Shape suffixes: N exposures, U users, E events.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.schema import EventKind
from kinema.seeds import generator

WITHIN_MS: Final = 6 * 3_600_000
"""What a user does with an item belongs to the newest time it was shown to them, so long before at most."""
_OUTCOMES: Final = (
    EventKind.CLICK,
    EventKind.WATCH,
    EventKind.LIKE,
    EventKind.DISLIKE,
    EventKind.SHARE,
    EventKind.COMMENT,
    EventKind.FOLLOW,
    EventKind.SKIP,
    EventKind.PURCHASE,
)


@dataclass(frozen=True)
class Exposures:
    """Items shown to users, oldest first.

    Attributes:
        users_N: int32, user numbers.
        items_N: int32, item numbers.
        times_ms_N: int64, when.
        positions_N: int32, place in the slate, from 0; -1 where unknown.
        propensities_N: float32, probability of being shown; NaN where unknown.
        outcomes: Kind -> bool [N], whether it came to that.
        watch_ms_N: int64, time watched; 0 without a watch.
        sampled: Whether those that nothing came of were drawn by us, because the log has no impressions.
    """

    users_N: NDArray[np.int32]
    items_N: NDArray[np.int32]
    times_ms_N: NDArray[np.int64]
    positions_N: NDArray[np.int32]
    propensities_N: NDArray[np.float32]
    outcomes: Mapping[str, NDArray[np.bool_]]
    watch_ms_N: NDArray[np.int64]
    sampled: bool = False

    def __len__(self) -> int:
        """N."""
        return len(self.users_N)

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> "Exposures":
        """Some of them, in the order given."""
        return Exposures(
            self.users_N[rows],
            self.items_N[rows],
            self.times_ms_N[rows],
            self.positions_N[rows],
            self.propensities_N[rows],
            {kind: one[rows] for kind, one in self.outcomes.items()},
            self.watch_ms_N[rows],
            self.sampled,
        )


def exposures_of(events: pl.DataFrame, *, within_ms: int = WITHIN_MS) -> Exposures:
    """The impressions of a log with what came of each.

    Args:
        events: ``user`` and ``item`` numbers, ``timestamp_ms``, ``kind``, ``watch_ms``, ``position``, ``propensity``.
        within_ms: An outcome that comes later belongs to no impression.

    Returns:
        One exposure per impression; the same item shown twice at one moment counts once.

    Raises:
        DataError: There is no impression; take `sampled_exposures`.
    """
    shown = (
        events.filter(pl.col("kind") == EventKind.IMPRESSION)
        .sort("timestamp_ms", maintain_order=True)
        .unique(["user", "item", "timestamp_ms"], keep="first", maintain_order=True)
        .with_row_index("row")
    )
    if not shown.height:
        raise DataError("a log must have impressions for clicks to be told from what was passed over, has none")
    later = events.filter(pl.col("kind").is_in([one.value for one in _OUTCOMES])).sort("timestamp_ms")
    owned = later.join_asof(
        shown.select("row", "user", "item", "timestamp_ms"),
        on="timestamp_ms",
        by=["user", "item"],
        tolerance=within_ms,
        check_sortedness=False,
    ).filter(pl.col("row").is_not_null())
    outcomes = {}
    for kind in _OUTCOMES:
        hit_N = np.zeros(shown.height, dtype=np.bool_)
        hit_N[owned.filter(pl.col("kind") == kind)["row"].to_numpy()] = True
        outcomes[kind.value] = hit_N
    watch_ms_N = np.zeros(shown.height, dtype=np.int64)
    watched = owned.filter(pl.col("watch_ms").is_not_null())
    np.add.at(watch_ms_N, watched["row"].to_numpy(), watched["watch_ms"].to_numpy())
    return Exposures(
        shown["user"].to_numpy(),
        shown["item"].to_numpy(),
        shown["timestamp_ms"].to_numpy(),
        shown["position"].fill_null(-1).to_numpy(),
        shown["propensity"].fill_null(float("nan")).cast(pl.Float32).to_numpy(),
        outcomes,
        watch_ms_N,
    )


def sampled_exposures(
    events: pl.DataFrame, *, kind: EventKind, num_items: int, num_negatives: int = 4, seed: int = 0
) -> Exposures:
    """Events of a kind, and beside each some items that the user has not met, drawn uniformly: for logs without impressions.

    Args:
        events: ``user`` and ``item`` numbers, ``timestamp_ms``, ``kind``.
        kind: Which; it is the only outcome of the examples.
        num_items: V.
        num_negatives: Drawn for each of them, >= 1; a draw that the user has met at any time is left out.
        seed: Of the draws.

    Raises:
        DataError: There is no such event.
    """
    met = events.filter(pl.col("kind") == kind).sort("timestamp_ms")
    met = met.unique(["user", "item"], keep="first", maintain_order=True)
    if not met.height:
        raise DataError(f"a log must have events of kind {kind}, has none; run: kinema ingest --events FILE")
    random = generator(seed, "sampled exposures")
    drawn = pl.DataFrame(
        {
            "user": np.repeat(met["user"].to_numpy(), num_negatives),
            "item": random.integers(0, num_items, met.height * num_negatives).astype(np.int32),
            "timestamp_ms": np.repeat(met["timestamp_ms"].to_numpy(), num_negatives),
        }
    )
    drawn = drawn.unique(maintain_order=True).join(met, on=["user", "item"], how="anti", maintain_order="left")
    both = pl.concat(
        [
            met.select("user", "item", "timestamp_ms", clicked=pl.lit(value=True)),
            drawn.with_columns(clicked=pl.lit(value=False)),
        ]
    ).sort("timestamp_ms", maintain_order=True)
    nothing_N = np.zeros(both.height, dtype=np.int64)
    return Exposures(
        both["user"].to_numpy(),
        both["item"].to_numpy(),
        both["timestamp_ms"].to_numpy(),
        np.full(both.height, -1, dtype=np.int32),
        np.full(both.height, np.nan, dtype=np.float32),
        {kind.value: both["clicked"].to_numpy()},
        nothing_N,
        sampled=True,
    )
