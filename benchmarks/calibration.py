"""Whether the click model of a log means what it says, slice by slice, before and after calibration; and how much of the error is chance.

    python benchmarks/calibration.py PROJECT TOWN [--seeds 3] [--part test] [--clean]
    python benchmarks/calibration.py --planned 4000 [--town-seed 7] [--seeds 1]
    python benchmarks/calibration.py --planned 0 --part valid

PROJECT has been pre-trained on the log of TOWN, such as ``demo/project`` and ``demo/town`` after ``make demo``; both are read only. A log
has each moment once: its newest tenth has 2,500 clicks or none, and even the town's own probabilities, which are right, have a
calibration error there. So each model is measured twice: on the log, beside the error of the true probabilities, and on slates of the
same moments drawn again (twenty of each) against the true probability of each click, where the chance of the clicks is gone. What is left
of chance there is who happens to be in a slice: ``few users`` is the error to expect of it, from how the users of a bin differ.

``--clean`` takes item vectors of an FLM that has learnt from what came before validation only, as ``kinema finetune click --clean`` does; it
is kept in the project. ``--part valid`` asks everything one tenth earlier: the form of the calibration was chosen so, before test was looked at.

``--planned USERS`` plans a town without clips, in which a tenth of the log is enough rows to judge by; 0 plans one as large as the demo's, for
trying things. Its item vectors are planted (see `calibration_logs`), training and calibration are those of ``kinema finetune click``.
"""

import argparse
import json
import os
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy comes first
from numpy.typing import NDArray  # noqa: E402

from calibration_logs import LABEL, Log, demo_like, large, planned, read  # noqa: E402
from kinema.metrics.calibration import calibration_error, calibration_noise, calibration_rms, reliability  # noqa: E402
from kinema.ranking.calibrator_fit import fit_calibrator  # noqa: E402
from kinema.steps.click_calibration import Held, slices_of  # noqa: E402
from kinema.steps.click_learning import ClickPlan, learn_click, plain_training, usual_options  # noqa: E402
from kinema.tasks.click_slices import PLACE  # noqa: E402
from kinema.tasks.history_click import HistoryClick  # noqa: E402
from kinema.training.fitting import FitOptions  # noqa: E402

RESULTS = Path(__file__).parent / "results"
TIMES, TIMES_LARGE, BINS, FEWEST_USERS = 20, 4, 15, 30


def against_truth(said_N: NDArray[np.float64], true_N: NDArray[np.float64], users_N: NDArray[np.int32]) -> list[float]:
    """Calibration error against true probabilities, and what of it to expect because the slice has these few users."""
    bins_N = np.searchsorted(np.sort(said_N), said_N) * BINS // len(said_N)
    error = chance = 0.0
    for number in np.unique(bins_N):
        here_N = bins_N == number
        away_N = said_N[here_N] - true_N[here_N]
        by_user_U = np.bincount(np.unique(users_N[here_N], return_inverse=True)[1], away_N - away_N.mean())
        error += abs(float(away_N.mean())) * len(away_N)
        chance += float(np.sqrt(2 / np.pi) * np.sqrt(np.square(by_user_U).sum()))
    return [error / len(said_N), chance / len(said_N)]


def measured(log: Log, seed: int) -> dict[str, dict[str, list[float]]]:
    """Slice -> way -> numbers, of one model."""
    train = plain_training(FitOptions(**usual_options(len(log.parts["train"]))))
    plan = ClickPlan(LABEL, seed=seed, profile_columns=log.columns)
    learnt = learn_click(plan, log.world, log.exposures, log.parts, train=train)
    found: dict[str, dict[str, list[float]]] = {}
    for with_places in (False, True):
        said = {name: _said(learnt.task, log, name, with_places=with_places) for name in ("valid", "shown", "redrawn")}
        labels = {name: log.exposures.outcomes[LABEL][log.parts[name]] for name in said}
        temperature = fit_calibrator(said["valid"][0], labels["valid"])
        for way, apply in (
            ("before", lambda probs_N, _: probs_N),
            ("temperature", lambda probs_N, _, fitted=temperature: fitted.apply(probs_N).probs_N),
            ("slices", learnt.calibration.apply),
        ):
            told = {name: np.asarray(apply(*said[name]), dtype=np.float64) for name in ("shown", "redrawn")}
            for key, rows in _chosen(said, with_places=with_places).items():
                numbers = _numbers(log, told, rows)
                if numbers:
                    found.setdefault(key, {})[way] = numbers
    return found


def _said(
    task: HistoryClick, log: Log, name: str, *, with_places: bool
) -> tuple[NDArray[np.float64], dict[str, NDArray[np.str_]]]:
    """Probabilities before calibration, and the slices."""
    held = Held(task, log.parts[name])
    probs_N = task.probabilities(held.rows, with_places=with_places).astype(np.float64)
    return probs_N, slices_of(held, with_places=with_places, profile_columns=log.columns)


def _chosen(said: Mapping[str, Any], *, with_places: bool) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Slice -> where it is, in what was shown and in what was redrawn; places are asked with places, all others without."""
    found = {} if with_places else {"all": {name: np.ones(len(said[name][0]), bool) for name in ("shown", "redrawn")}}
    for slicing, slices_N in said["redrawn"][1].items():
        if (slicing == PLACE) == with_places:
            for key in np.unique(slices_N).tolist():
                found[f"{slicing}={key}"] = {name: said[name][1][slicing] == key for name in ("shown", "redrawn")}
    return found


def _numbers(log: Log, told: Mapping[str, NDArray[np.float64]], rows: Mapping[str, NDArray[np.bool_]]) -> list[float]:
    """Of one slice: log's error, by chance, beyond it, error of the truth there; error against the truth, by few users; users."""
    shown, redrawn = log.parts["shown"][rows["shown"]], log.parts["redrawn"][rows["redrawn"]]
    users = len(np.unique(log.exposures.users_N[redrawn]))
    if users < FEWEST_USERS or len(shown) < BINS:
        return []
    probs_N, labels_N = told["shown"][rows["shown"]], log.exposures.outcomes[LABEL][shown]
    truth = against_truth(told["redrawn"][rows["redrawn"]], log.true_N[redrawn], log.exposures.users_N[redrawn])
    return [
        calibration_error(probs_N, labels_N),
        calibration_noise(probs_N, labels_N),
        calibration_rms(probs_N, labels_N),
        calibration_error(log.true_N[shown], labels_N),
        *truth,
        float(users),
        float(len(shown)),
    ]


NAMES = ("log", "log_by_chance", "log_beyond_chance", "log_of_truth", "truth", "truth_few_users", "users", "rows")
_HEAD = (
    "| slice | rows | users | log: before | temperature | slices | by chance | the truth itself | redrawn: before | temperature | slices "
    "| few users |"
)


def table(result: Mapping[str, Any]) -> str:
    """Markdown."""
    title = (
        f"Calibration of the click model, newest tenth of the town's log, means of {result['seeds']} seeds; "
        f"{result['machine']['cpus']} CPUs, {result['date']}. `python benchmarks/calibration.py {result['of']}`."
    )
    lines = [title, "", _HEAD, "|---|---|---|---|---|---|---|---|---|---|---|---|"]
    for name, ways in result["slices"].items():
        last = ways["slices"]
        numbers = [ways[way]["log"] for way in ways] + [last["log_by_chance"], last["log_of_truth"]]
        numbers += [ways[way]["truth"] for way in ways] + [last["truth_few_users"]]
        lines.append(
            f"| {name} | {last['rows']:.0f} | {last['users']:.0f} | "
            + " | ".join(f"{one:.4f}" for one in numbers)
            + " |"
        )
    return "\n".join([*lines, ""])


def chosen_log(given: argparse.Namespace) -> Log:
    """The log that the arguments ask for."""
    if given.planned is None:
        return read(given.project, given.town, given.part, clean=given.clean, times=TIMES)
    size, times = (large(given.planned), TIMES_LARGE) if given.planned else (demo_like(), TIMES)
    return planned(size, given.part, seed=given.town_seed, times=times)


def told_of(log: Log, given: argparse.Namespace) -> dict[str, Any]:
    """What is written down of a log: facts, and means over seeds."""
    runs = [measured(log, seed) for seed in range(given.seeds)]
    means = {
        name: {
            way: dict(zip(NAMES, np.mean([one[name][way] for one in runs], axis=0).round(5).tolist(), strict=True))
            for way in ways
        }
        for name, ways in runs[0].items()
    }
    shown_rows = log.parts["shown"]
    sizes = reliability(log.true_N[shown_rows], log.exposures.outcomes[LABEL][shown_rows]).counts_B
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "of": "PROJECT TOWN" if given.planned is None else f"--planned {given.planned} --town-seed {given.town_seed}",
        "part": given.part,
        "clean": given.clean,
        "seeds": given.seeds,
        "rows": len(shown_rows),
        "rows_per_bin": int(sizes.min()),
        "redrawn": len(log.parts["redrawn"]),
        "mean_true_prob": {
            name: float(log.true_N[log.parts[name]].mean()) for name in ("train", "valid", "shown", "redrawn")
        },
        "click_rate": {
            name: float(log.exposures.outcomes[LABEL][log.parts[name]].mean()) for name in ("train", "valid", "shown")
        },
        "slices": means,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path, nargs="?")
    parser.add_argument("town", type=Path, nargs="?")
    parser.add_argument("--planned", type=int, metavar="USERS")
    parser.add_argument("--town-seed", type=int, default=7)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=("valid", "test"), default="test")
    parser.add_argument("--clean", action="store_true")
    arguments = parser.parse_args()
    if (arguments.planned is None) != (arguments.town is not None):
        parser.error("give PROJECT and TOWN, or --planned USERS")
    result = told_of(chosen_log(arguments), arguments)
    if arguments.part == "test" and arguments.planned != 0:
        RESULTS.mkdir(exist_ok=True)
        name = "calibration_planned" if arguments.planned else "calibration_clean" if arguments.clean else "calibration"
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (RESULTS / f"{name}.md").write_text(table(result), encoding="utf-8")
    print(table(result))
    print({name: one for name, one in result.items() if name != "slices"})
