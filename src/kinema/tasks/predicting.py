"""A task whose predictions can be had apart from its loss: what R-Drop, ensembles and distillation need.

Shape suffixes: B examples of one step.
"""

from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kinema.flm.draws import Draws
from kinema.tasks.task import Learner

Meaning = Literal["chances", "classes", "values"]
"""What predictions are. ``chances``: logits, each of a yes or no of its own. ``classes``: logits over the last dimension,
of which one is right. ``values``: plain numbers."""


@runtime_checkable
class PredictingLearner(Learner, Protocol):
    """A learner for which ``loss(rows, draws) == loss_of(predictions(rows, draws), rows)``.

    Attributes:
        meaning: Of the predictions.
    """

    meaning: Meaning

    def predictions(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Predictions for some training examples, with gradient: logits or values, [B] or [B, ...].

        Args:
            rows_B: Their numbers.
            draws: Randomness of this pass; None leaves it out.
        """

    def loss_of(self, predictions: Tensor, rows_B: NDArray[np.int64]) -> Tensor:
        """Mean loss of predictions for those examples, a scalar with gradient."""
