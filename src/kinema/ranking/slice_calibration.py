"""Probabilities that mean what they say in several slicings at once: by item, by user, by place.

A `kinema.ranking.calibrators.Calibrator` knows one slicing. Crossing several leaves too few rows in each cell; here each
slice has terms of its own that add up.

Shape suffixes: N rows, F numbers that are fitted.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinema.errors import DataError, StaleArtifactError
from kinema.metrics.checks import binary, paired, probabilities
from kinema.ranking.calibration_curve import NUM_POINTS, CalibrationCurve, curve_from_lists, fit_curve
from kinema.ranking.calibrators import FLOOR, sigmoid, texts
from kinema.ranking.logistic_descent import descended

FORMAT_VERSION: Final = 2
_KNOWN_VERSIONS: Final = (1, 2)
"""The first had no curve."""
PRIOR_ROWS: Final = 30.0
"""Of 30 and 100 the one with the smaller error of most slices on the validation tenth of the town (`benchmarks/calibration.py`)."""
_LEAST_SLOPE: Final = 0.01
_REMEDY: Final = "fit it again on validation predictions"

Bend = tuple[float, float, float]
"""a, b, c of ``a log p - b log(1 - p) + c``."""


@dataclass(frozen=True)
class SliceCalibration:
    """New log-odds ``a log p - b log(1 - p) + c``, where each slice of a row adds to a, b and c; and a curve over them, common to all.

    With a = b it is a temperature. Two slopes also follow what a model does that cannot know a ceiling, such as the chance that a place
    is looked at.

    Attributes:
        overall: Of all rows.
        slices: Slicing -> slice -> what it adds; a slice that was never seen adds nothing.
        curve: Last.

    Source: beta calibration: Kull, Silva Filho, Flach 2017. The terms of slices and the curve after them are ours.

    Example:
        >>> two = SliceCalibration(slices={"item": {"cold": (0.0, 0.0, -1.0)}})
        >>> two.apply([0.5, 0.5], {"item": ["cold", "warm"]}).round(4)
        array([0.2689, 0.5   ])
    """

    overall: Bend = (1.0, 1.0, 0.0)
    slices: Mapping[str, Mapping[str, Bend]] = field(default_factory=dict)
    curve: CalibrationCurve = field(default_factory=CalibrationCurve)

    def apply(self, probs_N: ArrayLike, slices: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
        """Calibrate the answers of a model.

        Args:
            probs_N: Its probabilities.
            slices: Slicing -> slice of each row; a slicing that is not known changes nothing, one that is not given adds nothing.

        Returns:
            float64 [N]; within one slice the order stays.

        Raises:
            DataError: A number is no probability, or slices have another length.
        """
        return sigmoid(self.curve.apply(self._bent(probabilities(np.asarray(probs_N, dtype=np.float64)), slices)))

    def _bent(self, probs: NDArray[np.float64], slices: Mapping[str, ArrayLike]) -> NDArray[np.float64]:
        """Log-odds before the curve."""
        bends_N3 = np.tile(np.array(self.overall), (len(probs), 1))
        for name, known in self.slices.items():
            if name in slices:
                values, codes_N = np.unique(_fitting(slices[name], len(probs), name), return_inverse=True)
                bends_N3 += np.array([known.get(one, (0.0, 0.0, 0.0)) for one in values.tolist()])[codes_N]
        bends_N3[:, :2] = np.maximum(bends_N3[:, :2], _LEAST_SLOPE)
        return np.asarray((_sides(probs) * bends_N3).sum(axis=1))

    def to_json(self) -> str:
        """JSON text, read by `slice_calibration_from_json`."""
        slices = {name: {key: list(one) for key, one in known.items()} for name, known in self.slices.items()}
        told = {"overall": list(self.overall), "slices": slices, "curve": self.curve.as_lists()}
        return json.dumps({"version": FORMAT_VERSION} | told)


def slice_calibration_from_json(text: str) -> SliceCalibration:
    """What `SliceCalibration.to_json` gave, to the last bit.

    Raises:
        StaleArtifactError: It is none, of another version, or damaged.

    Example:
        >>> slice_calibration_from_json(SliceCalibration((0.5, 0.5, 0.0)).to_json()).overall
        (0.5, 0.5, 0.0)
    """
    try:
        found: dict[str, Any] = json.loads(text)
        if found["version"] not in _KNOWN_VERSIONS:
            raise StaleArtifactError(
                f"a calibration must have version {FORMAT_VERSION} or lower, has {found['version']}; {_REMEDY}"
            )
        slices = {name: {key: _bend(one) for key, one in known.items()} for name, known in found["slices"].items()}
        curve = curve_from_lists(found["curve"]) if found["version"] > 1 else CalibrationCurve()
        return SliceCalibration(_bend(found["overall"]), slices, curve)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise StaleArtifactError(f"a calibration cannot be read: {type(error).__name__}: {error}; {_REMEDY}") from error


def fit_slice_calibration(
    probs_N: ArrayLike,
    labels_N: ArrayLike,
    slices: Mapping[str, ArrayLike],
    *,
    weights_N: ArrayLike | None = None,
    prior_rows: float = PRIOR_ROWS,
    num_points: int = NUM_POINTS,
) -> SliceCalibration:
    """Logistic regression on both sides of the probability, with the terms of slices drawn towards nothing; then a curve over all rows.

    Args:
        probs_N: The model's probabilities on examples that it has not learnt from.
        labels_N: What happened, 0 or 1.
        slices: Slicing -> slice of each row.
        weights_N: How much each row counts; None for 1.
        prior_rows: A slice of so many rows gets about half of the terms that its own rows ask for.
        num_points: Of the curve; 0 for none.

    Raises:
        DataError: Shapes do not fit, a number is no probability, or labels 0 and 1 do not both occur.

    Example:
        >>> random = np.random.default_rng(0)
        >>> said, cold = random.random(20_000), random.random(20_000) < 0.3
        >>> happened = random.random(20_000) < said * np.where(cold, 0.6, 1.0)
        >>> fit = fit_slice_calibration(said, happened, {"item": np.where(cold, "cold", "warm")})
        >>> fit.apply([0.9, 0.9], {"item": ["cold", "warm"]}).round(1)
        array([0.5, 0.9])
    """
    probs, labels = paired(probs_N, labels_N)
    positive_N = binary(labels)
    if positive_N.all() or not positive_N.any():
        raise DataError(f"calibration must see labels 0 and 1, all {len(labels)} are {int(labels[0])}; take more rows")
    counts_N = np.ones(len(probs)) if weights_N is None else np.asarray(weights_N, dtype=np.float64)
    sides_N3 = _sides(probabilities(probs))
    parts, names = [sides_N3], []
    for slicing, given_N in slices.items():
        slices_N = _fitting(given_N, len(probs), slicing)
        for name in np.unique(slices_N).tolist():
            parts.append(sides_N3 * (slices_N == name)[:, None])
            names.append((slicing, name))
    rate = float(np.average(positive_N, weights=counts_N))
    pull_3 = prior_rows * rate * (1 - rate) * np.square(sides_N3).mean(axis=0)
    # A hundredth of a row's worth of belief keeps perfectly separated labels from an infinite slope.
    pull_F = np.concatenate([np.full(3, 0.01), np.tile(pull_3, len(names))])
    labels_N, start_F = positive_N.astype(np.float64), np.zeros(len(pull_F))
    start_F[:2] = 1.0
    point_F = descended(np.concatenate(parts, axis=1), labels_N, counts_N, pull_F=pull_F, start_F=start_F)
    found: dict[str, dict[str, Bend]] = {}
    for (slicing, name), one in zip(names, point_F[3:].reshape(-1, 3), strict=True):
        found.setdefault(slicing, {})[name] = _bend(one.tolist())
    bent = SliceCalibration(_bend(point_F[:3].tolist()), found)
    logits_N = bent._bent(probs, slices)  # noqa: SLF001  # of its own class
    return replace(bent, curve=fit_curve(logits_N, labels_N, counts_N, num_points=num_points))


def _sides(probs_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64 [N, 3]: log p, -log(1 - p), 1."""
    kept_N = np.clip(probs_N, FLOOR, 1 - FLOOR)
    return np.stack([np.log(kept_N), -np.log1p(-kept_N), np.ones(len(kept_N))], axis=1)


def _bend(numbers: Any) -> Bend:
    """Three finite numbers."""
    first, second, third = (float(one) for one in numbers)
    if not np.isfinite([first, second, third]).all():
        raise ValueError("its numbers must be finite")
    return first, second, third


def _fitting(slices_N: ArrayLike, num_rows: int, name: str) -> NDArray[np.str_]:
    """Slices as texts, one per row."""
    found = texts(slices_N)
    if found.shape != (num_rows,):
        raise DataError(f"slices of '{name}' must be one per row, {num_rows}, have shape {found.shape}")
    return found
