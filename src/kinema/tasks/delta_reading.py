"""A saved delta put on an encoder that is only going to be asked: phi = theta + delta, without anything that trains.

What `kinema.training.parameter_delta` writes, for the request path. Changed weights are added, low-rank maps are merged, and what
stands beside the weights is handed over under its own names, for `kinema.encoders.small_bert.SmallBert`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from safetensors.torch import load_file
from torch import Tensor

from kinema.artifacts import read_manifest
from kinema.errors import StaleArtifactError

DELTA_FOLDER: Final = "delta"
"""Where the model of a task keeps its delta."""
_KIND: Final = "parameter-delta"
_FORMAT_VERSION: Final = 1
_ENCODER: Final = "encoder."
_LORA_SCALE: Final = 2.0
"""What `kinema.training.adapters.add_lora` multiplies the output of a low-rank map by."""
_LOW, _HIGH = ".lora_A.default.weight", ".lora_B.default.weight"


@dataclass(frozen=True)
class SavedDelta:
    """The numbers of a delta, by the names of the encoder and of the head.

    Attributes:
        changed: Differences of bit patterns.
        added: What was put in.
        head: Numbers of the head.
        num_parameters: Numbers in all.
    """

    changed: Mapping[str, Tensor]
    added: Mapping[str, Tensor]
    head: Mapping[str, Tensor]
    num_parameters: int

    @property
    def beside(self) -> dict[str, Tensor]:
        """What cannot become part of the weights: bottlenecks and prefixes."""
        return {name: one for name, one in self.added.items() if not name.endswith((_LOW, _HIGH))}

    def phi(self, theta: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The encoder's weights with what was learnt; theta stays as it is.

        Args:
            theta: Name -> weight.

        Raises:
            StaleArtifactError: A weight that was changed is not there.
        """
        found = dict(theta)
        low = {name.removesuffix(_LOW): one for name, one in self.added.items() if name.endswith(_LOW)}
        names = [*self.changed, *(f"{name}.weight" for name in low)]
        missing = [name for name in names if name not in found]
        if missing:
            raise StaleArtifactError(
                f"a delta must be put on the encoder it was taken from, this one has no '{missing[0]}'; fine-tune again"
            )
        for name, change in self.changed.items():
            whole = found[name].contiguous()
            found[name] = (whole.view(change.dtype) + change).view(whole.dtype)
        for name, one in low.items():
            found[f"{name}.weight"] = found[f"{name}.weight"] + _LORA_SCALE * (self.added[name + _HIGH] @ one)
        return found


def read_delta(folder: Path, *, remedy: str, head: str = "head.") -> SavedDelta:
    """Read the delta of a network of an encoder and a head, `kinema.tasks.text_classifier.TextClassifier`.

    Args:
        folder: Of the delta.
        remedy: The command that writes it.
        head: What names of the head begin with.

    Raises:
        NotBuiltError: There is none.
        StaleArtifactError: It is of another kind or version, or damaged.
    """
    manifest = read_manifest(folder, kind=_KIND, format_version=_FORMAT_VERSION, remedy=remedy, verify=True)
    kept = load_file(folder / "delta.safetensors")

    def under(start: str) -> dict[str, Tensor]:
        return {name.removeprefix(start): one for name, one in kept.items() if name.startswith(start)}

    parts = {"changed": under(f"changed/{_ENCODER}"), "added": under(f"added/{_ENCODER}")}
    return SavedDelta(**parts, head=under(f"head/{head}"), num_parameters=int(manifest.config["num_parameters"]))
