"""A text encoder with weights that a task has changed: put on where it is loaded, so that serving knows nothing of training."""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinema.encoders.small_bert import SmallBert
from kinema.errors import StaleArtifactError

DOWN: Final = "|down"
UP: Final = "|up"
"""Ends of the names of both halves of a low-rank change: weight = weight + up @ down."""


def changed_weights(state: Mapping[str, Tensor], changes: Mapping[str, NDArray[np.float32]]) -> dict[str, Tensor]:
    """Name -> weight that is not as before.

    Args:
        state: Of the encoder.
        changes: Name of a weight -> its new value; or its name with `DOWN` and `UP` -> halves of what is added.

    Raises:
        StaleArtifactError: The encoder has no such weight, or one of another shape.

    Example:
        >>> halves = {"a|down": np.float32([[1, 2]]), "a|up": np.float32([[10]])}
        >>> changed_weights({"a": torch.ones(1, 2)}, halves)["a"]
        tensor([[11., 21.]])
    """
    found: dict[str, Tensor] = {}
    for name, value in changes.items():
        weight = name.removesuffix(UP)
        if name.endswith(DOWN):
            continue
        shape = value.shape if weight == name else (value.shape[0], changes[weight + DOWN].shape[1])
        if weight not in state or tuple(state[weight].shape) != shape:
            has = f"one of shape {list(state[weight].shape)}" if weight in state else "none"
            raise StaleArtifactError(
                f"the text encoder must have a weight '{weight}' of shape {list(shape)} to be changed, has {has}; "
                "run: kinema finetune match"
            )
        if weight == name:
            found[name] = torch.from_numpy(value)
        else:
            found[weight] = state[weight] + torch.from_numpy(value @ changes[weight + DOWN]).to(state[weight].device)
    return found


def with_changes(model: Any, changes: Mapping[str, NDArray[np.float32]]) -> Any:
    """A loaded encoder's network with other weights.

    Args:
        model: A `SmallBert`, which stays as it is, or a network of transformers, which is changed.
        changes: See `changed_weights`.

    Returns:
        The network with the changes.
    """
    state = dict(model.state_dict())
    new = changed_weights(state, changes)
    if isinstance(model, SmallBert):
        return SmallBert(model.config, state | new)
    assert isinstance(model, nn.Module)
    model.load_state_dict(new, strict=False)
    return model
