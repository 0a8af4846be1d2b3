"""A visual matcher as it is kept and served: one linear map for the frames of queries and the moments of clips. No torch.

Shape suffixes: V items, M moments, N frames, D width of a frame's vector, E width of the space.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from kinema.artifacts import read_manifest, write_artifact
from kinema.errors import NotBuiltError, StaleArtifactError
from kinema.store.features import ModalityFeatures
from kinema.tasks.towers import Carrier, Tower

KIND: Final = "visual"
REMEDY: Final = "kinema finetune visual"
_FORMAT: Final = 1
_MAP: Final = "map.safetensors"
_REPORT: Final = "report.json"


@dataclass(frozen=True)
class VisualModel:
    """What finds the clip that a picture, or another clip, shows.

    Attributes:
        carrier: Vectors of frames -> places.
        encoder: Fingerprint of what made the vectors it has learnt from.
        config: What defined it, for the manifest.
        report: What was measured.
    """

    carrier: Carrier
    encoder: str
    config: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)

    def check(self, features: Mapping[str, ModalityFeatures]) -> None:
        """Refuse the frames of another encoder.

        Raises:
            StaleArtifactError: They are.
        """
        found = features["frames"].encoder if "frames" in features else "none"
        if found != self.encoder:
            raise StaleArtifactError(
                f"the visual matcher must be given frames of encoder {self.encoder}, which it has learnt from, these are of "
                f"{found}; run: {REMEDY}"
            )

    def save(self, folder: Path, *, seed: int | None = None) -> None:
        """Write the artefact; one that is there is replaced."""
        config = {"encoder": self.encoder, **self.config}
        with write_artifact(folder, kind=KIND, format_version=_FORMAT, config=config, seed=seed) as draft:
            save_file(Tower({"frames": self.carrier}).arrays("map"), draft / _MAP)
            (draft / _REPORT).write_text(json.dumps(self.report, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an artefact.

        Raises:
            NotBuiltError: There is none.
            StaleArtifactError: It is of another kind or version, or damaged.
        """
        config = dict(read_manifest(folder, kind=KIND, format_version=_FORMAT, remedy=REMEDY).config)
        return cls(
            Tower.from_arrays(load_file(folder / _MAP), "map").carriers["frames"],
            config.pop("encoder"),
            config,
            json.loads((folder / _REPORT).read_text(encoding="utf-8")),
        )


def moments_of(features: Mapping[str, ModalityFeatures]) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """The vectors of all frames of a catalogue.

    Returns:
        float32 [M, D], and int64 [V + 1], where each item's begin.

    Raises:
        NotBuiltError: There are none.
    """
    frames = features.get("frames")
    if frames is None or frames.tokens is None or not frames.present_V.any():
        raise NotBuiltError("clips must have frames to be compared moment by moment, none has any; run: kinema extract")
    found = frames.tokens.get(np.arange(len(frames.present_V)))
    return found.tokens_MD.astype(np.float32), found.offsets.astype(np.int64)
