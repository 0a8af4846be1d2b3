"""``python -m kinema.steps.tuning_worker PLACE``: a process that trains trials of `kinema tune`; started by the search alone."""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch

from kinema.steps.finetuning_options import FitPlan
from kinema.steps.tunable import Tunable
from kinema.steps.tuning_tasks import TUNABLE
from kinema.tasks.measures import lower_is_better
from kinema.training.fitting import fit
from kinema.training.task_settings import TaskSettings, split
from kinema.tuning.worker import Measured, TrialWatch, serve


def run_trial(
    tunable: Tunable,
    settings: Mapping[str, Any],
    *,
    base: TaskSettings,
    seed: int,
    ask: Callable[[int, float], bool],
    seconds: float | None = None,
) -> Measured:
    """Train once and measure on validation.

    Args:
        tunable: The task.
        settings: Of this trial.
        base: Settings that are not searched.
        seed: Of the training, the same for every trial.
        ask: See `TrialWatch`.
        seconds: The same.

    Raises:
        GivenUpError: It was told to end.
        KinemaError: These settings cannot be trained.
    """
    plan = FitPlan(split(settings, where="the trial").over(base), seed=seed, where="the trial")
    learner, options, _ = tunable.ready(plan)
    options = replace(options, keep_epochs=0)  # nothing of a trial is kept
    sign = -1.0 if lower_is_better(options.metric) else 1.0
    watch = TrialWatch(options.metric, sign=sign, ask=ask, seconds=seconds)
    report = fit(learner, options, seed=seed, watchers=[watch])
    return Measured(sign * report.metrics[options.metric], tunable.gains(learner, options.metric))


def main() -> None:
    """Read the examples once, then train what standard input tells."""
    place = json.loads(sys.argv[1])
    torch.set_num_threads(place["threads"])
    tunable = TUNABLE[place["task"]](place)
    base = TaskSettings(place["options"], place["network"])

    def run(settings: Mapping[str, Any], ask: Callable[[int, float], bool], seconds: float | None) -> Measured:
        return run_trial(tunable, settings, base=base, seed=place["seed"], ask=ask, seconds=seconds)

    serve(run)


if __name__ == "__main__":
    main()
