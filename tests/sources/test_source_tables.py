import gzip
import json
from datetime import UTC, datetime

import polars as pl
import pytest

from kinema.errors import DataError
from kinema.sources.tables import open_table

LOG = "user,item,timestamp,kind,watch_ms,device\nu1,a,1700000000,play,500,tv\nu2,b,1700000001,Like,,\n"


def read(path, kind="event", **options):
    """All good rows of a file and its rejects."""
    blocks = list(open_table(path, kind=kind, **options).read(0, 0))
    return pl.concat([block.frame for block in blocks], how="diagonal"), [
        one for block in blocks for one in block.rejects
    ]


def write(path, text):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def check_log(frame):
    assert frame["user"].to_list() == ["u1", "u2"]
    assert frame["timestamp_ms"].to_list() == [1_700_000_000_000, 1_700_000_001_000]
    assert frame["kind"].to_list() == ["watch", "like"]
    assert frame["watch_ms"].to_list() == [500, None]
    assert [json.loads(one or "{}") for one in frame["context"]] == [{"device": "tv"}, {}]
    assert frame["row"].to_list() == [1, 2]


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_delimiters_are_found(tmp_path, delimiter):
    frame, rejects = read(write(tmp_path / "log.csv", LOG.replace(",", delimiter)))
    check_log(frame)
    assert rejects == []


def test_a_byte_order_mark_and_windows_line_ends_are_no_part_of_the_data(tmp_path):
    check_log(read(write(tmp_path / "log.csv", b"\xef\xbb\xbf" + LOG.replace("\n", "\r\n").encode()))[0])


def test_packed_text_is_unpacked(tmp_path):
    check_log(read(write(tmp_path / "log.csv.gz", gzip.compress(LOG.encode())))[0])
    lines = [{"user": "u1", "item": "a", "timestamp": 1700000000, "kind": "play", "watch_ms": 500, "device": "tv"}]
    lines.append({"user": "u2", "item": "b", "timestamp": 1700000001, "kind": "Like"})
    text = "\n".join(json.dumps(one) for one in lines)
    check_log(read(write(tmp_path / "log.jsonl.gz", gzip.compress(text.encode())))[0])
    check_log(read(write(tmp_path / "log.ndjson", text))[0])


def test_parquet_keeps_its_types(tmp_path):
    frame = pl.DataFrame(
        {
            "UserId": pl.Series(["u1", "u2"], dtype=pl.Categorical),
            "ItemId": [1.0, 2.0],
            "Timestamp": [datetime(2024, 5, 1, 12, tzinfo=UTC), None],
            "FeedbackType": ["read", "star"],
            "value": [1.5, float("nan")],
            "tags": [["x", "y"], None],
            "info": [{"a": 1}, {"a": None}],
        }
    )
    frame.write_parquet(tmp_path / "log.parquet")
    good, rejects = read(tmp_path / "log.parquet")
    (row,) = good.rows(named=True)
    assert (row["user"], row["item"], row["timestamp_ms"], row["kind"]) == ("u1", "1", 1_714_564_800_000, "click")
    assert row["value"] == 1.5
    assert json.loads(row["context"]) == {"tags": ["x", "y"], "info": {"a": 1}}
    assert [(one.row, one.reason.split(",")[0]) for one in rejects] == [
        (2, "timestamp_ms must be a time from 1970 on: whole seconds or milliseconds")
    ]


def test_parquet_is_read_on_from_any_row(tmp_path):
    size = 1000
    pl.DataFrame(
        {"user": ["u"] * size, "item": [str(one) for one in range(size)], "timestamp": range(size)}
    ).write_parquet(tmp_path / "log.parquet", row_group_size=130)
    table = open_table(tmp_path / "log.parquet", kind="event")
    for start in (0, 1, 129, 130, 131, 999, 1000):
        blocks = list(table.read(start, start))
        assert [one for block in blocks for one in block.frame["item"]] == [str(one) for one in range(start, size)]
        assert [one for block in blocks for one in block.frame["row"]] == list(range(start + 1, size + 1))
        assert blocks[-1].done
        assert blocks[-1].next_row == size


def test_recbole_files_with_typed_headers(tmp_path):
    text = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n196\t242\t3\t881250949\n"
    frame, _ = read(write(tmp_path / "ml.inter", text))
    assert frame.select("user", "item", "value", "timestamp_ms", "kind").row(0) == (
        "196",
        "242",
        3.0,
        881250949000,
        "rating",
    )
    text = "item_id:token\tmovie_title:token_seq\trelease_year:token\tclass:token_seq\n1\tToy Story\t1995\tAnimation Comedy\n"
    frame, _ = read(write(tmp_path / "ml.item", text), kind="item")
    assert frame.select("id", "title").row(0) == ("1", "Toy Story")
    assert frame["categories"].to_list() == [["Animation", "Comedy"]]
    assert json.loads(frame["attributes"][0]) == {"release_year": "1995"}
    text = "user_id:token\tage:float\tzip:token\tlikes:token_seq\n1\t24\t01234\ta b\n"
    frame, _ = read(write(tmp_path / "ml.user", text), kind="user")
    assert json.loads(frame["attributes"][0]) == {"age": 24, "zip": "01234", "likes": ["a", "b"]}


def test_gorse_and_personalize_files(tmp_path):
    text = 'ItemId,IsHidden,Categories,Timestamp,Labels,Comment\n1,true,"[""x"",""y""]",2020-02-02 20:20:02,a|b,The title\n'
    (row,) = read(write(tmp_path / "items.csv", text), kind="item")[0].rows(named=True)
    assert (row["id"], row["hidden"], row["categories"], row["tags"]) == ("1", True, ["x", "y"], ["a", "b"])
    assert row["title"] == "The title"
    assert row["published_at"] == 1_580_674_802_000
    text = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE,EVENT_VALUE,IMPRESSION\n1,2,1586731606,Watch,0.5,a|b\n"
    (row,) = read(write(tmp_path / "log.csv", text))[0].rows(named=True)
    assert (row["user"], row["item"], row["kind"], row["value"]) == ("1", "2", "watch", 0.5)
    assert json.loads(row["context"]) == {"IMPRESSION": "a|b"}


@pytest.mark.parametrize(
    ("header", "kind"),
    [("user,item,time", "click"), ("user,item,time,rating", "rating"), ("user,item,time,watch_ms", "watch")],
)
def test_without_a_kind_the_columns_tell_it(tmp_path, header, kind):
    row = ",".join("1" for _ in header.split(","))
    assert read(write(tmp_path / "log.csv", f"{header}\n{row}\n"))[0]["kind"].to_list() == [kind]


def test_unknown_columns_of_items_become_attributes_with_their_types(tmp_path):
    text = 'id,year,rating,zip,vip,cast,note,attributes\n1,1999,4.5,01234,true,"[""A"",""B""]",,"{""x"":{""y"":1}}"\n2,,,,,,,\n'
    frame, _ = read(write(tmp_path / "items.csv", text), kind="item")
    assert json.loads(frame["attributes"][0]) == {
        "year": 1999,
        "rating": 4.5,
        "zip": "01234",
        "vip": True,
        "cast": ["A", "B"],
        "x": {"y": 1},
    }
    assert json.loads(frame["attributes"][1]) == {}


def test_a_mapping_finds_columns_of_any_name(tmp_path):
    table = open_table(
        write(tmp_path / "log.csv", "who;what;when\nu;i;5\n"),
        kind="event",
        mapping={"who": "user", "what": "item", "when": "timestamp_ms"},
    )
    assert next(table.read(0, 0)).frame.select("user", "item", "timestamp_ms").row(0) == ("u", "i", 5000)


def test_the_key_depends_on_content_kind_and_mapping_only(tmp_path):
    one = open_table(write(tmp_path / "a.csv", "id,user\n1,2\n"), kind="item")
    copy = open_table(write(tmp_path / "b.csv", "id,user\n1,2\n"), kind="item")
    other = open_table(write(tmp_path / "c.csv", "id,user\n1,3\n"), kind="item")
    assert one.key == copy.key
    assert len({one.key, other.key, open_table(tmp_path / "a.csv", kind="user").key}) == 3
    assert open_table(tmp_path / "a.csv", kind="item", mapping={"user": "title"}).key != one.key


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "timestamp,item\n1,2\n", "must have a column 'user'"),
        ("a.csv", b"\xff\xfeu\0s\0e\0r\0", "must be UTF-8, is UTF-16; run: iconv -f UTF-16 -t UTF-8"),
        ("a.csv", b"PAR1\0\0\0", "must begin with a line of column names, begins with other data"),
        ("a.csv", b"us\xe9r,item\n", "must be UTF-8, its first line is not"),
        ("a.csv", "\nuser,item\n", "begins with an empty line"),
        ("a.csv", "user," + "x" * 2**20 + "\n", "begins with other data"),
        ("a.csv.gz", b"not gzip at all", "must be readable, is not"),
        ("a.parquet", "PAR1 but not really", "must be Parquet, cannot be read"),
        ("a.json", '[{"user": 1}]', "must have one JSON object a line, is an array"),
        ("a.jsonl", '{"user": 1}', "must have a column 'item'"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, name, content, message):
    with pytest.raises(DataError, match=message):
        open_table(write(tmp_path / name, content), kind="event")


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    with pytest.raises(DataError, match="must be a file of events, there is none"):
        open_table(tmp_path / "no.csv", kind="event")
    with pytest.raises(DataError, match="must be a file of items, is a folder"):
        open_table(tmp_path, kind="item")


def test_an_empty_file_is_listed_and_a_header_alone_is_fine(tmp_path):
    frame, (reject,) = read(write(tmp_path / "a.csv", ""))
    assert frame.height == 0
    assert (reject.row, reject.reason) == (None, "file must have a header and rows, is empty")
    frame, rejects = read(write(tmp_path / "b.csv", "user,item,timestamp\n"))
    assert (frame.height, rejects) == (0, [])
    pl.DataFrame({"user": [], "item": [], "timestamp": []}).write_parquet(tmp_path / "c.parquet")
    frame, rejects = read(tmp_path / "c.parquet")
    assert (frame.height, rejects) == (0, [])


def test_a_file_that_ends_in_the_middle_gives_what_it_has(tmp_path):
    text = "user,item,timestamp\n" + "".join(f"u{one},i,{one}\n" for one in range(50_000))
    packed = gzip.compress(text.encode())
    path = write(tmp_path / "log.csv.gz", packed[: len(packed) // 2])
    frame, (reject,) = read(path, block_bytes=10_000)
    assert 1000 < frame.height < 50_000
    assert reject.row is None
    assert reject.reason.startswith(f"file must be readable to its end, is not behind row {frame.height}")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("5", "line must be a JSON object, is int"),
        ("{", "line must be a JSON object, is not: Expecting property name"),
        (
            '{"user": "u", "item": "a"}',
            "timestamp_ms must be a time from 1970 on: whole seconds or milliseconds, or ISO 8601, is empty",
        ),
        ('{"user": "u", "item": "a", "timestamp": NaN}', "is 'NaN'"),
        (
            '{"user": "u", "item": "a", "timestamp": 1, "value": Infinity}',
            "value must be a finite number, is 'Infinity'",
        ),
        ('{"user": {"x": 1}, "item": "a", "timestamp": []}', "timestamp_ms must be a time"),
        (b'{"user": "\xe9"}', "line must be UTF-8, is not"),
        (b'{"user": "\0"}', "line must be text, has a NUL byte"),
        (b'{"user": "' + b"x" * 2**20 + b'"}', "line must be at most 1,048,576 bytes"),
        ("[" * 100_000, "line must be a JSON object, is not"),
    ],
)
def test_a_bad_json_line_costs_itself(tmp_path, line, reason):
    good = '{"user": "u", "item": "a", "timestamp": 5, "context": {"x": 1}, "y": null}'
    line = line if isinstance(line, bytes) else line.encode()
    frame, (reject,) = read(write(tmp_path / "a.jsonl", b"\n".join([good.encode(), b"", line, good.encode()])))
    assert frame["row"].to_list() == [1, 4]
    assert frame["context"].to_list() == ['{"x":1}', '{"x":1}']
    assert reject.row == 3
    assert reason in reject.reason
    assert len(reject.raw) <= 200


def test_a_column_called_row_is_a_column_like_others(tmp_path):
    frame, _ = read(write(tmp_path / "log.csv", "row,user,item,time\n77,u,i,5\n"))
    assert frame["row"].to_list() == [1]
    assert json.loads(frame["context"][0]) == {"row": 77}


def test_a_parquet_type_that_means_nothing_is_refused_by_name(tmp_path):
    pl.DataFrame({"user": [{"a": 1}], "item": ["i"], "time": [5]}).write_parquet(tmp_path / "log.parquet")
    with pytest.raises(DataError, match="column 'user' must have a type that can be read, has Struct"):
        read(tmp_path / "log.parquet")
