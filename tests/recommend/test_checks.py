"""Questions and settings that have no answer are refused, with the value and the range."""

import numpy as np
import pytest

from kinema.errors import ConfigError, DataError
from kinema.recommend.checks import check_items, check_request, check_settings, one_row
from kinema.schema import Request
from kinema.store.histories import Histories

SETTINGS = {"num_candidates": 10, "diversity": 0.1, "max_per_category": None, "fresh_share": 0.1, "fresh_days": 14.0}


@pytest.mark.parametrize("value", [0, -1, 1001, 2.5, True, "10", None])
def test_a_slate_has_1_to_1000_places(value):
    with pytest.raises(
        DataError, match=r"num_items must be a whole number in 1..1000, got .* the request of user 'u1'"
    ):
        check_request(Request("u1", num_items=value))


@pytest.mark.parametrize("value", [1, 1000, np.int64(7)])
def test_lengths_inside_the_range_pass(value):
    check_request(Request("u1", num_items=value))


@pytest.mark.parametrize(
    ("name", "value"),
    [("num_candidates", 0), ("diversity", -0.1), ("diversity", 1.5), ("diversity", float("nan")),
     ("max_per_category", 0), ("fresh_days", -1.0), ("fresh_share", 1.2)],
)  # fmt: skip
def test_a_setting_out_of_range_is_named_with_its_value(name, value):
    with pytest.raises(ConfigError, match=rf"{name} must be .*, got {value}"):
        check_settings(**{**SETTINGS, name: value})


def test_no_history_is_an_empty_row():
    assert one_row(None, 3).lengths.tolist() == [0]


def test_a_history_follows_the_growth_of_the_catalogue():
    assert one_row(Histories.from_lists([[1]], 2), 5).num_items == 5


def test_a_history_of_several_users_is_refused():
    with pytest.raises(DataError, match=r"one row, got 2; take the user's own: histories.take"):
        one_row(Histories.from_lists([[0], [1]], 2), 2)


@pytest.mark.parametrize("item", [-1, 3])
def test_item_numbers_outside_the_catalogue_are_refused(item):
    with pytest.raises(DataError, match=rf"must be in 0..2, got {item}; catalogue and histories"):
        check_items(np.array([0, item]), 3)
