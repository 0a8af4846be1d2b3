"""From slates and events to what may be concluded."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from kinema.evaluation.experiments import DAY_MS, SKEW_MS, attributed, conclusion, in_words, read_experiment
from kinema.evaluation.ratios import Ratio

T0 = 10 * DAY_MS
SHARES = {"control": 0.5, "b": 0.5}
EVENTS = {"slate_id": pl.String, "item": pl.String, "kind": pl.String, "timestamp_ms": pl.Int64, "watch_ms": pl.Int64}


def slates(*rows):
    schema = {
        "id": pl.String,
        "user": pl.String,
        "timestamp_ms": pl.Int64,
        "variant": pl.String,
        "items": pl.List(pl.String),
    }
    return pl.DataFrame(rows, schema=schema, orient="row")


def events(*rows):
    return pl.DataFrame(rows, schema=EVENTS, orient="row")


def test_events_count_for_the_slate_they_name_each_click_once():
    shown = slates(("s1", "u1", T0, "b", ["a", "c"]), ("s2", "u2", T0, "control", ["a"]))
    done = events(
        ("s1", "a", "click", T0 + 5, None),
        ("s1", "a", "click", T0 + 9, None),
        ("s1", "c", "like", T0 + 9, None),
        ("s1", "a", "watch", T0 + 10, 1500),
        ("s1", "a", "watch", T0 + 20, 500),
        (None, "a", "click", T0 + 5, None),
        ("s9", "a", "click", T0 + 5, None),
    )
    rows = attributed(shown, done).rows(named=True)
    assert [rows[0][name] for name in ("impressions", "clicks", "likes", "watch_seconds")] == [2.0, 1.0, 1.0, 2.0]
    assert [rows[1][name] for name in ("impressions", "clicks", "likes", "watch_seconds")] == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("moment", "item", "counts"),
    [
        (T0 + 1000, "a", 1.0),
        (T0 + 1001, "a", 0.0),
        (T0 - SKEW_MS, "a", 1.0),
        (T0 - SKEW_MS - 1, "a", 0.0),
        (T0, "not shown", 0.0),
    ],
)
def test_an_event_counts_soon_after_and_for_what_was_shown(moment, item, counts):
    shown = slates(("s1", "u1", T0, "b", ["a"]))
    found = attributed(shown, events(("s1", item, "click", moment, None)), window_ms=1000)
    assert found["clicks"].to_list() == [counts]


def test_a_log_without_events_is_zeros():
    report = read_experiment("home", slates(("s1", "u1", T0, "b", ["a"])), events(), shares=SHARES)
    assert [one.users for one in report.variants] == [0, 1]
    assert report.variants[1].measures["click rate"].mean == 0
    assert (report.first_ms, report.last_ms) == (T0, T0)


def test_no_slates_are_an_empty_report():
    report = read_experiment("home", slates(), events(), shares=SHARES)
    assert (report.first_ms, report.mismatch_prob, report.notices) == (None, 1.0, ())
    assert "too early: 0 users" in report.comparisons[0].conclusion


def test_users_who_met_several_variants_are_left_out_and_slates_of_none_do_not_count():
    shown = slates(
        ("s1", "u1", T0, "b", ["a"]),
        ("s2", "u1", T0, "control", ["a"]),
        ("s3", "u2", T0, "b", ["a", "c"]),
        ("s4", "u3", T0, "", ["a"]),
        ("s5", "u4", T0, "gone", ["a"]),
    )
    report = read_experiment("home", shown, events(), shares=SHARES)
    assert [(one.variant, one.users, one.impressions) for one in report.variants] == [("control", 0, 0), ("b", 1, 2)]
    assert [one.text for one in report.notices] == ["1 users met several variants and are left out"]


def test_each_slate_of_a_guest_is_a_user_of_its_own_and_that_is_told():
    shown = slates(("s1", "", T0, "b", ["a"]), ("s2", "", T0, "control", ["a"]), ("s3", "", T0, "b", ["a"]))
    report = read_experiment("home", shown, events(), shares=SHARES)
    assert [one.users for one in report.variants] == [1, 2]
    assert report.notices[-1].text.startswith("3 slates of guests: each counts as a user of its own")


def test_an_uneven_split_is_an_alarm():
    shown = slates(*((f"s{n}", f"u{n}", T0, "b" if n % 4 else "control", ["a"]) for n in range(400)))
    report = read_experiment("home", shown, events(), shares=SHARES)
    assert report.mismatch_prob < 1e-6
    assert "the split is not what was asked for (control 100 of 50%, b 300 of 50%" in report.notices[0].text
    assert in_words(report).startswith("Nothing may be concluded: users were not dealt out as asked")


def log(rng, num_users, lift):
    """A log of two variants; b is clicked more often by a known factor."""
    shown, done = [], []
    for user in range(num_users):
        variant = "b" if user % 2 else "control"
        rate = min(1.0, rng.beta(2, 14) * (lift if variant == "b" else 1.0))
        for visit in range(1 + rng.poisson(2)):
            name = f"s{user}-{visit}"
            shown.append((name, f"u{user}", T0 + visit, variant, [f"i{n}" for n in range(10)]))
            hits = np.flatnonzero(rng.random(10) < rate)
            done += [(name, f"i{n}", "click", T0 + visit + 1, None) for n in hits]
            done += [(name, f"i{n}", "watch", T0 + visit + 2, 8000) for n in hits]
    return slates(*shown), events(*done)


def test_a_known_effect_is_found_and_told():
    shown, done = log(np.random.default_rng(0), 900, 1.4)
    report = read_experiment("home", shown, done, shares=SHARES)
    first = report.comparisons[0]
    assert first.measure == "click rate"
    assert first.found.interval.low <= 0.05 <= first.found.interval.high
    assert first.conclusion.startswith("b has a higher click rate than the control: +")
    watched = report.variants[1].measures["watch seconds per slate"]
    assert watched.mean == pytest.approx(80 * report.variants[1].measures["click rate"].mean)
    assert report.notices == ()
    assert in_words(report) == f"B{first.conclusion[1:]}."
    assert in_words(replace(report, comparisons=())) == "There is nothing to compare."


def test_where_nothing_can_be_told_the_sentence_says_what_it_would_take():
    one, control = Ratio(0.105, 0.004, 500), Ratio(0.10, 0.004, 500)
    told = conclusion("b", "click rate", one, control)
    assert told == (
        "no difference in click rate can be told from chance: +5.0 % (95 %: -6.1 % to +16.1 %), p = 0.38; one of +15.9 % "
        "would be found four times of five, this one with about 10,064 users; so far there are 1,000"
    )


def test_a_loss_is_told_as_one_and_several_variants_raise_the_bar():
    one, control = Ratio(0.09, 0.003, 500), Ratio(0.10, 0.003, 500)
    assert conclusion("b", "click rate", one, control).startswith("b has a lower click rate than the control")
    assert conclusion("b", "click rate", one, control, 3).startswith("no difference in click rate")


def test_what_never_happens_cannot_be_compared():
    none, some = Ratio(0.0, 0.0, 100), Ratio(0.1, 0.01, 100)
    told = conclusion("b", "likes per slate", some, none)
    assert (
        told == "nothing can be said about likes per slate: it never happened in the control, or the same for everyone"
    )
