import json

import numpy as np
import polars as pl
import pytest

from kinema.errors import ConfigError, DataError
from kinema.sources.movielens import movielens_1m, movielens_100k
from kinema.sources.named import open_named
from kinema.sources.sequences import s3rec


def read(table):
    blocks = list(table.read(0, 0))
    return pl.concat([block.frame for block in blocks]), [one for block in blocks for one in block.rejects]


@pytest.fixture
def small_100k(tmp_path):
    (tmp_path / "u.genre").write_text("unknown|0\nAction|1\nComedy|2\n\n")
    films = [
        "1|Toy Story (1995)|01-Jan-1995||http://x|0|0|1",
        "2|Misérables, Les (1995)|20-Oct-1995||http://x|0|1|1",
        "3|unknown||||1|0|0",
    ]
    (tmp_path / "u.item").write_bytes("\n".join(films).encode("latin-1"))
    (tmp_path / "u.user").write_text("1|24|M|technician|85711\n2|53|F|other|T8H1N\n")
    (tmp_path / "u.data").write_text("2\t1\t3\t881250949\n1\t2\t5\t881250949\n1\t1\tx\t891717742\n")
    return tmp_path


def test_the_small_set_is_read_in_the_order_of_its_rows(small_100k):
    items, users, events = (read(table) for table in movielens_100k(small_100k))
    assert items[0]["title"].to_list() == ["Toy Story (1995)", "Les Misérables (1995)", "unknown"]
    assert items[0]["categories"].to_list() == [["Comedy"], ["Action", "Comedy"], []]
    assert [json.loads(one) for one in items[0]["attributes"]] == [
        {"release_date": "1995-01-01", "year": 1995},
        {"release_date": "1995-10-20", "year": 1995},
        {},
    ]
    assert json.loads(users[0]["attributes"][1]) == {"age": 53, "gender": "F", "occupation": "other", "zip": "T8H1N"}
    assert events[0].select("user", "item", "value", "timestamp_ms", "kind", "row").rows() == [
        ("2", "1", 3.0, 881250949000, "rating", 1),
        ("1", "2", 5.0, 881250949000, "rating", 2),
    ]
    assert [(one.row, one.reason) for one in events[1]] == [(3, "value must be a finite number, is 'x'")]


@pytest.fixture
def small_1m(tmp_path):
    (tmp_path / "movies.dat").write_bytes(
        "1::Toy Story (1995)::Animation|Comedy\n2::Café (2000)::Drama\n".encode("latin-1")
    )
    (tmp_path / "users.dat").write_text("1::F::1::10::48067\n2::M::56::16::70072\n")
    return tmp_path


def test_the_standard_ratings_file_has_seconds(small_1m):
    (small_1m / "ratings.dat").write_text("1::2::5::978300760\n2::1::3::978300700\n")
    items, users, events = (read(table)[0] for table in movielens_1m(small_1m))
    assert items["title"].to_list() == ["Toy Story (1995)", "Café (2000)"]
    assert json.loads(users["attributes"][0]) == {
        "gender": "F",
        "age": "under 18",
        "occupation": "K-12 student",
        "zip": "48067",
    }
    assert events.select("user", "item", "value", "timestamp_ms").rows() == [
        ("1", "2", 5.0, 978300760000),
        ("2", "1", 3.0, 978300700000),
    ]


def test_without_time_stamps_the_place_in_the_sequence_stands_for_the_time(small_1m):
    np.savez(
        small_1m / "ml1m_ratings_no_timestamp.npz",
        user=np.array([1, 1, 2], np.int16),
        movie=np.array([2, 1, 2], np.int16),
        rating=np.array([5, 3, 4], np.int8),
        sasrec_pos=np.array([1, 0, -1], np.int16),
    )
    events, rejects = read(movielens_1m(small_1m)[2])
    assert events.select("user", "item", "value", "timestamp_ms").rows() == [("1", "2", 5.0, 1), ("1", "1", 3.0, 0)]
    assert [(one.row, one.reason) for one in rejects] == [
        (3, "rating must have a place in its user's sequence, has none")
    ]


def test_a_missing_file_is_named(small_1m):
    with pytest.raises(DataError, match=r"must have ratings.dat or ml1m_ratings_no_timestamp.npz, has neither"):
        movielens_1m(small_1m)
    with pytest.raises(DataError, match=r"must hold u.item, u.user, u.genre, u.data, 'u.item' is missing"):
        movielens_100k(small_1m)
    (small_1m / "users.dat").write_text("1::F\n")
    with pytest.raises(DataError, match=r"users.dat' line 1 must have 5 fields, has 2"):
        movielens_1m(small_1m)


def test_sequences_are_clicks_in_order(tmp_path):
    (tmp_path / "Toys.txt").write_text("1 a b a\n\n2 c\n3\n")
    (tmp_path / "Toys_items.tsv").write_text('item_id\tasin\ttitle\tcategories\na\tB0\t23" doll\tToys > Dolls\nb\tB1\n')
    items, events = (read(table) for table in s3rec(tmp_path))
    assert items[0].select("id", "title").rows() == [("a", '23" doll')]
    assert items[0]["categories"].to_list() == [["Toys", "Dolls"]]
    assert [one.reason for one in items[1]] == ["line must have 4 columns, has 2"]
    assert events[0].select("user", "item", "timestamp_ms", "kind").rows() == [
        ("1", "a", 0, "click"),
        ("1", "b", 1, "click"),
        ("1", "a", 2, "click"),
        ("2", "c", 0, "click"),
    ]
    assert [(one.row, one.reason) for one in events[1]] == [(4, "line must be a user and items, has one word")]


def test_a_folder_without_one_sequence_file_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"must have one sequence file NAME.txt, has none"):
        s3rec(tmp_path)
    (tmp_path / "a.txt").write_text("")
    (tmp_path / "b.txt").write_text("")
    with pytest.raises(DataError, match=r"has a.txt, b.txt"):
        s3rec(tmp_path)


def test_item_columns_that_are_missing_are_named(tmp_path):
    (tmp_path / "a.txt").write_text("1 x\n")
    (tmp_path / "a_items.tsv").write_text("item_id\ttitle\n")
    with pytest.raises(DataError, match=r"must have a column 'categories', has: item_id, title"):
        s3rec(tmp_path)


def test_an_unknown_source_is_refused_with_a_guess(tmp_path):
    with pytest.raises(
        ConfigError, match=r"unknown source 'movielens-100', did you mean 'movielens-100k'. known: movielens"
    ):
        open_named("movielens-100", tmp_path)
    with pytest.raises(DataError, match=r"source movielens-1m must have a folder of files"):
        open_named("movielens-1m", tmp_path / "no")


def test_the_real_sets_have_the_published_counts(data_dir):
    items, users, events = (read(table)[0] for table in movielens_100k(data_dir / "ml-100k"))
    assert (items.height, users.height, events.height) == (1682, 943, 100_000)
    assert events.row(0, named=True)["user"] == "196"
    assert dict(events["value"].value_counts().iter_rows()) == {1: 6110, 2: 11370, 3: 27145, 4: 34174, 5: 21201}
    items, events = (read(table) for table in s3rec(data_dir / "beauty"))
    assert (items[0].height, events[0].height, events[0]["user"].n_unique()) == (12_101, 198_502, 22_363)
    assert items[1] == events[1] == []


def test_the_real_one_million_ratings_are_complete(data_dir):
    items, users, events = (read(table) for table in movielens_1m(data_dir / "ml-1m"))
    assert (items[0].height, users[0].height) == (3883, 6040)
    assert events[0].height + len(events[1]) == 1_000_209
    assert len(events[1]) == 598
    assert items[0].filter(pl.col("description") != "").height == 2948
