"""The record of a search, kept by Optuna in SQLite: it survives `kill -9`, and a search goes on from it.

Source: Akiba et al., Optuna, KDD 2019; Bergstra et al., Algorithms for hyper-parameter optimization, NeurIPS 2011 (TPE).
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote

from kinema.extras import require
from kinema.seeds import derive_seed
from kinema.tuning.domains import Choice, Domain

if TYPE_CHECKING:
    import optuna

State = Literal["finished", "given up", "failed"]

DATABASE: Final = "study.db"
STUDY: Final = "flm"
"""Its name in the database, also where a task is searched: one database holds one study."""
_RANDOM_TRIALS: Final = 4
"""Trials before the sampler models anything and the pruner compares: the default and three drawn at random."""
_MOST_ATTEMPTS: Final = 2


@dataclass(frozen=True)
class TrialRecord:
    """One trial that is over.

    Attributes:
        number: Optuna's; numbers of interrupted trials are missing.
        settings: Searched setting -> value.
        state: ``finished``; ``given up`` where it fell behind the median of the others or the budget was used up; ``failed``.
        value: What is searched for on validation, of opposite sign where smaller is better. Of FLM NDCG@10 of the fused
            scores; for a trial given up its best look, there at the sequence model with its memory, which is not the
            same thing; None where it failed.
        seconds: Wall time, preparation and measuring included.
        reason: Why it failed.
    """

    number: int
    settings: Mapping[str, Any]
    state: State
    value: float | None
    seconds: float
    reason: str = ""


@contextmanager
def open_study(folder: Path, *, first_step: int = 3) -> Iterator["optuna.Study"]:
    """Open the study of a folder, or begin one.

    A trial that was running when an earlier process died counts as interrupted and leaves no record.

    Args:
        folder: Holds the database; made where absent.
        first_step: No trial is given up before.

    Yields:
        The study.

    Raises:
        MissingExtraError: Optuna is not installed.
    """
    optuna = require("optuna")
    folder.mkdir(parents=True, exist_ok=True)
    with quiet(), storage_of(folder) as storage:
        study = optuna.create_study(
            study_name=STUDY,
            storage=storage,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_RANDOM_TRIALS, n_warmup_steps=first_step),
        )
        for one in study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            study.tell(one.number, state=optuna.trial.TrialState.FAIL)
        yield study


@contextmanager
def storage_of(folder: Path) -> Iterator["optuna.storages.RDBStorage"]:
    """The database of a folder, closed at the end."""
    optuna = require("optuna")
    storage = optuna.storages.RDBStorage(f"sqlite:///{quote(str((folder / DATABASE).resolve()))}")
    try:
        yield storage
    finally:
        storage.remove_session()
        storage.engine.dispose()


@contextmanager
def quiet() -> Iterator[None]:
    """Inside, Optuna says only what is wrong."""
    optuna = require("optuna")
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(verbosity)


def next_trial(
    study: "optuna.Study", domains: Mapping[str, Domain], *, first: Sequence[Mapping[str, Any]], seed: int
) -> tuple["optuna.Trial", dict[str, Any]]:
    """Ask for the next settings.

    The sampler is seeded anew for every trial, so a search that was interrupted draws again what it was trying. What was
    being tried `_MOST_ATTEMPTS` times when the process died is passed over: it may be what kills it.

    Args:
        study: From `open_study`.
        domains: Setting -> domain.
        first: Settings to try before any are drawn; the default settings are the first of them and never passed over. What
            is running already is not tried again.
        seed: Of the search.

    Returns:
        The trial to tell the study about, and its settings; drawn numbers are rounded to three digits.
    """
    optuna = require("optuna")
    over = records(study)
    running = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,))
    tried = [one.settings for one in over] + [one.user_attrs.get("settings") for one in running]
    interrupted = [
        one for one in study.get_trials(deepcopy=False) if one.state.is_finished() and _state(one) == "interrupted"
    ]
    lost = [one.user_attrs.get("settings") for one in interrupted]
    for number, settings in enumerate(first):
        if settings not in tried and (number == 0 or lost.count(dict(settings)) < _MOST_ATTEMPTS):
            study.enqueue_trial({name: _told(domains[name], value) for name, value in settings.items()})
            break
    here = sum(one.number > max((other.number for other in over), default=-1) for one in interrupted)
    draw = derive_seed(seed, f"tuning/{len(over) + len(running)}/{here // _MOST_ATTEMPTS}") % (1 << 32)
    study.sampler = optuna.samplers.TPESampler(seed=draw, n_startup_trials=_RANDOM_TRIALS)
    trial = study.ask()
    drawn = {name: _suggest(trial, name, domain) for name, domain in domains.items()}
    settings = {name: value if value == first[0][name] else _rounded(value) for name, value in drawn.items()}
    trial.set_user_attr("settings", settings)
    return trial, settings


def tell(
    study: "optuna.Study",
    trial: "optuna.Trial",
    *,
    state: State,
    seconds: float,
    value: float | None = None,
    reason: str = "",
) -> None:
    """Record the end of a trial; from here on it is not run again.

    Args:
        study: From `open_study`.
        trial: From `next_trial`.
        state: How it ended.
        seconds: Wall time.
        value: Of a finished one.
        reason: Of a failed one.
    """
    states = require("optuna").trial.TrialState
    trial.set_user_attr("end", {"seconds": seconds, "reason": reason})
    ends = {"finished": states.COMPLETE, "given up": states.PRUNED, "failed": states.FAIL}
    study.tell(trial, value, state=ends[state])


def records(study: "optuna.Study") -> list[TrialRecord]:
    """The trials that are over, in order; those that were interrupted are not among them."""
    return [
        TrialRecord(
            number=one.number,
            settings=one.user_attrs["settings"],
            state=state,
            value=one.value,
            seconds=one.user_attrs["end"]["seconds"],
            reason=one.user_attrs["end"]["reason"],
        )
        for one in study.get_trials(deepcopy=False)
        if one.state.is_finished() and (state := _state(one)) != "interrupted"
    ]


def _state(trial: "optuna.trial.FrozenTrial") -> State | Literal["interrupted"]:
    """What became of a trial that is over; one that failed without a reason was interrupted."""
    if trial.state.name == "FAIL":
        return "failed" if trial.user_attrs.get("end", {}).get("reason") else "interrupted"
    return "finished" if trial.state.name == "COMPLETE" else "given up"


def _suggest(trial: "optuna.Trial", name: str, domain: Domain) -> Any:
    if isinstance(domain, Choice):
        told = trial.suggest_categorical(name, [_told(domain, one) for one in domain.values])
        return json.loads(str(told)) if _has_lists(domain) else told
    if domain.whole:
        return trial.suggest_int(name, int(domain.low), int(domain.high), log=domain.log)
    return trial.suggest_float(name, domain.low, domain.high, log=domain.log)


def _told(domain: Domain, value: Any) -> Any:
    """As Optuna is told it: it knows no lists, so where there are any all values are JSON texts."""
    return json.dumps(value) if _has_lists(domain) else value


def _has_lists(domain: Domain) -> bool:
    return isinstance(domain, Choice) and any(isinstance(one, list) for one in domain.values)


def _rounded(value: Any) -> Any:
    return float(f"{value:.3g}") if isinstance(value, float) else value
