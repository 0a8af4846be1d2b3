"""Whether a click model of a log means what it says, slice by slice, and what makes it so.

Shape suffixes: N exposures.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from kinema.metrics.calibration import calibration_error, calibration_noise, calibration_rms
from kinema.ranking.slice_calibration import SliceCalibration, fit_slice_calibration
from kinema.store.exposures import Exposures
from kinema.tasks.click_slices import PLACE, click_slices
from kinema.tasks.history_click import HistoryClick

FITTED: Final = ("item", "activity", PLACE)
"""Slicings that get terms of their own. Attributes of users are measured and not fitted: that gained nothing on the validation tenth
of the town."""
_FEWEST: Final = 50
"""Rows of a slice below which no error is told."""


class Held(NamedTuple):
    """A task and rows that it has not learnt from."""

    task: HistoryClick
    rows: NDArray[np.int64]


@dataclass(frozen=True)
class SliceError:
    """How far off a slice is. Errors are of `kinema.metrics.calibration`, 15 bins of equal numbers of rows.

    Attributes:
        rows: Exposures.
        rate: Share with the outcome.
        before: Calibration error before.
        after: And after calibration.
        chance: What to expect of it if every probability were exactly right: of few rows most of the error is this.
        beyond_chance: The error after calibration with chance taken out, root of mean squares; 0 where chance explains all.
    """

    rows: int
    rate: float
    before: float
    after: float
    chance: float
    beyond_chance: float


def has_both(exposures: Exposures, label: str, rows: NDArray[np.int64]) -> bool:
    """Whether there are rows with and without the outcome."""
    return 0 < int(exposures.outcomes[label][rows].sum()) < len(rows)


def slices_of(held: Held, *, with_places: bool, profile_columns: Sequence[str]) -> dict[str, NDArray[np.str_]]:
    """Slicing -> slice of each row."""
    task, rows = held
    exposures = task.exposures
    users_N, times_ms_N = exposures.users_N[rows], exposures.times_ms_N[rows]
    return click_slices(
        task.world,
        users_N=users_N,
        items_N=exposures.items_N[rows],
        ends_N=task.world.trails.ends_before(users_N, times_ms_N),
        positions_N=exposures.positions_N[rows] if with_places else None,
        profile_columns=profile_columns,
    )


def fit_click_calibration(held: Sequence[Held], *, label: str, profile_columns: Sequence[str]) -> SliceCalibration:
    """A calibration from rows that their tasks have not learnt from.

    Every row is asked twice, with its place in the slate and without it, and counts half each time: slates are made without places, a
    log has them.

    Args:
        held: At least one; all of one log.
        label: Kind of outcome.
        profile_columns: Names of the world's profile columns.

    Raises:
        DataError: All labels are the same.
    """
    probs, labels, slices = [], [], []
    for one in held:
        for with_places in (True, False):
            probs.append(one.task.probabilities(one.rows, with_places=with_places))
            labels.append(one.task.exposures.outcomes[label][one.rows])
            slices.append(slices_of(one, with_places=with_places, profile_columns=profile_columns))
    probs_N = np.concatenate(probs)
    return fit_slice_calibration(
        probs_N,
        np.concatenate(labels),
        {name: np.concatenate([one[name] for one in slices]) for name in FITTED},
        weights_N=np.full(len(probs_N), 0.5),
    )


def errors_by_slice(
    held: Held, calibration: SliceCalibration, *, label: str, profile_columns: Sequence[str]
) -> dict[str, dict[str, SliceError]]:
    """Slicing -> slice -> its error; ``all`` has one slice of all rows.

    Asked without places, as when slates are made; the slicing by place is asked with them, for without them the first place must seem
    too low and the last one too high.

    Args:
        held: What is measured.
        calibration: Of it.
        label: Kind of outcome.
        profile_columns: Names of the world's profile columns.
    """
    labels_N = held.task.exposures.outcomes[label][held.rows]
    found: dict[str, dict[str, SliceError]] = {}
    for with_places in (False, True):
        probs_N = held.task.probabilities(held.rows, with_places=with_places).astype(np.float64)
        slices = slices_of(held, with_places=with_places, profile_columns=profile_columns)
        calibrated_N = calibration.apply(probs_N, slices)
        asked = {PLACE: slices[PLACE]} if with_places else {"all": np.full(len(probs_N), "all"), **slices}
        for name, slices_N in asked.items():
            if name != PLACE or with_places:
                found[name] = _errors(slices_N, probs_N, calibrated_N, labels_N)
    return found


def _errors(
    slices_N: NDArray[np.str_],
    probs_N: NDArray[np.float64],
    calibrated_N: NDArray[np.float64],
    labels_N: NDArray[np.bool_],
) -> dict[str, SliceError]:
    """Of the slices that have enough rows."""
    found = {}
    for name in np.unique(slices_N).tolist():
        here_N = slices_N == name
        if here_N.sum() < _FEWEST:
            continue
        said, meant, true = probs_N[here_N], calibrated_N[here_N], labels_N[here_N]
        found[name] = SliceError(
            rows=len(true),
            rate=float(true.mean()),
            before=calibration_error(said, true),
            after=calibration_error(meant, true),
            chance=calibration_noise(meant, true),
            beyond_chance=calibration_rms(meant, true),
        )
    return found


def largest(errors: Mapping[str, Mapping[str, SliceError]]) -> tuple[str, SliceError]:
    """The slice that is furthest off by what chance does not explain, as ``slicing=slice``."""
    told = {f"{name}={key}": one for name, slices in errors.items() for key, one in slices.items() if name != "all"}
    return max(told.items(), key=lambda pair: (pair[1].beyond_chance, pair[1].after))
