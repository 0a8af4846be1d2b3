"""``project.predict``: one method per task of `kinema predict`."""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from kinema.progress import Progress, silent
from kinema.settings import Settings
from kinema.steps.clip_library import file_library, project_library
from kinema.steps.finetuning import predict_click
from kinema.steps.finetuning_clips import FOLDER as CLIPS_FOLDER
from kinema.steps.finetuning_text import predict_text
from kinema.steps.open_project import OpenProject
from kinema.steps.predicting_clips import PredictionReport, predict_clips, write_predictions
from kinema.steps.predicting_match import load_matcher, predict_match
from kinema.tasks.clip_classes import ClipModel


class Predict:
    """Fine-tuned models of a project, applied to tables and clips; `kinema predict` does the same.

    Args:
        project: An open project.
    """

    def __init__(self, project: OpenProject) -> None:
        self._project = project

    def click(self, model: str | Path, *, table: str | Path, to: str | Path) -> int:
        """Write a table with the probability of a click; see `kinema.steps.finetuning.predict_click`.

        Args:
            model: Folder that ``finetune.click_table`` has written.
            table: Rows.
            to: File to write.

        Returns:
            Rows.
        """
        return predict_click(folder=Path(model), table=Path(table), to=Path(to))

    def clips(
        self,
        model: str | Path | None = None,
        *,
        to: str | Path,
        clips: Sequence[str | Path] = (),
        cache: str | Path | None = None,
        progress: Progress = silent,
    ) -> PredictionReport:
        """Write the class of each clip; see `kinema.steps.predicting_clips`.

        Args:
            model: Folder that ``finetune.clips`` has written; None for that of the project's clips.
            to: Table to write.
            clips: Files and folders; none takes the project's clips.
            cache: Keep what was computed of ``clips`` here, for the next time.
            progress: Told clips.
        """
        place = self._project.artifacts / CLIPS_FOLDER if model is None else Path(model)
        paths, kept = [Path(one) for one in clips], None if cache is None else Path(cache)
        return classes_of_clips(place, to=Path(to), clips=paths, cache=kept, project=self._project, progress=progress)

    def match(self, model: str | Path, *, table: str | Path, to: str | Path, num_items: int = 10) -> int:
        """Write the best items for each query of a table; see `kinema.steps.predicting_match.predict_match`.

        Args:
            model: Folder that ``finetune.match`` or ``match_items`` has written.
            table: With a column query, or item.
            to: File to write.
            num_items: Per row.

        Returns:
            Rows.
        """
        project = self._project
        return predict_match(
            model=load_matcher(Path(model)),
            table=Path(table),
            to=Path(to),
            dataset=project.dataset(),
            settings=project.settings,
            folder=project.folder,
            num_items=num_items,
        )

    def text(self, model: str | Path, *, table: str | Path, to: str | Path) -> int:
        """Write a table with the label of each text; see `kinema.steps.finetuning_text.predict_text`.

        Args:
            model: Folder that ``finetune.text`` has written.
            table: Rows.
            to: File to write.

        Returns:
            Rows.
        """
        return predict_text(folder=Path(model), table=Path(table), to=Path(to))


def classes_of_clips(
    model: Path,
    *,
    to: Path,
    clips: Sequence[Path] = (),
    cache: Path | None = None,
    project: OpenProject | None = None,
    progress: Progress = silent,
) -> PredictionReport:
    """What clips show, as a table.

    Args:
        model: Folder of the model.
        to: Table to write.
        clips: Files and folders; none takes the project's clips.
        cache: Keep what was computed of ``clips`` here; None keeps nothing.
        project: Needed without ``clips``; with them, its settings count.
        progress: Told clips.

    Raises:
        NotBuiltError: There is no such model, or the project's clips were not extracted.
        ConfigError: Clips are read in another way than those the model has learnt from.
    """
    found = ClipModel.load(model)
    if not clips:
        assert project is not None
        library = project_library(project.store, project.settings, project.folder, inputs=found.config.inputs)
        return write_predictions(predict_clips(found, library, where="the project's clips"), to)
    with ExitStack() as stack:
        library = file_library(
            clips,
            found.recipe,
            cache=cache or Path(stack.enter_context(TemporaryDirectory(prefix="kinema-clips-"))),
            settings=Settings() if project is None else project.settings,
            project_folder=None if project is None else project.folder,
            workers=os.cpu_count() or 1,
            progress=progress,
        )
        return write_predictions(predict_clips(found, library), to)
