"""One network learns from several: what trained learners say together becomes the target of another.

Predictions that are at hand already are joined by `kinema.ranking.ensembles`.

Shape suffixes: N examples, B examples of one step.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinema.errors import ConfigError, DataError
from kinema.flm.draws import Draws
from kinema.losses.agreement import probabilities, soft_target_loss
from kinema.tasks.predicting import Meaning, PredictingLearner

_ROWS: Final = 4096


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
