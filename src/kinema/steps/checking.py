"""`kinema check`: what is in the store, how dense it is, and what was set aside."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl

from kinema.schema import Reject
from kinema.store.histories import Histories
from kinema.store.protocols import Store, StoreSummary

_DAY_MS: Final = 86_400_000
_EARLIEST_MS: Final = 631_152_000_000
"""The first moment of 1990; events before it are more likely a wrong unit than a log of that age."""


@dataclass(frozen=True)
class CheckReport:
    """The state of a store.

    Attributes:
        summary: Counts of the store.
        num_interactions: First interactions of user-item pairs, what models learn from.
        num_active_users: Users with at least one.
        num_active_items: Items with at least one; the others are cold.
        num_with_media: Items with a media file.
        num_hidden: Items that are never recommended.
        median_history: Interactions of the median active user.
        density: Share of active user-item pairs that interacted.
        rejects: Rows and clips set aside, by file and row.
        notices: What is likely to be a mistake in files that could be read.
    """

    summary: StoreSummary
    num_interactions: int
    num_active_users: int
    num_active_items: int
    num_with_media: int
    num_hidden: int
    median_history: float
    density: float
    rejects: tuple[Reject, ...]
    notices: tuple[str, ...] = ()

    def facts(self) -> dict[str, str]:
        """Label -> text, for people."""
        kinds = ", ".join(f"{name} {count:,}" for name, count in self.summary.kinds.items()) or "none"
        return {
            "items": f"{self.summary.num_items:,} ({self.num_with_media:,} with media, {self.num_hidden:,} hidden)",
            "users": f"{self.summary.num_users:,} ({self.num_active_users:,} with interactions)",
            "events": f"{self.summary.num_events:,}: {kinds}",
            "time": f"{_moment(self.summary.first_ms)} to {_moment(self.summary.last_ms)}",
            "interactions": f"{self.num_interactions:,} user-item pairs, median {self.median_history:g} a user",
            "density": f"{self.density:.4%} of the pairs of active users and items",
            "cold items": f"{self.summary.num_items - self.num_active_items:,} without any interaction",
            "set aside": f"{len(self.rejects):,} rows or clips",
            "version": str(self.summary.version),
        }


def _moment(timestamp_ms: int | None) -> str:
    return (
        "-" if timestamp_ms is None else datetime.fromtimestamp(timestamp_ms / 1000, UTC).isoformat(timespec="seconds")
    )


def odd_moments(first_ms: int | None, last_ms: int | None, *, now_ms: int) -> tuple[str, ...]:
    """What is odd about the oldest and the newest event: a wrong unit or zone of time makes no row wrong.

    A log that lies before 1990 as a whole is one whose places stand for times.

    Example:
        >>> odd_moments(17_900_000_000, 1_790_000_000_000, now_ms=1_790_000_000_000)[0][:53]
        'the oldest event is of 1970-07-27T04:13:20+00:00: the'
    """
    if first_ms is None or last_ms is None:
        return ()
    found = []
    if first_ms < _EARLIEST_MS <= last_ms:
        found.append(
            f"the oldest event is of {_moment(first_ms)}: the unit of its time may be another, see docs/data-contract.md"
        )
    if last_ms > now_ms + _DAY_MS:
        found.append(
            f"the newest event is of {_moment(last_ms)}, {(last_ms - now_ms) / _DAY_MS:,.0f} days ahead of this machine's clock: "
            "it counts as its user's newest until then; check unit and zone of its file"
        )
    return tuple(found)


def check_store(store: Store, histories: Histories, *, now_ms: int | None = None) -> CheckReport:
    """Examine a store.

    Args:
        store: The store.
        histories: Its packed histories.
        now_ms: UTC milliseconds; None asks this machine's clock.

    Returns:
        Counts, time range, density and everything set aside.
    """
    items, lengths, counts = store.items(), histories.lengths, histories.item_counts()
    active_users, active_items = int((lengths > 0).sum()), int((counts > 0).sum())
    pairs = active_users * active_items
    summary, now_ms = store.summary(), int(time.time() * 1000) if now_ms is None else now_ms
    return CheckReport(
        summary=summary,
        notices=odd_moments(summary.first_ms, summary.last_ms, now_ms=now_ms),
        num_interactions=len(histories.items),
        num_active_users=active_users,
        num_active_items=active_items,
        num_with_media=items.select(pl.col("media_path").is_not_null().sum()).item() if items.height else 0,
        num_hidden=items.select(pl.col("hidden").sum()).item() if items.height else 0,
        median_history=float(np.median(lengths[lengths > 0])) if active_users else 0.0,
        density=len(histories.items) / pairs if pairs else 0.0,
        rejects=tuple(store.rejects()),
    )
