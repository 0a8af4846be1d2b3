"""Files that belong to no project are found and encoded; what cannot be read is named."""

import pytest

from kinema.encoders.motion import MotionEncoder
from kinema.errors import ConfigError, DataError
from kinema.steps.clip_files import encode_clips, find_clips
from kinema.steps.clip_library import file_library
from kinema.tasks.clip_recipe import ClipRecipe
from kinema.testing.clips import render_clip

MOTION = ClipRecipe({"motion": "flow:dis"})


@pytest.fixture(scope="module", name="place")
def made_place(tmp_path_factory):
    place = tmp_path_factory.mktemp("clips")
    for folder, motion in (("left", "pan_left"), ("right", "pan_right")):
        (place / folder).mkdir()
        for number in range(2):
            render_clip(place / folder / f"{number}.mp4", motion=motion, seed=number, seconds=0.7, width=96, height=64)
    (place / "left" / "broken.mp4").write_text("not a clip")
    (place / "notes.doc").write_text("not a clip either")
    return place


def test_a_folder_stands_for_all_clips_below_it(place):
    found = find_clips([place])
    assert found.root == place.resolve()
    assert found.names == ("left/0.mp4", "left/1.mp4", "left/broken.mp4", "right/0.mp4", "right/1.mp4")
    assert ["notes.doc" in one.file for one in found.rejects] == [True]


def test_files_of_several_folders_are_named_from_the_folder_they_share(place):
    found = find_clips([place / "right" / "1.mp4", place / "left", place / "gone.mp4", place / "right" / "1.mp4"])
    assert found.root == place.resolve()
    assert found.names == ("right/1.mp4", "left/0.mp4", "left/1.mp4", "left/broken.mp4")
    assert f"clip '{place / 'gone.mp4'}' must be a file, there is none" in found.rejects[0].reason


def test_no_clip_at_all_is_refused(place, tmp_path):
    with pytest.raises(DataError, match=r"clips must be named, none is; give files or a folder"):
        find_clips([])
    with pytest.raises(DataError, match=r"must hold clips, holds none: clip '.*gone' must be a file, there is none"):
        find_clips([place / "gone"])
    with pytest.raises(DataError, match=r"must hold clips, holds none; check the path"):
        find_clips([tmp_path])


def test_a_broken_clip_is_named_and_the_others_go_on(place, tmp_path):
    found = encode_clips(find_clips([place]), MOTION, folder=tmp_path, workers=0)
    assert (found.tokens["motion"].lengths() > 0).tolist() == [True, True, False, True, True]
    reasons = [one.reason for one in found.rejects if one.file == "left/broken.mp4"]
    assert len(reasons) == 1
    assert "cannot decode 'left/broken.mp4'" in reasons[0]
    assert "text features" not in reasons[0]
    library = file_library([place], MOTION, cache=tmp_path, workers=0, encoders={"motion": MotionEncoder()})
    assert library.recipe.fingerprints == {"motion": found.tokens["motion"].encoder}


def test_an_unknown_encoder_is_named(place, tmp_path):
    with pytest.raises(ConfigError, match=r"flow:nothing"):
        encode_clips(find_clips([place]), ClipRecipe({"motion": "flow:nothing"}), folder=tmp_path, workers=0)
