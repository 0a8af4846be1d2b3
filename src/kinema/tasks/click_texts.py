"""Clicks as pairs of texts: the title of what was watched last, the title of what was shown, clicked or not.

The form in which many first click models are built on a text encoder (`kinema.tasks.text_classifier`).
"""

from collections.abc import Mapping
from typing import Final

import polars as pl

from kinema.errors import DataError
from kinema.schema import EventKind

COLUMNS: Final = ("timestamp_ms", "user", "item", "first", "second", "label")
_NEEDED: Final = ("user", "item", "timestamp_ms", "kind", "slate_id")


def click_pairs(events: pl.DataFrame, titles: Mapping[str, str]) -> pl.DataFrame:
    """One row per impression of a user who has clicked before.

    Args:
        events: With the columns ``user``, ``item``, ``timestamp_ms``, ``kind`` and ``slate_id`` of `kinema.schema.Event`.
        titles: Item id -> title; impressions of items without one are left out.

    Returns:
        In order of time: ``timestamp_ms``, ``user``, ``item``, ``first`` (title of the item clicked last before that
        moment), ``second`` (title of the item shown) and ``label`` (1 where it was clicked in that slate, else 0).

    Raises:
        DataError: A column is missing.

    Example:
        >>> events = pl.DataFrame(
        ...     [
        ...         ("u", "a", 1, "click", "s1"),
        ...         ("u", "b", 2, "impression", "s2"),
        ...         ("u", "c", 2, "impression", "s2"),
        ...         ("u", "b", 3, "click", "s2"),
        ...     ],
        ...     schema=["user", "item", "timestamp_ms", "kind", "slate_id"],
        ...     orient="row",
        ... )
        >>> click_pairs(events, {"a": "Alien", "b": "Brazil", "c": "Clue"}).select("first", "second", "label").rows()
        [('Alien', 'Brazil', 1), ('Alien', 'Clue', 0)]
    """
    missing = [name for name in _NEEDED if name not in events.columns]
    if missing:
        raise DataError(f"events must have the column '{missing[0]}' to become pairs, have {', '.join(events.columns)}")
    table = pl.DataFrame(
        {"item": list(titles), "title": list(titles.values())}, schema={"item": pl.String, "title": pl.String}
    )
    clicks = events.filter(pl.col("kind") == EventKind.CLICK).sort("timestamp_ms", maintain_order=True)
    answered = clicks.select("user", "item", "slate_id").unique().with_columns(label=pl.lit(1, dtype=pl.Int64))
    last = clicks.join(table, on="item").select("user", "timestamp_ms", first="title")
    shown = events.filter(pl.col("kind") == EventKind.IMPRESSION).sort("timestamp_ms", maintain_order=True)
    return (
        shown.join(table, on="item", maintain_order="left")
        .join(answered, on=["user", "item", "slate_id"], how="left", maintain_order="left")
        .join_asof(
            last,
            on="timestamp_ms",
            by="user",
            strategy="backward",
            allow_exact_matches=False,
            check_sortedness=False,
        )
        .filter(pl.col("first").is_not_null())
        .rename({"title": "second"})
        .with_columns(pl.col("label").fill_null(0))
        .select(COLUMNS)
    )
