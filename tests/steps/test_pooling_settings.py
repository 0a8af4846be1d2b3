"""`[encoders.pooling.MODALITY]`: what it makes of clips, and what searches make of it."""

import numpy as np
import pytest
from PIL import Image

from kinema.errors import ConfigError
from kinema.media.sampling import sample_frames
from kinema.project import Project
from kinema.settings import check_settings
from kinema.steps.dataset import read_tokens
from kinema.testing.clips import render_clip

PLAIN = '[encoders]\ntext = ""\nsound = ""\n[runtime]\nworkers = 1\n'
POOLED = PLAIN + '[encoders.pooling.frames]\nsegments = [1, 2]\nstatistics = ["mean", "max"]\n'


@pytest.fixture(scope="module", name="shop")
def made_shop(tmp_path_factory):
    """Four clips, extracted plainly and then with another pooling of frames; and what the second extraction counted."""
    folder = tmp_path_factory.mktemp("pooling")
    (folder / "clips").mkdir()
    for number in range(4):
        render_clip(folder / "clips" / f"c{number}.avi", seed=number, seconds=1.0, width=64, height=48)
    Project.init(folder / "shop").close()
    place = folder / "shop" / "kinema.toml"
    place.write_text(PLAIN)
    with Project.open(folder / "shop") as project:
        project.ingest(videos=folder / "clips")
        project.extract()
        width = project.dataset().features["frames"].vectors_VD.shape[1]
    place.write_text(POOLED)
    with Project.open(folder / "shop") as project:
        yield project, project.extract(), width


def test_vectors_are_pooled_from_the_tokens_that_are_there(shop):
    project, _, width = shop
    dataset = project.dataset()
    frames = dataset.features["frames"]
    assert frames.vectors_VD.shape == (4, 3 * 2 * width)
    one = read_tokens(project.artifacts / "features", dataset.items)["frames"].get([0])
    moments = one.tokens_MD.astype(np.float32)
    np.testing.assert_allclose(frames.vectors_VD[0, :width], moments.mean(axis=0), rtol=1e-3, atol=1e-3)
    np.testing.assert_allclose(frames.vectors_VD[0, width : 2 * width], moments.max(axis=0), rtol=1e-3, atol=1e-3)


def test_clips_and_pictures_that_are_searched_with_are_pooled_alike(shop):
    project, *_ = shop
    clip = project.folder.parent / "clips" / "c2.avi"
    assert project.search(clip=clip, num_items=1).items[0].id == "c2"
    Image.fromarray(sample_frames(clip, num_frames=1).array[0]).save(clip.with_name("c2.png"))
    assert project.search(image=clip.with_name("c2.png"), num_items=1).items[0].id == "c2"


def test_words_do_not_reach_such_vectors_and_the_search_says_so(shop):
    project, *_ = shop
    found = project.search("otter", num_items=1)
    assert "encoders.pooling.frames" in " ".join(one.text for one in found.notices)


def test_pictures_cannot_be_learnt_from_them(shop):
    project, *_ = shop
    with pytest.raises(
        ConfigError, match=r"reads the mean of a clip's frames, \[encoders.pooling.frames\] makes another"
    ):
        project.finetune.visual()


def test_a_pooling_of_what_has_no_encoder_is_left_out(shop):
    project, *_ = shop
    place = project.folder / "kinema.toml"
    place.write_text(POOLED.replace("pooling.frames", "pooling.sound"))
    with Project.open(project.folder) as quiet:
        assert "sound" not in quiet.extract().counts
    place.write_text(POOLED)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"frame": {}}, "a key of encoders.pooling must be 'frames', 'motion' or 'sound', is 'frame'"),
        ({"frames": {"segments": [0]}}, "encoders.pooling.frames.segments.0 must be greater than or equal to 1, is 0"),
        ({"frames": {"segments": []}}, "encoders.pooling: segments must name at least one, is empty"),
        ({"sound": {"statistics": ["median"]}}, "statistics.0 must be 'mean', 'max' or 'std', is 'median'"),
        ({"sound": {"parts": 2}}, "unknown key 'encoders.pooling.sound.parts'"),
    ],
)
def test_a_wrong_pooling_is_refused(wrong, message):
    with pytest.raises(ConfigError, match=message):
        check_settings({"encoders": {"pooling": wrong}})
