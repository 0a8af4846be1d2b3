"""What every task on a project's log starts from: its events, FLM's item vectors, what people did before, parts by time.

Shape suffixes: V catalogue.
"""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST, sha256_file
from kinema.errors import NotBuiltError
from kinema.recommend.model import Scorer
from kinema.schema import EventKind
from kinema.steps.dataset import Dataset
from kinema.steps.slates import load_scorer
from kinema.store.exposures import Exposures
from kinema.store.trails import Trails, pack_trails
from kinema.tasks.history_click import ClickWorld, by_time

TRAIL_KINDS: Final = tuple(kind for kind in EventKind if kind is not EventKind.IMPRESSION)
LOG_COLUMNS: Final = ("user", "item", "timestamp_ms", "kind", "watch_ms", "position", "propensity")
PARTS: Final = ("train", "valid", "test")
_STEPS_PER_EPOCH: Final = 50


def needed_scorer(artifacts: Path, dataset: Dataset, *, needs_it: str) -> Scorer:
    """FLM bound to the catalogue.

    Raises:
        NotBuiltError: There is none.
    """
    scorer = load_scorer(artifacts / "flm", dataset)
    if scorer is None:
        raise NotBuiltError(f"{needs_it} needs FLM's item vectors, there are none; run: kinema pretrain")
    return scorer


def click_world(
    dataset: Dataset, *, vectors_VD: NDArray[np.float32], popularity_V: NDArray[np.float32], trails: Trails
) -> ClickWorld:
    """What a click is judged by, from one reading of a project."""
    return ClickWorld(
        vectors_VD,
        popularity_V,
        dataset.published_ms_V,
        trails,
        None if dataset.profiles is None else dataset.profiles.values_UP,
    )


def log_world(
    dataset: Dataset, events: pl.DataFrame, *, vectors_VD: NDArray[np.float32], popularity_V: NDArray[np.float32]
) -> ClickWorld:
    """The same with the trails of events.

    Args:
        dataset: One reading of the project.
        events: Of all `TRAIL_KINDS`, others are passed over.
        vectors_VD: FLM's.
        popularity_V: How often each item was met in training.
    """
    trails = pack_trails(events, kinds=TRAIL_KINDS, num_users=dataset.histories.num_users)
    return click_world(dataset, vectors_VD=vectors_VD, popularity_V=popularity_V, trails=trails)


def profile_columns(dataset: Dataset) -> tuple[str, ...]:
    """Names of the profile columns, in order; none without profiles."""
    return () if dataset.profiles is None else tuple(dataset.profiles.columns)


def durations_ms(dataset: Dataset) -> NDArray[np.float64]:
    """float64 [V], length of each item's clip, 0 where unknown."""
    return dataset.items["duration_ms"].fill_null(0).to_numpy().astype(np.float64)


def flm_fingerprint(artifacts: Path) -> str:
    """By which a model of a task knows the FLM that its item vectors came from."""
    return sha256_file(artifacts / "flm" / MANIFEST)


def parts_by_time(exposures: Exposures) -> dict[str, NDArray[np.int64]]:
    """``train``, the oldest four fifths, ``valid``, the next tenth, and ``test``, the newest -> rows."""
    return dict(zip(PARTS, by_time(exposures), strict=True))


def usual_batch_size(num_examples: int) -> int:
    """So that an epoch has about fifty steps, in [64, 2048]."""
    return max(64, min(2048, num_examples // _STEPS_PER_EPOCH))
