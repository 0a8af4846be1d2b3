"""Several tasks at once: sharing helps where the tasks are related, is said not to where they are not, and length misleads."""

import numpy as np
import pytest

from kinema.metrics.classification import auc
from kinema.steps.engagement import train_engagement
from kinema.tasks.engagement import EngagementConfig
from kinema.tasks.row_inputs import NumberInput
from kinema.testing.engagement import duration_world, task_world
from kinema.training.fitting import FitOptions

OPTIONS = FitOptions(metric="loss", batch_size=256, learning_rate=3e-3, max_epochs=12, patience=2)


def learn(world, heads, sharing, *, compare=False, **changes):
    config = EngagementConfig(heads=heads, sharing=sharing, widths=(32,), **changes)
    return train_engagement(
        NumberInput(world.numbers_ND, world.train_rows),
        world.labels,
        train_rows=world.train_rows,
        valid_rows=world.valid_rows,
        config=config,
        options=OPTIONS,
        compare=compare,
    )


def quality(world, trained):
    told = trained.model.predict(world.test_rows)
    return {head: auc(told[head], world.labels.binary[head][world.test_rows]) for head in told}


@pytest.fixture(scope="module")
def alone():
    world = task_world(related=True)
    return {head: quality(world, learn(world, (head,), "separate"))[head] for head in ("click", "like")}


@pytest.mark.parametrize("sharing", ["mmoe", "ple"])
def test_related_tasks_gain_from_sharing(sharing, alone):
    world = task_world(related=True)
    shared = quality(world, learn(world, ("click", "like"), sharing, task_weights={"like": 0.1}))
    assert shared["like"] > alone["like"] + 0.05
    assert np.mean(list(shared.values())) > np.mean(list(alone.values())) + 0.02


def test_of_related_tasks_the_report_says_that_the_rare_one_gains():
    world = task_world(related=True, num_rows=3000)
    both = learn(world, ("click", "like"), "shared_bottom", compare=True, task_weights={"like": 0.1})
    assert both.comparison["like"].verdict == "helps"


def test_of_conflicting_tasks_the_report_says_that_sharing_does_not_help():
    world = task_world(related=False)
    both = learn(world, ("click", "like"), "shared_bottom", compare=True)
    assert {one.verdict for one in both.comparison.values()} <= {"hurts", "no difference"}
    assert both.comparison["click"].verdict == "hurts"
    assert "click: sharing hurts" in both.advice
    assert "alone, or try sharing 'ple'" in both.advice


def test_labels_that_know_the_duration_find_the_interest_that_plain_regression_misses():
    world = duration_world()
    durations = world.labels.duration_ms_N[world.test_rows]
    interested = world.is_interested_N[world.test_rows]
    found = {}
    for watch in ("regression", "quantile", "ordinal"):
        told = learn(world, ("watch",), "shared_bottom", watch=watch).model.predict(
            world.test_rows, duration_ms_N=durations
        )
        found[watch] = auc(told["watch_ms" if watch == "regression" else "watch"], interested)
    assert found["regression"] < 0.8
    assert min(found["quantile"], found["ordinal"]) > 0.95


def test_without_the_confounder_plain_regression_is_as_good():
    world = duration_world(spread=0.0)
    told = learn(world, ("watch",), "shared_bottom", watch="regression").model.predict(
        world.test_rows, duration_ms_N=world.labels.duration_ms_N[world.test_rows]
    )
    assert auc(told["watch_ms"], world.is_interested_N[world.test_rows]) > 0.95
