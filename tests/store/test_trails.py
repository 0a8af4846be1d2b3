"""What a user did before a moment, whatever the log looks like."""

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kinema.schema import EventKind
from kinema.store.trails import pack_trails

KINDS = [EventKind.CLICK, EventKind.LIKE]


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(0, 20), st.sampled_from(["click", "like", "skip"]))
    ),
    st.integers(0, 5),
    st.integers(0, 21),
    st.integers(1, 4),
)
def test_newest_events_are_those_before_the_moment(rows, user, moment, length):
    schema = {"user": pl.Int32, "item": pl.Int32, "timestamp_ms": pl.Int64, "kind": pl.String}
    trails = pack_trails(pl.DataFrame(rows, schema=schema, orient="row"), kinds=KINDS, num_users=4)
    users = np.array([user])
    ends = trails.ends_before(users, np.array([moment]))
    places, there = trails.newest(users, ends, length=length)
    found = [(int(trails.items_E[place]), trails.kinds[trails.kinds_E[place]]) for place in places[there]]
    mine = sorted((row for row in rows if row[0] == user and row[3] != "skip"), key=lambda row: row[2])
    assert found == [(item, kind) for _, item, time, kind in mine if time < moment][-length:]
    assert not there[0, : places.shape[1] - len(found)].any()
