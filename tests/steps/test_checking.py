import pytest

from kinema.steps.checking import odd_moments

NOW_MS = 1_790_000_000_000
DAY_MS = 86_400_000
OLD = "the oldest event is of 1970-07-27T04:13:20+00:00: the unit of its time may be another"
AHEAD = "3 days ahead of this machine's clock: it counts as its user's newest until then; check unit and zone"


@pytest.mark.parametrize(
    ("first_ms", "last_ms", "said"),
    [
        (None, None, []),
        (NOW_MS - DAY_MS, NOW_MS, []),
        (1, 50, []),  # places in a sequence that stand for times
        (17_900_000_000, NOW_MS, [OLD]),
        (NOW_MS, NOW_MS + 3 * DAY_MS, [AHEAD]),
        (17_900_000_000, NOW_MS + 3 * DAY_MS, [OLD, AHEAD]),
    ],
)
def test_moments_of_a_wrong_unit_or_zone_are_told(first_ms, last_ms, said):
    found = odd_moments(first_ms, last_ms, now_ms=NOW_MS)
    assert [words in notice for words, notice in zip(said, found, strict=True)] == [True] * len(said)
