"""Conditions over the catalogue, each with the reason it gives, and what is said of names that nothing has."""

import numpy as np
import pytest

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.conditions import failures, matching, scenario_warnings
from kinema.recommend.scenario import Boost, Condition, Scenario
from kinema.retrieval.popularity import DAY_MS
from kinema.schema import Item

NOW = 100 * DAY_MS
CATALOGUE = Catalogue.of(
    [
        Item("a", categories=("sport",), tags=("live",), language="de", duration_ms=60_000, published_at=NOW - DAY_MS),
        Item("b", categories=("news",), published_at=NOW - 40 * DAY_MS, attributes={"until": NOW - 1, "at": "de"}),
        Item("c", attributes={"until": NOW}),
    ]
)


@pytest.mark.parametrize(
    ("condition", "reason", "kept"),
    [
        (Condition(categories=("Sport",)), "of another category", "a"),
        (Condition(not_categories=("sport",)), "of a category left out", "bc"),
        (Condition(tags=("live",)), "without such a tag", "a"),
        (Condition(not_tags=("live",)), "with a tag left out", "bc"),
        (Condition(languages=("de",)), "in another language", "a"),
        (Condition(published_since_ms=NOW - 40 * DAY_MS), "published before", "ab"),
        (Condition(max_age_days=30), "too old", "a"),
        (Condition(min_duration_ms=60_000), "of another length", "a"),
        (Condition(attributes=(("at", ("de",)),)), "of another at", "b"),
        (Condition(available_until="until"), "no longer available", "ac"),
    ],
)
def test_each_rule_keeps_what_it_says_and_tells_why_the_others_go(condition, reason, kept):
    failed = failures(condition, CATALOGUE, NOW)
    assert list(failed) == [reason]
    expected = [item in kept for item in CATALOGUE.ids]
    assert (~failed[reason]).tolist() == matching(condition, CATALOGUE, NOW).tolist() == expected


def test_nothing_said_means_every_item():
    assert failures(Condition(), CATALOGUE, NOW) == {}
    assert matching(Condition(), CATALOGUE, NOW).all()


def test_all_that_is_said_must_hold():
    both = Condition(categories=("sport", "news"), max_age_days=30)
    assert matching(both, CATALOGUE, NOW).tolist() == [True, False, False]


def test_an_item_without_a_date_is_neither_new_nor_published_since():
    assert not matching(Condition(published_since_ms=np.iinfo(np.int64).min), CATALOGUE, NOW)[2]


def test_what_no_item_has_is_told_with_the_nearest():
    rules = Scenario(
        "kids",
        filter=Condition(categories=("sprot",), languages=("xx",), attributes=(("rated", (1,)),)),
        boosts=(Boost(Condition(tags=("lve",))),),
        caps={"creator": 1, "category": 1},
        pins={0: "zz", 1: "a"},
    )
    assert scenario_warnings(rules, CATALOGUE) == [
        "scenario 'kids' names category 'sprot', no item has it, did you mean 'sport'?",
        "scenario 'kids' names language 'xx', no item has it",
        "scenario 'kids' names attribute 'rated', no item has it",
        "scenario 'kids' names tag 'lve', no item has it, did you mean 'live'?",
        "scenario 'kids' caps 'creator', no item has that attribute",
        "scenario 'kids' pins 'zz', no such item",
    ]


def test_dates_that_cannot_be_read_are_counted():
    catalogue = Catalogue.of([Item("a", attributes={"until": "soon"}), Item("b")])
    rules = Scenario("home", filter=Condition(available_until="until"))
    assert scenario_warnings(rules, catalogue) == ["scenario 'home' cannot read 'until' of 1 items, they are not shown"]
    assert scenario_warnings(rules, Catalogue.of([])) == []
