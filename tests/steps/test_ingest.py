import json

import polars as pl
import pytest

from kinema.errors import ConfigError, DataError
from kinema.schema import Item, User
from kinema.steps.ingest import ingest
from kinema.steps.rejects import write_rejects
from kinema.store.protocols import WriteCounts
from kinema.store.sql import SqlStore

ITEMS = "id,title\na,Alpha\nb,Beta\n"
USERS = "id,country\nu1,de\nu2,fr\n"
EVENTS = "user,item,timestamp,kind\nu1,a,1700000000,click\nu2,b,1700000001,like\nu1,b,1700000002,click\n"


@pytest.fixture
def store(tmp_path):
    store = SqlStore.open(tmp_path / "store.db")
    yield store
    store.close()


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture
def files(tmp_path):
    return {
        "items": write(tmp_path / "items.csv", ITEMS),
        "users": write(tmp_path / "users.csv", USERS),
        "events": write(tmp_path / "events.csv", EVENTS),
    }


def listed(folder):
    return [json.loads(line) for path in sorted(folder.glob("*.jsonl")) for line in path.read_text().splitlines()]


def test_files_become_rows_and_the_report_counts_them(store, files, tmp_path):
    seen = []
    report = ingest(
        store=store,
        **files,
        rejects_folder=tmp_path / "rejects",
        progress=lambda done, total, note="": seen.append((done, total, note)),
    )
    assert report.counts == {
        "items": WriteCounts(new=2),
        "users": WriteCounts(new=2),
        "events": WriteCounts(new=3),
    }
    assert [(one.kind, one.counts.new, one.skipped) for one in report.files] == [
        ("item", 2, False),
        ("user", 2, False),
        ("event", 3, False),
    ]
    assert report.rejects_folder is None
    assert report.version == store.version()
    assert store.item("a") == Item("a", title="Alpha")
    assert store.user("u1") == User("u1", {"country": "de"})
    assert seen[-1] == (len(EVENTS), len(EVENTS), str(files["events"]))
    assert not (tmp_path / "rejects").exists()


def test_the_same_files_again_change_nothing_and_are_not_read(store, files):
    ingest(store=store, **files)
    version = store.version()
    report = ingest(store=store, **files)
    assert report.counts["events"] == WriteCounts(known=3)
    assert all(one.skipped for one in report.files)
    assert store.version() == version


def test_the_same_rows_in_another_file_change_nothing(store, files, tmp_path):
    ingest(store=store, **files)
    version = store.version()
    longer = write(tmp_path / "more.csv", EVENTS + "u2,a,1700000009,share\n")
    pl.read_csv(files["events"]).write_parquet(tmp_path / "same.parquet")
    report = ingest(store=store, events=[tmp_path / "same.parquet"])
    assert report.counts["events"] == WriteCounts(known=3)
    assert store.version() == version
    assert ingest(store=store, events=longer).counts["events"] == WriteCounts(new=1, known=3)


def test_events_alone_create_their_items(store, files):
    ingest(store=store, events=files["events"])
    assert store.items()["id"].to_list() == ["a", "b"]
    assert ingest(store=store, items=files["items"]).counts["items"] == WriteCounts(known=2)
    assert store.item("b").title == "Beta"


def test_an_event_of_an_unknown_item_waits_for_its_item(store, files, tmp_path):
    log = write(tmp_path / "log.csv", EVENTS + "u1,late,1700000009,like\n")
    folder = tmp_path / "rejects"
    report = ingest(store=store, items=files["items"], events=log, rejects_folder=folder)
    assert report.counts["events"] == WriteCounts(new=3, rejected=1)
    assert report.rejects_folder == folder
    (reject,) = listed(folder)
    assert (reject["file"], reject["row"]) == (str(log), 4)
    assert "item must be in the catalogue, is 'late'" in reject["reason"]
    again = ingest(store=store, events=log, rejects_folder=folder)
    assert again.counts["events"] == WriteCounts(known=3, rejected=1)
    late = write(tmp_path / "late.csv", "id\nlate\n")
    cured = ingest(store=store, items=late, events=log, rejects_folder=folder)
    assert cured.counts["events"] == WriteCounts(new=1, known=3)
    assert cured.rejects_folder is None
    assert listed(folder) == []


def test_a_mended_file_replaces_what_its_old_content_had_set_aside(store, tmp_path):
    path = write(tmp_path / "log.csv", EVENTS + "u1,b,soon,like\n")
    ingest(store=store, events=path)
    assert len(store.rejects()) == 1
    write(path, EVENTS + "u1,b,1700000005,like\n")
    assert ingest(store=store, events=path).counts["events"] == WriteCounts(new=1, known=3)
    assert store.rejects() == []


def test_a_bad_file_that_cannot_be_cured_is_not_read_again_but_still_counted(store, tmp_path):
    path = write(tmp_path / "log.csv", EVENTS + "u1,b,soon,like\n")
    ingest(store=store, events=path)
    report = ingest(store=store, events=path)
    assert report.files[0].skipped
    assert report.counts["events"] == WriteCounts(known=3, rejected=1)
    with pytest.raises(DataError, match="timestamp_ms must be a time"):
        ingest(store=store, events=path, strict=True)


BAD_ROWS = {
    3: (
        b"u1,a,soon,click,,",
        "timestamp_ms must be a time from 1970 on: whole seconds or milliseconds, or ISO 8601, is 'soon'",
    ),
    4: (b"u1,zzz,1700000000,click,,", "item must be in the catalogue, is 'zzz'"),
    5: (b"u1,a,nan,click,,", "is 'nan'"),
    6: (b"u1,a,1700000000,rating,,NaN", "value must be a finite number, is 'NaN'"),
    7: (b"u1,a,1700000000,click,-5,", "watch_ms must be >= 0 milliseconds, is '-5'"),
    8: (b"u1,a,1700000000,teleport,,", "kind must be one of impression, click"),
    9: (b"u1,caf\xe9,1700000000,click,,", "line must be UTF-8"),
    10: (b"u1,a", "line must have 6 columns, has 2"),
    11: (b"u1,a,1700000000,click,,,,,", "line must have 6 columns, has 9"),
    12: (b",a,1700000000,click,,", "user must be 1 to 256 characters, is empty"),
    13: (b"u1,NaN,1700000000,click,,", "item must be 1 to 256 characters, is 'NaN'"),
    14: (b"u1,a\0b,1700000000,click,,", "line must be text, has a NUL byte"),
    15: (b'u1,"a,1700000000,click,,', "quote must be closed"),
    16: (b"u1," + b"x" * 10_000_000 + b",1700000000,click,,", "line must be at most 1,048,576 bytes, is 10,000,022"),
    17: (b"u1,a,-1700000000,click,,", "timestamp_ms must be a time from 1970 on"),
    18: (b"u1," + b"y" * 300 + b",1700000000,click,,", "item must be 1 to 256 characters"),
    19: (b"u1,a,1e400,click,,", "timestamp_ms must be a time"),
}


def bad_log(tmp_path):
    lines = [b"user,item,timestamp,kind,watch_ms,value", b"u1,a,1700000000,click,,", b"u2,b,1700000001,like,,"]
    lines += [line for line, _ in BAD_ROWS.values()]
    lines += [b"u3,a,1700000002,click,,", b'u4,"b",1700000003,watch,900,2.5']
    return write(tmp_path / "bad.csv", b"\n".join(lines) + b"\n")


@pytest.mark.parametrize("block_bytes", [400, 8 * 2**20])
def test_every_bad_row_is_listed_and_every_good_row_is_in(store, tmp_path, files, block_bytes):
    folder = tmp_path / "rejects"
    path = bad_log(tmp_path)
    report = ingest(store=store, items=files["items"], events=path, rejects_folder=folder, block_bytes=block_bytes)
    assert report.counts["events"] == WriteCounts(new=4, rejected=len(BAD_ROWS))
    assert store.users()["id"].to_list() == ["u1", "u2", "u3", "u4"]
    found = listed(folder)
    assert [one["row"] for one in found] == list(BAD_ROWS)
    assert {one["file"] for one in found} == {str(path)}
    for one, (_, reason) in zip(found, BAD_ROWS.values(), strict=True):
        assert reason in one["reason"]
        assert len(one["reason"]) < 400
        assert one["raw"]
        assert len(one["raw"]) <= 200
    assert store.summary().num_rejects == len(BAD_ROWS)


def test_strict_refuses_the_file_and_names_the_first_bad_rows(store, tmp_path, files):
    path = bad_log(tmp_path)
    message = r"bad rows \([0-9]+\): .*bad.csv' row 3: timestamp_ms must be .*; this run took the first 0 rows of "
    with pytest.raises(DataError, match=message):
        ingest(store=store, items=files["items"], events=path, strict=True)
    assert store.summary().num_events == 0
    assert store.summary().num_rejects == 0
    assert store.summary().num_items == 2


def test_strict_says_how_much_of_a_long_file_is_in(store, tmp_path, files):
    good = "".join(f"u{number},a,{number},click\n" for number in range(500))
    path = write(tmp_path / "log.csv", "user,item,timestamp,kind\n" + good + "u1,unknown,5,click\n" + "u1,a,7,like\n")
    with pytest.raises(
        DataError, match=r"row 501: item must be in the catalogue, is 'unknown'.* took the first 4[0-9]{2} rows of"
    ):
        ingest(store=store, items=files["items"], events=path, strict=True, block_bytes=500)
    reached = store.summary().num_events
    assert 400 < reached <= 500
    write(path, "user,item,timestamp,kind\n" + good + "u1,a,7,like\n")
    counts = ingest(store=store, events=path, strict=True).counts["events"]
    assert counts == WriteCounts(new=501 - reached, known=reached)


def test_bad_items_and_users_are_listed(store, tmp_path):
    items = write(
        tmp_path / "items.csv",
        "id,title,duration_ms,media_path,hidden,published_at,categories,attributes\n"
        "a,First,1000,x/a.mp4,0,2024-01-01,p|q,\n"
        "a,Again,1000,,,,,\n"
        "b,,0,,,,,\n"
        "c,,,../../etc/passwd,,,,\n"
        "d,,,/etc/passwd,,,,\n"
        "e,,,,maybe,,,\n"
        "f,,,,,never,,\n"
        "g,,,,,,[broken,\n"
        'h,,,,,,,"[1]"\n'
        ",no id,,,,,,\n"
        "i,,,,,,,\n",
    )
    users = write(tmp_path / "users.jsonl", '{"id": "u", "age": 3}\n{"id": "u", "age": 4}\n{"age": 4}\n[]\n{"id": 5}\n')
    counts = ingest(store=store, items=items, users=users, media_root=tmp_path, rejects_folder=tmp_path / "r").counts
    assert counts["items"] == WriteCounts(new=2, rejected=9)
    assert counts["users"] == WriteCounts(new=2, rejected=3)
    assert store.item("a").title == "First"
    assert store.user("u").attributes == {"age": 3}
    reasons = {(one["kind"], one["row"]): one["reason"] for one in listed(tmp_path / "r")}
    assert "item id must occur once in a file, 'a' occurs again; the first row stands" in reasons["item", 2]
    assert "duration_ms must be > 0 milliseconds, is '0'" in reasons["item", 3]
    assert "media_path must stay inside the media folder, '../../etc/passwd' leads out" in reasons["item", 4]
    assert "'/etc/passwd' is absolute" in reasons["item", 5]
    assert "hidden must be true or false, is 'maybe'" in reasons["item", 6]
    assert "published_at must be a time" in reasons["item", 7]
    assert "categories must be a list" in reasons["item", 8]
    assert "attributes must be a JSON object" in reasons["item", 9]
    assert "id must be 1 to 256 characters, is empty" in reasons["item", 10]
    assert "user id must occur once" in reasons["user", 2]
    assert "id must be 1 to 256 characters, is empty" in reasons["user", 3]
    assert "line must be a JSON object, is list" in reasons["user", 4]
    again = ingest(store=store, items=items, users=users, media_root=tmp_path).counts
    assert again["items"] == WriteCounts(known=2, rejected=9)
    assert len(store.rejects()) == 12


def test_parquet_columns_are_judged_like_text(store, tmp_path):
    pl.DataFrame(
        {
            "user": ["u", None, "u", "u", "u"],
            "item": ["a"] * 5,
            "timestamp": [1.7e9, 1.7e9, float("nan"), 1.7e9, 1.7e9],
            "propensity": [0.5, 0.5, 0.5, 0.0, float("nan")],
            "position": [1.0, 2.0, 3.0, 4.0, float("nan")],
        }
    ).write_parquet(tmp_path / "log.parquet")
    counts = ingest(store=store, events=tmp_path / "log.parquet").counts["events"]
    assert counts == WriteCounts(new=2, rejected=3)
    reasons = [(one.row, one.reason) for one in store.rejects()]
    assert reasons[0] == (2, "user must be 1 to 256 characters, is empty")
    assert reasons[1][0] == 3
    assert reasons[2] == (4, "propensity must be in (0, 1], is 0.0")
    assert store.events()["propensity"].to_list() == [0.5, None]


@pytest.mark.parametrize(
    ("content", "events", "rejected"), [("", 0, 1), ("user,item,timestamp\n", 0, 0), ("user,item,timestamp", 0, 0)]
)
def test_an_empty_file_is_set_aside_and_a_header_alone_is_no_fault(store, tmp_path, content, events, rejected):
    path = write(tmp_path / "log.csv", content)
    counts = ingest(store=store, events=path).counts["events"]
    assert counts == WriteCounts(new=events, rejected=rejected)
    assert ingest(store=store, events=path).counts["events"] == counts


def test_nothing_is_written_where_one_of_the_files_cannot_be_opened(store, files, tmp_path):
    with pytest.raises(DataError, match="there is none"):
        ingest(store=store, items=files["items"], events=tmp_path / "missing.csv")
    with pytest.raises(DataError, match="must have a column 'item'"):
        ingest(store=store, items=files["items"], events=write(tmp_path / "x.csv", "user,when\n"))
    with pytest.raises(DataError, match="must be a folder of video files"):
        ingest(store=store, items=files["items"], videos=tmp_path / "missing")
    assert store.summary().num_items == 0


def test_nothing_to_read_is_an_error(store):
    with pytest.raises(DataError, match="ingest must have something to read"):
        ingest(store=store)


def test_a_mapping_is_used_or_refused(store, tmp_path, files):
    log = write(tmp_path / "log.csv", "viewer;film;when\nu;a;5\n")
    mapping = {"viewer": "user", "film": "item", "when": "timestamp_ms"}
    assert ingest(store=store, events=log, mapping=mapping).counts["events"].new == 1
    with pytest.raises(DataError, match="mapping 'watcher=user' must name a column of a file, no file has 'watcher'"):
        ingest(store=store, events=files["events"], mapping={"watcher": "user"})
    with pytest.raises(ConfigError, match="must name one of our columns"):
        ingest(store=store, events=log, mapping={"film": "movie"})


def test_videos_find_the_items_that_own_them(store, tmp_path):
    clips = tmp_path / "clips"
    for name in ("x/v1.mp4", "x/v2.mp4", "new.mp4"):
        write(clips / name, "x")
    items = write(tmp_path / "items.csv", "id,title,media_path\nv1,One,\nsecond,Two,x/v2.mp4\n")
    for _ in range(2):
        ingest(store=store, items=items, videos=clips)
        assert [store.item(one) for one in ("v1", "second", "new")] == [
            Item("v1", title="One", media_path="x/v1.mp4"),
            Item("second", title="Two", media_path="x/v2.mp4"),
            Item("new", title="New", media_path="new.mp4"),
        ]
        assert store.summary().num_items == 3
        version = store.version()
    assert ingest(store=store, items=items, videos=clips).version == version


def test_a_clip_that_was_mended_is_no_longer_listed(store, tmp_path):
    clips = tmp_path / "clips"
    write(clips / "a.mp4", "")
    assert ingest(store=store, videos=clips).counts["items"] == WriteCounts(rejected=1)
    assert [one.kind for one in store.rejects()] == ["clip"]
    with pytest.raises(DataError, match=r"clip must be a video file, is empty"):
        ingest(store=store, videos=clips, strict=True)
    write(clips / "a.mp4", "x")
    assert ingest(store=store, videos=clips).counts["items"] == WriteCounts(new=1)
    assert store.rejects() == []


def test_a_public_set_comes_in_by_its_name(store, data_dir):
    report = ingest(store=store, source=("movielens-100k", data_dir / "ml-100k"))
    assert {kind: counts.new for kind, counts in report.counts.items()} == {
        "items": 1682,
        "users": 943,
        "events": 100_000,
    }
    assert store.item("1").title == "Toy Story (1995)"
    first = store.events(columns=["user", "item", "timestamp_ms"]).row(0)
    assert first == (store.user_number("259"), store.item_number("255"), 874_724_710_000)


def test_rejects_of_two_files_of_one_name_share_a_list(store, tmp_path):
    for place in ("x", "y"):
        ingest(store=store, events=write(tmp_path / place / "my log.csv", EVENTS + f"u{place},b,soon,like\n"))
    (path,) = write_rejects(store, tmp_path / "rejects")
    assert path.name == "my_log.csv.jsonl"
    assert len(listed(tmp_path / "rejects")) == 2
    assert [one.name for one in (tmp_path / "rejects").iterdir()] == ["my_log.csv.jsonl"]
