"""Where pairs come from: tables, searches in the log, the catalogue's own texts, sessions."""

import json

import polars as pl
import pytest

from kinema.errors import DataError
from kinema.project import Project
from kinema.steps.match_pairs import pairs_of_catalogue, pairs_of_sessions, pairs_of_table, read_pairs

IDS = ["a", "b", "c"]


def table(folder, rows, columns):
    path = folder / "pairs.csv"
    pl.DataFrame(rows, schema=columns, orient="row").write_csv(path)
    return path


def test_a_table_gives_pairs_and_says_what_it_left_out(tmp_path):
    rows = [
        ("big  dogs", "a", 1, 2.0),
        ("big dogs", "b", 1, None),
        ("cats", "c", 0, 1.0),
        ("cats", "x", 1, 1.0),
        (None, "a", 1, 1.0),
    ]
    found = pairs_of_table(table(tmp_path, rows, ["text", "item_id", "label", "weight"]), IDS)
    assert found.pairs.queries == ("big dogs",)
    assert found.pairs.item_N.tolist() == [0, 1]
    assert found.pairs.weight_N.tolist() == [2.0, 1.0]
    assert found.notices == (
        "left out: 1 rows whose label is 0",
        "left out: 1 rows of items that the catalogue does not have",
        "left out: 1 rows without words",
    )


@pytest.mark.parametrize(
    ("rows", "columns", "message"),
    [
        (
            [("x", "a")],
            ["words", "item"],
            r"'pairs.csv' must have a column for the query, such as query, has words, item",
        ),
        (
            [("x", "y")],
            ["query", "item"],
            r"'pairs.csv' must have rows with a query and an item of the catalogue, has none",
        ),
        (
            [("x", "a", "much")],
            ["query", "item", "weight"],
            r"must have numbers in column 'weight', has 'much' in row 1",
        ),
    ],
)
def test_a_table_that_cannot_be_learnt_from_is_refused(tmp_path, rows, columns, message):
    with pytest.raises(DataError, match=message):
        pairs_of_table(table(tmp_path, rows, columns), IDS)


def catalogue():
    return pl.DataFrame(
        {
            "num": [0, 1],
            "id": ["a", "b"],
            "title": ["Otters in the river", "Kites"],
            "description": ["They swim well. They eat fish.", ""],
            "categories": [["nature"], []],
            "tags": [["wildlife", "water"], []],
        }
    )


def test_parts_of_texts_stand_for_queries_of_items_without_them():
    found = pairs_of_catalogue(catalogue())
    pairs = found.pairs
    assert pairs.queries == ("Otters in the river", "They swim well.", "They eat fish.", "wildlife, water")
    assert pairs.rests[0] == "They swim well. They eat fish. nature. wildlife, water"
    assert pairs.rests[2] == "Otters in the river. They swim well. nature. wildlife, water"
    assert pairs.rests[3] == "Otters in the river. They swim well. They eat fish. nature"
    assert pairs.kind_Q.tolist() == [0, 1, 1, 2]
    assert [one[1] for one in pairs.bare] == ["Kites"] * 3
    assert pairs.bare[1][0] == "Otters in the river. They eat fish. nature. wildlife, water"
    assert "parts of the items' own texts stand for queries" in found.notices[0]
    with pytest.raises(
        DataError, match="items must have titles or descriptions to be learnt from, have none; give pairs"
    ):
        pairs_of_catalogue(
            catalogue().with_columns(title=pl.lit(""), description=pl.lit(""), tags=pl.lit([], pl.List(pl.String)))
        )


def shop(folder, events):
    items = [{"id": f"v{one}", "title": f"title number {one}"} for one in range(30)]
    for name, rows in (("items", items), ("events", events)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    project = Project.init(folder / "shop")
    project.ingest(items=folder / "items.jsonl", events=folder / "events.jsonl")
    return project


def test_searches_of_the_log_come_before_the_catalogue_and_after_a_table(tmp_path):
    base = {"kind": "click", "user": "u1"}
    events = [
        {**base, "item": f"v{one}", "timestamp": 1_700_000_000 + one, "context": {"query": f"Number  {one % 25}"}}
        for one in range(28)
    ]
    events += [{**base, "item": "v3", "timestamp": 1_700_000_500, "context": {"device": "query"}}]
    with shop(tmp_path, events) as project:
        found = read_pairs(project.store, project.store.items(), None).pairs
        assert found.source == "searches of the log"
        assert len(found) == 28
        assert found.queries[0] == "Number 0"
        assert found.moments_N[1] - found.moments_N[0] == 1000
        given = read_pairs(project.store, project.store.items(), table(tmp_path, [("x", "v1")], ["query", "item"]))
        assert given.pairs.source == "table pairs.csv"


def test_sessions_give_what_followed_what(tmp_path):
    events = []
    for user in range(12):
        start = 1_700_000_000 + 100_000 * user
        visits = [
            (0, 1, "click"),
            (5, 1, "watch"),
            (60, 2, "click"),
            (120, 3, "click"),
            (9000, 4, "click"),
            (9060, 5, "like"),
        ]
        events += [
            {"user": f"u{user}", "item": f"v{item}", "timestamp": start + late, "kind": kind}
            for late, item, kind in visits
        ]
    with shop(tmp_path, events) as project:
        ids = project.store.items()["id"].to_list()
        pairs = pairs_of_sessions(project.store, ids).pairs
        found = {(pairs.queries[query], ids[item]) for query, item in zip(pairs.query_N, pairs.item_N, strict=True)}
        assert found == {("v1", "v2"), ("v2", "v3"), ("v4", "v5")}
        assert len(pairs) == 36
        assert read_pairs(project.store, project.store.items(), None).pairs.source == "the catalogue's own texts"


def test_a_log_without_sessions_is_refused(tmp_path):
    events = [{"user": "u1", "item": "v1", "timestamp": 1_700_000_000, "kind": "click"}]
    with (
        shop(tmp_path, events) as project,
        pytest.raises(DataError, match="sessions must have at least 20 items that were followed by another, have 0"),
    ):
        pairs_of_sessions(project.store, project.store.items()["id"].to_list())
