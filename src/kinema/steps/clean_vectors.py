"""Item vectors of an FLM that has learnt from the log up to a moment only: what an honest test on later days needs.

Shape suffixes: V catalogue, D width.
"""

from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.flm.model import FLM
from kinema.progress import Progress, silent
from kinema.steps.dataset import Dataset
from kinema.steps.pretraining import serving_split, train_model
from kinema.steps.publishing import ModelFolder
from kinema.store.cuts import slices
from kinema.store.histories import Histories

FOLDER: Final = "flm-clean"


def clean_vectors(
    dataset: Dataset, *, artifacts: Path, before_ms: int, seed: int, progress: Progress = silent
) -> NDArray[np.float32]:
    """Train FLM, in the shape of the project's own, on what happened before a moment; kept and found again beside the project's.

    Args:
        dataset: Of the project.
        artifacts: Of the project.
        before_ms: Nothing from here on is learnt from.
        seed: Of the training.
        progress: Told epochs.

    Returns:
        float32 [V, D], of all items of today.

    Raises:
        NotBuiltError: There is no FLM yet, or nothing happened before.
    """
    config = FLM.load(artifacts / "flm").config
    train, valid = serving_split(before(dataset.histories, before_ms))
    model, _ = train_model(
        dataset=dataset,
        train=train,
        valid=valid,
        config=config,
        seed=seed,
        place=ModelFolder(artifacts / FOLDER),
        progress=progress,
    )
    features = dataset.features if model.whitenings else {}
    return model.serve(features, len(dataset.item_ids)).item_vectors_VD


def before(histories: Histories, moment_ms: int) -> Histories:
    """What each user had done before a moment."""
    earlier_N = np.concatenate([[0], np.cumsum(histories.timestamps_ms < moment_ms)])
    counts_U = earlier_N[histories.offsets[1:]] - earlier_N[histories.offsets[:-1]]
    return slices(histories, histories.offsets[:-1], histories.offsets[:-1] + counts_U)
