"""An adaptation that survives `kill -9`: what is trained, its optimizer and the place in one file, replaced atomically.

Only trained tensors are kept: beside a frozen encoder of gigabytes the adapters are small.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.optim import AdamW

from kinema.training.place_file import read_place, write_place

FILE_NAME: Final = "adaptation.safetensors"


@dataclass
class Place:
    """Where an adaptation stands.

    Attributes:
        epoch: Being learnt, from 0.
        step: Done in that epoch.
        total_steps: Done since the start.
        elapsed_seconds: Spent in training, interruptions not counted.
        loss_sums: Sums of the loss parts over the epoch's steps.
        curve: Mean losses of the epochs that are over.
        done: Nothing is left to learn.
    """

    epoch: int = 0
    step: int = 0
    total_steps: int = 0
    elapsed_seconds: float = 0.0
    loss_sums: dict[str, float] = field(default_factory=dict)
    curve: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False


def save_place(folder: Path, *, run: str, place: Place, trained: Sequence[nn.Parameter], optimizer: AdamW) -> None:
    """Write the file; a crash at any moment leaves the old or the new one.

    Args:
        folder: Made if it is not there.
        run: Fingerprint of everything the result follows from.
        place: Where the adaptation stands.
        trained: Parameters, always in the same order.
        optimizer: Theirs.
    """
    tensors: dict[str, Tensor] = {f"trained/{number}": one for number, one in enumerate(trained)}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer/{index}/{slot}": value for slot, value in slots.items()}
    write_place(folder / FILE_NAME, run=run, place=place, tensors=tensors)


def load_place(folder: Path, *, run: str, trained: Sequence[nn.Parameter], optimizer: AdamW) -> Place | None:
    """Go on where an interrupted adaptation stopped.

    Args:
        folder: Of `save_place`.
        run: A file of another run is not used.
        trained: Filled in.
        optimizer: Filled in.

    Returns:
        The place, or None where there is nothing to go on from.
    """
    found = read_place(folder / FILE_NAME, run=run)
    if found is None:
        return None
    place, tensors = found
    state = optimizer.state_dict()
    with torch.no_grad():
        for number, one in enumerate(trained):
            one.copy_(tensors.pop(f"trained/{number}"))
    for name, value in tensors.items():
        _, index, slot = name.split("/")
        state["state"].setdefault(int(index), {})[slot] = value
    optimizer.load_state_dict(state)
    return Place(**place)
