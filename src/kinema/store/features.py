"""What the model is given besides the log: one vector per item and modality (or its tokens), one row of numbers per user.

Shape suffixes: V items, D width, U users, P profile columns, T moments of a clip.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.store.tokens import RaggedTokens, TokenShards


class ClipTokens(Protocol):
    """The moments of every item's clip in one modality, row = item number. `ModalityTokens` keeps them on disk."""

    def lengths(self) -> NDArray[np.int64]:
        """int64 [V], number of moments of each item, 0 where absent."""

    def get(self, items: Sequence[int] | NDArray[np.integer]) -> RaggedTokens:
        """Tokens of some items, in the order given."""


@dataclass(frozen=True)
class MomentShares:
    """How much each moment of a clip counts in one modality.

    Attributes:
        times_ms_T: int64, from the first frame, oldest first.
        shares_T: float32, sum to 1.
        learnt: By attention that was learnt; False where the mean is taken, to which all moments count alike.
    """

    times_ms_T: NDArray[np.int64]
    shares_T: NDArray[np.float32]
    learnt: bool


@dataclass(frozen=True)
class ModalityFeatures:
    """Frozen encoder output of one modality, row = item number.

    Attributes:
        name: ``text``, ``frames``, ``motion``, or any other.
        vectors_VD: float32, zero rows where absent.
        present_V: bool, whether the item has this modality.
        quality_V: float32 in [0, 1]; 1 for a whole file, less for a partial one.
        encoder: Fingerprint of the encoder and its settings.
        tokens: The moments the vectors were pooled from; None where they were not kept.
    """

    name: str
    vectors_VD: NDArray[np.float32]
    present_V: NDArray[np.bool_]
    quality_V: NDArray[np.float32]
    encoder: str = ""
    tokens: ClipTokens | None = None


@dataclass(frozen=True)
class Profiles:
    """User profile features, row = user number.

    Attributes:
        values_UP: float32, one-hot columns for text attributes, standardised numbers, zero where missing.
        columns: P names such as ``country=de`` or ``age``.
    """

    values_UP: NDArray[np.float32]
    columns: tuple[str, ...]


@dataclass(frozen=True)
class ModalityTokens:
    """What a frozen encoder said of each moment of each clip: the input of a pooling that is learnt. Row = item number.

    The tokens stay on disk, memory-mapped, until they are asked for: a thousand clips of eight frames are 26 MB.

    Attributes:
        name: As in `ModalityFeatures`.
        keys_V: Content key of each item, empty where it has none; items with the same file share one.
        shards: Where the tokens lie.
        encoder: Fingerprint of what made them; another than that of the vectors, which also says how they were pooled.
    """

    name: str
    keys_V: tuple[str, ...]
    shards: TokenShards
    encoder: str

    @property
    def width(self) -> int:
        """D of a token; 0 while there is none."""
        return self.shards.width or 0

    def lengths(self) -> NDArray[np.int64]:
        """int64 [V], number of moments of each item, 0 where absent."""
        return self.shards.lengths(self.keys_V)

    def get(self, items: Sequence[int] | NDArray[np.integer]) -> RaggedTokens:
        """Tokens, times and offsets of some items, in the order given; `RaggedTokens.padded` makes a block of them."""
        return self.shards.get([self.keys_V[int(item)] for item in items])


@dataclass(frozen=True)
class HeldTokens:
    """Tokens in memory, for those who have them from elsewhere.

    Attributes:
        tokens: Row = item number.
    """

    tokens: RaggedTokens

    def lengths(self) -> NDArray[np.int64]:
        """See `ClipTokens`."""
        return np.diff(self.tokens.offsets)

    def get(self, items: Sequence[int] | NDArray[np.integer]) -> RaggedTokens:
        """See `ClipTokens`."""
        rows = np.asarray(items, dtype=np.int64)
        lengths = self.lengths()[rows]
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        places = np.repeat(self.tokens.offsets[:-1][rows] - offsets[:-1], lengths) + np.arange(offsets[-1])
        held = self.tokens
        return RaggedTokens(held.tokens_MD[places], held.times_ms_M[places], offsets, held.quality_N[rows])
