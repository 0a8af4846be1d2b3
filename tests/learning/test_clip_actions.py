"""Is an action learnt whose direction no frame tells? By frames alone it is not, by frames and motion it is."""

import cv2
import numpy as np
import pytest

from kinema.encoders.frames import FrameTokens
from kinema.encoders.motion import MotionEncoder
from kinema.errors import ConfigError
from kinema.sources.clip_labels import labels_from_names
from kinema.steps.clip_library import file_library
from kinema.steps.finetuning_clips import finetune_clips
from kinema.steps.finetuning_options import FitPlan
from kinema.tasks.clip_recipe import ClipRecipe
from kinema.testing.actions import ACTIONS, OPPOSITES, render_action
from kinema.training.task_settings import TaskSettings


class Thumbnails:
    """A frame encoder that needs no weights: a picture of 6 x 6."""

    name, fingerprint, width, frame_side = "thumbnails", "thumbnails1", 108, 48

    def encode(self, frames):
        small = [cv2.resize(one, (6, 6), interpolation=cv2.INTER_AREA).ravel() for one in frames]
        return np.stack(small).astype(np.float32) / 255


def test_frames_and_motion_tell_the_direction_of_an_action_and_frames_alone_do_not(tmp_path):
    chosen = ("left", "right", "up", "down")
    for number, action in enumerate(chosen):
        (tmp_path / "clips" / action).mkdir(parents=True)
        for place in range(20):
            path = tmp_path / "clips" / action / f"{place}.mp4"
            render_action(path, action, seed=100 * number + place, num_frames=4, width=96, height=64)
    encoders = {"frames": FrameTokens(Thumbnails(), num_frames=4), "motion": MotionEncoder()}
    recipe = ClipRecipe(dict.fromkeys(encoders, "for this test"))
    library = file_library([tmp_path / "clips"], recipe, cache=tmp_path / "cache", workers=0, encoders=encoders)
    found = {}
    for inputs in ("frames", "both"):
        plan = FitPlan(TaskSettings(network={"inputs": inputs, "width": 32}), seed=1)
        labels = labels_from_names(library.names_N)
        report = finetune_clips(library, labels, folder=tmp_path / "model", plan=plan)
        found[inputs] = report.metrics["test"]["accuracy"]
    assert found["both"] >= 0.9
    assert found["frames"] <= 0.6


def test_every_action_has_its_opposite():
    for name, pose in ACTIONS.items():
        opposite = tuple(-part for part in pose)
        assert sum(tuple(one) == opposite for one in ACTIONS.values()) == OPPOSITES - 1, name


def test_an_unknown_action_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"unknown action 'sideways'; known: left, right"):
        render_action(tmp_path / "a.mp4", "sideways")
