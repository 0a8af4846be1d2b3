"""What a task is to those who train it: a network, a loss over some of its examples, and what validation says.

How the examples came about, from a table, the event log or a folder of clips, is the task's own business.

Shape suffixes: B examples of one step.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from kinema.flm.draws import Draws


class Learner(Protocol):
    """A task with its data, ready to learn."""

    @property
    def network(self) -> nn.Module:
        """All parameters; what must not learn has ``requires_grad`` off."""

    @property
    def num_examples(self) -> int:
        """Training examples, >= 1; they are numbered from 0."""

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Mean loss of some training examples, a scalar with gradient.

        Args:
            rows_B: Their numbers.
            draws: Randomness of this step, dropout above all; None leaves it out.
        """

    def validate(self) -> Mapping[str, float]:
        """Name -> number, on validation examples; the network is in evaluation mode."""

    def embeddings(self) -> Sequence[nn.Parameter]:
        """Tables that adversarial training may move; empty where it cannot."""
