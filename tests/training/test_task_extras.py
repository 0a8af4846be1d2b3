"""What tasks can do beside the settings of training stands in kinema.toml, and what is wrong there is said."""

import re

import pytest

from kinema.errors import ConfigError
from kinema.settings import check_settings
from kinema.steps.finetuning_options import Asked, plan_for
from kinema.training.task_extras import EXTRAS, NAMES, ClickExtras, HistoryChanges, changes_of
from kinema.training.task_settings import TASKS, TaskSettings, split, task_settings


def test_keys_of_a_task_are_read_apart_from_settings_of_training():
    tree = {"patience": 3, "click": {"ensemble": 3, "augment": {"crop": 0.2}, "learning_rate": 0.1}}
    found = task_settings(check_settings({"finetune": tree}).finetune, "click")
    assert found.options == {"patience": 3, "learning_rate": 0.1}
    assert found.extras == {"ensemble": 3, "augment": {"crop": 0.2}}
    over = split({"ensemble": 1, "clean": True}, where="--set").over(found)
    assert over.extras == {"ensemble": 1, "augment": {"crop": 0.2}, "clean": True}
    assert TaskSettings().extras == {}


def test_what_is_said_becomes_what_a_click_model_does():
    found = ClickExtras.from_mapping({"ensemble": 2, "distil": True, "clean": True, "augment": "mask=0.1"})
    assert found == ClickExtras(2, distil=True, changes=HistoryChanges(mask=0.1), clean=True)
    assert ClickExtras.from_mapping({}) == ClickExtras()
    assert changes_of({"augment": {"crop": 0.3}}, where="here") == HistoryChanges(crop=0.3)
    assert changes_of({}, where="here") is None


def test_every_key_belongs_to_a_task():
    assert set(EXTRAS) <= set(TASKS)
    assert set(NAMES) == {"ensemble", "distil", "augment", "clean"}


@pytest.mark.parametrize(
    ("task", "values", "message"),
    [
        ("click", {"ensemble": 0}, "[finetune.click]: ensemble must be >= 1, is 0; 1 is one network"),
        ("click", {"ensemble": 2.5}, "'ensemble' in [finetune.click] must be a whole number, is 2.5; correct it"),
        ("click", {"distil": 1}, "'distil' in [finetune.click] must be true or false, is 1; correct it"),
        ("click", {"distil": True}, "[finetune.click]: distil must come with an ensemble of at least 2, has 1; raise"),
        (
            "click",
            {"augment": 3},
            "'augment' in [finetune.click] must be a table such as {crop = 0.2, mask = 0.1}, is 3",
        ),
        ("click", {"augment": {"swap": 0.1}}, "[finetune.click]: 'swap' is no change of a history; known: crop, mask"),
        ("engagement", {"augment": {"mask": 1}}, "[finetune.engagement]: mask of a history must be in [0, 1), is 1"),
        ("engagement", {"ensemble": 2}, "'ensemble' in [finetune.engagement] must be of click, is of engagement"),
        (
            "rating",
            {"augment": "crop=0.1"},
            "'augment' in [finetune.rating] must be of click and engagement, is of rating",
        ),
        ("click", {"ensembl": 2}, "unknown key 'ensembl' in [finetune.click], did you mean 'ensemble'?"),
    ],
)
def test_what_cannot_be_is_refused_where_kinema_toml_is_read(task, values, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_settings({"finetune": {task: values}})


def test_they_belong_to_one_task_and_are_refused_for_all():
    with pytest.raises(ConfigError, match=r"unknown key 'ensemble' in \[finetune\]"):
        check_settings({"finetune": {"ensemble": 2}})
    with pytest.raises(ConfigError, match=r"'clean' in --set or \[finetune.visual\] must be of click, is of visual"):
        plan_for("visual", finetune={}, folder=None, asked=Asked({"clean": True}))
    with pytest.raises(ConfigError, match="unknown key 'many' in here; known: ensemble, distil, augment, clean"):
        ClickExtras.from_mapping({"many": 1}, where="here")
