"""The catalogue by number, from frames and from items."""

import polars as pl
import pytest
from small_world import world_catalogue

from kinema.errors import DataError
from kinema.recommend.catalogue import UNKNOWN_DATE, Catalogue


def test_a_frame_of_the_store_becomes_a_catalogue():
    frame = pl.DataFrame(
        {
            "num": [0, 1],
            "id": ["a", "b"],
            "title": ["Ants", None],
            "categories": [["nature", "small"], None],
            "published_at": [5, None],
            "hidden": [True, None],
        }
    )
    catalogue = Catalogue.from_frame(frame)
    assert catalogue.titles == ("Ants", "")
    assert catalogue.categories == (("nature", "small"), ())
    assert catalogue.published_ms_V.tolist() == [5, UNKNOWN_DATE]
    assert catalogue.hidden_V.tolist() == [True, False]
    assert catalogue.groups.tolist() == [0, -1]
    assert (catalogue.number("b"), catalogue.name(1)) == (1, "b")


def test_only_ids_are_needed():
    catalogue = Catalogue.from_frame(pl.DataFrame({"id": ["a"]}))
    assert (len(catalogue), catalogue.name(0), catalogue.hidden_V.tolist()) == (1, "a", [False])


def test_an_empty_frame_is_an_empty_catalogue():
    assert len(Catalogue.from_frame(pl.DataFrame(schema={"num": pl.Int64, "id": pl.String}))) == 0


def test_a_frame_in_another_order_is_refused():
    with pytest.raises(DataError, match=r"ordered by num 0, 1, 2, .* read them with Store.items"):
        Catalogue.from_frame(pl.DataFrame({"num": [1, 0], "id": ["b", "a"]}))


def test_a_mistyped_id_is_answered_with_close_ids():
    with pytest.raises(DataError, match=r"unknown item 'clip_12a', did you mean 'clip_12'\? the catalogue has 2 items"):
        Catalogue.from_frame(pl.DataFrame({"id": ["clip_12", "zebra"]})).number("clip_12a")


def test_a_title_is_answered_with_its_id():
    with pytest.raises(DataError, match=r"unknown item 'Sea wave', did you mean 'v2' \(Sea waves\)\?"):
        world_catalogue().number("Sea wave")


def test_an_id_like_nothing_else_is_just_unknown():
    with pytest.raises(DataError, match="unknown item 'qqqqqqqq'; the catalogue has 6 items"):
        world_catalogue().number("qqqqqqqq")


def test_an_empty_catalogue_says_what_to_run():
    with pytest.raises(DataError, match="unknown item 'a': the catalogue is empty; run: kinema ingest"):
        Catalogue.of([]).number("a")
