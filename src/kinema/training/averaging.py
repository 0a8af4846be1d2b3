"""Averages of weights: over updates (EMA), over the last epochs (SWA), over files of several epochs or runs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from kinema.errors import DataError


def changing_state(network: nn.Module) -> dict[str, Tensor]:
    """What training changes of a network: parameters that learn, and buffers.

    Frozen parameters are left out: with adapters in a large encoder they are nearly everything.
    """
    frozen = {name for name, one in network.named_parameters(remove_duplicate=False) if not one.requires_grad}
    return {name: one for name, one in network.state_dict().items() if name not in frozen}


def load_changing(network: nn.Module, state: Mapping[str, Tensor]) -> None:
    """Put such a state back."""
    network.load_state_dict(dict(state), strict=False)


class WeightAverage:
    """A mean of the weights along a run, kept beside them.

    Args:
        network: Its parameters that learn are averaged; buffers are not.
        decay: Share of the mean that stays at each addition (EMA). Early on less stays, so that the beginning is soon
            forgotten. None gives all additions the same share (SWA).

    Source: Izmailov et al., Averaging Weights Leads to Wider Optima and Better Generalization, UAI 2018 (SWA); the early
    decay is that of TensorFlow's ExponentialMovingAverage.
    """

    def __init__(self, network: nn.Module, *, decay: float | None) -> None:
        self._learning = {name: one for name, one in network.named_parameters() if one.requires_grad}
        self._mean = {name: one.detach().clone() for name, one in self._learning.items()}
        self._decay = decay
        self.count = 0

    @torch.no_grad()
    def add(self) -> None:
        """Take in the present weights."""
        self.count += 1
        stays = 1.0 - 1.0 / self.count if self._decay is None else min(self._decay, (self.count - 1) / (self.count + 9))
        for name, one in self._learning.items():
            self._mean[name].lerp_(one, 1.0 - stays)

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside, the network has the mean; nothing is done where nothing has been added yet."""
        if not self.count:
            yield
            return
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def state(self) -> dict[str, Tensor]:
        """Everything a checkpoint must keep, but for `count`."""
        return dict(self._mean)

    def load_state(self, kept: Mapping[str, Tensor], count: int) -> None:
        """What `state` gave."""
        for name, mean in self._mean.items():
            mean.copy_(kept[name])
        self.count = count

    @torch.no_grad()
    def _swap(self) -> None:
        for name, one in self._learning.items():
            present = one.detach().clone()
            one.copy_(self._mean[name])
            self._mean[name].copy_(present)


def has_statistics(network: nn.Module) -> bool:
    """Whether a network normalises batches by statistics gathered in training."""
    return any(isinstance(one, _BatchNorm) and one.track_running_stats for one in network.modules())


@contextmanager
def renewed_statistics(network: nn.Module, passes: Sequence[Callable[[], object]]) -> Iterator[None]:
    """Inside, batch normalisation has the statistics of the present weights; those gathered on other weights do not fit.

    Args:
        network: Its mode is as before when this ends.
        passes: Each runs one batch through the network.
    """
    layers = [one for one in network.modules() if isinstance(one, _BatchNorm) and one.track_running_stats]
    kept = [{name: one.clone() for name, one in layer.named_buffers(recurse=False)} for layer in layers]
    momenta, training = [layer.momentum for layer in layers], network.training
    network.train()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
    with torch.no_grad():
        for run in passes:
            run()
    for layer, momentum in zip(layers, momenta, strict=True):
        layer.momentum = momentum
    network.train(training)
    try:
        yield
    finally:
        for layer, buffers in zip(layers, kept, strict=True):
            for name, one in layer.named_buffers(recurse=False):
                one.copy_(buffers[name])


def average_states(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of several states of one network; whole numbers are those of the last.

    Args:
        states: At least one, all with the same names and shapes.

    Raises:
        DataError: There is none, or names or shapes differ.

    Example:
        >>> average_states([{"w": torch.tensor([1.0])}, {"w": torch.tensor([3.0])}])
        {'w': tensor([2.])}
    """
    if not states:
        raise DataError("states to be averaged must be at least one, are none; name some files")
    shapes = [{name: tuple(one.shape) for name, one in state.items()} for state in states]
    for number, found in enumerate(shapes):
        if found != shapes[0]:
            name = next(n for n in [*shapes[0], *found] if shapes[0].get(n) != found.get(n))
            raise DataError(
                f"states to be averaged must have the same tensors, '{name}' of number {number + 1} is "
                f"{found.get(name, 'missing')}, of the first {shapes[0].get(name, 'missing')}; average runs of one network"
            )
    last = states[-1]
    return {
        name: torch.stack([state[name].float() for state in states]).mean(0).to(one.dtype)
        if one.is_floating_point()
        else one.clone()
        for name, one in last.items()
    }


def average_files(paths: Sequence[Path]) -> dict[str, Tensor]:
    """`average_states` of safetensors files, such as the epochs that ``keep_epochs`` leaves in a folder.

    Raises:
        DataError: See `average_states`.
    """
    return average_states([load_file(path) for path in paths])


def soup(network: nn.Module, paths: Sequence[Path], value: Callable[[], float]) -> tuple[list[Path], float]:
    """Average files as long as that does not hurt; the network ends in the best average.

    Args:
        network: Filled in.
        paths: Of states, the best first.
        value: What is to be as large as possible, of the network as it stands; take a validation metric.

    Returns:
        The files that are in it, and their value.

    Raises:
        DataError: There is no file.

    Source: Wortsman et al., Model soups, ICML 2022, the greedy soup.
    """
    states = {path: load_file(path) for path in paths}
    taken: list[Path] = []
    best, best_state = -float("inf"), average_states(list(states.values())[:1])
    for path in paths:
        state = average_states([states[one] for one in [*taken, path]])
        load_changing(network, state)
        found = value()
        if found >= best or not taken:
            taken, best, best_state = [*taken, path], found, state
    load_changing(network, best_state)
    return taken, best
