import pytest

from kinema.errors import ConfigError, DataError
from kinema.sources.columns import ALIASES, check_mapping, resolve


@pytest.mark.parametrize(
    ("kind", "header", "expected"),
    [
        ("event", ["user", "item", "timestamp_ms", "kind"], ["user", "item", "timestamp_ms", "kind"]),
        ("event", ["UserId", "ItemId", "Timestamp", "FeedbackType"], ["user", "item", "timestamp_ms", "kind"]),
        ("event", ["user_id:token", "item_id:token", "timestamp:float"], ["user", "item", "timestamp_ms"]),
        ("event", ["USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE"], ["user", "item", "timestamp_ms", "kind"]),
        ("item", ["ItemId", "IsHidden", "Categories", "Timestamp"], ["id", "hidden", "categories", "published_at"]),
        ("item", ["item_id:token", "movie_title:token_seq", "class:token_seq"], ["id", "title", "categories"]),
        ("item", ["ITEM_ID", "GENRES", "CREATION_TIMESTAMP"], ["id", "categories", "published_at"]),
        ("user", ["UserId"], ["id"]),
        ("user", ["USER_ID"], ["id"]),
        ("user", ["user_id:token"], ["id"]),
    ],
)
def test_known_spellings_are_found(kind, header, expected):
    columns = resolve(header, kind=kind, mapping={}, file="f")
    assert {columns.ours[name] for name in expected} == set(header)
    assert columns.rest == ()


def test_our_own_name_wins_over_an_alias():
    columns = resolve(["comment", "title", "id"], kind="item", mapping={}, file="f")
    assert columns.ours == {"title": "title", "id": "id"}
    assert columns.rest == ("comment",)


def test_a_mapping_wins_over_everything_and_one_serves_all_files():
    mapping = {"film": "item", "viewer": "user", "when": "timestamp_ms"}
    events = resolve(["viewer", "film", "when", "timestamp"], kind="event", mapping=mapping, file="f")
    assert events.ours == {"user": "viewer", "item": "film", "timestamp_ms": "when"}
    assert events.rest == ("timestamp",)
    assert resolve(["film"], kind="item", mapping=mapping, file="f").ours == {"id": "film"}
    assert resolve(["viewer"], kind="user", mapping=mapping, file="f").ours == {"id": "viewer"}
    assert events.used_mapping == {"film", "viewer", "when"}


def test_a_missing_column_is_named_with_what_was_found_and_the_remedy():
    with pytest.raises(
        DataError, match=r"'log.csv' must have a column 'item' .* has: user, when; .* --map THEIRS=item"
    ):
        resolve(["user", "when"], kind="event", mapping={}, file="log.csv")


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(DataError, match=r"must have distinct column names, has 'item' twice"):
        resolve(["user", "item", "item"], kind="event", mapping={}, file="f")


def test_a_mapping_to_no_column_of_ours_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"'x=films' must name one of our columns, 'films' is none; known: .*title"):
        check_mapping({"x": "films"})


def test_spellings_are_in_the_form_they_are_looked_up_in():
    for spellings in ALIASES.values():
        for name, known in spellings.items():
            assert known[0] == name.replace("_", "")
            assert all(one.isalnum() and one == one.lower() for one in known)
