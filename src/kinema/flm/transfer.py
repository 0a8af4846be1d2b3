"""What a training changed of the model it started from: phi = theta + delta, kept by itself, put on and taken off.

Theta are the parameters that a model shares with its source, phi the same after training. Vectors of items are no part of
either: they are new parameters of the new catalogue.

Shape suffixes: none; named parameters only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Self

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from kinema.artifacts import read_manifest, write_artifact
from kinema.errors import ConfigError
from kinema.flm.model import FLM
from kinema.flm.network import FLMNetwork
from kinema.flm.sharing import hash_arrays, shared_of, shared_parameters, start_of, theta_fingerprint

DELTA_KIND: Final = "delta"
DELTA_VERSION: Final = 1
_FILE: Final = "delta.safetensors"
_REMEDY: Final = "kinema pretrain --from FOLDER"


@dataclass(frozen=True)
class Delta:
    """What a training changed of the parameters that its model and its source share.

    Attributes:
        changes: Name -> float64, phi minus theta; parameters that did not change are left out. In float64 the
            difference of two float32 numbers is exact, so that theta comes back bit for bit.
        source: Fingerprint of the model theta is of.
        before: Hash of these parameters in theta.
        after: Hash of these parameters in phi.
    """

    changes: Mapping[str, Tensor]
    source: str
    before: str
    after: str

    @property
    def num_numbers(self) -> int:
        """Numbers in it."""
        return sum(one.numel() for one in self.changes.values())

    def save(self, folder: Path) -> int:
        """Write the delta as an artefact of its own.

        Returns:
            Size of its file, bytes.
        """
        facts = {"source": self.source, "before": self.before, "after": self.after}
        with write_artifact(folder, kind=DELTA_KIND, format_version=DELTA_VERSION, config=facts) as draft:
            tensors = {name: one.contiguous() for name, one in self.changes.items()}
            save_file(tensors, draft / _FILE, metadata=facts)
        return self.size_bytes(folder)

    @staticmethod
    def size_bytes(folder: Path) -> int:
        """Size of a saved delta."""
        return (folder / _FILE).stat().st_size

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a delta.

        Raises:
            NotBuiltError: There is none.
            StaleArtifactError: It is of another kind or version, or damaged.
        """
        manifest = read_manifest(folder, kind=DELTA_KIND, format_version=DELTA_VERSION, remedy=_REMEDY, verify=True)
        changes = load_file(folder / _FILE)
        return cls(changes, **{name: str(manifest.config[name]) for name in ("source", "before", "after")})


def difference(model: FLM, source: FLM) -> Delta:
    """What a model has changed of its source: delta = phi - theta.

    Args:
        model: Trained from the source.
        source: What it started from.

    Returns:
        The delta over the parameters both have. ID vectors, log-odds, new modalities and new profile columns are new
        parameters, not changes.

    Raises:
        ConfigError: The model has not grown out of this source: they share no modality and map, or shapes differ.
    """
    theta, phi = shared_of(source), shared_of(model)
    strangers = {name for name in source.whitenings if not _same_map(model, source, name)}
    if len(strangers) == len(source.whitenings):
        raise ConfigError("a model must share a modality and its whitening map with its source, shares none")
    left = tuple(start_of(name) for name in strangers)
    names = [name for name in theta if name in phi and not name.startswith(left)]
    for name in names:
        if theta[name].shape != phi[name].shape:
            raise ConfigError(
                f"a model must have its source's shapes, '{name}' is {tuple(phi[name].shape)} "
                f"and was {tuple(theta[name].shape)}; compare it with the source it was trained from"
            )
    changed = [name for name in names if not theta[name].equal(phi[name])]
    changes = {name: phi[name].double() - theta[name].double() for name in changed}
    return Delta(changes, theta_fingerprint(source), _hash_of(theta, changed), _hash_of(phi, changed))


def _same_map(model: FLM, source: FLM, name: str) -> bool:
    mine, theirs = model.whitenings.get(name), source.whitenings[name]
    return mine is not None and mine.same(theirs)


def apply(source: FLM, delta: Delta) -> FLM:
    """Add a delta: phi = theta + delta, bit for bit.

    Args:
        source: Any model whose parameters are theta where the delta has changes: the source itself, or a model that
            was bound to another catalogue from it without training.
        delta: From `difference`.

    Returns:
        A new model; items, counts, memory and weights of the branches are the given model's.

    Raises:
        ConfigError: The delta was taken from another theta.
    """
    return _moved(source, delta, expected=delta.before, sign=1)


def subtract(model: FLM, delta: Delta) -> FLM:
    """Take a delta off: theta = phi - delta, bit for bit, as if training had left the shared parameters alone.

    Args:
        model: Whose parameters are phi where the delta has changes.
        delta: From `difference`.

    Returns:
        A new model; its ID vectors and all else stay.

    Raises:
        ConfigError: The delta is not in this model.
    """
    return _moved(model, delta, expected=delta.after, sign=-1)


def _moved(model: FLM, delta: Delta, *, expected: str, sign: int) -> FLM:
    state = shared_of(model)
    known = all(name in state and state[name].shape == one.shape for name, one in delta.changes.items())
    if not known or _hash_of(state, list(delta.changes)) != expected:
        wanted = "the theta it was taken from" if sign > 0 else "a model that holds it"
        raise ConfigError(
            f"the delta must be {'put on' if sign > 0 else 'taken off'} {wanted} (source {delta.source}), "
            "this model's parameters are others; use the model of that source"
        )
    network = copied(model)
    parameters = shared_parameters(network, tuple(model.whitenings), model.profile_columns)
    for name, change in delta.changes.items():
        parameters[name].copy_((parameters[name].double() + sign * change).float())
    return replace(model, network=network)


def copied(model: FLM) -> FLMNetwork:
    """A network of its own with the model's numbers, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        network = FLMNetwork.reading(
            model.whitenings, model.config, num_items=len(model.item_ids), profile_width=len(model.profile_columns)
        )
    network.load_state_dict(model.network.state_dict())
    return network.eval()


def _hash_of(state: Mapping[str, Tensor], names: Sequence[str]) -> str:
    return hash_arrays({name: state[name].numpy() for name in names}, [])
