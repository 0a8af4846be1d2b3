"""Whether the click model of a log means what it says, slice by slice, before and after calibration; and how much of the error is chance.

    python benchmarks/calibration.py PROJECT TOWN [--seeds 3] [--part test] [--clean]

PROJECT has been pre-trained on the log of TOWN, such as ``demo/project`` and ``demo/town`` after ``make demo``; both are read only. A log
has each moment once: its newest tenth has 2,500 clicks or none, and even the town's own probabilities, which are right, have a
calibration error there. So each model is measured twice: on the log, beside the error of the true probabilities, and on slates of the
same moments drawn again (twenty of each) against the true probability of each click, where the chance of the clicks is gone. What is left
of chance there is who happens to be in a slice: ``few users`` is the error to expect of it, from how the users of a bin differ.

``--clean`` takes item vectors of an FLM that has learnt from what came before validation only, as ``kinema finetune click --clean`` does; it
is kept in the project. ``--part valid`` asks everything one tenth earlier: the form of the calibration was chosen so, before test was looked at.
"""

import argparse
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy comes first
from numpy.typing import NDArray  # noqa: E402

from kinema.metrics.calibration import calibration_error, calibration_noise, calibration_rms, reliability  # noqa: E402
from kinema.project import Project  # noqa: E402
from kinema.ranking.calibrator_fit import fit_calibrator  # noqa: E402
from kinema.schema import EventKind  # noqa: E402
from kinema.sources.town.redrawing import redraw_slates, shown_click_probs  # noqa: E402
from kinema.steps.clean_vectors import clean_vectors  # noqa: E402
from kinema.steps.click_calibration import Held, slices_of  # noqa: E402
from kinema.steps.click_learning import ClickPlan, learn_click, plain_training  # noqa: E402
from kinema.steps.finetuning_log import LOG_COLUMNS, TRAIL_KINDS, click_world, needed_scorer  # noqa: E402
from kinema.steps.slates import trained_profile_schema  # noqa: E402
from kinema.steps.truth import Oracle, load_oracle  # noqa: E402
from kinema.store.exposures import Exposures, exposures_of  # noqa: E402
from kinema.store.trails import pack_trails  # noqa: E402
from kinema.tasks.click_slices import PLACE  # noqa: E402
from kinema.tasks.history_click import ClickWorld, HistoryClick, by_time  # noqa: E402
from kinema.training.fitting import FitOptions  # noqa: E402

RESULTS = Path(__file__).parent / "results"
LABEL = EventKind.CLICK.value
TIMES, BINS, FEWEST_USERS = 20, 15, 30


@dataclass(frozen=True)
class Log:
    """A log of a town with slates drawn again behind it.

    Attributes:
        world: Of the project.
        exposures: The log's, then the redrawn ones.
        parts: ``train``, ``valid``, ``shown`` (what is measured) and ``redrawn`` -> rows.
        true_N: float64, probability of a click on each.
        columns: Of the profiles.
    """

    world: ClickWorld
    exposures: Exposures
    parts: Mapping[str, NDArray[np.int64]]
    true_N: NDArray[np.float64]
    columns: tuple[str, ...]


def read(project: Path, town: Path, part: str, *, clean: bool) -> Log:
    """A project's log, its parts, and the truth."""
    with Project.open(project) as opened:
        dataset = opened.dataset(profile_schema=trained_profile_schema(opened.artifacts / "flm"))
        scorer = needed_scorer(opened.artifacts, dataset, needs_it="the benchmark")
        events = opened.store.events(columns=LOG_COLUMNS)
        shown = exposures_of(events)
        shares = (0.8, 0.1) if part == "test" else (0.7, 0.1, 0.1)
        train, valid, asked, *_ = by_time(shown, shares)
        vectors_VD = scorer.item_vectors_VD
        if clean:
            before_ms = int(shown.times_ms_N[valid[0]])
            vectors_VD = clean_vectors(dataset, artifacts=opened.artifacts, before_ms=before_ms, seed=0)
    oracle = load_oracle(town, dataset)
    assert oracle is not None, "the project must have been made from this town"
    exposures, true_N = _with_redrawn(shown, asked, oracle, len(dataset.item_ids))
    trails = pack_trails(events, kinds=TRAIL_KINDS, num_users=dataset.histories.num_users)
    nothing_V = np.zeros(len(dataset.item_ids))
    world = click_world(dataset, vectors_VD=vectors_VD, popularity_V=nothing_V, trails=trails)
    rows = {"train": train, "valid": valid, "shown": asked, "redrawn": np.arange(len(shown), len(exposures))}
    columns = () if dataset.profiles is None else tuple(dataset.profiles.columns)
    return Log(world, exposures, rows, true_N, columns)


def _with_redrawn(
    shown: Exposures, asked: NDArray[np.int64], oracle: Oracle, num_items: int
) -> tuple[Exposures, NDArray[np.float64]]:
    """The log's exposures and the redrawn ones of the asked rows' moments, with their true probabilities."""
    clips_V = np.full(num_items, -1)
    clips_V[oracle.columns_W] = np.arange(len(oracle.columns_W))
    true_N = shown_click_probs(
        oracle.truth,
        users_N=oracle.users_U[shown.users_N],
        items_N=clips_V[shown.items_N],
        times_ms_N=shown.times_ms_N,
        positions_N=shown.positions_N,
    )
    users_C, times_C = np.unique(np.stack([shown.users_N[asked], shown.times_ms_N[asked]]), axis=1)
    more = redraw_slates(oracle.truth, users_C=oracle.users_U[users_C], times_ms_C=times_C, times=TIMES, seed=1)
    size = len(more.items_N)
    both = [
        (shown.users_N, users_C[more.moments_N].astype(np.int32)),
        (shown.items_N, oracle.columns_W[more.items_N].astype(np.int32)),
        (shown.times_ms_N, times_C[more.moments_N]),
        (shown.positions_N, more.positions_N.astype(np.int32)),
        (shown.propensities_N, np.full(size, np.nan, dtype=np.float32)),
    ]
    clicked_N = np.concatenate([shown.outcomes[LABEL], np.zeros(size, dtype=bool)])
    watched_N = np.concatenate([shown.watch_ms_N, np.zeros(size, dtype=np.int64)])
    joined = Exposures(*(np.concatenate(one) for one in both), {LABEL: clicked_N}, watched_N)
    return joined, np.concatenate([true_N, more.click_probs_N])


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
    train = plain_training(FitOptions("log_loss", batch_size=len(log.parts["train"]) // 50, learning_rate=2e-3))
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
        f"{result['machine']['cpus']} CPUs, {result['date']}. `python benchmarks/calibration.py PROJECT TOWN`."
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("town", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--part", choices=("valid", "test"), default="test")
    parser.add_argument("--clean", action="store_true")
    given = parser.parse_args()
    the_log = read(given.project, given.town, given.part, clean=given.clean)
    runs = [measured(the_log, seed) for seed in range(given.seeds)]
    means = {
        name: {
            way: dict(zip(NAMES, np.mean([one[name][way] for one in runs], axis=0).round(5).tolist(), strict=True))
            for way in ways
        }
        for name, ways in runs[0].items()
    }
    shown_rows = the_log.parts["shown"]
    sizes = reliability(the_log.true_N[shown_rows], the_log.exposures.outcomes[LABEL][shown_rows]).counts_B
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "part": given.part,
        "clean": given.clean,
        "seeds": given.seeds,
        "rows": len(shown_rows),
        "rows_per_bin": int(sizes.min()),
        "redrawn": len(the_log.parts["redrawn"]),
        "mean_true_prob": {
            name: float(the_log.true_N[the_log.parts[name]].mean()) for name in ("train", "valid", "shown", "redrawn")
        },
        "click_rate": {
            name: float(the_log.exposures.outcomes[LABEL][the_log.parts[name]].mean())
            for name in ("train", "valid", "shown")
        },
        "slices": means,
    }
    if given.part == "test":
        RESULTS.mkdir(exist_ok=True)
        name = "calibration_clean" if given.clean else "calibration"
        (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        (RESULTS / f"{name}.md").write_text(table(result), encoding="utf-8")
    print(table(result))
    print({name: one for name, one in result.items() if name != "slices"})
