"""Refreshes on a schedule: nothing but a signal ends it."""

import pytest

from kinema import logs
from kinema.errors import ConfigError, NotBuiltError
from kinema.steps.refresh_report import RefreshReport
from kinema.steps.refresh_schedule import refresh_every, seconds_of

REPORT = RefreshReport("skipped", "nothing is new", good=False, serving="v")


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("6h", 21_600), ("1d", 86_400), (" 0.5 h ", 1800)]
)
def test_times_are_read(text, seconds):
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "6", "h", "0h", "-1h", "6 hours", "1e3s"])
def test_what_is_no_time_is_refused(text):
    with pytest.raises(ConfigError, match="a time must be a positive number with s, m, h or d behind it, is"):
        seconds_of(text)


def test_rounds_go_on_after_errors_with_their_reason_and_waits_differ(capsys):
    logs.configure()
    outcomes = [REPORT, NotBuiltError("there is no model"), ZeroDivisionError("surprise"), REPORT]
    told, waits = [], []

    def one_round():
        found = outcomes.pop(0)
        if isinstance(found, Exception):
            raise found
        return found

    def sleep(seconds):
        waits.append(seconds)
        if not outcomes:
            raise SystemExit(0)

    draws = iter([0.0, 1.0, 0.5, 0.5])
    with pytest.raises(SystemExit):
        refresh_every(
            100, one_round, told=told.append, sleep=sleep, draw=lambda low, high: low + (high - low) * next(draws)
        )
    assert told == [REPORT, REPORT]
    assert waits == pytest.approx([90, 110, 100, 100])
    heard = capsys.readouterr().err
    assert "there is no model" in heard
    assert "ZeroDivisionError" in heard
    assert "surprise" in heard


def test_waits_are_drawn_by_themselves():
    def sleep(seconds):
        assert 90 <= seconds <= 110
        raise SystemExit(0)

    with pytest.raises(SystemExit):
        refresh_every(100, lambda: REPORT, told=lambda _: None, sleep=sleep)
