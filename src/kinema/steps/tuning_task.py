"""`kinema tune TASK`: settings of one task are searched on validation; a page tells what was found, `kinema.toml` takes it up."""

import math
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import kinema
from kinema.artifacts import fingerprint
from kinema.errors import ConfigError
from kinema.evaluation.environment import run_facts
from kinema.extras import require
from kinema.progress import Progress, silent
from kinema.steps.finetuning_options import Asked, FitPlan, examples_fingerprint
from kinema.steps.setting_line import write_settings
from kinema.steps.tunable import Tunable
from kinema.steps.tuning_tasks import TUNABLE
from kinema.store.claims import Claims
from kinema.tasks.measures import lower_is_better
from kinema.training.given_values import check_names
from kinema.training.task_extras import check_extras
from kinema.training.task_settings import NETWORK, TaskSettings, split, task_settings
from kinema.tuning.domains import Choice, Domain, read_space, stretched
from kinema.tuning.report import choose, verdict
from kinema.tuning.search import Found, search
from kinema.tuning.study import DATABASE
from kinema.tuning.task_report import TaskTuning, importances_of, in_words, sections_of, snippet_of, write_page
from kinema.tuning.task_space import SPACES, usual_space
from kinema.tuning.workers import Workers

_RECORD: Final = "search.txt"
PAGE: Final = "report.html"
FIRST_EPOCH: Final = 2
"""No trial is given up before the end of this epoch."""
_COMMANDS: Final = {"click_table": "click"}
"""Section -> name of its command, where they differ."""


@dataclass(frozen=True)
class TuneJob:
    """A search that is asked for.

    Attributes:
        task: Section of `kinema.toml`.
        place: Where the examples are: JSON values that the task's function in `kinema.steps.tuning_tasks` takes.
        folder: Of the study and the page.
        finetune: ``[finetune]`` of `kinema.toml`, checked.
        tune: ``[tune]``, checked.
        asked: Settings that are fixed for this search, its seed, and whether it begins anew.
        trials: Trials after which it ends; None for no limit.
        seconds: Wall time after which it ends; None for no limit.
        workers: Trials at once.
        write_to: `kinema.toml` to write the chosen settings into; None leaves it alone.
        progress: Told trials, or seconds of the budget.

    Raises:
        ConfigError: There is no end to it, or no worker.
    """

    task: str
    place: Mapping[str, Any]
    folder: Path
    finetune: Mapping[str, Any]
    tune: Mapping[str, Any]
    asked: Asked
    trials: int | None = 20
    seconds: float | None = None
    workers: int = 1
    write_to: Path | None = None
    progress: Progress = silent

    def __post_init__(self) -> None:
        check_names([self.task], tuple(TUNABLE), where="the tasks that can be tuned")
        if self.trials is None and self.seconds is None:
            raise ConfigError("a search must have an end, has none; give --trials or --seconds")
        if self.workers < 1:
            raise ConfigError(
                f"a search must have at least 1 worker, has {self.workers}; give --workers 2, for example"
            )

    @property
    def seed(self) -> int:
        """Of every draw and every training."""
        return self.asked.seed or 0


def tune_task(job: TuneJob) -> TaskTuning:
    """Search, choose by validation, write the page, and the settings where they are wanted.

    The task's own settings are trial 0; what `kinema.toml` says now of what is searched is tried next. Killed and called again,
    the search goes on; called with more trials, too. It begins anew where the examples or what is searched have changed.

    Raises:
        ConfigError: What is to be searched is unknown, or nothing is left to search.
        MissingExtraError: Optuna is not installed.
        KinemaError: The task has no examples, or its own settings cannot be trained.
    """
    require("optuna")
    with _alone(job.folder):
        return _searched(job)


def _searched(job: TuneJob) -> TaskTuning:
    given = task_settings(job.finetune, job.task)
    fixed = split(job.asked.changes, where="--set")
    both = fixed.over(given)
    check_extras(job.task, both.extras, where=f"--set or [finetune.{job.task}]")
    told_now = {"extras": dict(both.extras), "network": dict(both.network)}
    place = {**job.place, **told_now, "task": job.task, "seed": job.seed}
    tunable = TUNABLE[job.task](place)
    domains, base, start = _space(job, tunable, both, fixed)
    metric = tunable.ready(FitPlan(base, seed=job.seed))[1].metric
    described = {name: repr(domain) for name, domain in domains.items()}
    facts = [
        kinema.__version__,
        examples_fingerprint(tunable.facts),
        base.options,
        base.network,
        described,
        start,
        job.seed,
        place["extras"],
    ]
    notices = [*tunable.notices, *_begin(job, fingerprint(facts))]
    now = start | {name: one for name, one in _flat(given).items() if name in domains and one in domains[name]}
    told = {**place, "options": dict(base.options), "network": dict(base.network)}
    with Workers("kinema.steps.tuning_worker", told, size=job.workers, folder=job.folder) as crew:
        found = search(
            folder=job.folder,
            domains=domains,
            start=start,
            also=[now] if now != start else [],
            crew=crew,
            budget_seconds=math.inf if job.seconds is None else job.seconds,
            max_trials=job.trials,
            seed=job.seed,
            first_step=FIRST_EPOCH,
            progress=job.progress,
        )
    made = _told(job, tunable, found, domains, metric=metric)
    made = replace(made, notices=tuple(notices))
    facts_shown = run_facts(command=f"kinema tune {_COMMANDS.get(job.task, job.task)}", seed=job.seed)
    write_page(made, domains, facts={**facts_shown, "workers": str(job.workers)})
    if job.write_to is None:
        return made
    write_settings(job.write_to, sections_of(job.task, made.settings))
    return replace(made, written=True)


def _space(
    job: TuneJob, tunable: Tunable, given: TaskSettings, fixed: TaskSettings
) -> tuple[dict[str, Domain], TaskSettings, dict[str, Any]]:
    """What is searched, what stays as it is, and the task's own values of what is searched."""
    where = f"[tune.{job.task}]"
    wanted = read_space(job.tune.get(job.task, {}), where=where)
    names = wanted or [one.name for one in SPACES.get(job.task, ())]
    kept = TaskSettings(
        {name: one for name, one in given.options.items() if name not in names or name in fixed.options},
        {name: one for name, one in given.network.items() if f"{NETWORK}.{name}" not in names or name in fixed.network},
    )
    _, options, config = tunable.ready(FitPlan(kept, seed=job.seed, where=f"[finetune.{job.task}]"))
    usual = {name: _plain(one) for name, one in vars(options).items()}
    usual |= {f"{NETWORK}.{name}": _plain(one) for name, one in vars(config).items()}
    check_names(names, tuple(usual), where=where)
    wanted = wanted or usual_space(job.task, usual)
    free = {name: domain for name, domain in wanted.items() if name not in _flat(fixed)}
    domains = {name: stretched(domain, usual[name]) for name, domain in free.items()}
    domains = {name: one for name, one in domains.items() if not isinstance(one, Choice) or len(one.values) > 1}
    if not domains:
        raise ConfigError(f"a search must have a setting to search, has none left; add one to {where}")
    return domains, kept, {name: usual[name] for name in domains}


def _told(job: TuneJob, tunable: Tunable, found: Found, domains: Mapping[str, Domain], *, metric: str) -> TaskTuning:
    lower = lower_is_better(metric)
    gain, chosen = choose(found, folder=job.folder, users_C=tunable.groups_N, seed=job.seed)
    settings = found.trial(chosen).settings
    return TaskTuning(
        task=job.task,
        metric=metric,
        lower_is_better=lower,
        trials=found.trials,
        default=found.default,
        best=found.best,
        chosen=chosen,
        gain=gain,
        verdict=verdict(found, chosen, gain, metric=metric, sign=-1.0 if lower else 1.0),
        settings=settings,
        snippet=snippet_of(job.task, settings),
        domains={name: in_words(one) for name, one in domains.items()},
        importances=importances_of(job.folder),
        num_valid=len(tunable.groups_N),
        seconds=found.seconds,
        workers=job.workers,
        report=job.folder / PAGE,
    )


def _begin(job: TuneJob, run: str) -> list[str]:
    """Make room for the search: one of other examples or settings is put aside; returns what to say of it."""
    record, database = job.folder / _RECORD, job.folder / DATABASE
    earlier = record.read_text(encoding="utf-8").strip() if record.is_file() else ""
    notices = []
    if database.is_file() and (job.asked.restart or earlier != run):
        aside = job.folder / "earlier"
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir()
        for path in [*job.folder.glob("study.db*"), *job.folder.glob("gains-*.npy"), job.folder / PAGE]:
            if path.exists():
                path.rename(aside / path.name)
        why = "as --restart asks" if job.asked.restart else "the examples, the space or fixed settings have changed"
        notices.append(f"the search began anew: {why}; the one before is in {aside}")
    record.write_text(run + "\n", encoding="utf-8")
    return notices


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one search at a time works on a study."""
    with Claims(folder) as claims:
        if not claims.take("0"):
            raise ConfigError(f"a search must be the only one in {folder}, another is at work there; wait for it")
        yield


def _flat(settings: TaskSettings) -> dict[str, Any]:
    named = {f"{NETWORK}.{name}": one for name, one in settings.network.items()}
    return {**settings.options, **named}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
