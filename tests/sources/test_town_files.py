"""A small town on disk: its files, its tables, and what happens when it is generated again."""

import shutil
from pathlib import Path

import av
import numpy as np
import polars as pl
import pytest

from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.schema import EVENT_COLUMNS, INTERACTION_KINDS, ITEM_COLUMNS
from kinema.sources.tables import open_table
from kinema.sources.town.truth import load_truth
from kinema.sources.town.write import TownReport, generate

SIZES = {"num_clips": 24, "num_users": 60, "num_events": 1500}
TABLES = ("items.csv", "users.csv", "events.parquet", "truth.npz", "truth.json", "town.json")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> TownReport:
    return generate(tmp_path_factory.mktemp("town") / "small", workers=1, **SIZES)


def _contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_report_counts_what_the_tables_hold(report):
    events = pl.read_parquet(report.folder / "events.parquet")
    items = pl.read_csv(report.folder / "items.csv")
    assert (report.num_clips, report.num_rendered) == (24, 24)
    assert len(items) == 24
    assert len(pl.read_csv(report.folder / "users.csv")) == report.num_users == 60
    assert report.num_events == len(events) == sum(report.kinds.values())
    assert 750 < report.num_events < 1800
    clicks = events.filter((pl.col("kind") == "click") & (pl.col("timestamp_ms") > report.cutoff_ms))
    assert report.num_test_clicks == len(clicks)
    cold = items.filter(pl.col("published_at") > report.cutoff_ms)["id"]
    assert report.num_cold == len(cold) == 2
    assert report.cold_click_share == pytest.approx(clicks["item"].is_in(cold.implode()).mean())


def test_the_folder_holds_the_tables_and_the_clips_and_nothing_else(report):
    names = set(_contents(report.folder))
    assert {name for name in names if not name.startswith("videos/")} == set(TABLES)
    assert len(names) == len(TABLES) + 24


def test_the_columns_are_those_of_the_schema(report):
    items = pl.read_csv(report.folder / "items.csv")
    events = pl.read_parquet(report.folder / "events.parquet")
    assert set(items.columns) <= set(ITEM_COLUMNS)
    assert set(events.columns) <= set(EVENT_COLUMNS)
    assert events["id"].is_unique().all()
    assert set(events["kind"]) & set(INTERACTION_KINDS) == {"click", "watch", "like"}
    assert set(events["item"]) <= set(items["id"])


@pytest.mark.parametrize(("kind", "name"), [("item", "items.csv"), ("user", "users.csv"), ("event", "events.parquet")])
def test_the_tables_are_read_like_anyones_without_a_reject(report, kind, name):
    table = open_table(report.folder / name, kind=kind, media_root=report.folder / "videos")
    blocks = list(table.read(0, 0))
    assert [reject for block in blocks for reject in block.rejects] == []
    expected = {"item": report.num_clips, "user": report.num_users, "event": report.num_events}
    assert sum(block.frame.height for block in blocks) == expected[kind]


def test_every_clip_decodes_to_its_length_and_all_containers_occur(report):
    items = pl.read_csv(report.folder / "items.csv")
    assert {path.rsplit(".")[-1] for path in items["media_path"]} == {"mp4", "avi", "flv"}
    codecs = set()
    for path, duration_ms in items.select("media_path", "duration_ms").iter_rows():
        with av.open(str(report.folder / "videos" / path)) as container:
            codecs.add((path.rsplit(".")[-1], container.streams.video[0].codec_context.name))
            frames = list(container.decode(video=0))
        assert 3000 <= duration_ms <= 6000
        assert len(frames) * 1000 / 12 == pytest.approx(duration_ms, abs=1)
        assert 128 <= frames[0].width <= 192
    assert codecs == {("mp4", "h264"), ("avi", "mpeg4"), ("flv", "flv")}


def test_the_same_seed_gives_the_same_files_byte_for_byte_whatever_the_number_of_workers(report, tmp_path):
    generate(tmp_path / "again", workers=2, **SIZES)
    first, second = _contents(report.folder), _contents(tmp_path / "again")
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


def test_clips_that_are_there_are_kept_and_missing_ones_are_rendered(report, tmp_path):
    folder = tmp_path / "town"
    shutil.copytree(report.folder, folder)
    before = _contents(folder)
    lost = sorted((folder / "videos").iterdir())[5]
    lost.unlink()
    (folder / "videos" / f".{lost.name}.part").write_bytes(b"half a clip")
    calls = []
    again = generate(
        folder, workers=1, progress=lambda done, total, note="": calls.append((done, total, note)), **SIZES
    )
    assert again.num_rendered == 1
    assert _contents(folder) == before
    assert calls[0] == (23, 24, "clips")
    assert calls[-1][2] == "sessions"


def test_another_seed_in_the_same_folder_replaces_the_clips(report, tmp_path):
    folder = tmp_path / "town"
    shutil.copytree(report.folder, folder)
    again = generate(folder, seed=8, workers=1, **(SIZES | {"num_events": 100}))
    assert again.num_rendered == 24
    assert len(list((folder / "videos").iterdir())) == 24
    assert load_truth(folder).seed == 8


def test_videos_that_no_town_has_written_are_left_alone(tmp_path):
    (tmp_path / "mine" / "videos").mkdir(parents=True)
    (tmp_path / "mine" / "videos" / "holiday.mp4").write_bytes(b"precious")
    with pytest.raises(DataError, match=r"'mine/videos' must be empty or hold a generated town.*choose another folder"):
        generate(tmp_path / "mine", **SIZES)
    assert (tmp_path / "mine" / "videos" / "holiday.mp4").read_bytes() == b"precious"


@pytest.mark.parametrize(
    ("name", "value", "lowest"),
    [("num_clips", 19, 20), ("num_users", 0, 1), ("num_events", 0, 1), ("workers", 0, 1), ("seed", -1, 0)],
)
def test_a_size_out_of_range_is_an_error_that_names_it(tmp_path, name, value, lowest):
    with pytest.raises(ConfigError, match=f"{name} of the town must be >= {lowest}, got {value}"):
        generate(tmp_path / "town", **(SIZES | {name: value}))
    assert not (tmp_path / "town").exists()


def test_the_truth_is_read_back_as_it_was_written(report):
    truth = load_truth(report.folder)
    items = pl.read_csv(report.folder / "items.csv")
    users = pl.read_csv(report.folder / "users.csv")
    assert truth.item_ids == tuple(items["id"])
    assert truth.user_ids == tuple(users["id"])
    assert truth.cutoff_ms == report.cutoff_ms
    assert np.array_equal(truth.world.published_ms_V, items["published_at"].to_numpy())
    clicks = pl.read_parquet(report.folder / "events.parquet").filter(pl.col("kind") == "click")
    assert [truth.item_ids[i] for i in truth.clicks.items_K] == clicks["item"].to_list()
    assert [truth.user_ids[i] for i in truth.clicks.users_K] == clicks["user"].to_list()


def test_a_folder_without_a_town_has_no_truth(tmp_path):
    with pytest.raises(
        NotBuiltError, match=r"must hold a generated town, truth\.npz or truth\.json is missing; run: kinema town"
    ):
        load_truth(tmp_path)
