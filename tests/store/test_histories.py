import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import DataError
from kinema.store.histories import Histories, pack_histories

TYPES = {"user": pl.Int32, "item": pl.Int32, "timestamp_ms": pl.Int64}


def naive(rows, num_users):
    """The same in plain Python: sort by time, keep the first of each pair, one list per user."""
    lists = [[] for _ in range(num_users)]
    for user, item, time in sorted(rows, key=lambda row: row[2]):
        if item not in [known for known, _ in lists[user]]:
            lists[user].append((item, time))
    return lists


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 5)), max_size=60))
def test_packing_agrees_with_plain_python(rows):
    packed = pack_histories(pl.DataFrame(rows, schema=TYPES, orient="row"), num_users=5, num_items=7)
    expected = naive(rows, 5)
    assert packed.num_users == 5
    assert packed.num_items == 7
    for user, history in enumerate(expected):
        part = slice(packed.offsets[user], packed.offsets[user + 1])
        assert list(zip(packed.items[part].tolist(), packed.timestamps_ms[part].tolist(), strict=True)) == history


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.integers(0, 9)), max_size=40))
def test_packing_sorted_events_gives_the_same_as_packing_them_in_any_order_of_time(rows):
    frame = pl.DataFrame(rows, schema=TYPES, orient="row")
    one = pack_histories(frame, num_users=3, num_items=4)
    other = pack_histories(frame.sort("timestamp_ms", maintain_order=True), num_users=3, num_items=4)
    assert np.array_equal(one.items, other.items)
    assert np.array_equal(one.timestamps_ms, other.timestamps_ms)


def test_equal_time_stamps_keep_the_order_given():
    frame = pl.DataFrame({"user": [0, 0, 0], "item": [2, 0, 1], "timestamp_ms": [7, 7, 7]})
    assert pack_histories(frame, num_users=1, num_items=3).of(0).tolist() == [2, 0, 1]


def test_no_events_are_empty_histories():
    packed = pack_histories(pl.DataFrame(schema=TYPES), num_users=3, num_items=2)
    assert packed.lengths.tolist() == [0, 0, 0]
    assert packed.items.dtype == np.int32
    assert packed.timestamps_ms.dtype == packed.offsets.dtype == np.int64
    assert pack_histories(pl.DataFrame(schema=TYPES), num_users=0, num_items=0).num_users == 0


@pytest.mark.parametrize(("column", "number"), [("user", 3), ("item", 9), ("item", -1)])
def test_a_number_out_of_range_is_refused(column, number):
    frame = pl.DataFrame({"user": [0, 2], "item": [0, 1], "timestamp_ms": [1, 2]})
    frame = frame.with_columns(pl.Series(column, [0, number]))
    with pytest.raises(DataError, match=f"{column} numbers must be in 0..2"):
        pack_histories(frame, num_users=3, num_items=3)


def test_parts_that_do_not_fit_together_are_refused():
    with pytest.raises(DataError, match="histories must have one time stamp per item"):
        Histories(np.array([0, 2]), np.array([1], np.int32), np.array([1]), 3)
