"""What rules ask of items: words in any case, lengths, attributes as text or mapping, moments."""

import json

import numpy as np
import polars as pl
import pytest

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.facets import NO_END, UNREADABLE, Facets
from kinema.schema import Item

ITEMS = [
    Item("a", categories=("Sport", "Ball"), tags=("Live",), language="en-GB", duration_ms=1000, attributes={"by": "x"}),
    Item("b", categories=("news",), language="en", duration_ms=5000, attributes={"by": "y", "n": [1, True]}),
    Item("c", tags=("live", "late"), language="eng", attributes={"by": "x"}),
    Item("d"),
]


def from_store():
    rows = [
        {
            "id": item.id,
            "title": None,
            "categories": list(item.categories),
            "tags": list(item.tags) or None,
            "language": item.language,
            "published_at": None,
            "duration_ms": item.duration_ms,
            "hidden": False,
            "attributes": json.dumps(dict(item.attributes)),
        }
        for item in ITEMS
    ]
    return Catalogue.from_frame(pl.DataFrame(rows, schema_overrides={"published_at": pl.Int64})).facets


@pytest.fixture(params=["items", "frame"])
def facets(request):
    return Catalogue.of(ITEMS).facets if request.param == "items" else from_store()


def test_words_are_found_in_any_case_and_at_any_level(facets):
    assert facets.having("categories", ("ball", "NEWS")).tolist() == [True, True, False, False]
    assert facets.having("tags", ("LIVE",)).tolist() == [True, False, True, False]
    assert facets.having("tags", ("nowhere",)).tolist() == [False] * 4


def test_a_language_stands_for_its_regions_and_for_no_other_language(facets):
    assert facets.having("languages", ("EN",)).tolist() == [True, True, False, False]
    assert facets.having("languages", ("en-gb",)).tolist() == [True, False, False, False]


def test_an_unknown_length_is_within_no_limits(facets):
    assert facets.lasting(None, 5000).tolist() == [True, True, False, False]
    assert facets.lasting(1001, None).tolist() == [False, True, False, False]


def test_attributes_equal_a_value_or_hold_it(facets):
    assert facets.equal("by", ("x", "z")).tolist() == [True, False, True, False]
    assert facets.equal("n", (1,)).tolist() == [False, True, False, False]
    assert facets.equal("by", (1,)).tolist() == [False] * 4


def test_true_is_not_one():
    facets = Facets(3, attributes=[{"n": 1}, {"n": True}, {"n": 1.0}])
    assert facets.equal("n", (True,)).tolist() == [False, True, False]
    assert facets.equal("n", (1,)).tolist() == [True, False, True]


def test_groups_number_the_values_and_leave_out_who_has_none(facets):
    assert facets.groups("by").tolist() == [0, 1, 0, -1]
    assert facets.groups("nothing").tolist() == [-1] * 4


def test_moments_are_milliseconds_or_iso_dates_and_what_cannot_be_read_lies_before_everything():
    values = [5, "1970-01-01T00:00:01", "1970-01-01T01:00:00+01:00", "soon", True, float("inf"), None]
    facets = Facets(7, attributes=[{"until": value} for value in values])
    assert facets.ends_ms("until").tolist() == [5, 1000, 0, UNREADABLE, UNREADABLE, UNREADABLE, NO_END]


def test_a_catalogue_without_any_of_it_answers_no():
    facets = Catalogue.from_frame(pl.DataFrame({"id": ["a", "b"]})).facets
    assert not facets.having("tags", ("x",)).any()
    assert not facets.lasting(0, None).any()
    assert facets.values("by") == [None, None]


def test_each_question_is_answered_once():
    facets = Catalogue.of(ITEMS).facets
    assert facets.having("tags", ("live",)) is facets.having("tags", ("live",))
    assert facets.values("by") is facets.values("by")


def test_what_is_kept_has_a_bound():
    facets = Facets(1, attributes=[{}])
    for number in range(1500):
        facets.equal("by", (number,))
    assert len(facets._kept) <= 512


def test_known_words_are_told():
    assert Catalogue.of(ITEMS).facets.known("categories") == ["sport", "ball", "news"]
    assert np.array_equal(Facets(0).having("tags", ("x",)), np.zeros(0, dtype=bool))
