import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kinema.store.event_keys import event_key, event_keys, mix, text_keys

TYPES = {
    "user": pl.Int32,
    "item": pl.Int32,
    "kind": pl.Int16,
    "value": pl.Float64,
    "watch_ms": pl.Int64,
    "session_id": pl.String,
}
ROWS = st.tuples(
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 10),
    st.one_of(st.none(), st.floats(-1, 1)),
    st.one_of(st.none(), st.integers(0, 3)),
    st.one_of(st.none(), st.text("ab", min_size=1, max_size=3)),
)


@given(st.lists(ROWS, max_size=30))
def test_events_have_the_same_key_exactly_if_they_have_the_same_content(rows):
    keys = event_keys(pl.DataFrame(rows, schema=TYPES, orient="row"))
    plain = [tuple(0.0 if value == 0.0 and isinstance(value, float) else value for value in row) for row in rows]
    for one in range(len(rows)):
        for other in range(one):
            assert (keys[one] == keys[other]) == (plain[one] == plain[other])


@given(st.lists(ROWS, min_size=1, max_size=10))
def test_a_key_does_not_depend_on_the_other_rows(rows):
    together = event_keys(pl.DataFrame(rows, schema=TYPES, orient="row"))
    alone = [event_keys(pl.DataFrame([row], schema=TYPES, orient="row"))[0] for row in rows]
    assert together.tolist() == alone


GOLDEN_CONTENT = 4135341959746661139
GOLDEN_OTHER = 3295350871831155535
GOLDEN_ID = -8363210510658987788


def test_keys_never_change():
    frame = pl.DataFrame(
        {"user": [1, 2], "item": [3, 4], "kind": [2, 9], "value": [None, 4.5], "session_id": ["s-1", None]},
        schema_overrides={"value": pl.Float64},
    )
    assert event_keys(frame).tolist() == [GOLDEN_CONTENT, GOLDEN_OTHER]
    with_ids = frame.with_columns(id=pl.Series(["e1", None]))
    assert event_keys(with_ids).tolist() == [GOLDEN_ID, GOLDEN_OTHER]


def test_an_id_decides_alone():
    frame = pl.DataFrame({"user": [1, 2], "item": [3, 4], "kind": [2, 9], "id": ["same", "same"]})
    one, other = event_keys(frame)
    assert one == other


def test_long_texts_that_differ_far_behind_have_different_keys():
    texts = ["a" * 500 + end for end in ("x", "y", "xa", "")]
    assert len(set(text_keys(pl.Series(texts)).tolist())) == 4
    moved = pl.Series(["b" + "a" * 64, "a" * 64 + "b"])
    assert len(set(text_keys(moved).tolist())) == 2


def test_a_hundred_thousand_texts_have_as_many_keys():
    assert len(np.unique(text_keys(pl.Series([f"s{number}" for number in range(100_000)])))) == 100_000


def test_mixing_is_one_to_one_on_neighbours():
    values = np.arange(2**16, dtype=np.uint64)
    assert len(np.unique(mix(values))) == 2**16


@given(
    st.lists(
        st.fixed_dictionaries(
            {"user": st.integers(0, 2**31 - 1), "item": st.integers(0, 2**31 - 1), "kind": st.integers(0, 10)},
            optional={
                "id": st.text(min_size=1, max_size=200),
                "value": st.floats(allow_nan=False),
                "watch_ms": st.integers(-(2**63), 2**63 - 1),
                "slate_id": st.text(min_size=1, max_size=80),
                "position": st.integers(0, 1000),
                "propensity": st.floats(0, 1),
                "context": st.text(min_size=1, max_size=80),
            },
        ),
        min_size=1,
        max_size=5,
    )
)
def test_one_event_gets_the_key_that_many_get(rows):
    names = [*TYPES, "id", "slate_id", "position", "propensity", "context"]
    types = TYPES | {
        "id": pl.String,
        "slate_id": pl.String,
        "position": pl.Int32,
        "propensity": pl.Float64,
        "context": pl.String,
    }
    frame = pl.DataFrame([{name: row.get(name) for name in names} for row in rows], schema=types)
    assert [event_key(row) for row in rows] == event_keys(frame).tolist()
