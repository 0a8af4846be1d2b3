"""Changing a pre-trained network by little: low-rank adapters beside its layers, merged for serving, stored alone.

phi = theta + delta: theta belongs to others and is large, delta is ours. An adapted network is served with delta merged
in, at no cost per request; the delta is also kept by itself, so that it can be put on the same theta again.

Shape suffixes: none; networks and files only.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kinema.errors import ConfigError
from kinema.extras import require
from kinema.training.checkpoint import snapshot

LORA_FILE: Final = "adapter_model.safetensors"
LORA_CONFIG: Final = "adapter_config.json"
DIFFERENCE_FILE: Final = "difference.safetensors"


def lora_layers(network: nn.Module) -> list[str]:
    """Names of the layers that can carry a low-rank adapter: attention and other linear maps, 1 x 1 convolutions.

    Pooler heads are left out, since no vector of ours goes through them, and so are the parts of
    `torch.nn.MultiheadAttention`, which reads its weights past the layer, so that an adapter there would do nothing.

    Example:
        >>> lora_layers(nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1)))
        ['0', '3']
    """
    fused = tuple(f"{name}." for name, one in network.named_modules() if isinstance(one, nn.MultiheadAttention))
    names = []
    for name, layer in network.named_modules():
        pointwise = isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1
        if (isinstance(layer, nn.Linear) or pointwise) and "pooler" not in name and not name.startswith(fused):
            names.append(name)
    return names


def add_lora(network: nn.Module, *, rank: int = 8, layers: Sequence[str] | None = None) -> Any:
    """Put low-rank adapters beside a network's layers; everything else is frozen.

    Args:
        network: Changed in place: its layers carry adapters afterwards, which change nothing until they are trained.
        rank: r, >= 1; the adapter of an n x m layer has r (n + m) numbers. Its output is scaled by 2.
        layers: Names of the layers that get one; None for all of `lora_layers`.

    Returns:
        The network wrapped by peft, for `merge_lora` and `save_lora`.

    Raises:
        ConfigError: The rank is out of range, or there is no layer to adapt.
        MissingExtraError: peft is not installed.

    Source: Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models".
    """
    layers = lora_layers(network) if layers is None else list(layers)
    if rank < 1 or not layers:
        raise ConfigError(f"LoRA needs a rank >= 1 and layers to adapt, got rank {rank} and {len(layers)} layers")
    peft = require("peft")
    with warnings.catch_warnings():
        # peft asks networks of transformers for an attribute under its former name.
        warnings.simplefilter("ignore", FutureWarning)
        return peft.get_peft_model(network, peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=layers))


def merge_lora(adapted: Any) -> nn.Module:
    """Add the adapters to the weights they stand beside, and take them away.

    Args:
        adapted: From `add_lora`.

    Returns:
        The network as it was built, with changed weights.
    """
    merged: nn.Module = adapted.merge_and_unload()
    return merged


def save_lora(adapted: Any, folder: Path, *, base: str) -> int:
    """Write the adapters alone, in peft's format.

    Args:
        adapted: From `add_lora`, before it is merged.
        folder: Made if it is not there.
        base: Name of the network they were trained on.

    Returns:
        Size on disk, bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = adapted.peft_config["default"]
    config.base_model_name_or_path = base
    config.inference_mode = True
    config.save_pretrained(str(folder))
    state = require("peft").get_peft_model_state_dict(adapted, save_embedding_layers=False)
    save_file({name: value.detach().contiguous() for name, value in state.items()}, folder / LORA_FILE)
    return (folder / LORA_FILE).stat().st_size


def save_difference(before: Mapping[str, Tensor], network: nn.Module, folder: Path, *, base: str) -> int:
    """Write how a wholly trained network differs from what it was.

    Args:
        before: Its state before training.
        network: After training.
        folder: Made if it is not there.
        base: Name of the network it was trained on.

    Returns:
        Size on disk, bytes: as much as the network, unless parts of it did not change.
    """
    folder.mkdir(parents=True, exist_ok=True)
    changes = {
        name: value.detach() - before[name]
        for name, value in network.state_dict().items()
        if value.is_floating_point() and not value.equal(before[name])
    }
    metadata = {"base": base}
    save_file(
        {name: value.contiguous() for name, value in changes.items()}, folder / DIFFERENCE_FILE, metadata=metadata
    )
    return (folder / DIFFERENCE_FILE).stat().st_size


class Change:
    """A network being changed, by adapters or as a whole, and the delta that comes of it.

    Args:
        network: Changed in place.
        method: ``lora`` freezes it and puts adapters beside its layers, ``full`` trains all of it, anything else nothing.
        rank: Of the adapters.

    Attributes:
        by_lora: Adapters are trained.

    Raises:
        ConfigError: See `add_lora`.
        MissingExtraError: peft is not installed.
    """

    def __init__(self, network: nn.Module, method: str, *, rank: int) -> None:
        self._network = network
        self._before = snapshot(network) if method == "full" else {}
        self._adapted = add_lora(network, rank=rank) if method == "lora" else None
        self.by_lora = self._adapted is not None

    def save(self, folder: Path, *, base: str) -> int:
        """Write the delta and merge adapters into the network, which ends the training.

        Args:
            folder: Made if it is not there.
            base: Name of the network as it was, noted with the delta.

        Returns:
            Size of the delta, bytes.
        """
        if self._adapted is None:
            return save_difference(self._before, self._network, folder, base=base)
        size = save_lora(self._adapted, folder, base=base)
        merge_lora(self._adapted)
        return size


def apply_delta(network: nn.Module, folder: Path) -> nn.Module:
    """Put a stored delta on the network it was trained on.

    Args:
        network: The base, as its checkpoint has it; changed in place.
        folder: Of `save_lora` or `save_difference`.

    Returns:
        The adapted network.

    Raises:
        ConfigError: There is no delta in the folder, or it is one of another network.
    """
    if (folder / LORA_CONFIG).is_file():
        peft = require("peft")
        rank = json.loads((folder / LORA_CONFIG).read_text(encoding="utf-8"))["r"]
        adapted = add_lora(network, rank=rank)
        found = peft.set_peft_model_state_dict(adapted, load_file(folder / LORA_FILE))
        if found.unexpected_keys:
            raise _other_network(folder, found.unexpected_keys[0])
        return merge_lora(adapted)
    if not (folder / DIFFERENCE_FILE).is_file():
        raise ConfigError(f"a delta must be in '{folder.name}', there is none; run: kinema adapt")
    state = network.state_dict()
    for name, change in load_file(folder / DIFFERENCE_FILE).items():
        if name not in state or state[name].shape != change.shape:
            raise _other_network(folder, name)
        state[name] += change
    return network


def _other_network(folder: Path, name: str) -> ConfigError:
    return ConfigError(f"the delta in '{folder.name}' must be one of this network, which has no fitting '{name}'")
