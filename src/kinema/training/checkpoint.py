"""Training that survives `kill -9`: network, best network so far, optimizer and place in one file, replaced atomically.

Every step draws its randomness from (seed, epoch, step), so the place is all there is to know about random numbers.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn

from kinema.training.optimizer import Optimizer
from kinema.training.place_file import read_place, write_place

FILE_NAME: Final = "training.safetensors"
_FORMAT: Final = 2
"""A checkpoint of another format is one of another run: training begins anew."""


@dataclass
class Place:
    """Where training stands.

    Attributes:
        epoch: Being trained, from 0.
        step: Done in that epoch.
        total_steps: Done since the start.
        best: Best validation number so far.
        best_epoch: Epochs done when it was reached; 0 before the first look.
        waited: Looks at validation since then.
        elapsed_seconds: Spent in training, interruptions not counted.
        loss_sums: Sums of the loss parts over the epoch's steps.
        curve: One entry per look at validation.
        done: Nothing is left to train.
    """

    epoch: int = 0
    step: int = 0
    total_steps: int = 0
    best: float = -1.0
    best_epoch: int = 0
    waited: int = 0
    elapsed_seconds: float = 0.0
    loss_sums: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False


def save_checkpoint(
    folder: Path, *, run: str, place: Place, network: nn.Module, best: dict[str, Tensor], optimizer: Optimizer
) -> None:
    """Write the checkpoint; a crash at any moment leaves the old or the new one.

    Args:
        folder: Where; created if absent.
        run: Fingerprint of configuration, data and seed.
        place: Where training stands.
        network: Being trained.
        best: State of the best network so far; empty before the first look at validation.
        optimizer: Its optimizer.
    """
    tensors = {f"network/{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in best.items()}
    tensors |= {f"optimizer/{name}": value for name, value in optimizer.state().items()}
    write_place(folder / FILE_NAME, run=_marked(run), place=place, tensors=tensors)


def load_checkpoint(
    folder: Path, *, run: str, network: nn.Module, optimizer: Optimizer
) -> tuple[Place, dict[str, Tensor]] | None:
    """Go on where an interrupted run stopped.

    Args:
        folder: Of `save_checkpoint`.
        run: Fingerprint; a checkpoint of another run is not used.
        network: Filled in.
        optimizer: Filled in.

    Returns:
        Place and state of the best network, or None where there is nothing to go on from.
    """
    found = read_place(folder / FILE_NAME, run=_marked(run))
    if found is None:
        return None
    place, tensors = found
    network.load_state_dict(_under(tensors, "network/"))
    optimizer.load_state(_under(tensors, "optimizer/"))
    return Place(**place), _under(tensors, "best/")


def _marked(run: str) -> str:
    """The fingerprint with the format of the file."""
    return f"{run} {_FORMAT}"


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of a network's state that training does not touch."""
    return {name: torch.clone(value) for name, value in network.state_dict().items()}
