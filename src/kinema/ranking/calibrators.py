"""Probabilities that mean what they say, slice by slice: what the service applies to a model's output.

Heads are blended by their numbers, so a head that says twice too much counts twice too much. A model's error differs
between placements, countries and devices; one correction for all leaves each of them wrong. Fitted by
`kinema.ranking.calibrator_fit`; applying needs NumPy alone.

Shape suffixes: N rows, P points.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kinema.errors import DataError, StaleArtifactError

FORMAT_VERSION: Final = 1
FLOOR: Final = 1e-7
"""Probabilities are kept this far from 0 and 1 on their way to log-odds."""
_REMEDY: Final = "fit it again on validation predictions"


def log_odds(probs: NDArray[np.floating]) -> NDArray[np.float64]:
    """``log(p / (1 - p))``, finite everywhere.

    Example:
        >>> log_odds(np.array([0.5, 0.8])).round(4)
        array([0.    , 1.3863])
    """
    kept = np.clip(np.asarray(probs, dtype=np.float64), FLOOR, 1 - FLOOR)
    return np.asarray(np.log(kept) - np.log1p(-kept))


def sigmoid(logits: NDArray[np.floating]) -> NDArray[np.float64]:
    """``1 / (1 + exp(-x))`` without overflow.

    Example:
        >>> sigmoid(np.array([0.0, -1000.0]))
        array([0.5, 0. ])
    """
    small = np.exp(-np.abs(logits))
    return np.asarray(np.where(np.asarray(logits) >= 0, 1.0, small) / (1.0 + small), dtype=np.float64)


@dataclass(frozen=True)
class Scaling:
    """Log-odds divided by a temperature, plus a bias.

    Attributes:
        temperature: > 0; above 1 where the model is too sure of itself.
        bias: Log-odds; below 0 where it says too much, as after training on negatives that were drawn.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks"; Platt 1999 for the bias.

    Example:
        >>> Scaling(temperature=2.0, bias=0.0).apply(np.array([0.5, 0.8])).round(4)
        array([0.5   , 0.6667])
    """

    temperature: float
    bias: float

    kind: ClassVar[str] = "temperature"

    def apply(self, probs_N: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities [N] to calibrated ones; keeps their order."""
        return sigmoid(log_odds(probs_N) / self.temperature + self.bias)

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {"temperature": self.temperature, "bias": self.bias}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Scaling":
        """From JSON values.

        Raises:
            ValueError: They are no scaling.
        """
        made = cls(float(found["temperature"]), float(found["bias"]))
        if not (np.isfinite([made.temperature, made.bias]).all() and made.temperature > 0):
            raise ValueError(f"temperature must be > 0 and bias finite, are {made.temperature} and {made.bias}")
        return made


@dataclass(frozen=True, eq=False)
class Steps:
    """Any rising curve, as points joined by lines and level beyond them.

    Attributes:
        said_P: float64, what the model says, rising.
        meant_P: float64, what it means, never falling.

    Source: Zadrozny and Elkan 2002, "Transforming Classifier Scores into Accurate Multiclass Probability Estimates".

    Example:
        >>> Steps(np.array([0.2, 0.6]), np.array([0.1, 0.3])).apply(np.array([0.0, 0.4, 1.0]))
        array([0.1, 0.2, 0.3])
    """

    said_P: NDArray[np.float64]
    meant_P: NDArray[np.float64]

    kind: ClassVar[str] = "isotonic"

    def apply(self, probs_N: NDArray[np.floating]) -> NDArray[np.float64]:
        """Probabilities [N] to calibrated ones; never turns an order around, but makes neighbours equal."""
        return np.asarray(np.interp(np.asarray(probs_N, dtype=np.float64), self.said_P, self.meant_P))

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return {"said": self.said_P.tolist(), "meant": self.meant_P.tolist()}

    @classmethod
    def from_json(cls, found: Mapping[str, Any]) -> "Steps":
        """From JSON values.

        Raises:
            ValueError: They are no rising curve.
        """
        said_P, meant_P = (np.asarray(found[name], dtype=np.float64) for name in ("said", "meant"))
        rising = said_P.ndim == 1 and said_P.shape == meant_P.shape and len(said_P) > 0
        # A NaN fails both comparisons.
        if not (rising and (np.diff(said_P) > 0).all() and (np.diff(meant_P) >= 0).all() and 0 <= meant_P[0] <= 1):
            raise ValueError("a curve must have rising points between 0 and 1")
        if not 0 <= meant_P[-1] <= 1:
            raise ValueError("a curve must end between 0 and 1")
        return cls(said_P, meant_P)


_KINDS: Final[dict[str, type[Scaling] | type[Steps]]] = {one.kind: one for one in (Scaling, Steps)}


@dataclass(frozen=True)
class Calibrated:
    """Calibrated probabilities.

    Attributes:
        probs_N: float64.
        unseen: Slice that the fit has not seen -> rows of it; they got the correction of all slices together.
    """

    probs_N: NDArray[np.float64]
    unseen: Mapping[str, int]


@dataclass(frozen=True)
class Calibrator:
    """A correction for all rows together and one for each slice.

    Attributes:
        overall: For rows without a slice, and of slices never seen.
        slices: Name -> its own, drawn towards ``overall`` where it had few rows.
        num_rows: Name -> rows it was fitted on.
    """

    overall: Scaling | Steps
    slices: Mapping[str, Scaling | Steps] = field(default_factory=dict)
    num_rows: Mapping[str, int] = field(default_factory=dict)

    def apply(self, probs_N: ArrayLike, slices_N: ArrayLike | None = None) -> Calibrated:
        """Calibrate the answers of a model.

        Args:
            probs_N: Its probabilities.
            slices_N: Slice of each row, or one text for all of them; numbers are read as texts. None leaves slices out.

        Returns:
            The probabilities, and how many rows were of slices never seen.

        Raises:
            DataError: A probability is outside [0, 1], or the slices have another length.

        Example:
            >>> two = Calibrator(Scaling(1.0, 0.0), {"home": Scaling(1.0, -1.0)})
            >>> found = two.apply([0.5, 0.5], ["home", "search"])
            >>> found.probs_N.round(4), dict(found.unseen)
            (array([0.2689, 0.5   ]), {'search': 1})
        """
        probs = np.asarray(probs_N, dtype=np.float64)
        wrong_N = ~((probs >= 0) & (probs <= 1))
        if wrong_N.any():
            row = int(np.argmax(wrong_N))
            raise DataError(f"probabilities must be in [0, 1], got {probs.flat[row]} in row {row}")
        if slices_N is None:
            return Calibrated(self.overall.apply(probs), {})
        slices = np.broadcast_to(texts(slices_N), probs.shape) if np.ndim(slices_N) == 0 else texts(slices_N)
        if slices.shape != probs.shape:
            raise DataError(f"slices must be one per row, {probs.size}, have shape {slices.shape}")
        found_N, unseen = np.empty(probs.shape), {}
        for name in dict.fromkeys(slices.tolist()):
            rows_N = slices == name
            if name not in self.slices:
                unseen[name] = int(rows_N.sum())
            found_N[rows_N] = self.slices.get(name, self.overall).apply(probs[rows_N])
        return Calibrated(found_N, unseen)

    def to_json(self) -> str:
        """JSON text; `calibrator_from_json` of it gives the same numbers to the last bit."""
        return json.dumps(
            {
                "version": FORMAT_VERSION,
                "method": self.overall.kind,
                "overall": self.overall.as_json(),
                "slices": {name: one.as_json() for name, one in self.slices.items()},
                "num_rows": dict(self.num_rows),
            },
            indent=1,
        )


def calibrator_from_json(text: str) -> Calibrator:
    """A calibrator from its JSON text.

    Args:
        text: From `Calibrator.to_json`.

    Returns:
        The calibrator.

    Raises:
        StaleArtifactError: It is none, of another version, or damaged.

    Example:
        >>> calibrator_from_json(Calibrator(Scaling(2.0, 0.5)).to_json()).overall
        Scaling(temperature=2.0, bias=0.5)
    """
    try:
        found = json.loads(text)
        version = found["version"]
        if version != FORMAT_VERSION:
            raise StaleArtifactError(f"a calibrator must have version {FORMAT_VERSION}, has {version}; {_REMEDY}")
        kind = _KINDS[found["method"]]
        return Calibrator(
            overall=kind.from_json(found["overall"]),
            slices={name: kind.from_json(one) for name, one in found["slices"].items()},
            num_rows={name: int(count) for name, count in found["num_rows"].items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise StaleArtifactError(f"a calibrator cannot be read: {type(error).__name__}: {error}; {_REMEDY}") from error


def texts(slices_N: ArrayLike) -> NDArray[np.str_]:
    """Names of slices as texts: JSON has no other keys, and 3 must be the slice "3" after a restart too."""
    return np.asarray(slices_N).astype(str)
