"""The artefact of a model that reads histories: its network's numbers, what it must be asked with, and what its task adds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from torch import Tensor, nn

from kinema.artifacts import read_manifest, write_artifact
from kinema.tasks.history_facts import HistoryFacts

_NETWORK: Final = "network.safetensors"
FACTS: Final = "facts.json"
"""File of JSON values: what the model must be asked with, and what was measured."""
_POPULARITY: Final = "popularity_V"


class HistoryKind(NamedTuple):
    """Which artefact it is.

    Attributes:
        name: Of the kind.
        format_version: Raised when the layout changes.
        remedy: The command that makes it.
    """

    name: str
    format_version: int
    remedy: str


class KeptHistory(NamedTuple):
    """What was in an artefact.

    Attributes:
        config: Of the model.
        facts: What it must be asked with.
        told: What its task added.
        tensors: The network's numbers, and arrays that its task added.
    """

    config: Mapping[str, Any]
    facts: HistoryFacts
    told: Mapping[str, Any]
    tensors: dict[str, Tensor]


def write_history_model(
    folder: Path,
    facts: HistoryFacts,
    *,
    kind: HistoryKind,
    config: Mapping[str, Any],
    network: nn.Module,
    told: Mapping[str, Any],
    seed: int,
    arrays: Mapping[str, NDArray[Any]] | None = None,
) -> None:
    """Write the artefact, as a whole or not at all.

    Args:
        folder: Final place.
        facts: What the model must be asked with.
        kind: Which artefact.
        config: What defines the model.
        network: Whose numbers are kept.
        told: JSON values that the task adds.
        seed: Of the run.
        arrays: That the task adds; names other than those of the network's numbers.
    """
    state: dict[str, NDArray[Any]] = {
        name: one.detach().contiguous().numpy() for name, one in network.state_dict().items()
    }
    about: dict[str, Any] = {"config": config, "seed": seed, "parents": {"flm": facts.flm}}
    with write_artifact(folder, kind=kind.name, format_version=kind.format_version, **about) as draft:
        save_file(state | dict(arrays or {}) | {_POPULARITY: facts.popularity_V}, draft / _NETWORK)
        text = json.dumps(facts.as_dict() | dict(told), indent=1)
        (draft / FACTS).write_text(text + "\n", encoding="utf-8")


def read_history_model(folder: Path, kind: HistoryKind) -> KeptHistory:
    """Read what `write_history_model` has written.

    Raises:
        NotBuiltError: There is none.
        StaleArtifactError: It is of another kind or version, or damaged.
    """
    version = kind.format_version
    manifest = read_manifest(folder, kind=kind.name, format_version=version, remedy=kind.remedy)
    told = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    state: dict[str, NDArray[Any]] = load_file(folder / _NETWORK)
    facts = HistoryFacts.from_dict(told, np.asarray(state.pop(_POPULARITY), dtype=np.float32))
    return KeptHistory(manifest.config, facts, told, {name: torch.from_numpy(one) for name, one in state.items()})
