"""The whole road on a small town: files on disk to slates and a report, by the commands a user types."""

import json
import re
import shutil
import subprocess
import sys

import pytest

from kinema.project import Project
from kinema.sources.town.write import generate


def kinema(*arguments, cwd, check=True):
    done = subprocess.run(
        [sys.executable, "-m", "kinema.cli.main", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A town of 40 clips, ingested, extracted and pre-trained by the command line in a project called shop."""
    folder = tmp_path_factory.mktemp("road")
    generate(folder / "town", seed=3, num_clips=40, num_users=120, num_events=5000, workers=1)
    kinema("init", "shop", cwd=folder)
    with (folder / "shop" / "kinema.toml").open("a") as stream:
        stream.write("\n")
    settings = (folder / "shop" / "kinema.toml").read_text()
    settings = settings.replace("# max_epochs = (automatic)", "max_epochs = 6").replace(
        "# num_frames = 8", "num_frames = 4"
    )
    (folder / "shop" / "kinema.toml").write_text(
        settings.replace("# bootstrap_samples = 1000", "bootstrap_samples = 50")
    )
    town = folder / "town"
    files = ["--videos", town / "videos", "--items", town / "items.csv", "--users", town / "users.csv"]
    files += ["--events", town / "events.parquet"]
    kinema("ingest", *files, "--json", cwd=folder)
    kinema("extract", cwd=folder)
    kinema("pretrain", "--seed", "1", cwd=folder)
    return folder


def test_ingesting_the_same_files_again_changes_nothing(world):
    town = world / "town"
    with Project.open(world / "shop") as project:
        before = project.store.version()
    done = kinema("ingest", "--items", town / "items.csv", "--events", town / "events.parquet", "--json", cwd=world)
    counts = json.loads(done.stdout)["counts"]
    assert all(one["new"] == 0 and one["rejected"] == 0 for one in counts.values())
    with Project.open(world / "shop") as project:
        assert project.store.version() == before


def test_check_tells_what_is_in_the_store(world):
    report = json.loads(kinema("check", "--json", cwd=world).stdout)
    assert report["summary"]["num_items"] == 40
    assert report["num_with_media"] == 40
    assert report["rejects"] == []
    people = kinema("check", cwd=world).stdout
    assert "40 (40 with media, 0 hidden)" in people


def test_a_second_extraction_finds_everything_cached(world):
    counts = json.loads(kinema("extract", "--json", "--quiet", cwd=world).stdout)["counts"]
    assert {name: counts[name]["cached"] for name in ("text", "frames", "motion")} == {
        "text": 40,
        "frames": 40,
        "motion": 40,
    }
    assert all(one["computed"] == one["failed"] == 0 for one in counts.values())


def test_a_second_pretraining_with_the_same_seed_is_kept_and_with_another_is_not(world):
    assert json.loads(kinema("pretrain", "--seed", "1", "--json", cwd=world).stdout)["reused"] is True


def test_recommendations_leave_out_what_was_seen_and_say_why(world):
    with Project.open(world / "shop") as project:
        dataset = project.dataset()
        user = int(dataset.histories.lengths.argmax())
        seen = {dataset.item_ids[item] for item in dataset.histories.of(user)}
        name = dataset.users["id"][user]
        slate = project.recommend(name, num_items=5)
    told = json.loads(kinema("recommend", name, "-n", "5", "--json", cwd=world).stdout)
    assert [one["id"] for one in told["items"]] == [one.id for one in slate.items]
    assert not seen & {one.id for one in slate.items}
    assert len(slate.items) == 5
    assert all(one.reason for one in slate.items)
    people = kinema("recommend", name, "-n", "5", "--explain", cwd=world).stdout
    assert "because" in people
    assert "how it came about" in people


def test_an_unknown_user_gets_an_answer_and_is_told_what_it_is(world):
    slate = json.loads(kinema("recommend", "nobody", "--json", cwd=world).stdout)
    assert len(slate["items"]) == 10
    assert "nobody" in slate["notice"]


def test_an_unknown_item_is_an_error_that_helps(world):
    done = kinema("similar", "no_such_clip", "--json", cwd=world, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("error: unknown item 'no_such_clip'")
    assert json.loads(done.stdout)["error"] == "DataError"


def test_a_new_item_finds_its_audience_and_its_like(world):
    with Project.open(world / "shop") as project:
        dataset = project.dataset()
        cold = dataset.item_ids[int(dataset.published_ms_V.argmax())]
    assert len(json.loads(kinema("audience", cold, "-n", "7", "--json", cwd=world).stdout)["members"]) == 7
    assert len(json.loads(kinema("similar", cold, "-n", "4", "--json", cwd=world).stdout)["items"]) == 4


def test_a_clip_dropped_in_is_recommendable_without_training(world):
    town, shop = world / "town", world / "shop"
    some = next((town / "videos").rglob("*.mp4"))
    shutil.copyfile(some, town / "videos" / "dropped_in.mp4")
    kinema("ingest", "--videos", town / "videos", cwd=world)
    kinema("extract", cwd=world)
    with Project.open(shop) as project:
        like = [one.id for one in project.similar("dropped_in", num_items=3).items]
        original = project.store.items().filter(
            project.store.items()["media_path"] == some.relative_to(town / "videos").as_posix()
        )
        assert original["id"][0] in like
        assert project.audience("dropped_in", num_users=3).members


def test_users_with_attributes_unknown_to_the_model_are_answered(world):
    (world / "late.csv").write_text("id,country,shoe_size\nlate_user,atlantis,44\nother_user,de,38\n")
    kinema("ingest", "--users", world / "late.csv", cwd=world)
    slate = json.loads(kinema("recommend", "late_user", "-n", "3", "--json", cwd=world).stdout)
    assert len(slate["items"]) == 3


def test_an_evaluation_writes_a_report_that_stands_alone(world):
    report = json.loads(kinema("evaluate", "--protocol", "temporal", "--json", cwd=world).stdout)
    names = {one["name"] for one in report["results"]}
    assert {
        "popularity",
        "item-kNN",
        "EASE",
        "memory alone",
        "ID-only",
        "content-only",
        "FLM",
        "oracle",
        "chance",
    } <= names
    best = {one["name"]: one["rows"]["all"]["metrics"]["ndcg@10"]["mean"] for one in report["results"]}
    assert best["oracle"] == max(best.values())
    page = (world / "shop" / "artifacts" / "evaluation" / "temporal" / "report.html").read_text()
    assert "<svg" in page
    assert not re.search(r"""(src|href|url)\s*[=(]\s*["']?(https?:)?//""", page)
