"""`kinema pretrain --tune`: search on validation, remember what won, and use it again where it still holds."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import kinema
from kinema.artifacts import fingerprint
from kinema.errors import ConfigError, DataError
from kinema.extras import require
from kinema.progress import Progress, silent
from kinema.steps.dataset import Dataset
from kinema.steps.pretraining import PretrainJob, PretrainReport, choose_config, parents_of, serving_split, train_model
from kinema.store.histories import Histories
from kinema.store.splits import Cases
from kinema.tuning.report import TuningReport, report_on
from kinema.tuning.search import TRAININGS_IN_BUDGET, Found, search
from kinema.tuning.space import DataFacts, searched
from kinema.tuning.trial import TrialData, Watch, run_trial
from kinema.tuning.tuned import FILE_NAME, Tuned, load_tuned, save_tuned

_FOLDER: Final = "tuning"


@dataclass(frozen=True)
class ChosenSettings:
    """What a pre-training is to use.

    Attributes:
        changes: Settings of FLM that are not automatic: tuned ones, the user's on top.
        notes: What the artefact is to remember of where they come from.
        tuning: The search of this run; None where there was none.
        notices: For the user.
    """

    changes: Mapping[str, Any]
    notes: Mapping[str, Any] = field(default_factory=dict)
    tuning: TuningReport | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Search:
    """Whether settings are searched, and whether those of an earlier search are used.

    Attributes:
        seconds: Budget; None for no search.
        trials: Trials after which it ends as well.
        use_tuned: Take what an earlier search chose, where the data set still has about the size; a search tries it early.

    Raises:
        ConfigError: The budget is not positive, or there is a number of trials without one.
    """

    seconds: float | None = None
    trials: int | None = None
    use_tuned: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be searched with."""
        if self.seconds is None and self.trials is not None:
            raise ConfigError(
                f"a number of trials must come with a budget, is {self.trials} without; add --tune SECONDS"
            )
        if self.seconds is not None and not self.seconds > 0:
            raise ConfigError(
                f"the tuning budget must be > 0 seconds, is {self.seconds:g}; give --tune 600, for instance"
            )


def pretrain_for_serving(job: PretrainJob, wanted: Search) -> PretrainReport:
    """Choose settings, then train the model that serves, at full length.

    Returns:
        The report of the training, with that of the search.
    """
    train, valid = serving_split(job.dataset.histories)
    chosen = choose_settings(job, wanted, train=train, valid=valid)
    _, report = train_model(
        dataset=job.dataset,
        train=train,
        valid=valid,
        config=choose_config(train, chosen.changes),
        seed=job.seed,
        place=job.service,
        notes=chosen.notes,
        progress=job.progress,
    )
    return replace(report, tuning=chosen.tuning, notices=chosen.notices)


def choose_settings(job: PretrainJob, wanted: Search, *, train: Histories, valid: Cases | None) -> ChosenSettings:
    """Search, or take what an earlier search chose, or neither.

    Args:
        job: What is trained; the study and `tuned.json` are kept beside its model.
        wanted: Which of the three.
        train: What is learnt from.
        valid: What is chosen on.

    Raises:
        ConfigError: The user has fixed every setting that is searched.
        DataError: There is nothing to choose on.
        MissingExtraError: Optuna is not installed.
        StaleArtifactError: `tuned.json` cannot be read.
    """
    fixed = {name: value for name, value in job.changes.items() if value is not None}
    earlier = load_tuned(job.artifacts) if wanted.use_tuned else None
    if wanted.seconds is None:
        return _earlier_choice(earlier, fixed, train)
    report, tuned = tune(
        dataset=job.dataset,
        train=train,
        valid=valid,
        fixed=fixed,
        folder=job.artifacts / _FOLDER,
        seed=job.seed,
        budget_seconds=wanted.seconds,
        max_trials=wanted.trials,
        earlier=earlier,
        progress=job.progress,
    )
    save_tuned(job.artifacts, tuned)
    notes = {"tuned": tuned.as_dict()} if tuned.settings else {}
    return ChosenSettings({**tuned.settings, **fixed}, notes, report)


def _earlier_choice(earlier: Tuned | None, fixed: Mapping[str, Any], train: Histories) -> ChosenSettings:
    if earlier is None or not earlier.settings:
        return ChosenSettings(fixed)
    if not earlier.holds_for(num_items=train.num_items, num_interactions=len(train.items)):
        return ChosenSettings(
            fixed,
            notices=(
                (
                    f"{FILE_NAME} was not used: it was found on {earlier.num_items:,} items and "
                    f"{earlier.num_interactions:,} interactions, there are {train.num_items:,} and {len(train.items):,} "
                    "now; run: kinema pretrain --tune SECONDS"
                ),
            ),
        )
    changes = {**earlier.settings, **fixed}
    try:
        choose_config(train, changes)
    except ConfigError as error:
        return ChosenSettings(fixed, notices=(f"{FILE_NAME} was not used with the present kinema.toml: {error}",))
    used = {name: value for name, value in earlier.settings.items() if name not in fixed}
    notice = f"settings of {FILE_NAME} ({earlier.trials} trials): {written(used)}; --no-tuned leaves them out"
    return ChosenSettings(changes, {"tuned": earlier.as_dict()}, notices=(notice,) if used else ())


def tune(
    *,
    dataset: Dataset,
    train: Histories,
    valid: Cases | None,
    fixed: Mapping[str, Any],
    folder: Path,
    seed: int,
    budget_seconds: float,
    max_trials: int | None = None,
    earlier: Tuned | None = None,
    progress: Progress = silent,
) -> tuple[TuningReport, Tuned]:
    """Search for the settings that are best on validation.

    The study is kept per data, fixed settings, seed and budget: the same call goes on with it, another one removes it.

    Args:
        dataset: Features and profiles.
        train: What is learnt from.
        valid: What is chosen on; nothing else is looked at.
        fixed: Settings that are not searched.
        folder: Of the studies.
        seed: Of every draw and of every training.
        budget_seconds: Wall time of all trials; the training of one takes a tenth of it at most.
        max_trials: Trials after which it ends as well.
        earlier: What an earlier search chose; tried second.
        progress: Told seconds of the budget.

    Returns:
        The report and the choice.

    Raises:
        ConfigError: Every setting that is searched is fixed.
        DataError: There is nothing to choose on.
        MissingExtraError: Optuna is not installed.
    """
    require("optuna")
    if valid is None or not valid.targets.lengths.any():
        raise DataError(
            "tuning must have users with three interactions to choose by, there are none; run: kinema pretrain, without --tune"
        )
    defaults = choose_config(train, fixed)
    domains = searched(defaults, fixed=fixed, facts=DataFacts.of(train, dataset.features))
    if not domains:
        raise ConfigError(
            "every setting that is searched is fixed in [flm], one must be free; take one out of kinema.toml"
        )
    longest = budget_seconds / TRAININGS_IN_BUDGET
    trial_config = defaults.with_changes(max_seconds=min(longest, defaults.max_seconds or longest))
    data = TrialData(train, valid, dataset.features, dataset.profiles, dataset.item_ids, dataset.published_ms_V)
    start = {name: getattr(defaults, name) for name in domains}

    def train_one(settings: Mapping[str, Any], watch: Watch) -> Any:
        return run_trial(data, trial_config.with_changes(**settings), seed=seed, watch=watch)

    described = {name: repr(domain) for name, domain in domains.items()}
    study = folder / fingerprint(
        [kinema.__version__, parents_of(dataset, train, valid), trial_config.as_dict(), described, seed, budget_seconds]
    )
    _remove_others(study)
    found = search(
        folder=study,
        domains=domains,
        start=start,
        also=[start | dict(earlier.settings)] if earlier is not None and _fits(earlier, domains) else [],
        train=train_one,
        budget_seconds=budget_seconds,
        max_trials=max_trials,
        seed=seed,
        progress=progress,
    )
    report = report_on(found, cases=data.judged(seed), folder=study, budget_seconds=budget_seconds, seed=seed)
    return report, _tuned(found, report.chosen, train, seed)


def written(settings: Mapping[str, Any]) -> str:
    """Settings as one would write them into `kinema.toml`, on one line.

    Example:
        >>> written({"dropout": 0.25, "num_blocks": 2})
        'dropout = 0.25, num_blocks = 2'
    """
    return ", ".join(
        f'{name} = "{one}"' if isinstance(one, str) else f"{name} = {one}" for name, one in settings.items()
    )


def _fits(earlier: Tuned, domains: Mapping[str, Any]) -> bool:
    settings = earlier.settings
    return bool(settings) and all(name in domains and value in domains[name] for name, value in settings.items())


def _remove_others(study: Path) -> None:
    for stale in study.parent.glob("*"):
        if stale != study:
            shutil.rmtree(stale)


def _tuned(found: Found, chosen: int, train: Histories, seed: int) -> Tuned:
    best, default = found.trial(chosen), found.trial(found.default)
    return Tuned(
        settings={} if chosen == found.default else dict(best.settings),
        value=best.value or 0.0,
        default_value=default.value or 0.0,
        trials=len(found.trials),
        seconds=round(found.seconds, 1),
        seed=seed,
        num_items=train.num_items,
        num_interactions=len(train.items),
    )
