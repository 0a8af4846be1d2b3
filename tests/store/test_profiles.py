import json

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from kinema.store.profiles import ProfileSchema, encode_profiles, fit_profiles, transform_profiles


def users(*attributes):
    return pl.DataFrame(
        {"attributes": [json.dumps(one) if one is not None else None for one in attributes]},
        schema={"attributes": pl.String},
    )


def test_text_is_one_hot_numbers_are_standardised_and_lists_are_multi_hot():
    frame = users(
        {"country": "de", "age": 20, "likes": ["a", "b"]},
        {"country": "de", "age": 40, "likes": ["b"]},
        {"country": "fr", "likes": ["a"], "vip": True},
        {"country": "fr", "vip": True},
    )
    profiles = encode_profiles(frame)
    assert profiles.columns == ("age", "country=de", "country=fr", "likes=a", "likes=b", "vip=yes")
    assert profiles.values_UP.dtype == np.float32
    assert profiles.values_UP.tolist() == [
        [-1, 1, 0, 1, 1, 0],
        [1, 1, 0, 0, 1, 0],
        [0, 0, 1, 1, 0, 1],
        [0, 0, 1, 0, 0, 1],
    ]


def test_values_of_one_user_share_a_column():
    profiles = encode_profiles(users({"job": "cook"}, {"job": "cook"}, {"job": "pilot"}, {"job": "judge"}))
    assert profiles.columns == ("job=cook", "job=other")
    assert profiles.values_UP.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


def test_zip_codes_do_not_explode_the_width():
    profiles = encode_profiles(users(*[{"zip": f"{number // 2:05d}"} for number in range(1000)]))
    assert len(profiles.columns) == 65
    assert profiles.columns[-1] == "zip=other"
    assert np.all(profiles.values_UP.sum(axis=1) == 1)


def test_an_attribute_that_is_different_for_everyone_has_no_columns():
    assert encode_profiles(users(*[{"name": str(number) + "x"} for number in range(50)])).columns == ()


def test_numbers_mixed_with_text_count_as_text():
    profiles = encode_profiles(users({"zip": 10115}, {"zip": 10115}, {"zip": "T8H1N"}, {"zip": "T8H1N"}))
    assert profiles.columns == ("zip=10115", "zip=T8H1N")


def test_new_users_get_the_columns_that_were_chosen_before():
    schema = fit_profiles(users({"c": "a", "n": 1}, {"c": "a", "n": 3}, {"c": "b", "n": 5}))
    profiles = transform_profiles(users({"c": "unseen", "n": 3}, {"c": "a", "n": "text"}, None, {"new": 1}), schema)
    assert profiles.columns == ("n", "c=a", "c=other")
    assert profiles.values_UP.tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0], [0, 0, 0]]


def test_an_unseen_value_is_nothing_where_no_value_was_left_out():
    schema = fit_profiles(users({"c": "a"}, {"c": "a"}, {"c": "other"}, {"c": "other"}))
    assert transform_profiles(users({"c": "unseen"}), schema).values_UP.tolist() == [[0, 0]]


def test_users_without_attributes_have_no_columns():
    assert encode_profiles(users(None, {})).values_UP.shape == (2, 0)
    assert encode_profiles(users()).values_UP.shape == (0, 0)


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-9, 9), st.text("ab", max_size=2), st.lists(st.text("ab"), max_size=2)
)


@given(st.lists(st.dictionaries(st.sampled_from("xyz"), VALUES), max_size=12))
def test_a_schema_survives_json_and_gives_finite_numbers(attributes):
    frame = users(*attributes)
    schema = fit_profiles(frame)
    again = ProfileSchema.from_dict(json.loads(json.dumps(schema.as_dict())))
    assert again == schema
    profiles = transform_profiles(frame, again)
    assert profiles.values_UP.shape == (len(attributes), len(schema.columns))
    assert np.isfinite(profiles.values_UP).all()
    assert len(set(profiles.columns)) == len(profiles.columns)
