"""``project.tune``: one method per task of `kinema tune`."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from kinema.errors import ConfigError
from kinema.progress import Progress, silent
from kinema.settings import FILE_NAME, Settings
from kinema.steps.finetuning import MIN_COUNT
from kinema.steps.finetuning_options import Asked
from kinema.steps.finetuning_rerank import RerankTraining
from kinema.steps.finetuning_text import TextTraining
from kinema.steps.text_rows import TextColumns
from kinema.steps.tuning_task import TuneJob, tune_task
from kinema.training.parameter_choice import Choice
from kinema.tuning.task_report import TaskTuning

FOLDER = "tune"
"""Of the searches of a project."""
_USUAL_TRIALS = 20


class Searching(TypedDict, total=False):
    """What every method of ``project.tune`` takes by name.

    ``trials``, ``seconds``: when it ends, 20 trials where neither is given; ``workers``: trials at once; ``settings``: what is fixed for this
    search, as in ``{"max_epochs": 5, "network.width": 32}``; ``write``: put what is chosen into `kinema.toml`; ``restart``: begin anew;
    ``seed``: None for the project's; ``progress``: told trials, or seconds.
    """

    trials: int | None
    seconds: float | None
    workers: int
    settings: Mapping[str, Any]
    write: bool
    restart: bool
    seed: int | None
    progress: Progress


class Tune:
    """Searches for the settings with which a task learns best, on validation only; `kinema tune` does the same.

    What is searched stands in ``[tune.TASK]`` of `kinema.toml`, or is the task's own choice; see `kinema.steps.tuning_task`. Every method
    takes `Searching` by name, and otherwise what the method of ``project.finetune`` takes.

    Args:
        settings: Of the project, or the usual ones.
        folder: Of the project; None where there is none, which is enough for tables, texts and clips of no project.
        media_root: Where media paths start.
        workers: Decoding processes.
        written: Called when `kinema.toml` was changed.
    """

    def __init__(
        self,
        settings: Settings,
        folder: Path | None,
        *,
        media_root: Path | None = None,
        workers: int = 1,
        written: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings, self._folder = settings, folder
        self._decoding = {"media_root": None if media_root is None else str(media_root), "workers": workers}
        self._written = written

    def click(self, label: str = "click", **how: Unpack[Searching]) -> TaskTuning:
        """Clicks of the log; see ``finetune.click``."""
        return self._search("click", {"label": label}, how)

    def click_table(
        self,
        train: str | Path,
        to: str | Path,
        *,
        label: str = "label",
        valid: str | Path | None = None,
        fields: Sequence[str] = (),
        min_count: int = MIN_COUNT,
        **how: Unpack[Searching],
    ) -> TaskTuning:
        """Clicks of a table; see ``finetune.click_table``. The search is kept beside the model, in TO-tune."""
        rows = {"train": _place(train), "valid": _place(valid), "label": label}
        return self._search("click_table", {**rows, "fields": list(fields), "min_count": min_count}, how, beside=to)

    def engagement(self, **how: Unpack[Searching]) -> TaskTuning:
        """Engagement of the log; see ``finetune.engagement``."""
        return self._search("engagement", {}, how)

    def rating(self, **how: Unpack[Searching]) -> TaskTuning:
        """Ratings of the log; see ``finetune.rating``."""
        return self._search("rating", {}, how)

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
        **how: Unpack[Searching],
    ) -> TaskTuning:
        """Classes of clips; see ``finetune.clips``. Where ``clips`` are of no project, the search is kept in TO-tune."""
        if (clips is None) != (to is None):
            raise ConfigError(
                "--clips must come with --to, the folder of the model that the search is kept beside; give both"
            )
        asked = {"table": _place(labels), "column": column, "key": key, "pattern": pattern}
        place = {"labels": asked, "clips": _place(clips), "to": _place(to), "min_clips": min_clips}
        return self._search("clips", place, how, beside=to)

    def match(
        self,
        pairs: str | Path | None = None,
        *,
        learn: Literal["frozen", "top", "lora"] = "frozen",
        layers: int = 2,
        rank: int = 8,
        **how: Unpack[Searching],
    ) -> TaskTuning:
        """Words and the items that answer them; see ``finetune.match``."""
        choice = None if learn == "frozen" else asdict(Choice(learn, layers=layers, rank=rank))
        place = {"what": "texts", "pairs": _place(pairs), "choice": choice, **self._decoding}
        return self._search("match", place, how, inside="texts")

    def match_items(self, **how: Unpack[Searching]) -> TaskTuning:
        """Items and the items that follow them; see ``finetune.match_items``. What is found is of both, ``[finetune.match]``."""
        place = {"what": "items", "pairs": None, "choice": None, **self._decoding}
        return self._search("match", place, how, inside="items")

    def visual(self, **how: Unpack[Searching]) -> TaskTuning:
        """Pictures of clips; see ``finetune.visual``."""
        return self._search("visual", self._decoding, how)

    def rerank(
        self,
        pairs: str | Path | None = None,
        *,
        synonyms: str | Path | None = None,
        training: RerankTraining | None = None,
        **how: Unpack[Searching],
    ) -> TaskTuning:
        """A better order of a search; see ``finetune.rerank``; ``synonyms`` is a table here."""
        read = training or RerankTraining(top=self._settings.search.rerank_top)
        place = {"pairs": _place(pairs), "synonyms": _place(synonyms), "training": asdict(read)}
        return self._search("rerank", place, how)

    def text(
        self,
        train: str | Path,
        to: str | Path,
        *,
        columns: TextColumns | None = None,
        valid: str | Path | None = None,
        synonyms: str | Path | None = None,
        training: TextTraining | None = None,
        **how: Unpack[Searching],
    ) -> TaskTuning:
        """Labels of texts; see ``finetune.text``. The search is kept in TO-tune; ``synonyms`` is a table that stands for that of ``training``."""
        read = asdict(training or TextTraining())
        changes = read.pop("changes") | {"table": _place(synonyms)}
        changes |= {name: _place(changes[name]) for name in ("there", "back")}
        place = {"train": _place(train), "valid": _place(valid), "columns": asdict(columns or TextColumns())}
        return self._search("text", {**place, "training": read, "changes": changes}, how, beside=to)

    def next(self, source: str | Path | None = None, *, learn: str = "full", **how: Unpack[Searching]) -> TaskTuning:
        """What comes next; see ``finetune.next``."""
        return self._search("next", {"source": _place(source), "learn": learn}, how)

    def several(
        self,
        tasks: Sequence[str] = ("click", "next"),
        *,
        weighting: Literal["fixed", "uncertainty", "conflicts"] = "fixed",
        weights: Mapping[str, float] | None = None,
        **how: Unpack[Searching],
    ) -> TaskTuning:
        """Several tasks in one run; see ``finetune.several``."""
        place = {"tasks": list(tasks), "weighting": weighting, "weights": dict(weights or {})}
        return self._search("several", place, how)

    def _search(
        self,
        task: str,
        place: Mapping[str, Any],
        how: Searching,
        *,
        beside: str | Path | None = None,
        inside: str = "",
    ) -> TaskTuning:
        """Search, in ``tune/TASK`` of the project or beside a model that has a folder of its own."""
        trials, seconds, write = how.get("trials"), how.get("seconds"), how.get("write", False)
        if write and self._folder is None:
            raise ConfigError(
                "--write must have a kinema.toml to write into, there is none here; give --project, or leave it out"
            )
        if beside is not None:
            folder = Path(beside).with_name(f"{Path(beside).name}-tune")
        else:
            assert self._folder is not None
            folder = self._folder / FOLDER / task / inside
        seed = how.get("seed")
        seed = self._settings.runtime.seed if seed is None else seed
        found = tune_task(
            TuneJob(
                task=task,
                place={"project": None if self._folder is None else str(self._folder), **place},
                folder=folder,
                finetune=self._settings.finetune,
                tune=self._settings.tune,
                asked=Asked(how.get("settings", {}), seed, restart=how.get("restart", False)),
                trials=_USUAL_TRIALS if trials is None and seconds is None else trials,
                seconds=seconds,
                workers=how.get("workers", 1),
                write_to=self._folder / FILE_NAME if write and self._folder is not None else None,
                progress=how.get("progress", silent),
            )
        )
        if found.written:
            self._written()
        return found


def _place(path: str | Path | None) -> str | None:
    return None if path is None else str(Path(path).resolve())
