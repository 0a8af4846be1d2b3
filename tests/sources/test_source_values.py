from datetime import UTC, date, datetime, timedelta, timezone

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kinema.schema import EventKind
from kinema.sources import values


def parsed(parse, column, dtype=None):
    """Values, with the failed ones marked."""
    result = parse(pl.Series(column, dtype=dtype))
    assert len(result.values) == len(result.failed) == len(column)
    assert result.failed.null_count() == 0
    return ["FAILED" if wrong else value for value, wrong in zip(result.values, result.failed, strict=True)]


def test_ids_are_text_without_blanks_and_whole_floats_lose_their_point():
    assert parsed(values.identifier, [" a ", "", None, "nan", "NULL", "x" * 257, "x" * 256]) == [
        "a",
        None,
        None,
        "FAILED",
        "FAILED",
        "FAILED",
        "x" * 256,
    ]
    assert parsed(values.identifier, [1.0, 2.5, float("nan")]) == ["1", "2.5", None]
    assert parsed(values.identifier, [7, None]) == ["7", None]
    assert parsed(values.identifier, ["a", "b"], pl.Categorical) == ["a", "b"]


def test_moments_in_every_form_are_utc_milliseconds():
    noon = 1_714_564_800_000
    assert parsed(
        values.moment,
        [
            "1714564800",
            "1714564800000",
            "1714564800000000",
            "1714564800000000000",
            "1714564800.0",
            "1.7145648e9",
            "2024-05-01T12:00:00Z",
            "2024-05-01 12:00:00",
            "2024-05-01T14:00:00.000+02:00",
            "2024-05-01T14:00:00+0200",
            "2024-05-01T12:00",
            "",
            None,
        ],
    ) == [noon] * 11 + [None, None]
    assert parsed(values.moment, ["2024-05-01"]) == [noon - 12 * 3_600_000]
    assert parsed(values.moment, ["1714564800.25"]) == [noon + 250]


@pytest.mark.parametrize(
    "bad", ["soon", "nan", "inf", "2024-13-01", "12:00", "1e300", "0x10", "99999999999999999999", "-"]
)
def test_what_is_no_moment_fails(bad):
    assert parsed(values.moment, [bad, "1714564800"]) == ["FAILED", 1_714_564_800_000]


def test_native_moments_are_understood():
    there = timezone(timedelta(hours=2))
    assert parsed(
        values.moment, pl.Series([datetime(2024, 5, 1, 12, tzinfo=UTC), None]).dt.replace_time_zone(None)
    ) == [1_714_564_800_000, None]
    assert parsed(values.moment, [datetime(2024, 5, 1, 14, tzinfo=there)]) == [1_714_564_800_000]
    assert parsed(values.moment, [date(1970, 1, 2)]) == [86_400_000]
    assert parsed(values.moment, [1_714_564_800, None]) == [1_714_564_800_000, None]
    assert parsed(values.moment, [1_714_564_800.5, float("nan")]) == [1_714_564_800_500, None]
    assert parsed(values.moment, [2**63], pl.UInt64) == ["FAILED"]


def test_events_are_not_before_1970_but_films_may_be():
    assert parsed(values.event_moment, ["-1", "1922-01-01", "0"]) == ["FAILED", "FAILED", 0]
    assert parsed(values.moment, ["1969-12-31"]) == [-86_400_000]


@given(st.datetimes(min_value=datetime(1990, 1, 1), max_value=datetime(2100, 1, 1)))  # noqa: DTZ001 (Hypothesis wants them plain)
def test_a_moment_means_the_same_in_every_form(when):
    when = when.replace(microsecond=when.microsecond // 1000 * 1000)
    ms = round(when.replace(tzinfo=UTC).timestamp() * 1000)
    forms = [str(ms), when.isoformat(), when.isoformat(" "), when.isoformat() + "Z", str(ms * 1000)]
    assert parsed(values.moment, forms) == [ms] * 5


def test_kinds_are_known_by_name_and_alias_in_any_case():
    assert parsed(values.kind, ["CLICK", "Thumbs-Up", "view", " star ", "read", "zap", None, ""]) == [
        "click",
        "like",
        "watch",
        "like",
        "click",
        "FAILED",
        None,
        None,
    ]
    assert set(values.KIND_ALIASES.values()) == set(EventKind)


def test_numbers_are_finite():
    assert parsed(values.number, ["4.5", "-1", "nan", "inf", "x", "", None]) == [
        4.5,
        -1,
        "FAILED",
        "FAILED",
        "FAILED",
        None,
        None,
    ]
    assert parsed(values.number, [1.5, float("nan"), float("inf")]) == [1.5, None, "FAILED"]


def test_probabilities_are_above_zero_and_at_most_one():
    assert parsed(values.probability, ["1", "0.2", "0", "1.01", "-0.1"]) == [1, 0.2, "FAILED", "FAILED", "FAILED"]


def test_whole_numbers_have_a_range_and_milliseconds_are_rounded():
    assert parsed(values.whole(0), ["5", "5.0", "5.5", "-1", "1e30", "x", ""]) == [
        5,
        5,
        "FAILED",
        "FAILED",
        "FAILED",
        "FAILED",
        None,
    ]
    assert parsed(values.whole(0, rounded=True), ["5.4", "0.6"]) == [5, 1]
    assert parsed(values.whole(1, rounded=True), ["0", "0.4"]) == ["FAILED", "FAILED"]
    assert parsed(values.whole(0, highest=9), ["9", "10"]) == [9, "FAILED"]
    assert parsed(values.whole(0), [3, None], pl.Int32) == [3, None]


def test_flags_are_words_or_digits():
    assert parsed(values.flag, ["true", "0", "Yes", "", "maybe"]) == [True, False, True, None, "FAILED"]
    assert parsed(values.flag, [True, None]) == [True, None]


def test_lists_are_separated_or_json_or_native():
    result = [
        list(one) if isinstance(one, pl.Series) else one
        for one in parsed(values.texts("|"), ["a| b||", '["c|d", 5]', "", None, "[bad"])
    ]
    assert result == [["a", "b"], ["c|d", "5"], None, None, "FAILED"]
    assert values.texts("|")(pl.Series([["x", None, "y"]])).values.to_list() == [["x", "y"]]
    assert values.texts(" ")(pl.Series(["Comedy Drama"])).values.to_list() == [["Comedy", "Drama"]]
    assert values.texts("|")(pl.Series(['{"genre": ["a", "b"], "n": 1}'])).values.to_list() == [["a", "b", "1"]]


def test_objects_are_valid_json_objects():
    assert parsed(values.json_object, ['{"a": 1}', "[1]", "{", '{"a": NaN}', ""]) == [
        '{"a":1}',
        "FAILED",
        "FAILED",
        "FAILED",
        None,
    ]
    assert parsed(values.json_object, [{"a": 1}]) == ['{"a":1}']
