"""Columns become rows of one table of vectors: fitted on training rows, applied to any others, kept as JSON."""

import json

import numpy as np
import polars as pl
import pytest

from kinema.errors import DataError
from kinema.tasks.field_specs import FieldSpec, parse_spec
from kinema.tasks.fields import fields_from_json, fit_fields

TRAIN = pl.DataFrame(
    {
        "user": ["a", "a", "b", "b", "c"],
        "item": ["x", "y", "x", "y", "x"],
        "price": [1.0, 2.0, 3.0, 4.0, None],
        "seen": ["y|x", "x", "", "q|y", None],
        "tags": ["t|t|u", "t", "u", "", "v"],
    }
)
SPECS = [
    parse_spec(one)
    for one in (
        "user=category",
        "seen=list,target=item,longest=1",
        "item=category",
        "price=number",
        "tags=list",
        "pair=cross,of=user+item",
    )
]


def test_rare_unseen_and_missing_values_have_rows_of_their_own():
    fields = fit_fields(TRAIN, [FieldSpec("user", "category")])
    new = pl.DataFrame({"user": ["a", "b", "c", "zed", None]})
    assert fields.apply(new).rows_NF[:, 0].tolist() == [2, 3, 0, 0, 1]
    assert fields.num_rows == 4


def test_fields_do_not_share_rows_and_lists_share_those_of_their_target():
    fields = fit_fields(TRAIN, SPECS, min_count=1)
    rows = fields.apply(TRAIN)
    assert [one.spec.name for one in fields.fields] == ["user", "item", "price", "pair", "seen", "tags"]
    assert [one.first for one in fields.fields] == [0, 5, 9, 11, 18, 18]
    assert fields.num_rows == 18 + 5
    assert fields.targets == (1, None)
    offsets, entries = rows.lists[0]
    assert offsets.tolist() == [0, 1, 2, 2, 3, 3]
    x, y = rows.rows_NF[0, 1], rows.rows_NF[1, 1]
    assert entries.tolist() == [x, x, y]
    assert rows.lists[1][1].tolist() == [20, 20, 21, 20, 21, 22]


def test_a_cross_is_every_pair_of_values():
    fields = fit_fields(TRAIN, [parse_spec("pair=cross,of=user+item")], min_count=1)
    assert len(set(fields.apply(TRAIN).rows_NF[:, 0])) == 5
    gap = pl.DataFrame({"user": ["a", None, "zed"], "item": ["x", "x", "x"]})
    assert fields.apply(gap).rows_NF[:, 0].tolist()[1:] == [1, 0]
    assert fields.columns() == ("user", "item")


def test_hashed_values_need_no_vocabulary():
    fields = fit_fields(TRAIN, [parse_spec("user=category,buckets=7")])
    rows = fields.apply(pl.DataFrame({"user": ["a", "never seen", None]})).rows_NF[:, 0]
    assert fields.num_rows == 9
    assert ((rows[:2] >= 2) & (rows[:2] < 9)).all()
    assert rows[2] == 1


def test_numbers_are_scaled_by_median_and_quartiles_and_gaps_have_a_vector():
    fields = fit_fields(TRAIN, [FieldSpec("price", "number")])
    rows = fields.apply(TRAIN)
    assert rows.rows_NF[:, 0].tolist() == [0, 0, 0, 0, 1]
    np.testing.assert_allclose(
        rows.scales_NF[:, 0], [*(np.array([-1.5, -0.5, 0.5, 1.5]) / (1.5 / 1.349)), 1.0], rtol=1e-6
    )
    assert fields.apply(pl.DataFrame({"price": [1e9]})).scales_NF[0, 0] == 8


def test_amounts_that_span_powers_of_ten_are_logarithms_first():
    values = np.exp(np.random.default_rng(0).normal(3, 2, 1000))
    fields = fit_fields(pl.DataFrame({"plays": values}), [FieldSpec("plays", "number")])
    assert fields.fields[0].is_log
    scaled = fields.apply(pl.DataFrame({"plays": values})).scales_NF[:, 0]
    assert abs(np.median(scaled)) < 1e-6
    assert scaled.std() == pytest.approx(1, abs=0.1)


def test_a_number_that_never_changes_or_is_never_there_does_no_harm():
    for column in ([3.0, 3.0], [None, None]):
        frame = pl.DataFrame({"n": column}, schema={"n": pl.Float64})
        assert np.isfinite(fit_fields(frame, [FieldSpec("n", "number")]).apply(frame).scales_NF).all()


def test_fields_come_back_from_json_as_they_were():
    fields = fit_fields(TRAIN, SPECS)
    again = fields_from_json(json.loads(json.dumps(fields.to_json())))
    assert again == fields
    np.testing.assert_array_equal(again.apply(TRAIN).rows_NF, fields.apply(TRAIN).rows_NF)


def test_fitting_looks_at_no_other_table():
    fields = fit_fields(TRAIN, SPECS)
    before = json.dumps(fields.to_json())
    fields.apply(pl.concat([TRAIN, TRAIN]))
    assert json.dumps(fields.to_json()) == before


def test_a_missing_column_and_a_wrong_type_are_named_with_what_to_do():
    fields = fit_fields(TRAIN, SPECS)
    with pytest.raises(DataError, match=r"must have column 'price', which the model has learnt from, has: .*; add it"):
        fields.apply(TRAIN.drop("price"))
    with pytest.raises(
        DataError, match=r"column 'user' must hold one value per row .*, holds lists; .* --field user=list"
    ):
        fields.apply(TRAIN.with_columns(user=pl.lit([["a"]])))
    with pytest.raises(DataError, match=r"column 'price' must hold numbers, holds 'x' in row 1"):
        fields.apply(TRAIN.with_columns(price=pl.lit("x")))
