"""The whole road on a small town: files on disk to slates and a report, by the commands a user types."""

import json
import re
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.project import Project
from kinema.sources.town.write import generate


def kinema(*arguments, cwd):
    """A command in a process of its own, as a user starts it."""
    command = [sys.executable, "-m", "kinema.cli.main", *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.fixture(name="told")
def what_is_told(world, monkeypatch):
    """What a command says on standard output, run in this process from the folder of the world."""

    def run(*arguments):
        monkeypatch.chdir(world)
        done = CliRunner().invoke(main, [str(one) for one in arguments], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    return run


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A town of 30 clips, ingested, extracted and pre-trained by the command line in a project called shop."""
    folder = tmp_path_factory.mktemp("road")

    def work(*arguments):
        done = kinema(*arguments, cwd=folder)
        assert done.returncode == 0, done.stderr

    generate(folder / "town", seed=3, num_clips=30, num_users=80, num_events=2000, workers=1)
    work("init", "shop")
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
    work("ingest", *files, "--json")
    work("extract")
    work("pretrain", "--seed", "1")
    return folder


def test_ingesting_the_same_files_again_changes_nothing(world, told):
    town = world / "town"
    with Project.open(world / "shop") as project:
        before = project.store.version()
    files = ("--items", town / "items.csv", "--events", town / "events.parquet")
    counts = json.loads(told("ingest", *files, "--json"))["counts"]
    assert all(one["new"] == 0 and one["rejected"] == 0 for one in counts.values())
    with Project.open(world / "shop") as project:
        assert project.store.version() == before


def test_check_tells_what_is_in_the_store(world, told):
    report = json.loads(told("check", "--json"))
    assert report["summary"]["num_items"] == 30
    assert report["num_with_media"] == 30
    assert report["rejects"] == []
    people = told("check")
    assert "30 (30 with media, 0 hidden)" in people


def test_a_second_extraction_finds_everything_cached(world, told):
    counts = json.loads(told("extract", "--json", "--quiet"))["counts"]
    assert {name: counts[name]["cached"] for name in ("text", "frames", "motion")} == {
        "text": 30,
        "frames": 30,
        "motion": 30,
    }
    assert all(one["computed"] == one["failed"] == 0 for one in counts.values())


def test_a_second_pretraining_with_the_same_seed_is_kept_and_with_another_is_not(world, told):
    assert json.loads(told("pretrain", "--seed", "1", "--json"))["reused"] is True


def test_recommendations_leave_out_what_was_seen_and_say_why(world, told):
    with Project.open(world / "shop") as project:
        dataset = project.dataset()
        user = int(dataset.histories.lengths.argmax())
        seen = {dataset.item_ids[item] for item in dataset.histories.of(user)}
        name = dataset.users["id"][user]
        slate = project.recommend(name, num_items=5)
    done = kinema("recommend", name, "-n", "5", "--json", cwd=world)
    assert done.returncode == 0, done.stderr
    assert [one["id"] for one in json.loads(done.stdout)["items"]] == [one.id for one in slate.items]
    assert not seen & {one.id for one in slate.items}
    assert len(slate.items) == 5
    assert all(one.reason for one in slate.items)
    people = told("recommend", name, "-n", "5", "--explain")
    assert "because" in people
    assert "how it came about" in people


def test_an_unknown_user_gets_an_answer_and_is_told_what_it_is(world, told):
    slate = json.loads(told("recommend", "nobody", "--json"))
    assert len(slate["items"]) == 10
    assert "nobody" in slate["notice"]


def test_an_unknown_item_is_an_error_that_helps(world):
    done = kinema("similar", "no_such_clip", "--json", cwd=world)
    assert done.returncode == 1
    assert done.stderr.startswith("error: unknown item 'no_such_clip'")
    assert json.loads(done.stdout)["error"] == "DataError"


def test_a_new_item_finds_its_audience_and_its_like(world, told):
    with Project.open(world / "shop") as project:
        dataset = project.dataset()
        cold = dataset.item_ids[int(dataset.published_ms_V.argmax())]
    assert len(json.loads(told("audience", cold, "-n", "7", "--json"))["members"]) == 7
    assert len(json.loads(told("similar", cold, "-n", "4", "--json"))["items"]) == 4


def test_a_clip_dropped_in_is_recommendable_without_training(world, told):
    town, shop = world / "town", world / "shop"
    some = next((town / "videos").rglob("*.mp4"))
    shutil.copyfile(some, town / "videos" / "dropped_in.mp4")
    told("ingest", "--videos", town / "videos")
    told("extract")
    with Project.open(shop) as project:
        like = [one.id for one in project.similar("dropped_in", num_items=3).items]
        original = project.store.items().filter(
            project.store.items()["media_path"] == some.relative_to(town / "videos").as_posix()
        )
        assert original["id"][0] in like
        assert project.audience("dropped_in", num_users=3).members


def test_users_with_attributes_unknown_to_the_model_are_answered(world, told):
    (world / "late.csv").write_text("id,country,shoe_size\nlate_user,atlantis,44\nother_user,de,38\n")
    told("ingest", "--users", world / "late.csv")
    slate = json.loads(told("recommend", "late_user", "-n", "3", "--json"))
    assert len(slate["items"]) == 3


def test_an_evaluation_writes_a_report_that_stands_alone(world, told):
    report = json.loads(told("evaluate", "--protocol", "temporal", "--json"))
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
