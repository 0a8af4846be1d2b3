"""A task's training that survives `kill -9`: everything that moves, in one file that is replaced as a whole.

Each step draws its randomness from (seed, epoch, step), so the place is all there is to know about random numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from kinema.training.averaging import WeightAverage, changing_state, load_changing
from kinema.training.descent import Descent
from kinema.training.fit_report import Skipped
from kinema.training.place_file import read_place, write_place

FILE_NAME: Final = "fit.safetensors"
_EPOCHS: Final = "epochs"


@dataclass
class FitPlace:
    """Where training stands.

    Attributes:
        epoch: Being trained, from 0.
        step: Updates done in that epoch.
        updates: Done since the start, those that were left out included.
        loss_sum: Sum of the losses of the epoch's examples so far.
        summed: How many examples these are.
        best: Best validation number so far, of opposite sign where smaller is better.
        best_epoch: Epochs done when it was reached; 0 before the first look.
        metrics: Of that epoch, on validation.
        mark: The metric that patience is measured from.
        waited: Looks without gain.
        averaged: Additions to the average of the weights.
        seconds: Spent, interruptions not counted.
        curve: One entry per epoch.
        skipped: Steps that were left out.
        done: Nothing is left to train.
    """

    epoch: int = 0
    step: int = 0
    updates: int = 0
    loss_sum: float = 0.0
    summed: int = 0
    best: float = 0.0
    best_epoch: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    mark: float = 0.0
    waited: int = 0
    averaged: int = 0
    seconds: float = 0.0
    curve: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    done: bool = False


def save_fit(
    folder: Path,
    *,
    run: str,
    place: FitPlace,
    network: nn.Module,
    best: Mapping[str, Tensor],
    descent: Descent,
    average: WeightAverage | None,
) -> None:
    """Write the checkpoint; a crash at any moment leaves the old or the new one.

    Args:
        folder: Where.
        run: Fingerprint of everything the result follows from.
        place: Where training stands.
        network: Being trained.
        best: Its best state so far.
        descent: What trains it.
        average: Of its weights.
    """
    parts = {
        "network": changing_state(network),
        "best": best,
        "descent": descent.state(),
        "average": {} if average is None else average.state(),
    }
    tensors = {f"{part}/{name}": one for part, state in parts.items() for name, one in state.items()}
    write_place(folder / FILE_NAME, run=run, place=place, tensors=tensors)


def load_fit(
    folder: Path, *, run: str, network: nn.Module, descent: Descent, average: WeightAverage | None
) -> tuple[FitPlace, dict[str, Tensor]] | None:
    """Go on where an interrupted run stopped.

    Returns:
        Place and best state, the other parts being filled in; None where there is nothing of this run.
    """
    found = read_place(folder / FILE_NAME, run=run)
    if found is None:
        return None
    values, tensors = found
    values["skipped"] = [Skipped(**one | {"rows": tuple(one["rows"])}) for one in values["skipped"]]
    place = FitPlace(**values)
    load_changing(network, _part(tensors, "network/"))
    descent.load_state(_part(tensors, "descent/"))
    if average is not None:
        average.load_state(_part(tensors, "average/"), place.averaged)
    return place, _part(tensors, "best/")


def keep_epoch(folder: Path, *, epoch: int, value: float, state: Mapping[str, Tensor], most: int) -> None:
    """Write the state of an epoch; of more than ``most`` the worst is removed.

    Args:
        folder: Of the run; files go into ``epochs`` in it.
        epoch: From 1.
        value: The larger, the better.
        state: Of the network.
        most: Files to keep.
    """
    path = folder / _EPOCHS / f"epoch-{epoch:04d}.safetensors"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    save_file({name: one.contiguous() for name, one in state.items()}, draft, metadata={"value": repr(value)})
    draft.replace(path)
    for one in kept_epochs(folder)[most:]:
        one.unlink()


def kept_epochs(folder: Path) -> list[Path]:
    """Files of the best epochs of a run, the best first; `kinema.training.averaging` makes one state of them."""
    found = []
    for path in sorted((folder / _EPOCHS).glob("epoch-*.safetensors")):
        with safe_open(path, framework="pt") as stream:
            found.append((-float(stream.metadata()["value"]), path))
    return [path for _, path in sorted(found)]


def snapshot(network: nn.Module) -> dict[str, Tensor]:
    """A copy of what training changes of a network."""
    return {name: torch.clone(one.detach()) for name, one in changing_state(network).items()}


def describe(network: nn.Module) -> list[Any]:
    """Names, shapes and learning of the parameters: a network that differs in them is another run's."""
    return [[name, list(one.shape), one.requires_grad] for name, one in network.named_parameters()]


def _part(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}
