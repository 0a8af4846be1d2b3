"""Real clips with subtitles, from files on disk to search answers, by the commands a user types and from Python."""

import json
import shutil
import subprocess
import sys

import polars as pl
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.encoders.weights import find_checkpoint
from kinema.extras import is_installed
from kinema.project import Project
from subtitled import srt, with_track

CLIPS = {
    "c1": "real/small.mp4",
    "c2": "real/carphone_pristine.mp4",
    "c3": "real/shot_change.mp4",
    "c4": "containers/demo.mkv",
    "c5": "real/single_face.mp4",
    "c6": "real/park.mp4",
}
ROCKETS = ["The countdown has begun.", "The rocket lifts off towards the moon.", "Mission control, we have ignition."]
BREAD = ["Knead the dough for ten minutes.", "Let the yeast do its work.", "Then bake the loaf until it is golden."]
BEES = ["The queen lays her eggs.", "Worker bees carry pollen home.", "That is how honey is made."]
SETTINGS = '[encoders]\nframes = ""\nsound = ""\n[limits]\nmax_clip_seconds = 3\n[runtime]\nworkers = 1\n'


def kinema(shop, *arguments):
    done = CliRunner().invoke(main, [*map(str, arguments), "-p", str(shop)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def world(tmp_path_factory, data_dir):
    """Six real clips without a title that tells anything, four of which are spoken in, and sixty users with a taste for it."""
    if not is_installed(find_checkpoint("packaged:minilm").module):
        pytest.skip("the weights of packaged:minilm are not installed")
    folder = tmp_path_factory.mktemp("spoken")
    clips = folder / "clips"
    (clips / "said").mkdir(parents=True)
    for name, place in CLIPS.items():
        shutil.copy(data_dir / "clips" / place, clips / f"{name}{place[-4:]}")
    (clips / "c1.srt").write_text(srt(*ROCKETS))
    (clips / "c2.en.vtt").write_text("WEBVTT\n\n" + srt(*BREAD).replace(",", "."))
    (clips / "said" / "third.srt").write_text(srt(*BEES), encoding="utf-16")
    with_track(clips / "c4.mkv", srt("Astronauts float in orbit.", "The spacecraft circles the earth."))
    (clips / "c5.srt").write_bytes(b"\x00\xff" * 500)
    rows = {"id": list(CLIPS), "transcript": [None, None, "said/third.srt", None, None, None]}
    pl.DataFrame(rows).write_csv(folder / "items.csv")
    kinds = [("c1", "c4"), ("c2", "c3"), ("c5", "c6")]
    log = [
        (f"u{n}", item, 1_700_000_000 + 60 * (2 * n + place))
        for n in range(60)
        for place, item in enumerate(kinds[n % 3])
    ]
    log += [("u1000", "c1", 1_700_100_000)]
    pl.DataFrame(log, schema=["user", "item", "timestamp"], orient="row").write_csv(folder / "events.csv")
    shop = folder / "shop"
    subprocess.run([sys.executable, "-m", "kinema.cli.main", "init", str(shop)], check=True, capture_output=True)
    (shop / "kinema.toml").write_text(SETTINGS + "[flm]\nmax_epochs = 2\n")
    kinema(shop, "ingest", "--videos", clips, "--items", folder / "items.csv", "--events", folder / "events.csv")
    report = json.loads(kinema(shop, "extract", "--json", "--quiet"))
    return folder, report


def test_the_extraction_says_what_it_has_read(world):
    _, report = world
    assert report["counts"]["transcript"] == {"computed": 4, "cached": 0, "missing": 1, "failed": 1}
    assert "4 of 6 items have a transcript (en 2, language unknown 2)" in report["notices"]
    (reject,) = report["rejects"]
    assert (reject["kind"], reject["file"], reject["raw"]) == ("transcript", "c5.srt", "item c5")


@pytest.mark.parametrize(
    ("query", "item", "why"),
    [
        ("mission control", "c1", "off towards the moon. Mission control, we have ignition.'"),
        ("baking at home", "c2", "what is said in the clip is among the nearest in meaning"),
        ("insects and flowers", "c3", "what is said in the clip is among the nearest in meaning"),
    ],
)
def test_words_find_what_is_said(world, query, item, why):
    answer = json.loads(kinema(world[0] / "shop", "search", query, "--json", "-n", "3"))
    assert answer["items"][0]["id"] == item
    assert why in answer["items"][0]["why"]
    assert answer["weights"]["transcript"] == 0.7
    assert "transcript" in answer["items"][0]["evidence"]["cosine"]


def test_like_clips_are_found_by_what_is_said_in_them(world):
    with Project.open(world[0] / "shop") as project:
        assert project.similar("c1", num_items=2, modality="transcript").items[0].id == "c4"
        found = project.search("", clip=world[0] / "clips" / "c1.mp4", num_items=1)
        assert found.items[0].id == "c1"


def test_the_model_learns_from_it_and_a_new_clip_brings_its_own(world, data_dir, tmp_path):
    from kinema.flm.model import FLM  # noqa: PLC0415  # torch only where it is used

    shop = world[0] / "shop"
    kinema(shop, "pretrain", "--quiet")
    assert "transcript" in FLM.load(shop / "artifacts" / "flm").whitenings
    clip = shutil.copy(data_dir / "clips" / "real" / "bikes.mp4", tmp_path / "new.mp4")
    (tmp_path / "new.en.srt").write_text(srt("The capsule returns from space.", "The rocket has landed."))
    answer = json.loads(kinema(shop, "ingest", "--videos", clip, "--live", "--json", "--quiet"))
    assert [one["reason"] for one in answer["items"]] == [""]
    with Project.open(shop) as project:
        name = answer["items"][0]["id"]
        row = project.store.items()["id"].to_list().index(name)
        assert project.dataset().features["transcript"].present_V[row]
        assert {one.id for one in project.similar(name, num_items=2, modality="transcript").items} <= {
            "c1",
            "c2",
            "c3",
            "c4",
        }
        assert name in {one.id for one in project.search("space rocket", num_items=3).items}
        slate = project.recommend("u1000", num_items=5)
        assert len(slate.items) == 5
