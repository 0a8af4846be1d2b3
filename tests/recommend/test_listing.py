"""The catalogue as a table."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.listing import SORTS, Listing, Standing, Wanted
from kinema.recommend.scenario import Condition

DAY = 86_400_000
NOW = 100 * DAY
ROWS = [
    ("b1", "Élan vital", ["Nature", "water"], ["river"], "en-GB", 5, 10_000, "b1.mp4", False),
    ("a2", "otters", ["nature"], [], "de", None, None, None, False),
    ("c3", "Zebra", [], ["Otter"], "", 200, 30_000, "c3.mp4", False),
    ("d4", "", ["sports"], [], "en", 50, 20_000, None, True),
    ("gone", "", [], [], "", None, None, None, True),
]
COLUMNS = ("id", "title", "categories", "tags", "language", "published_at", "duration_ms", "media_path", "hidden")


def listing(removed=(4, 9)):
    items = pl.DataFrame(
        {name: [row[place] for row in ROWS] for place, name in enumerate(COLUMNS)},
        schema_overrides={"published_at": pl.Int64, "duration_ms": pl.Int64},
    ).with_columns(
        pl.col("published_at") * DAY,
        num=pl.int_range(len(ROWS), dtype=pl.Int32),
        description=pl.lit(""),
        attributes=pl.lit("{}"),
    )
    return Listing.of(Catalogue.from_frame(items), items, removed)


STANDING = Standing(
    np.array([3, 0, 7, 0, 0]), np.array([1.5, 0, 0.5, 0, 0]), np.array([False, True, False, False, False]), NOW
)


def found(**wanted):
    table = listing()
    page = table.find(Wanted(**wanted), STANDING)
    assert page.has_media_N.tolist() == [ROWS[one][-2] is not None for one in page.numbers_N.tolist()]
    return [table.catalogue.ids[one] for one in page.numbers_N.tolist()], page.total


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        ({}, ["b1", "a2", "c3", "d4"]),
        ({"words": ("OTTER",)}, ["a2", "c3"]),
        ({"words": ("otter", "zebra")}, ["c3"]),
        ({"words": ("élan",)}, ["b1"]),
        ({"words": (".*",)}, []),
        ({"only": Condition(categories=("NATURE",))}, ["b1", "a2"]),
        ({"only": Condition(languages=("en",))}, ["b1", "d4"]),
        ({"only": Condition(min_duration_ms=20_000)}, ["c3", "d4"]),
        ({"only": Condition(max_duration_ms=20_000)}, ["b1", "d4"]),
        ({"only": Condition(published_since_ms=50 * DAY)}, ["c3", "d4"]),
        ({"states": ("recommendable",)}, ["b1", "a2"]),
        ({"states": ("hidden",)}, ["d4"]),
        ({"states": ("scheduled",)}, ["c3"]),
        ({"states": ("warm", "with_media")}, ["b1", "c3"]),
        ({"states": ("cold", "without_media")}, ["a2", "d4"]),
        ({"states": ("placed",)}, ["a2"]),
        ({"sort": "id"}, ["a2", "b1", "c3", "d4"]),
        ({"sort": "title"}, ["a2", "c3", "b1", "d4"]),
        ({"sort": "title", "descending": True}, ["b1", "c3", "a2", "d4"]),
        ({"sort": "category"}, ["b1", "a2", "d4", "c3"]),
        ({"sort": "published"}, ["b1", "d4", "c3", "a2"]),
        ({"sort": "published", "descending": True}, ["c3", "d4", "b1", "a2"]),
        ({"sort": "duration", "descending": True}, ["c3", "d4", "b1", "a2"]),
        ({"sort": "events", "descending": True}, ["c3", "b1", "a2", "d4"]),
        ({"sort": "popularity", "descending": True}, ["b1", "c3", "a2", "d4"]),
        ({"sort": "added", "descending": True}, ["d4", "c3", "a2", "b1"]),
    ],
)
def test_items_are_found_and_sorted(wanted, ids):
    assert found(**wanted) == (ids, len(ids))


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(SORTS), st.booleans(), st.integers(1, 3))
def test_pages_put_together_are_the_whole(sort, descending, limit):
    whole, total = found(sort=sort, descending=descending)
    pages = [found(sort=sort, descending=descending, offset=at, limit=limit)[0] for at in range(0, total, limit)]
    assert [one for page in pages for one in page] == whole


def test_what_can_be_filtered_by_is_counted():
    categories, languages, states = listing().counts(STANDING)
    assert list(categories.items()) == [("Nature", 1), ("nature", 1), ("sports", 1), ("water", 1)]
    assert languages == {"de": 1, "en": 1, "en-GB": 1}
    assert states == {
        "recommendable": 2, "hidden": 1, "scheduled": 1, "cold": 2, "warm": 2, "with_media": 2, "without_media": 2, "placed": 1,
    }  # fmt: skip


def test_an_item_of_which_only_the_id_is_known_is_listed_unless_it_is_deleted():
    table = listing(removed=())
    page = table.find(Wanted(states=("hidden",)), STANDING)
    assert [table.catalogue.ids[one] for one in page.numbers_N.tolist()] == ["d4", "gone"]


def test_an_empty_catalogue_has_nothing():
    items = listing().catalogue
    table = Listing(Catalogue.of([]), np.zeros(0, dtype=bool), np.zeros(0, dtype=bool))
    none = Standing(np.zeros(0, dtype=int), np.zeros(0), np.zeros(0, dtype=bool), NOW)
    assert len(items) == 5
    for sort in SORTS:
        assert table.find(Wanted(words=("a",), sort=sort), none).total == 0
    assert table.counts(none)[0] == {}
