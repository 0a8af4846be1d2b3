"""How the clips were read that a model of clips has learnt from; others must be read the same way."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final, Self, cast

from kinema.media.sampling import Mode

INPUTS: Final = {"frames": ("frames",), "motion": ("motion",), "both": ("frames", "motion")}
"""What a person says -> the modalities that are read."""


@dataclass(frozen=True)
class ClipRecipe:
    """Encoders, and what of a clip they see.

    Attributes:
        encoders: Modality -> name as in the configuration.
        num_frames: Frames sampled per clip.
        max_seconds: Only so much of the beginning is looked at, seconds.
        sampling: Which frames are taken.
        fingerprints: Modality -> fingerprint of the encoder with its settings; equal for equal tokens.
    """

    encoders: Mapping[str, str]
    num_frames: int = 8
    max_seconds: float = 600.0
    sampling: Mode = "even"
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """What `as_dict` gave."""
        return cls(**{**values, "sampling": cast("Mode", values["sampling"])})
