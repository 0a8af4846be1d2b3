"""Which tasks can be searched, and how those of a log read their examples; the others are in `kinema.steps.tuning_content`.

A new task is one function and one line of `TUNABLE`; its space is one entry of `kinema.tuning.task_space`.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.flm.sharing import theta_fingerprint
from kinema.steps.click_learning import history_change
from kinema.steps.finetuning import read_table_clicks
from kinema.steps.finetuning_engagement import read_engagement
from kinema.steps.finetuning_log import read_log_clicks
from kinema.steps.finetuning_next import find_source, read_next
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.finetuning_rating import read_log_ratings
from kinema.steps.finetuning_several import meanings_of, read_several
from kinema.steps.tunable import Tunable, opened, read_project
from kinema.steps.tuning_content import clips, match, rerank, text, visual
from kinema.tasks.click import probabilities
from kinema.tasks.field_specs import parse_spec
from kinema.tasks.next_item import NextItem
from kinema.tasks.rating import outputs
from kinema.tasks.several import SeveralConfig, SeveralLearner
from kinema.training.fitting import FitOptions
from kinema.training.task_extras import ClickExtras, changes_of
from kinema.training.task_settings import TaskSettings
from kinema.tuning.gains import GAINS_OF_CHANCES

_ONE: Final = "one network is searched for, and nothing but validation is looked at: ensemble, distil and clean wait for kinema finetune"


def log_clicks(place: Mapping[str, Any]) -> Tunable:
    """Clicks of a project's log; ``place`` has ``project``, ``label``, ``seed`` and ``extras``, of which one network takes ``augment``."""
    folder, extras = Path(place["project"]), ClickExtras.from_mapping(place.get("extras", {}))
    with opened(folder) as store:
        dataset = read_project(folder, store)
        artifacts = folder / "artifacts"
        clicks = read_log_clicks(store, dataset, artifacts=artifacts, label=place["label"], seed=place["seed"])
        valid = clicks.parts["valid"]
        change = history_change(extras.changes, store, dataset, before_ms=int(clicks.exposures.times_ms_N[valid[0]]))
    labels_N = clicks.exposures.outcomes[clicks.label][valid]

    def gains(learner: Any, metric: str) -> NDArray[np.float64] | None:
        return _of_chances(metric, lambda: learner.probabilities(valid), labels_N)

    notices = (*clicks.notices, *([_ONE] if extras.ensemble > 1 or extras.clean else []))
    users_N = clicks.exposures.users_N[valid]
    return Tunable(lambda plan: clicks.ready(plan, change), gains, users_N, clicks.facts, notices)


def table_clicks(place: Mapping[str, Any]) -> Tunable:
    """Clicks of a table; ``place`` has ``train``, ``valid``, ``label``, ``fields``, ``min_count`` and ``seed``."""
    paths = {name: Path(place[name]) if place[name] is not None else None for name in ("train", "valid")}
    clicks = read_table_clicks(
        paths,
        label=place["label"],
        specs=[parse_spec(one) for one in place["fields"]],
        min_count=place["min_count"],
        seed=place["seed"],
    )
    rows, labels_N = clicks.rows["valid"]

    def gains(learner: Any, metric: str) -> NDArray[np.float64] | None:
        return _of_chances(metric, lambda: probabilities(learner.clicks, rows), labels_N)

    return Tunable(clicks.ready, gains, np.arange(len(labels_N)), clicks.facts, clicks.notices)


def engagement(place: Mapping[str, Any]) -> Tunable:
    """Engagement of a project's log; ``place`` has ``project`` and ``extras``, of which ``augment`` counts."""
    folder = Path(place["project"])
    with opened(folder) as store:
        dataset = read_project(folder, store)
        told = read_engagement(store, dataset, artifacts=folder / "artifacts")
        valid = told.parts["valid"]
        changes = changes_of(place.get("extras", {}), where="[finetune.engagement]")
        before_ms = int(told.exposures.times_ms_N[valid[0]])
        change = history_change(changes, store, dataset, before_ms=before_ms)

    def gains(learner: Any, metric: str) -> NDArray[np.float64] | None:
        return -learner.relative_losses() if metric == "loss" else None

    return Tunable(lambda plan: told.ready(plan, change), gains, told.exposures.users_N[valid], told.facts)


def rating(place: Mapping[str, Any]) -> Tunable:
    """Ratings of a project's log; ``place`` has ``project``."""
    folder = Path(place["project"])
    with opened(folder) as store:
        told = read_log_ratings(store, read_project(folder, store, as_trained=False))
    valid = told.parts["valid"]

    def gains(learner: Any, metric: str) -> NDArray[np.float64] | None:
        if metric not in {"mse", "mae"}:
            return None
        said_N = np.clip(outputs(learner.network, valid.users_N, valid.items_N)[:, 0], valid.low, valid.high)
        errors_N = np.abs(said_N.astype(np.float64) - valid.values_N)
        return -(errors_N**2) if metric == "mse" else -errors_N

    return Tunable(told.ready, gains, valid.users_N, told.facts)


def next_items(place: Mapping[str, Any]) -> Tunable:
    """What comes next in a project's log; ``place`` has ``project``, ``source`` (a folder, or None for its own model), ``learn`` and ``seed``."""
    folder, source = Path(place["project"]), None if place["source"] is None else Path(place["source"])
    with opened(folder) as store:
        dataset = read_project(folder, store)
    theirs = find_source(source, folder / "artifacts")
    told = read_next(dataset, theirs, own=source is None, seed=place["seed"])
    selection = told.selection()
    names = {"ndcg": "with_memory", "sequential": "sequential"}

    def gains(learner: NextItem, metric: str) -> NDArray[np.float64] | None:
        return selection.glanced(learner.network.flm)[1][names[metric]] if metric in names else None

    def ready(plan: FitPlan) -> tuple[Any, FitOptions, Any]:
        return told.ready(plan, place["learn"], selection)

    users_C, _ = selection.glanced(told.start.network.flm)
    return Tunable(ready, gains, users_C, ("next", theta_fingerprint(theirs), place["learn"], *told.facts))


def several(place: Mapping[str, Any]) -> Tunable:
    """Several tasks of a project's log; ``place`` has ``project``, ``tasks``, ``weighting``, ``weights``, ``network`` and ``seed``."""
    folder = Path(place["project"])
    usual = SeveralConfig(meanings_of(place["tasks"]), weighting=place["weighting"], weights=place["weights"])
    with opened(folder) as store:
        how: dict[str, Any] = {"artifacts": folder / "artifacts", "tasks": place["tasks"], "seed": place["seed"]}
        told = read_several(store, read_project(folder, store), **how)
    users_N = np.concatenate([one.rows.users_N[one.parts["valid"]] for one in told.cut.values()])

    def gains(learner: SeveralLearner, metric: str) -> NDArray[np.float64] | None:
        return -learner.relative_losses() if metric == "loss" else None

    drawn = FitPlan(TaskSettings(network=place["network"])).network(usual).num_negatives

    def ready(plan: FitPlan) -> tuple[Any, FitOptions, Any]:
        made = told.ready(plan, usual)
        if made[2].num_negatives != drawn:
            raise ConfigError(
                f"num_negatives must be the same in all trials, {drawn}, is {made[2].num_negatives}: validation draws as many, and a "
                "loss among more items is another loss; take it out of [tune.several]"
            )
        return made

    return Tunable(ready, gains, users_N, ("several", usual.as_dict(), drawn, *told.facts))


TUNABLE: Final[Mapping[str, Callable[[Mapping[str, Any]], Tunable]]] = {
    "click": log_clicks,
    "click_table": table_clicks,
    "engagement": engagement,
    "rating": rating,
    "next": next_items,
    "several": several,
    "clips": clips,
    "match": match,
    "visual": visual,
    "rerank": rerank,
    "text": text,
}
"""Section of `kinema.toml` -> what reads the task's examples."""


def _of_chances(
    metric: str, chances: Callable[[], NDArray[np.floating]], labels_N: NDArray[Any]
) -> NDArray[np.float64] | None:
    found = GAINS_OF_CHANCES.get(metric)
    return None if found is None else found(chances(), labels_N.astype(np.float32))
