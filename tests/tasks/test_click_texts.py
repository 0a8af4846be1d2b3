"""Impressions become pairs of titles that know nothing of what came later."""

import polars as pl
import pytest

from kinema.errors import DataError
from kinema.tasks.click_texts import COLUMNS, click_pairs

NAMES = ["user", "item", "timestamp_ms", "kind", "slate_id"]


def test_the_first_title_is_of_the_last_click_before_the_impression():
    events = pl.DataFrame(
        [
            ("u", "a", 10, "impression", "s1"),
            ("u", "a", 11, "click", "s1"),
            ("w", "c", 15, "click", "s9"),
            ("u", "b", 20, "impression", "s2"),
            ("u", "c", 20, "impression", "s2"),
            ("u", "d", 20, "impression", "s2"),
            ("u", "c", 20, "click", "s2"),
            ("u", "b", 30, "impression", "s3"),
            ("u", "b", 31, "click", "s3"),
        ],
        schema=NAMES,
        orient="row",
    )
    pairs = click_pairs(events, {"a": "A", "b": "B", "c": "C"})
    assert tuple(pairs.columns) == COLUMNS
    assert pairs.select("timestamp_ms", "first", "second", "label").rows() == [
        (20, "A", "B", 0),
        (20, "A", "C", 1),
        (30, "C", "B", 1),
    ]


def test_a_log_without_slates_is_refused():
    with pytest.raises(DataError, match="events must have the column 'slate_id' to become pairs, have user"):
        click_pairs(pl.DataFrame(schema=dict.fromkeys(NAMES[:4], pl.String)), {})
