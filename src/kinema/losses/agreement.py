"""How far two predictions of the same examples are apart: between two passes, or from a teacher.

Shape suffixes: B examples, C classes.
"""

import torch
from torch import Tensor
from torch.nn import functional

from kinema.errors import ConfigError

MEANINGS = ("chances", "classes", "values")


def probabilities(predictions: Tensor, meaning: str, *, temperature: float = 1.0) -> Tensor:
    """What logits say as probabilities; values stay what they are.

    Args:
        predictions: [B] or [B, ...].
        meaning: ``chances`` (each a logit of its own), ``classes`` (logits over the last dimension) or ``values``.
        temperature: Logits are divided by it; above 1 evens them out.

    Raises:
        ConfigError: Another meaning.

    Example:
        >>> probabilities(torch.tensor([0.0, 0.0]), "classes")
        tensor([0.5000, 0.5000])
    """
    if meaning == "chances":
        return torch.sigmoid(predictions / temperature)
    if meaning == "classes":
        return torch.softmax(predictions / temperature, dim=-1)
    if meaning == "values":
        return predictions
    raise ConfigError(f"the meaning of predictions must be one of {', '.join(MEANINGS)}, is '{meaning}'; correct it")


def disagreement(first: Tensor, second: Tensor, meaning: str) -> Tensor:
    """Mean over the examples of half the sum of both Kullback-Leibler divergences; of values, half the squared difference.

    Args:
        first: Logits or values of one pass.
        second: Of the other, same shape.
        meaning: See `probabilities`.

    Returns:
        Scalar >= 0, with gradient to both.

    Raises:
        ConfigError: Another meaning.

    Source: Wu et al., R-Drop: Regularized Dropout for Neural Networks, NeurIPS 2021, equation 2.

    Example:
        >>> disagreement(torch.tensor([1.0, -2.0]), torch.tensor([1.0, -2.0]), "chances")
        tensor(0.)
    """
    difference = probabilities(first, meaning) - probabilities(second, meaning)
    if meaning == "values":
        return 0.5 * difference.square().mean()
    # the two divergences together are (p - q)(log p - log q); for a yes or no that is (p - q) times the logits' difference
    if meaning == "chances":
        return 0.5 * (difference * (first - second)).mean()
    gap = functional.log_softmax(first, dim=-1) - functional.log_softmax(second, dim=-1)
    return 0.5 * (difference * gap).sum(-1).mean()


def soft_target_loss(predictions: Tensor, taught: Tensor, meaning: str, *, temperature: float = 1.0) -> Tensor:
    """Cross entropy against a teacher's probabilities, or the squared difference from its values.

    Args:
        predictions: The student's logits or values.
        taught: The teacher's `probabilities` at that temperature, same shape.
        meaning: See `probabilities`.
        temperature: The same as the teacher's. The loss is multiplied by its square, so that its gradient does not
            shrink with it.

    Returns:
        Scalar with gradient.

    Raises:
        ConfigError: Another meaning.

    Source: Hinton, Vinyals, Dean, Distilling the Knowledge in a Neural Network, 2015, section 2.

    Example:
        >>> soft_target_loss(torch.tensor([0.0]), torch.tensor([1.0]), "chances")
        tensor(0.6931)
    """
    if meaning == "chances":
        return temperature**2 * functional.binary_cross_entropy_with_logits(predictions / temperature, taught)
    if meaning == "classes":
        log_probs = functional.log_softmax(predictions / temperature, dim=-1)
        return -(temperature**2) * (taught * log_probs).sum(-1).mean()
    return (probabilities(predictions, meaning) - taught).square().mean()
