"""What a column is, as it is typed and as it is guessed."""

import polars as pl
import pytest

from kinema.errors import ConfigError, DataError
from kinema.tasks.field_specs import FieldSpec, complete_specs, guess_kind, parse_spec


def test_every_form_is_read():
    assert parse_spec("user=category") == FieldSpec("user", "category")
    assert parse_spec("city=category,buckets=9") == FieldSpec("city", "category", buckets=9)
    assert parse_spec("x=cross,of=a+b,buckets=5") == FieldSpec("x", "cross", buckets=5, of=("a", "b"))
    assert parse_spec("seen=list,target=item,longest=3,separator=;") == FieldSpec(
        "seen", "list", target="item", separator=";", longest=3
    )


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("user", "--field must have the form NAME=KIND with KIND of category, .* is 'user'"),
        ("user=word", "must have the form NAME=KIND"),
        ("price=number,buckets=3", "--field price=number knows no option 'buckets=3'; known: none"),
        ("city=category,buckets=0", "buckets of --field city must be a whole number >= 1, is '0'"),
        ("x=cross,of=a", "--field x=cross must name its columns, as in: --field x=cross,of=user\\+hour"),
    ],
)
def test_what_has_not_the_form_is_told_the_form(text, match):
    with pytest.raises(ConfigError, match=match):
        parse_spec(text)


def test_kinds_are_guessed_by_the_stated_rule():
    assert guess_kind(pl.Series([["a"]])) == "list"
    assert guess_kind(pl.Series(["a|b", "c|d", "e"])) == "list"
    assert guess_kind(pl.Series(["[1]", "[2]"])) == "list"
    assert guess_kind(pl.Series([0.5, 1.0])) == "number"
    assert guess_kind(pl.Series(list(range(200)))) == "number"
    assert guess_kind(pl.Series([f"title {one}" for one in range(200)])) == "ignore"
    assert guess_kind(pl.Series([f"title {one}" for one in range(20)])) == "category"
    assert guess_kind(pl.Series([1, 2] * 60)) == "category"
    assert guess_kind(pl.Series([1.0, 2.0, None] * 60)) == "category"
    assert guess_kind(pl.Series([None, None], dtype=pl.String)) == "ignore"
    assert guess_kind(pl.Series([True, False])) == "category"


def test_what_the_user_says_wins_and_the_rest_is_guessed():
    frame = pl.DataFrame({"label": [0, 1], "user": ["a", "b"], "price": [0.5, 1.5]})
    specs = complete_specs(frame, [parse_spec("price=ignore"), parse_spec("x=cross,of=user+price")], label="label")
    assert [(one.name, one.kind) for one in specs] == [("user", "category"), ("price", "ignore"), ("x", "cross")]


@pytest.mark.parametrize(
    ("fields", "error", "match"),
    [
        (["user=category", "user=list"], ConfigError, "field 'user' must be given once, is given twice"),
        (["label=category"], ConfigError, "'label' is the label and cannot be a field"),
        (["city=category"], DataError, "must have a column 'city' for field 'city', has: user, price"),
        (["x=cross,of=user+city"], DataError, "must have a column 'city' for field 'x'"),
        (
            ["user=list,target=price"],
            DataError,
            "target 'price' of field 'user' must be a category .* is number; set it",
        ),
        (["user=list,target=item"], DataError, "is none of its columns"),
        (["user=ignore", "price=ignore"], DataError, "must have a column to learn from, all are left out"),
    ],
)
def test_fields_that_cannot_be_are_refused(fields, error, match):
    frame = pl.DataFrame({"label": [0, 1], "user": ["a", "b"], "price": [0.5, 1.5]})
    with pytest.raises(error, match=match):
        complete_specs(frame, [parse_spec(one) for one in fields], label="label")
