"""Searching a project: real clips in other containers, pictures cut from them, and texts by meaning."""

import shutil
from dataclasses import replace

import av
import numpy as np
import polars as pl
import pytest
from PIL import Image

from kinema.encoders.weights import find_checkpoint
from kinema.errors import DataError, MissingExtraError, NotBuiltError, StaleArtifactError
from kinema.extras import is_installed
from kinema.project import Project
from kinema.steps import bridges, query_media, searching

CLIPS = {"drums": "containers/demo.mp4", "small": "real/small.mp4", "phone": "real/carphone_pristine.mp4"}
CLIPS |= {"archer": "microvideo/archery.mp4", "cut": "real/shot_change.mp4", "face": "real/single_face.mp4"}
TEXTS = {
    "drums": ("Percussion practice", "a young man plays rhythms in his room"),
    "small": ("Brick by brick", "toy figures are put together"),
    "phone": ("Carphone", "somebody talks in a moving vehicle"),
    "archer": ("Bow number 77", "arrows fly to the target"),
    "cut": ("Two shots", "the scene changes in the middle"),
    "face": ("Portrait", "a person looks into the camera"),
}


def needs(name):
    package = find_checkpoint(name).module
    return pytest.mark.skipif(not is_installed(package), reason=f"the weights of {name} are not installed")


def add_items(project, folder, rows):
    pl.DataFrame(rows).write_csv(folder / "items.csv")
    project.ingest(items=folder / "items.csv")


@pytest.fixture(scope="module")
def shop(data_dir, tmp_path_factory):
    """Six real clips with texts, extracted at small settings."""
    if not is_installed(find_checkpoint("packaged:efficientnet-lite0").module):
        pytest.skip("the weights of packaged:efficientnet-lite0 are not installed")
    folder = tmp_path_factory.mktemp("search")
    (folder / "videos").mkdir()
    for name, place in CLIPS.items():
        shutil.copy(data_dir / "clips" / place, folder / "videos" / f"{name}.mp4")
    project = Project.init(folder / "shop")
    (folder / "shop" / "kinema.toml").write_text(
        "[media]\nnum_frames = 4\n[limits]\nmax_clip_seconds = 20\n[runtime]\nworkers = 1\n"
    )
    project = Project.open(folder / "shop")
    rows = [
        {"id": name, "title": title, "description": more, "media_path": f"{name}.mp4"}
        for name, (title, more) in TEXTS.items()
    ]
    pl.DataFrame(rows).write_csv(folder / "items.csv")
    project.ingest(videos=folder / "videos", items=folder / "items.csv")
    project.extract()
    yield project
    project.close()


def ids(found):
    return [item.id for item in found.items]


@pytest.mark.parametrize("file", ["containers/demo.avi", "containers/demo.wmv"])
def test_a_clip_finds_itself_in_another_container_first(shop, data_dir, file):
    found = shop.search(clip=data_dir / "clips" / file, num_items=3)
    assert ids(found)[0] == "drums"
    assert found.weights.keys() >= {"frames", "motion"}
    assert "looks like the clip" in found.items[0].why
    assert found.items[0].score > 1.5 * abs(found.items[1].score)


def test_a_picture_finds_the_clip_it_was_cut_from(shop, data_dir, tmp_path):
    with av.open(str(data_dir / "clips" / CLIPS["archer"])) as container:
        frame = next(one for number, one in enumerate(container.decode(video=0)) if number == 40)
    Image.fromarray(frame.to_ndarray(format="rgb24")).save(tmp_path / "archer.jpg", quality=80)
    found = shop.search(image=tmp_path / "archer.jpg")
    assert ids(found)[0] == "archer"
    assert found.weights == {"frames": 1.0}


@needs("packaged:minilm")
@pytest.mark.parametrize(
    ("query", "item"),
    [("drummer", "drums"), ("human face closeup", "face"), ("driving in a car on the phone", "phone")],
)
def test_a_paraphrase_finds_its_item(shop, query, item):
    assert ids(shop.search(query))[0] == item


def test_a_name_and_a_number_find_their_item(shop):
    for query in ("carphone", "bow 77", "Portrait", "face"):
        assert ids(shop.search(query))[0] == {"carphone": "phone", "bow 77": "archer"}.get(query, "face")


def test_the_encoder_is_loaded_once_and_the_index_is_kept(shop):
    shop.search("percussion")
    before = bridges.load_query_encoder.cache_info().misses, searching.search_index.cache_info().misses
    shop.search("toys")
    assert (bridges.load_query_encoder.cache_info().misses, searching.search_index.cache_info().misses) == before


def test_a_missing_text_encoder_leaves_the_words_and_says_so(shop, monkeypatch):
    def missing(place, device):
        raise MissingExtraError("run: pip install it")

    monkeypatch.setattr(bridges, "load_query_encoder", missing)
    found = shop.search("portrait")
    assert ids(found) == ["face"]
    assert "words are compared, not their meaning: run: pip install it" in found.notice


def test_another_text_encoder_than_the_items_leaves_the_words_and_says_so(shop, monkeypatch):
    monkeypatch.setattr(searching.TextQueries, "fingerprint", "another")
    assert (
        "text vectors come from another encoder than kinema.toml names; run: kinema extract"
        in shop.search("portrait").notice
    )


def test_other_media_settings_than_the_items_are_refused(shop, data_dir, tmp_path, monkeypatch):
    Image.fromarray(np.zeros((20, 20, 3), dtype=np.uint8)).save(tmp_path / "black.png")
    media = shop.settings.media.model_copy(update={"num_frames": 1})
    monkeypatch.setattr(shop, "settings", shop.settings.model_copy(update={"media": media}))
    with pytest.raises(
        StaleArtifactError, match="the frames vectors come from another encoder or other media settings"
    ):
        shop.search(image=tmp_path / "black.png")
    with pytest.raises(
        StaleArtifactError, match="the frames vectors come from another encoder or other media settings"
    ):
        shop.search(clip=data_dir / "clips" / CLIPS["small"])


def test_files_that_are_not_what_they_should_be_are_refused(shop, tmp_path, monkeypatch):
    (tmp_path / "fake.png").write_text("no picture")
    (tmp_path / "fake.mp4").write_text("no clip")
    Image.fromarray(np.zeros((40, 40, 3), dtype=np.uint8)).save(tmp_path / "black.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "black.png").read_bytes()[:60])
    for name in ("fake.png", "half.png"):
        with pytest.raises(
            DataError, match=f"cannot read picture '{name}': not a whole JPEG, PNG.* file; a video is given as a clip"
        ):
            shop.search(image=tmp_path / name)
    with pytest.raises(DataError, match=r"cannot read picture 'none.png': there is no such file"):
        shop.search(image=tmp_path / "none.png")
    with pytest.raises(DataError, match=r"cannot decode 'none.mp4': there is no such file"):
        shop.search(clip=tmp_path / "none.mp4")
    with pytest.raises(DataError, match=r"cannot decode 'fake.mp4'.*read$"):
        shop.search(clip=tmp_path / "fake.mp4")
    limits = shop.settings.limits.model_copy(update={"max_clip_pixels": 1024})
    monkeypatch.setattr(shop, "settings", shop.settings.model_copy(update={"limits": limits}))
    with pytest.raises(DataError, match=r"picture 'black.png' must have at most 1,024 pixels, has 40 x 40"):
        shop.search(image=tmp_path / "black.png")


def test_a_clip_without_anything_to_compare_is_refused(shop, data_dir, monkeypatch):
    nothing = {"motion": replace(shop.slates().dataset.features["motion"], present_V=np.array([False]))}
    monkeypatch.setattr(query_media, "_extract_one", lambda *args, **settings: (nothing, None))
    with pytest.raises(DataError, match=r"clip 'small.mp4' must have motion to be compared by, has none"):
        shop.search(clip=data_dir / "clips" / CLIPS["small"])


def test_what_a_project_lacks_is_said(tmp_path):
    Image.fromarray(np.zeros((20, 20, 3), dtype=np.uint8)).save(tmp_path / "black.png")
    (tmp_path / "a.mp4").write_text("a clip")
    with Project.init(tmp_path / "bare") as project:
        with pytest.raises(NotBuiltError, match="the catalogue is empty; run: kinema ingest"):
            project.search("otters")
        add_items(
            project, tmp_path, {"id": ["v1", "v2"], "title": ["Otters", "Kites"], "published_at": [None, "2026-02-01"]}
        )
        with pytest.raises(
            DataError, match=r"num_items must be a whole number in 1..1000, got 0 in the search by the clip"
        ):
            project.search(clip=tmp_path / "a.mp4", num_items=0)
        with pytest.raises(DataError, match=r"user_weight must be in \[0, 1\], got 2 in the search for 'otters'"):
            project.search("otters", image=tmp_path / "none.png", user_weight=2)
        found = project.search("otters")
        assert (ids(found), found.user) == (["v1"], "")
        assert "no text vectors: words are compared, not their meaning; run: kinema extract" in found.notice
        assert ids(project.search("kites", published_since="2026-01-31")) == ["v2"]
        with pytest.raises(
            DataError, match="published_since must be a date such as 2026-01-31 or UTC milliseconds, is 'soon'"
        ):
            project.search("kites", published_since="soon")
        with pytest.raises(NotBuiltError, match="a picture is compared with frames, and no clip has any yet"):
            project.search(image=tmp_path / "black.png")
        with pytest.raises(NotBuiltError, match="a clip is compared with frames and motion, and no clip has any yet"):
            project.search(clip=tmp_path / "a.mp4")
