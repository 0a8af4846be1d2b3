"""Any table is read whole: CSV, JSON lines, Parquet, packed or not; lines that cannot be split cost themselves."""

import gzip
import json

import polars as pl
import pytest

from kinema.errors import DataError
from kinema.sources.whole_tables import read_whole_table


def test_every_format_gives_the_same_columns(tmp_path):
    frame = pl.DataFrame({"user": ["ann", "bob"], "price": ["1.5", None]})
    frame.write_csv(tmp_path / "x.csv")
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress((tmp_path / "x.csv").read_bytes()))
    frame.write_parquet(tmp_path / "x.parquet")
    frame.write_ndjson(tmp_path / "x.jsonl")
    for name in ("x.csv", "x.csv.gz", "x.parquet", "x.jsonl"):
        found, bad = read_whole_table(tmp_path / name)
        assert found.rows() == frame.rows()
        assert found.columns == frame.columns
        assert bad == ()


def test_a_ragged_line_is_set_aside_with_its_place(tmp_path):
    (tmp_path / "x.csv").write_text("user,label\nann,1\nbob,1,7\ncy,0\n")
    found, bad = read_whole_table(tmp_path / "x.csv")
    assert found["user"].to_list() == ["ann", "cy"]
    assert [(one.row, one.reason) for one in bad] == [(2, "line must have 2 columns, has 3")]


def test_lists_of_json_lines_stay_json(tmp_path):
    (tmp_path / "x.jsonl").write_text(json.dumps({"seen": ["a", "b"]}) + "\n")
    assert read_whole_table(tmp_path / "x.jsonl")[0]["seen"].to_list() == ['["a","b"]']


@pytest.mark.parametrize(
    ("name", "content", "match"),
    [
        ("gone.csv", None, "must be a table .* there is no such file; check the path"),
        ("x.csv", b"", "must have rows, is empty"),
        ("x.csv", b"user,label\n", "must have rows, has none; check"),
        (
            "x.csv",
            b"user,label\n1,2,3\n",
            "must have rows, has none; the first line that could not be read, 1: line must have 2",
        ),
        ("x.csv", b"user,user\n1,2\n", "must have distinct column names, has 'user' twice; rename one"),
        (
            "x.csv.gz",
            gzip.compress(b"user,label\n" + bytes(range(65, 90)) * 9, mtime=0)[:-12],
            "is not: .*copy it again",
        ),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path, name, content, match):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=match):
        read_whole_table(tmp_path / name)
