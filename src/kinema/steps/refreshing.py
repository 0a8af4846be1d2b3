"""`kinema refresh`: train on what is new, and publish only what the newest events say is no worse.

    known to the serving model | new, learnt from | new, asked about
                               ^ its newest event ^ the cut

The candidate is trained on everything before the cut. Both models are asked about every interaction from the cut on, which neither was trained
on, and both know the same: the user's history up to the question, and a memory that has counted the log up to the cut. If the candidate is no
worse (`comparing`), a final model learns from the asked part too and is published, with the ranker that the settings want.
"""

import math
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from kinema.artifacts import MANIFEST
from kinema.errors import ConfigError, ConflictError, NotBuiltError
from kinema.flm.model import FLM
from kinema.flm.scorer import Scorer
from kinema.flm.sharing import inherited
from kinema.progress import Progress, silent
from kinema.retrieval.popularity import decayed_counts
from kinema.steps.clean_vectors import before
from kinema.steps.comparing import Comparison, Contender, answered, compare_models
from kinema.steps.dataset import Dataset
from kinema.steps.live import Stopwatch
from kinema.steps.locking import only_one
from kinema.steps.open_project import OpenProject
from kinema.steps.pretraining import PretrainJob, choose_config, serving_split, train_model
from kinema.steps.publishing import ModelFolder, made_of, notices_of
from kinema.steps.refresh_report import FOLDER, RefreshReport
from kinema.steps.slates import trained_profile_schema
from kinema.steps.staged_ranker import staged_ranker
from kinema.steps.tuning import Search, choose_settings
from kinema.steps.version_swaps import publish_staged
from kinema.steps.versions import SERVING, Version, serving_folder, version_of
from kinema.store.cuts import iso_moment
from kinema.store.histories import Histories
from kinema.store.profiles import transform_profiles
from kinema.store.splits import Cases, Split, assemble, temporal

LOCK: Final = ".lock"
_CANDIDATE: Final = "candidate"
_FINAL: Final = "final"
_MOST_QUESTIONS: Final = 20_000
_VALID_SHARE: Final = 0.1
_WARM_SHARE: Final = 1 / 3
"""Of the epochs, where training goes on from the serving model: as good as all of them from nothing (docs/models.md)."""


class Refreshable(OpenProject, Protocol):
    """An open project whose media can be understood."""

    def extract(self, *, progress: Progress = silent) -> Any:
        """Turn media and text into vectors."""


@dataclass(frozen=True)
class Round:
    """What one refresh works with.

    Attributes:
        project: An open project.
        dataset: One reading of it.
        folder: Of the version that serves.
        version: That version.
        seed: Of every draw.
        progress: Told epochs.
        watch: Times the stages.
    """

    project: Refreshable
    dataset: Dataset
    folder: Path
    version: Version
    seed: int
    progress: Progress = silent
    watch: Stopwatch = field(default_factory=Stopwatch)

    @property
    def artifacts(self) -> Path:
        """Of the project."""
        return self.project.artifacts

    def place(self, name: str) -> Path:
        """Where a model and what belongs to it wait."""
        return self.artifacts / FOLDER / name


@dataclass(frozen=True)
class Asked:
    """The questions, and what came before them."""

    cut_ms: int
    earlier: Histories
    questions: Cases
    split: Split


def refresh_project(
    project: Refreshable,
    *,
    dry_run: bool = False,
    force: bool = False,
    min_events: int | None = None,
    extract: bool = True,
    seed: int | None = None,
    progress: Progress = silent,
) -> RefreshReport:
    """Train on the project's events as they are now, and publish if no worse.

    Args:
        project: An open project.
        dry_run: Train and compare, publish nothing.
        force: Publish whatever the comparison says.
        min_events: Interactions that must be new; None takes ``[refresh] min_events``.
        extract: First turn new items' media and texts into vectors, where the project has had that done before.
        seed: Overrides the project's.
        progress: Told clips and epochs.

    Returns:
        The report, which is also written into ``artifacts/refresh``.

    Raises:
        NotBuiltError: There is no model yet.
        ConfigError: The settings let another model than FLM serve.
        ConflictError: Another refresh of this project is at work.
    """
    artifacts, watch = project.artifacts, Stopwatch()
    if project.settings.recommend.model != SERVING:
        raise ConfigError(
            f'[recommend] model must be "{SERVING}" to be refreshed, is "{project.settings.recommend.model}"; set it back'
        )
    with only_one(artifacts / FOLDER / LOCK, wait=False) as ours:
        if not ours:
            raise ConflictError("only one refresh of a project may be at work, another one is; wait until it is done")
        folder = serving_folder(artifacts)
        if folder is None:
            raise NotBuiltError("a refresh must have a model to compare with, there is none yet; run: kinema pretrain")
        if extract and (artifacts / "features" / MANIFEST).is_file():
            with watch.stage("extract"):
                project.extract(progress=progress)
        chosen = project.settings.runtime.seed if seed is None else seed
        work = Round(project, project.dataset(), folder, version_of(folder), chosen, progress, watch)
        report = _refreshed(work, dry_run=dry_run, force=force, min_events=min_events)
        report = replace(report, seconds=watch.seconds, dry_run=dry_run, forced=force)
        return replace(report, file=report.written(artifacts))


def _refreshed(work: Round, *, dry_run: bool, force: bool, min_events: int | None) -> RefreshReport:
    settings, histories = work.project.settings.refresh, work.dataset.histories
    known_ms = known_until(work.version, work.folder, histories)
    num_new = int((histories.timestamps_ms > known_ms).sum())
    told: dict[str, Any] = {"good": False, "serving": work.version.id, "new_interactions": num_new}
    least = max(2, settings.min_events if min_events is None else min_events)
    asked = None if num_new < least else ask(work, known_ms=known_ms, holdout=settings.holdout)
    comparison = None
    if asked is None or not len(asked.questions):
        why = f"{num_new:,} interactions are new since version {work.version.id}, at least {least:,} must be"
        if dry_run or not force:
            return RefreshReport("skipped", why, **told)
    else:
        candidate = trained(work, asked.earlier, _CANDIDATE)
        with work.watch.stage("compare"):
            comparison = compared(work, asked, candidate)
        why, good = comparison.sentence(), comparison.no_worse
        told |= {"asked_from": iso_moment(asked.cut_ms), "comparison": comparison, "good": good}
        if dry_run or not (good or force):
            fate = "it would be published, this was a dry run" if good else f"version {work.version.id} goes on serving"
            return RefreshReport("kept", f"{why}; {fate}", **told)
    why = why if told["good"] else f"{why}; published by force"
    version, notices = publish_final(work, asked, comparison, why=why)
    return RefreshReport("published", why, version=version.id, notices=notices, **told)


def known_until(version: Version, folder: Path, histories: Histories) -> int:
    """The newest moment the serving model was trained or chosen on, UTC ms; nothing later was known to it.

    A version says so itself. Of a model from before there were versions, its memory says how many of each user's interactions it has counted.
    """
    newest = version.data.get("newest_ms")
    if newest is not None:
        return int(newest)
    counted_U = FLM.load(folder).memory.counted_U
    if counted_U is None:
        raise NotBuiltError(
            f"version {version.id} must say what it was trained on, is older than versions are; run once: kinema pretrain"
        )
    users = min(len(counted_U), histories.num_users)
    stops = histories.offsets[:-1][:users] + np.minimum(counted_U[:users], histories.lengths[:users])
    seen = histories.timestamps_ms[stops[counted_U[:users] > 0] - 1]
    return int(seen.max(initial=0))


def ask(work: Round, *, known_ms: int, holdout: float) -> Asked:
    """The newest of what is new as questions, at most 20,000 drawn at random.

    Args:
        work: The round.
        known_ms: What is later is new; at least two interactions are.
        holdout: Share of it that is asked about.
    """
    dataset, histories = work.dataset, work.dataset.histories
    new = np.sort(histories.timestamps_ms[histories.timestamps_ms > known_ms])
    cut_ms = int(new[min(math.ceil((1 - holdout) * len(new)), len(new) - 1)])
    available: dict[str, Any] = {"published_ms_V": dataset.published_ms_V, "hidden_V": dataset.hidden_V}
    questions = temporal(
        histories, test_from_ms=cut_ms, valid_share=_VALID_SHARE, max_cases=_MOST_QUESTIONS, seed=work.seed, **available
    ).test
    earlier = before(histories, cut_ms)
    split = assemble("refresh", train=earlier, valid=questions, test=questions, facts={}, **available)
    return Asked(cut_ms, earlier, questions, split)


def trained(work: Round, log: Histories, name: str) -> FLM:
    """A model that has learnt from a log as `kinema pretrain` would; one that was trained from the same before is found."""
    settings, (train, valid) = work.project.settings, serving_split(log)
    place, source = work.place(name) / SERVING, None
    job = PretrainJob(work.dataset, settings.flm.model_dump(), work.artifacts, work.seed, work.progress)
    changes: Mapping[str, Any] = choose_settings(job, Search(), train=train, valid=valid).changes
    if settings.refresh.start == "serving":
        source = FLM.load(work.folder)
        changes = inherited(source, job.changes)
    config = choose_config(train, changes)
    if source is not None and settings.flm.max_epochs is None:
        config = config.with_changes(max_epochs=math.ceil(config.max_epochs * _WARM_SHARE))
    with work.watch.stage(f"train {name}"):
        model, _ = train_model(
            dataset=work.dataset,
            train=train,
            valid=valid,
            config=config,
            seed=work.seed,
            place=ModelFolder(place),
            source=source,
            same_items=source is not None,
            progress=work.progress,
        )
    return model


def compared(work: Round, asked: Asked, candidate: FLM) -> Comparison:
    """Both models on the questions."""
    settings = work.project.settings
    schema = trained_profile_schema(work.folder)
    profiles = None if schema is None else transform_profiles(work.dataset.users, schema)
    popularity_V = decayed_counts(asked.earlier, half_life_days=settings.recommend.popularity_half_life_days)
    serving = contender(work, FLM.load(work.folder), asked, name="serving")
    return compare_models(
        replace(serving, profiles=profiles),
        contender(work, candidate, asked, name=_CANDIDATE),
        asked.questions,
        asked.split,
        popularity_V=popularity_V,
        tolerance=settings.refresh.tolerance,
        num_resamples=settings.evaluation.bootstrap_samples,
        seed=work.seed,
    )


def contender(work: Round, model: FLM, asked: Asked, *, name: str) -> Contender:
    """A model as it would serve at the cut."""
    scorer: Scorer = model.serve(work.dataset.features, len(work.dataset.item_ids))
    scorer.memory.count_on(asked.earlier)
    return Contender(name, scorer, model.counts_V, work.dataset.profiles if model.profile_columns else None)


def publish_final(
    work: Round, asked: Asked | None, comparison: Comparison | None, *, why: str
) -> tuple[Version, tuple[str, ...]]:
    """Let what was found good serve, after it has learnt from the questions too.

    A final model cannot be asked what it was trained on and be believed. What can be seen is that something went wrong: where it answers
    even those questions worse than the margin allows, the candidate itself is published.
    """
    project, name, notices = work.project, _CANDIDATE, list[str]()
    if asked is None or comparison is None or project.settings.refresh.final:
        final, name = trained(work, work.dataset.histories, _FINAL), _FINAL
        if asked is not None and comparison is not None:
            reached = answered(contender(work, final, asked, name=_FINAL), asked.questions, asked.split)
            least = comparison.rows["all"].serving - comparison.margin
            if reached < least:
                name = _CANDIDATE
                notices.append(
                    f"learning from the held-out questions too went wrong (NDCG@10 {reached:.4f} on them, at least "
                    f"{least:.4f} was to be): the candidate serves"
                )
    staged = work.place(name)
    with work.watch.stage("ranker"):
        notices += staged_ranker(project, staged, progress=work.progress)
    with work.watch.stage("publish"):
        model = FLM.load(staged / SERVING)
        log = work.dataset.histories if name == _FINAL or asked is None else asked.earlier
        made = made_of(model, log, command="kinema refresh", notes={"why": why})
        version = publish_staged(work.artifacts, staged, made, keep=project.settings.serving.keep_versions)
    for one in (_CANDIDATE, _FINAL):
        shutil.rmtree(work.place(one), ignore_errors=True)
    behind = notices_of(work.artifacts, project.settings.recommend)
    return version, (*notices, *(one.text for one in behind))
