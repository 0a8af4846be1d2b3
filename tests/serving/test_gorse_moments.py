import pytest

from kinema.serving.gorse_moments import read_duration, read_moment, write_moment

NEW_YEAR = 1_704_067_200_000


@pytest.mark.parametrize(
    "text",
    [
        "2024-01-01T00:00:00Z",
        "2024-01-01",
        "2024-01-01 01:00:00 +0100 CET",
        "2024-01-01 00:00:00.000 +0000 UTC",
        "Mon, 01 Jan 2024 00:00:00 GMT",
        "1704067200",
        "1704067200000",
        "1704067200000000",
        "1704067200000000000",
        " 2024-01-01T00:00:00.0000004Z ",
    ],
)
def test_the_ways_in_which_clients_write_a_moment(text):
    assert read_moment(text) == NEW_YEAR


def test_what_is_before_1970_is_its_first_moment():
    assert read_moment("1965-05-05") == 0
    assert read_moment("0001-01-01T00:00:00Z") is None


def test_a_moment_is_read_back():
    for moment in (0, 1, 120, NEW_YEAR, NEW_YEAR + 999):
        assert read_moment(write_moment(moment)) == moment


def test_what_is_no_moment():
    with pytest.raises(ValueError, match=r"a moment such as 2026-01-31T12:00:00Z, is 'tomorrow'"):
        read_moment("tomorrow")
    with pytest.raises(ValueError, match=r"a moment before the year 10000, is '9999-12-31T23:59:59-12:00'"):
        read_moment("9999-12-31T23:59:59-12:00")


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("0h0m10s", 10_000), ("300ms", 300), ("24h", 86_400_000), (".5s", 500)]
)
def test_lengths_of_time(text, milliseconds):
    assert read_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["10", "-1h", "1d", "1h 30m", "h", "1" * 60 + "s"])
def test_what_is_no_length_of_time(text):
    with pytest.raises(ValueError, match=r"a length of time such as 10m or 1h30m, is '"):
        read_duration(text)
