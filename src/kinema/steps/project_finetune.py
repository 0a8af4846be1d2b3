"""``project.finetune``: one method per task of `kinema finetune`."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar, Unpack

from kinema.progress import Progress
from kinema.steps.clip_library import AskedClips, labelled_clips
from kinema.steps.dataset import Dataset
from kinema.steps.finetuning import MIN_COUNT, ClickReport, finetune_click
from kinema.steps.finetuning_clips import FOLDER as CLIPS_FOLDER
from kinema.steps.finetuning_clips import USUAL as USUAL_CLIPS
from kinema.steps.finetuning_clips import ClipClassReport, finetune_clips
from kinema.steps.finetuning_engagement import EngagementReport, finetune_engagement
from kinema.steps.finetuning_log import LogClickReport, finetune_click_on_log
from kinema.steps.finetuning_match import MatchReport
from kinema.steps.finetuning_next import NextReport, finetune_next
from kinema.steps.finetuning_options import RUNS, Asked, FitPlan, Learning, plan_for
from kinema.steps.finetuning_project import Shop, match_items, match_texts, open_shop, take_up, visual_of_project
from kinema.steps.finetuning_rating import RatingReport, finetune_rating
from kinema.steps.finetuning_rerank import RerankReport, RerankTraining, finetune_rerank
from kinema.steps.finetuning_several import SeveralReport, finetune_several
from kinema.steps.finetuning_text import TextReport, TextTraining, finetune_text
from kinema.steps.finetuning_visual import VisualReport
from kinema.steps.open_project import OpenProject
from kinema.steps.slates import trained_profile_schema
from kinema.steps.text_rows import TextColumns
from kinema.tasks.field_specs import parse_spec
from kinema.training.parameter_choice import Choice

_Report = TypeVar("_Report", MatchReport, VisualReport)


class Changing(Learning, total=False):
    """`Learning` of tasks that can change histories in training.

    ``augment``: shares such as ``{"crop": 0.2, "mask": 0.1}``, see `kinema.training.task_extras.HistoryChanges`.
    """

    augment: Mapping[str, float] | str


class Clicking(Changing, total=False):
    """`Changing`, and what else a click model of a log can do, see `kinema.training.task_extras.ClickExtras`."""

    ensemble: int
    distil: bool
    clean: bool


class Finetune:
    """The tasks of a project, each evaluated and written where it is served from; `kinema finetune` does the same.

    Every method takes settings of training by name (`kinema.steps.finetuning_options.Learning`): ``max_epochs=3``, ``seed=1``,
    ``network={"width": 64}``. They stand over ``[finetune]`` of `kinema.toml`. The run is kept in ``runs/TASK`` of the project, of a model with
    a folder of its own beside that: what was interrupted goes on, what was finished is not run again, ``restart=True`` begins anew.

    Args:
        project: An open project.
    """

    def __init__(self, project: OpenProject) -> None:
        self._project = project

    def click(self, label: str = "click", **options: Unpack[Clicking]) -> LogClickReport:
        """Whether a user clicks on what is shown, or likes it, from the log; see `kinema.steps.finetuning_log`.

        Args:
            label: Kind of event.
            **options: `Clicking`.
        """
        plan = self._plan("click", options)
        return finetune_click_on_log(
            self._project.store, self._trained(), artifacts=self._project.artifacts, label=label, plan=plan
        )

    def click_table(
        self,
        train: str | Path,
        to: str | Path,
        *,
        label: str = "label",
        valid: str | Path | None = None,
        test: str | Path | None = None,
        fields: Sequence[str] = (),
        min_count: int = MIN_COUNT,
        start: str | Path | None = None,
        **options: Unpack[Learning],
    ) -> ClickReport:
        """The same from the columns of any table; see `kinema.steps.finetuning.finetune_click`.

        Args:
            train: Table to learn from.
            to: Folder of the model.
            label: Column of 0 and 1.
            valid: Rows that decide; None draws a tenth of those of ``train``.
            test: Rows that are measured on.
            fields: What columns are, as in ``price=number``; the others are guessed.
            min_count: Rows a value must be in to have a vector of its own.
            start: An earlier model to start from.
            **options: `Learning`.
        """
        return finetune_click(
            train=Path(train),
            valid=_path(valid),
            test=_path(test),
            label=label,
            folder=Path(to),
            specs=[parse_spec(one) for one in fields],
            min_count=min_count,
            start=_path(start),
            plan=self._plan("click_table", options, beside=to),
        )

    def engagement(self, *, compare: bool = False, **options: Unpack[Changing]) -> EngagementReport:
        """Clicks, likes, shares, finishing and watch time of the log; see `kinema.steps.finetuning_engagement`.

        Args:
            compare: Also train a model per head, and say whether sharing helps.
            **options: `Changing`.
        """
        plan, project = self._plan("engagement", options), self._project
        return finetune_engagement(
            project.store, self._trained(), artifacts=project.artifacts, compare=compare, plan=plan
        )

    def rating(self, **options: Unpack[Learning]) -> RatingReport:
        """What a user would rate, with an interval; see `kinema.steps.finetuning_rating`.

        Args:
            **options: `Learning`.
        """
        plan, project = self._plan("rating", options), self._project
        return finetune_rating(project.store, project.dataset(), artifacts=project.artifacts, plan=plan)

    def clips(
        self,
        *,
        labels: str | Path | None = None,
        column: str | None = None,
        key: str | None = None,
        pattern: str = "auto",
        clips: str | Path | None = None,
        to: str | Path | None = None,
        min_clips: int = 5,
        **options: Unpack[Learning],
    ) -> ClipClassReport:
        """The class of a clip; see `kinema.steps.finetuning_clips`.

        Args:
            labels: Table with a label per clip.
            column: Of the label, in ``labels`` or else in the catalogue; None takes labels from names.
            key: Column of ``labels`` that names the clip.
            pattern: How names tell labels.
            clips: Folder of clips that belong to no project; None takes the project's.
            to: Folder of the model; needed with ``clips``.
            min_clips: Of a class, to be learnt.
            **options: `Learning`.
        """
        plan, project = self._plan("clips", options, beside=None if clips is None else to), self._project
        library, found = labelled_clips(
            AskedClips(_path(clips), _path(to), _path(labels), column, key, pattern),
            inputs=plan.network(USUAL_CLIPS).inputs,
            store=project.store,
            settings=project.settings,
            folder=project.folder,
            progress=plan.progress,
        )
        place = project.artifacts / CLIPS_FOLDER if to is None else Path(to)
        return finetune_clips(library, found, folder=place, min_clips=min_clips, plan=plan)

    def match(
        self,
        pairs: str | Path | None = None,
        *,
        learn: Literal["frozen", "top", "lora"] = "frozen",
        layers: int = 2,
        rank: int = 8,
        use: bool = False,
        **options: Unpack[Learning],
    ) -> MatchReport:
        """Words and the items that answer them; see `kinema.steps.finetuning_project.match_texts`.

        Args:
            pairs: Table with columns query and item; None takes the log's searches, or the catalogue.
            learn: What of the text encoder learns too.
            layers: Of ``top``.
            rank: Of ``lora``.
            use: If it is better on held-out queries, write so into `kinema.toml`.
            **options: `Learning`.
        """
        plan = self._plan("match", options)
        choice = None if learn == "frozen" else Choice(learn, layers=layers, rank=rank)
        report = match_texts(self._shop(plan), table=_path(pairs), choice=choice, plan=plan)
        return self._taken_up(report, "search", "matcher", use=use)

    def match_items(self, *, use: bool = False, **options: Unpack[Learning]) -> MatchReport:
        """Items and the items that follow them; see `kinema.steps.finetuning_project.match_items`.

        Args:
            use: If it is better on held-out queries, write so into `kinema.toml`.
            **options: `Learning`, over ``[finetune.match]``.
        """
        plan = self._plan("match", options)
        return self._taken_up(match_items(self._shop(plan), plan=plan), "recommend", "matcher", use=use)

    def visual(self, *, use: bool = False, **options: Unpack[Learning]) -> VisualReport:
        """The clip that a picture or a part of a clip shows; see `kinema.steps.finetuning_visual`.

        Args:
            use: If it is better on held-out clips, write so into `kinema.toml`.
            **options: `Learning`.
        """
        plan = self._plan("visual", options)
        return self._taken_up(visual_of_project(self._shop(plan), plan=plan), "search", "visual", use=use)

    def rerank(
        self,
        pairs: str | Path | None = None,
        *,
        synonyms: Mapping[str, Sequence[str]] | None = None,
        training: RerankTraining | None = None,
        **options: Unpack[Learning],
    ) -> RerankReport:
        """A better order of what a search finds; see `kinema.steps.finetuning_rerank`.

        Args:
            pairs: Table with query, item and label or grade; None lets the catalogue ask itself.
            synonyms: For queries made of the catalogue.
            training: What is read and learnt from; None for the usual, with ``[search] rerank_top`` candidates.
            **options: `Learning`; ``network`` says what learns, as in ``{"method": "top", "layers": 2}``.
        """
        project = self._project
        return finetune_rerank(
            project.slates(),
            folder=project.folder,
            settings=project.settings,
            pairs=_path(pairs),
            synonyms=synonyms,
            training=training or RerankTraining(top=project.settings.search.rerank_top),
            plan=self._plan("rerank", options),
        )

    def text(
        self,
        train: str | Path,
        to: str | Path,
        *,
        columns: TextColumns | None = None,
        valid: str | Path | None = None,
        test: str | Path | None = None,
        training: TextTraining | None = None,
        **options: Unpack[Learning],
    ) -> TextReport:
        """The label of a text or of a pair of texts, from any table; see `kinema.steps.finetuning_text`.

        Args:
            train: Table to learn from.
            to: Folder of the model.
            columns: Which columns count; None for ``text`` and ``label``.
            valid: Rows that decide; None draws a tenth of those of ``train``.
            test: Rows that are measured on.
            training: Which encoder and head, and how texts are read; None for the usual.
            **options: `Learning`; ``network`` says what learns, as in ``{"method": "lora", "rank": 4}``.
        """
        return finetune_text(
            train=Path(train),
            valid=_path(valid),
            test=_path(test),
            columns=columns,
            folder=Path(to),
            training=training,
            plan=self._plan("text", options, beside=to),
        )

    def next(
        self,
        source: str | Path | None = None,
        *,
        learn: str = "full",
        layers: int = 1,
        rank: int = 8,
        **options: Unpack[Learning],
    ) -> NextReport:
        """What comes next: a pre-trained FLM learns on; see `kinema.steps.finetuning_next`.

        Args:
            source: Project or FLM artefact of another catalogue; None for the project's own model.
            learn: ``full``, ``frozen``, ``top``, ``lora``, ``adapters`` or ``prefix``.
            layers: Of ``top``.
            rank: Of ``lora``.
            **options: `Learning`.
        """
        plan = self._plan("next", options)
        how = {"layers": layers, "rank": rank}
        return finetune_next(
            self._trained(), artifacts=self._project.artifacts, source=_path(source), learn=learn, **how, plan=plan
        )

    def several(
        self,
        tasks: Sequence[str] = ("click", "next"),
        *,
        weighting: Literal["fixed", "uncertainty", "conflicts"] = "fixed",
        weights: Mapping[str, float] | None = None,
        compare: bool = False,
        **options: Unpack[Learning],
    ) -> SeveralReport:
        """Several tasks of the log in one run with shared parameters; see `kinema.steps.finetuning_several`.

        Args:
            tasks: Some of `kinema.steps.finetuning_several.KNOWN`.
            weighting: How losses are combined.
            weights: Task -> weight, 1 where none is given.
            compare: Also train a model per task, and say whether sharing helps.
            **options: `Learning`.
        """
        return finetune_several(
            self._project.store,
            self._trained(),
            artifacts=self._project.artifacts,
            tasks=tasks,
            weighting=weighting,
            weights=weights,
            compare=compare,
            plan=self._plan("several", options),
        )

    def _plan(self, task: str, options: Learning, *, beside: str | Path | None = None) -> FitPlan:
        """The plan of a task; its run is kept in ``runs/TASK``, or beside a model that has a folder of its own."""
        settings, place = self._project.settings, self._project.folder / RUNS / task
        if beside is not None:
            place = Path(beside).with_name(f"{Path(beside).name}-run")
        plan = plan_for(
            task,
            finetune=settings.finetune,
            folder=place,
            seed=settings.runtime.seed,
            asked=Asked.of(options),
        )
        progress: Progress | None = options.get("progress")
        return plan if progress is None else replace(plan, progress=progress)

    def _trained(self) -> Dataset:
        """One reading of the project, with the profile columns of its model."""
        return self._project.dataset(profile_schema=trained_profile_schema(self._project.artifacts / "flm"))

    def _shop(self, plan: FitPlan) -> Shop:
        project = self._project
        return open_shop(
            folder=project.folder,
            settings=project.settings,
            store=project.store,
            dataset=self._trained(),
            media_root=project.media_root,
            workers=project.workers,
            seed=plan.seed,
        )

    def _taken_up(self, report: _Report, section: str, key: str, *, use: bool) -> _Report:
        """Write the setting that takes up what is better."""
        if use and report.better:
            take_up(self._project.folder, section=section, key=key)
            self._project.reload()
        return report


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)
