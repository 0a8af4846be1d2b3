"""Changed copies of clips are encoded once, of what is learnt from alone, and only where the clips can be read as before."""

from dataclasses import replace

import numpy as np
import pytest

from kinema.encoders.clip_vectors import ClipRun
from kinema.encoders.motion import MotionEncoder
from kinema.errors import ConfigError, StaleArtifactError
from kinema.media.flow import CELL_STATISTICS
from kinema.sources.clip_labels import labels_from_names
from kinema.steps.clip_copies import encode_copies
from kinema.steps.clip_library import file_library
from kinema.steps.finetuning_clips import finetune_clips
from kinema.steps.finetuning_options import FitPlan
from kinema.tasks.clip_classes import ClipModel
from kinema.tasks.clip_recipe import ClipRecipe
from kinema.testing.clips import render_clip
from kinema.training.task_settings import TaskSettings

RIGHT = CELL_STATISTICS.index("right")
MOTION = ClipRecipe({"motion": "flow:dis"})
MOTIONS = {"to the left": "pan_left", "to the right": "pan_right"}


@pytest.fixture(scope="module", name="library")
def made_library(tmp_path_factory):
    place = tmp_path_factory.mktemp("clips")
    for label, motion in MOTIONS.items():
        (place / "videos" / label).mkdir(parents=True)
        for number in range(5):
            path = place / "videos" / label / f"{number}.mp4"
            render_clip(path, motion=motion, seed=number, seconds=0.7, width=96, height=64)
    encoders = {"motion": MotionEncoder()}
    return file_library([place / "videos"], MOTION, cache=place / "cache", workers=0, encoders=encoders)


def copies_of(library, rows, **how):
    asked = {"ways": ("crop", "light"), "number": 2, "seed": 0} | how
    return encode_copies(library.files, library.recipe, library.tokens, library.names_N, np.array(rows), **asked)


def test_copies_are_those_of_the_clips_that_were_asked_for_and_differ(library):
    first, second = copies_of(library, [0, 3])
    for copy in (first, second):
        assert (np.flatnonzero(copy["motion"].lengths())).tolist() == [0, 3]
        assert copy["motion"].lengths()[3] == library.tokens["motion"].lengths()[3]
    plain, one, other = (
        tokens["motion"].get([3]).tokens_MD.astype(np.float32) for tokens in (library.tokens, first, second)
    )
    assert abs(plain - one).max() > 0.01
    assert abs(one - other).max() > 0.01
    assert np.sign(plain[:, RIGHT].mean()) == np.sign(one[:, RIGHT].mean()) == np.sign(other[:, RIGHT].mean())


def test_copies_that_are_there_are_not_made_again_and_those_of_another_seed_are(library, monkeypatch):
    first = copies_of(library, [0, 1])
    read = []
    monkeypatch.setattr(ClipRun, "_request", lambda *_: read.append(1) or pytest.fail("a clip is read again"))
    again = copies_of(library, [1, 0])
    assert not read
    assert (again[1]["motion"].get([1]).tokens_MD == first[1]["motion"].get([1]).tokens_MD).all()
    assert {one["motion"].encoder for one in again} == {one["motion"].encoder for one in first}
    with pytest.raises(pytest.fail.Exception, match="a clip is read again"):
        copies_of(library, [0], seed=1)


def test_a_clip_that_is_gone_has_no_copies(library, tmp_path):
    moved = replace(library, files=replace(library.files, root=tmp_path))
    (found,) = copies_of(moved, [2], number=1, ways=("blur",))
    assert not found["motion"].lengths().any()


def test_clips_of_another_encoder_are_not_copied(library):
    other = replace(library.files, encoders={"motion": MotionEncoder(method="dis-fast")})
    with pytest.raises(
        StaleArtifactError, match=r"copies must be read as the clips were, motion of the clips come from"
    ):
        copies_of(replace(library, files=other), [0])


def test_a_model_learns_from_copies_and_says_so(library, tmp_path):
    asked = TaskSettings(
        {"max_epochs": 2}, {"inputs": "motion", "width": 8, "copies": 1, "augment": ["crop", "flip", "drop"]}
    )
    labels = labels_from_names(library.names_N)
    report = finetune_clips(library, labels, folder=tmp_path / "m", plan=FitPlan(asked))
    num_train = report.num_clips["train"]
    assert f"{num_train} changed copies are learnt from (crop, flip)" in report.notices
    assert (
        "flip mirrors left and right, and classes are called to the left, to the right; leave it out" in report.notices
    )
    assert ClipModel.load(tmp_path / "m").config.augment == ("crop", "flip", "drop")
    with pytest.raises(ConfigError, match=r"augment must leave pictures alone where the files .* names crop, flip"):
        finetune_clips(replace(library, files=None), labels, folder=tmp_path / "m", plan=FitPlan(asked))
