"""The re-ranker of a project, bound to one reading of its catalogue, for `kinema search`."""

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST
from kinema.errors import NotBuiltError
from kinema.reranking.second_reading import SecondReading
from kinema.settings import SearchSettings
from kinema.steps.slates import SlateMaker

if TYPE_CHECKING:
    from kinema.tasks.reranker import Reranker


def second_reading(slates: SlateMaker, settings: SearchSettings, artifacts: Path) -> SecondReading | None:
    """Who reads the first places of an answer again; None where the settings want nobody to.

    Args:
        slates: One reading of the project.
        settings: ``reranker`` and ``rerank_top`` count.
        artifacts: Of the project.

    Raises:
        NotBuiltError: The settings want a re-ranker, and there is none.
        StaleArtifactError: It was learnt on another encoder, or is damaged.
    """
    if not settings.reranker:
        return None
    from kinema.tasks.reranker import FOLDER, REMEDY  # noqa: PLC0415  # brings torch

    folder = artifacts / FOLDER
    if not (folder / MANIFEST).is_file():
        raise NotBuiltError(f"[search] reranker = true needs a re-ranker, there is none; run: {REMEDY}")
    reranker = _load(folder, (folder / MANIFEST).stat().st_mtime_ns)
    items = slates.dataset.items
    columns = {name: items[name] for name in ("title", "description")}

    def read(query: str, items_K: NDArray[np.int64]) -> NDArray[np.float32]:
        from kinema.tasks.cross_encoder import candidate_text  # noqa: PLC0415  # as above

        rows = ({name: column[row] for name, column in columns.items()} for row in items_K.tolist())
        return reranker.read(query, [candidate_text(row) for row in rows])

    return SecondReading(reranker.config.told, settings.rerank_top, reranker.config.weight, read)


@lru_cache(maxsize=1)
def _load(folder: Path, changed_ns: int) -> "Reranker":
    del changed_ns
    from kinema.tasks.reranker import Reranker  # noqa: PLC0415  # brings torch

    return Reranker.load(folder, project=folder.parent.parent)
