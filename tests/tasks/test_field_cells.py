"""One value has one text, whatever column it stands in; cells that are not what they must be are named."""

import numpy as np
import polars as pl
import pytest

from kinema.errors import DataError
from kinema.tasks.field_cells import is_text, lists, numbers, stable_bucket, texts


def test_a_value_has_one_text_in_every_kind_of_column():
    for column in ([7, None], [7.0, None], ["7", None], [" 7 ", ""], ["7.0", None]):
        assert texts(pl.Series(column)).to_list() == ["7", None]
    assert texts(pl.Series([True, False])).to_list() == ["1", "0"]
    assert texts(pl.Series(["007", "1.50"])).to_list() == ["007", "1.50"]


def test_numbers_are_read_from_text_and_gaps_stay_gaps():
    found = numbers(pl.Series("x", ["1e3", " 2", None, "inf", ""]))
    np.testing.assert_array_equal(found, [1000.0, 2.0, np.nan, np.nan, np.nan])


def test_a_cell_that_is_no_number_is_named_with_its_row_and_what_to_do():
    match = r"column 'price' must hold numbers, holds 'cheap' in row 2; correct it, or .* --field price=category"
    with pytest.raises(DataError, match=match):
        numbers(pl.Series("price", ["1", "cheap"]))
    with pytest.raises(DataError, match=r"column 'price' must hold numbers, holds lists; .* --field price=list"):
        numbers(pl.Series("price", [[1]]))


def test_a_column_is_text_as_soon_as_one_cell_is():
    assert is_text(pl.Series(["1", "x"]))
    assert not is_text(pl.Series(["1", None]))
    assert not is_text(pl.Series([1.5]))


def test_lists_are_read_from_lists_json_and_separated_text():
    want = [["a", "4"], [], ["b"], []]
    assert lists(pl.Series([["a", "4"], [], ["b"], None]), "|").to_list() == want
    assert lists(pl.Series(['["a", 4.0]', "[]", '["b"]', None]), "|").to_list() == want
    assert lists(pl.Series(["a; 4", "", "b", None]), ";").to_list() == want
    assert lists(pl.Series([[1, 4], None, [2]]), "|").to_list() == [["1", "4"], [], ["2"]]


def test_a_list_that_is_no_json_is_named():
    with pytest.raises(
        DataError, match=r"column 'seen' must hold lists, holds '\[1,' in row 2, which is no JSON array"
    ):
        lists(pl.Series("seen", ["[1]", "[1,"]), "|")


def test_buckets_are_the_same_on_every_machine():
    assert [stable_bucket(value, 1000) for value in ("a", "b", "lisbon")] == [
        stable_bucket(v, 1000) for v in ("a", "b", "lisbon")
    ]
    assert {stable_bucket(str(value), 4) for value in range(100)} == {0, 1, 2, 3}
