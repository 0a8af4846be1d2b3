"""What was learnt, kept alone: phi = theta + delta for every choice of `kinema.training.parameter_choice`.

A delta is a folder: a manifest that names theta by its fingerprint, and one file with the numbers that were put in, those of the
task's heads, and how the learning part of theta has changed.

Changes are kept as differences of bit patterns, taken as whole numbers: exact both ways, in as many bytes as the parameters
have. A difference of floats would be rounded, or need twice the bytes.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kinema.artifacts import MANIFEST, Manifest, read_manifest, write_artifact
from kinema.errors import ConfigError, StaleArtifactError
from kinema.training.parameter_choice import Choice, Chosen, choose, theta_fingerprint, theta_of

KIND: Final = "parameter-delta"
FORMAT_VERSION: Final = 1
_FILE: Final = "delta.safetensors"
_REMEDY: Final = "the fine-tuning that wrote it again"
_CHANGED, _ADDED, _HEAD = "changed/", "added/", "head/"
_WHOLE: Final = {2: torch.int16, 4: torch.int32, 8: torch.int64}
"""Bytes of a float -> whole numbers of that size, whose sums and differences wrap around."""


@dataclass(frozen=True)
class DeltaFacts:
    """What lies in a folder of a delta.

    Attributes:
        name: Of the folder.
        choice: What learnt.
        theta: Fingerprint of the network it belongs to.
        num_parameters: Numbers in it.
        num_heads: Those of them that are the task's heads.
        size_bytes: Of its file.
    """

    name: str
    choice: Choice
    theta: str
    num_parameters: int
    num_heads: int
    size_bytes: int


def save_delta(chosen: Chosen, folder: Path) -> DeltaFacts:
    """Write what was learnt, without theta.

    Args:
        chosen: After training.
        folder: An older delta there is replaced.

    Returns:
        What was written.

    Raises:
        ConfigError: It has been merged, so that there is nothing beside the weights any more.
    """
    if chosen.merged:
        raise ConfigError("a delta must be saved before it is merged, this one is part of the weights; save it first")
    heads = chosen.head_state()
    tensors = {_CHANGED + name: _bits(now) - _bits(old) for name, (old, now) in chosen.changed().items()}
    tensors |= {_ADDED + name: one for name, one in chosen.added().items()}
    tensors |= {_HEAD + name: one for name, one in heads.items()}
    config = {
        "choice": asdict(chosen.choice),
        "heads": list(chosen.heads),
        "num_parameters": sum(one.numel() for one in tensors.values()),
        "num_heads": sum(one.numel() for one in heads.values()),
    }
    parents = {"theta": chosen.theta}
    with write_artifact(folder, kind=KIND, format_version=FORMAT_VERSION, config=config, parents=parents) as draft:
        save_file({name: one.detach().cpu().clone().contiguous() for name, one in tensors.items()}, draft / _FILE)
    return delta_facts(folder)


def delta_facts(folder: Path) -> DeltaFacts:
    """What a saved delta is, without reading its numbers.

    Raises:
        NotBuiltError: There is none.
        StaleArtifactError: It is of another kind or version.
    """
    manifest = _manifest(folder)
    return DeltaFacts(
        name=folder.name,
        choice=_choice(manifest),
        theta=manifest.parents["theta"],
        num_parameters=manifest.config["num_parameters"],
        num_heads=manifest.config["num_heads"],
        size_bytes=(folder / _FILE).stat().st_size,
    )


def list_deltas(folder: Path) -> list[DeltaFacts]:
    """All deltas that lie in a folder, by name; what is no delta is passed over."""
    found = sorted(path.parent for path in folder.glob(f"*/{MANIFEST}") if (path.parent / _FILE).is_file())
    return [delta_facts(one) for one in found]


def put_on(network: nn.Module, folder: Path) -> Chosen:
    """Put a saved delta on its theta.

    Args:
        network: Theta, with heads of the shapes that were trained, whose numbers are replaced; changed in place.
        folder: Of `save_delta`.

    Returns:
        The network with the delta, which can learn on, be merged, or have it removed.

    Raises:
        NotBuiltError: There is no delta.
        StaleArtifactError: The network is another theta or has other heads, or the delta is damaged.
    """
    manifest = _manifest(folder, verify=True)
    heads = tuple(manifest.config["heads"])
    _check_theta(network, heads, manifest, folder)
    kept = load_file(folder / _FILE)
    _check_heads(network, _under(kept, _HEAD), folder)
    chosen = choose(network, _choice(manifest), heads=heads)
    theta, added, head_state = theta_of(network, heads), chosen.added(), chosen.head_state()
    with torch.no_grad():
        for name, change in _under(kept, _CHANGED).items():
            theta[name].copy_((_bits(theta[name]) + change).view(theta[name].dtype))
        for name, value in _under(kept, _ADDED).items():
            added[name].copy_(value)
        for name, value in _under(kept, _HEAD).items():
            head_state[name].copy_(value)
    return chosen


def take_off(network: nn.Module, folder: Path) -> None:
    """Take a saved delta off a network that holds it in its weights: theta = phi - delta, bit for bit.

    For ``full``, ``frozen`` and ``top`` only. What lies beside the weights is taken away by `Chosen.remove`, and weights into
    which LoRA was merged are rounded sums: theta has to be loaded again.

    Args:
        network: Phi; changed in place, its heads stay.
        folder: Of `save_delta`.

    Raises:
        NotBuiltError: There is no delta.
        ConfigError: It is one that lies beside the weights.
        StaleArtifactError: The network does not hold this delta; it is left as it was.
    """
    manifest = _manifest(folder, verify=True)
    heads, method = tuple(manifest.config["heads"]), _choice(manifest).method
    if method not in {"full", "frozen", "top"}:
        raise ConfigError(
            f"a delta must change weights to be taken off them, '{folder.name}' is of '{method}'; load theta again instead"
        )
    changes = _under(load_file(folder / _FILE), _CHANGED)
    theta = theta_of(network, heads)
    fits = all(name in theta and theta[name].shape == one.shape for name, one in changes.items())
    if fits:
        _move(theta, changes, sign=-1)
        if theta_fingerprint(network, heads) == manifest.parents["theta"]:
            return
        _move(theta, changes, sign=1)
    raise StaleArtifactError(
        f"delta '{folder.name}' must be taken off a network that holds it, this one does not; "
        f"load theta {manifest.parents['theta']} and put the delta on it"
    )


def _move(theta: Mapping[str, Tensor], changes: Mapping[str, Tensor], *, sign: int) -> None:
    with torch.no_grad():
        for name, change in changes.items():
            theta[name].copy_((_bits(theta[name]) + sign * change).view(theta[name].dtype))


def _bits(x: Tensor) -> Tensor:
    """Floats as whole numbers of the same bits; whole numbers as they are."""
    x = x.detach().contiguous()
    return x.view(_WHOLE[x.element_size()]) if x.is_floating_point() else x


def _under(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): one for name, one in tensors.items() if name.startswith(prefix)}


def _manifest(folder: Path, *, verify: bool = False) -> Manifest:
    return read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy=_REMEDY, verify=verify)


def _choice(manifest: Manifest) -> Choice:
    kept: dict[str, Any] = manifest.config["choice"]
    return Choice(**kept)


def _check_theta(network: nn.Module, heads: tuple[str, ...], manifest: Manifest, folder: Path) -> None:
    here, wanted = theta_fingerprint(network, heads), manifest.parents["theta"]
    if here != wanted:
        raise StaleArtifactError(
            f"delta '{folder.name}' must be put on theta {wanted}, this network is {here}; load the network it was trained on"
        )


def _check_heads(network: nn.Module, heads: Mapping[str, Tensor], folder: Path) -> None:
    state = {**dict(network.named_parameters()), **dict(network.named_buffers())}
    for name, value in heads.items():
        if name not in state or state[name].shape != value.shape:
            found = f"has {list(state[name].shape)}" if name in state else "has none"
            raise StaleArtifactError(
                f"delta '{folder.name}' must be put on a network with '{name}' {list(value.shape)}, this one {found}; "
                "build the head as it was trained"
            )
