"""Several trained learners as one: their probabilities averaged, their ranks fused, their knowledge put into one network.

Shape suffixes: M members, N examples, B examples of one step.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn

from kinema.errors import ConfigError, DataError
from kinema.flm.draws import Draws
from kinema.losses.agreement import probabilities, soft_target_loss
from kinema.tasks.predicting import Meaning, PredictingLearner

_ROWS: Final = 4096


def mean_of_probabilities(
    probs_MN: Sequence[NDArray[np.floating]], *, weights: Sequence[float] | None = None
) -> NDArray[np.float64]:
    """The weighted mean of what several models say.

    Args:
        probs_MN: One array per model, all of one shape.
        weights: One per model, >= 0 and not all 0; None weighs them alike.

    Raises:
        DataError: There is no model, or sizes or weights do not fit.

    Example:
        >>> mean_of_probabilities([np.array([0.2, 0.6]), np.array([0.4, 0.8])])
        array([0.3, 0.7])
    """
    stacked = _stacked(probs_MN)
    given = np.ones(len(stacked)) if weights is None else np.asarray(weights, dtype=np.float64)
    if given.shape != (len(stacked),) or (given < 0).any() or not given.sum() > 0:
        raise DataError(f"weights must be {len(stacked)} numbers >= 0, not all 0, are {given.tolist()}; one per model")
    return np.average(stacked, axis=0, weights=given)


def mean_of_ranks(scores_MN: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    """What several models say where their scales cannot be compared: the mean of each example's rank.

    Returns:
        float64 [N] in (0, 1), higher is better; equal scores have equal ranks.

    Raises:
        DataError: There is no model, or sizes differ.

    Example:
        >>> mean_of_ranks([np.array([0.1, 0.5, 0.9]), np.array([-3.0, 80.0, 7.0])]).round(3)
        array([0.167, 0.667, 0.667])
    """
    stacked = _stacked(scores_MN)
    return np.asarray((rankdata(stacked, axis=1).mean(axis=0) - 0.5) / stacked.shape[1])


def reciprocal_ranks(
    scores_MN: Sequence[NDArray[np.floating]], groups_N: NDArray[np.int64], *, damping: float = 60.0
) -> NDArray[np.float64]:
    """Fusion of several rankings within each group: the sum of 1 / (damping + rank), so that the top counts most.

    Args:
        scores_MN: One array per model.
        groups_N: What is ranked together, a user or a request.
        damping: The larger, the less the first place stands out.

    Returns:
        float64 [N], higher is better.

    Raises:
        DataError: There is no model, or sizes differ.

    Source: Cormack, Clarke, Buettcher, Reciprocal Rank Fusion Outperforms Condorcet, SIGIR 2009.

    Example:
        >>> reciprocal_ranks([np.array([0.9, 0.1]), np.array([0.2, 0.4])], np.array([0, 0]), damping=1.0).round(2)
        array([0.83, 0.83])
    """
    stacked = _stacked(scores_MN)
    if groups_N.shape != stacked.shape[1:]:
        raise DataError(f"groups must be {stacked.shape[1]}, are {len(groups_N)}; give each example its group")
    order_N = np.argsort(groups_N, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups_N[order_N]) != 0])
    fused_N = np.zeros(stacked.shape[1])
    for rows_G in np.split(order_N, starts[1:]):
        fused_N[rows_G] = (1.0 / (damping + rankdata(-stacked[:, rows_G], axis=1))).sum(axis=0)
    return fused_N


def predicted(
    learner: PredictingLearner, rows_N: NDArray[np.int64], *, temperature: float = 1.0, batch_size: int = _ROWS
) -> Tensor:
    """What one learner says of examples, without dropout: probabilities, or values [N] or [N, ...].

    Args:
        learner: Its network's mode is as before afterwards.
        rows_N: Numbers of its training examples.
        temperature: Of the probabilities.
        batch_size: Examples at once.
    """
    training = learner.network.training
    learner.network.eval()
    with torch.no_grad():
        parts = [
            probabilities(
                learner.predictions(rows_N[start : start + batch_size], None).float(),
                learner.meaning,
                temperature=temperature,
            )
            for start in range(0, len(rows_N), batch_size)
        ]
    learner.network.train(training)
    return torch.cat(parts)


def taught(teachers: Sequence[PredictingLearner], *, temperature: float = 1.0) -> Tensor:
    """What an ensemble says of all training examples: the mean of its members' probabilities or values.

    Args:
        teachers: Trained, with the same training examples in the same order.
        temperature: Of the probabilities.

    Raises:
        DataError: There is none, or they do not agree on examples or on what predictions mean.
    """
    kinds = {(one.num_examples, one.meaning) for one in teachers}
    if len(kinds) != 1:
        found = ", ".join(f"{number} examples as {meaning}" for number, meaning in sorted(kinds)) or "none"
        raise DataError(f"teachers must be at least one, and of one training set, are: {found}; train them on one")
    rows_N = np.arange(teachers[0].num_examples)
    total = torch.zeros(())
    for one in teachers:
        total = total + predicted(one, rows_N, temperature=temperature)
    return total / len(teachers)


class Distilled:
    """A learner that also listens to a teacher; it is a `PredictingLearner` like the one inside.

    Args:
        student: What learns.
        targets: Of `taught` or any other source, one entry per training example.
        weight: Of the teacher, in [0, 1]; the labels have the rest.
        temperature: The one the targets were made with.

    Raises:
        ConfigError: The weight is out of range.
        DataError: Targets do not fit the examples.

    Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015.
    """

    def __init__(
        self, student: PredictingLearner, targets: Tensor, *, weight: float = 0.5, temperature: float = 1.0
    ) -> None:
        if not 0.0 <= weight <= 1.0:
            raise ConfigError(f"the teacher's weight must be in [0, 1], is {weight:g}; choose another")
        if len(targets) != student.num_examples:
            raise DataError(
                f"soft targets must be one per training example, {student.num_examples}, are {len(targets)}; "
                "let the teacher predict the student's examples"
            )
        self.network: nn.Module = student.network
        self.num_examples: int = student.num_examples
        self.meaning: Meaning = student.meaning
        self._student, self._targets, self._weight, self._temperature = student, targets, weight, temperature

    def predictions(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """The student's."""
        return self._student.predictions(rows_B, draws)

    def loss_of(self, predictions: Tensor, rows_B: NDArray[np.int64]) -> Tensor:
        """Labels and teacher, weighed."""
        soft = soft_target_loss(
            predictions, self._targets[torch.from_numpy(rows_B)], self.meaning, temperature=self._temperature
        )
        return (1.0 - self._weight) * self._student.loss_of(predictions, rows_B) + self._weight * soft

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """See `loss_of`."""
        return self.loss_of(self.predictions(rows_B, draws), rows_B)

    def validate(self) -> Mapping[str, float]:
        """The student's; on the true labels alone."""
        return self._student.validate()

    def embeddings(self) -> Sequence[nn.Parameter]:
        """The student's."""
        return self._student.embeddings()


def _stacked(arrays_MN: Sequence[NDArray[np.floating]]) -> NDArray[np.float64]:
    shapes = {one.shape for one in arrays_MN}
    if len(shapes) != 1:
        found = ", ".join(str(one) for one in sorted(shapes)) or "none"
        raise DataError(f"predictions of the models must have one shape, have {found}; predict the same examples")
    return np.stack(arrays_MN).astype(np.float64)
