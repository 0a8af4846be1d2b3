"""A reader in a module of its own, so that decoding processes load nothing else with it."""

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from kinema.encoders.modality import Clip, Wants


@dataclass(frozen=True)
class Unread:
    """Clips are decoded for it, and it takes nothing of them."""

    num_frames: int
    num_pairs: int
    max_side: int

    @property
    def wants(self) -> Wants:
        """Pictures."""
        return Wants(num_frames=self.num_frames, num_pairs=self.num_pairs, max_side=self.max_side)

    def read(self, clip: Clip) -> dict[str, NDArray[Any]]:
        """Nothing."""
        del clip
        return {}
