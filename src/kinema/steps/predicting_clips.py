"""`kinema predict clips`: the classes of clips, with probabilities, as a table.

Shape suffixes: N clips, C classes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from kinema.schema import Reject
from kinema.steps.finetuning import write_table
from kinema.steps.finetuning_clips import ClipLibrary
from kinema.tasks.clip_classes import ClipModel

TOP: Final = 3


@dataclass(frozen=True)
class ClipPredictions:
    """What clips show.

    Attributes:
        table: A row per clip that could be read: ``clip``, then ``label`` and ``prob`` of the most likely class, ``label_2`` and
            ``prob_2``, ``label_3`` and ``prob_3``.
        rejects: Clips that could not be read, or not by every encoder.
        num_unreadable: Clips without a row.
        counts: Class -> clips it is the most likely class of.
    """

    table: pl.DataFrame
    rejects: tuple[Reject, ...]
    num_unreadable: int
    counts: Mapping[str, int]


@dataclass(frozen=True)
class PredictionReport:
    """`ClipPredictions` that were written.

    Attributes:
        to: File.
        num_clips: Rows.
        num_unreadable: Clips without a row.
        counts: Class -> clips.
        rejects: See `ClipPredictions`.
    """

    to: Path
    num_clips: int
    num_unreadable: int
    counts: Mapping[str, int]
    rejects: tuple[Reject, ...]


def predict_clips(model: ClipModel, library: ClipLibrary, *, where: str = "these clips") -> ClipPredictions:
    """Apply a model to clips.

    Args:
        model: The model.
        library: The clips.
        where: They are; for errors.

    Returns:
        One row per readable clip; the others are named among the rejects or, as items without a file, only counted.

    Raises:
        StaleArtifactError: The clips were read in another way than those that the model has learnt from.
    """
    model.check_encoders({name: one.encoder for name, one in library.tokens.items()}, where=where)
    everything = np.arange(len(library.ids_N))
    rows_N = everything[model.readable(library.tokens, everything)]
    probs_NC = model.predict(library.tokens, rows_N)
    best_NK = np.argsort(-probs_NC, axis=1, kind="stable")[:, :TOP]
    columns: dict[str, list[Any]] = {"clip": [library.ids_N[row] for row in rows_N]}
    for place in range(best_NK.shape[1]):
        ending = f"_{place + 1}" if place else ""
        chosen_N = best_NK[:, place]
        columns[f"label{ending}"] = [model.classes[one] for one in chosen_N]
        columns[f"prob{ending}"] = np.take_along_axis(probs_NC, chosen_N[:, None], axis=1)[:, 0].round(6).tolist()
    counts_C = np.bincount(best_NK[:, 0], minlength=len(model.classes))
    return ClipPredictions(
        table=pl.DataFrame(columns),
        rejects=library.rejects,
        num_unreadable=len(everything) - len(rows_N),
        counts={name: int(count) for name, count in zip(model.classes, counts_C, strict=True) if count},
    )


def write_predictions(found: ClipPredictions, to: Path) -> PredictionReport:
    """Write the table.

    Args:
        found: From `predict_clips`.
        to: ``.parquet``, ``.jsonl`` or else CSV.
    """
    write_table(found.table, to=to)
    return PredictionReport(to, found.table.height, found.num_unreadable, found.counts, found.rejects)
