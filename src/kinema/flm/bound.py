"""What binding a model computes of each item, kept on disk: a catalogue that grew by a clip is bound for the clip alone.

Only items that had events in training are anybody's neighbours, so nothing that is kept of an item depends on those that come after it.

Shape suffixes: V catalogue, D model width, E content width, J neighbours, M modalities, W whitened width.
"""

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from kinema.artifacts import MANIFEST, sha256_file
from kinema.drafts import own_draft
from kinema.store.features import ClipTokens, ModalityFeatures, ModalityTokens
from kinema.store.tokens import RaggedTokens

MANY_NEW: Final = 256
"""New items from which what is kept is written again; fewer are computed faster than that."""
_WHITE: Final = "white."
_FILE: Final = "bound.safetensors"


@dataclass(frozen=True)
class BoundItems:
    """What a model makes of the items of a catalogue, row by row.

    Attributes:
        white: Modality -> float32 [V, W], whitened unit rows, zero where absent.
        own_VD: float32, item vectors of the tower, before anything is borrowed from neighbours.
        by_content_VD: float32, their content side.
        joint_VE: float32 unit rows, all open modalities side by side.
        alike_VE: float32 unit rows that neighbours are found by.
        neighbours_VJ: int64, see `kinema.flm.imputation.content_neighbours`.
        weights_VJ: float32, the same.
    """

    white: Mapping[str, NDArray[np.float32]]
    own_VD: NDArray[np.float32]
    by_content_VD: NDArray[np.float32]
    joint_VE: NDArray[np.float32]
    alike_VE: NDArray[np.float32]
    neighbours_VJ: NDArray[np.int64]
    weights_VJ: NDArray[np.float32]

    def __len__(self) -> int:
        """V."""
        return len(self.own_VD)

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Name -> array; `of_arrays` reads them."""
        plain = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "white"}
        return plain | {f"{_WHITE}{name}": one for name, one in self.white.items()}

    @classmethod
    def of_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> Self:
        """What `arrays` gave."""
        white = {name.removeprefix(_WHITE): one for name, one in arrays.items() if name.startswith(_WHITE)}
        return cls(white=white, **{name: one for name, one in arrays.items() if not name.startswith(_WHITE)})

    def joined(self, later: Self) -> Self:
        """These items, and behind them those that came later."""
        mine, theirs = self.arrays(), later.arrays()
        return type(self).of_arrays({name: np.concatenate([mine[name], theirs[name]]) for name in mine})


@dataclass(frozen=True)
class BoundFile:
    """Where bound items are kept.

    Attributes:
        path: The file; made with its folder.
        model: What changes with the model.
    """

    path: Path
    model: str

    @classmethod
    def of(cls, folder: Path) -> Self:
        """That of a model, inside the folder it was loaded from: it comes and goes with the model."""
        return cls(folder / _FILE, sha256_file(folder / MANIFEST))

    def read(self, features: Mapping[str, ModalityFeatures]) -> BoundItems | None:
        """What is kept of the first items, if it was made by this model of these features; None where it was not."""
        try:
            with safe_open(self.path, framework="np") as stored:
                facts = stored.metadata() or {}
                num_items = int(facts.get("items", -1))
                if facts.get("model") != self.model or num_items < 0:
                    return None
                if facts.get("features") != features_digest(features, num_items):
                    return None
                return BoundItems.of_arrays({name: stored.get_tensor(name) for name in stored.keys()})  # noqa: SIM118  # no mapping
        except (OSError, SafetensorError, ValueError, TypeError):
            return None  # nothing is kept yet, or what is there is damaged: it is made again

    def write(self, items: BoundItems, features: Mapping[str, ModalityFeatures]) -> None:
        """Keep items; a folder that cannot be written to costs time only."""
        facts = {
            "model": self.model,
            "items": str(len(items)),
            "features": features_digest(features, len(items)) or "",
        }
        with suppress(OSError, SafetensorError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            draft = own_draft(self.path)
            save_file({name: np.ascontiguousarray(one) for name, one in items.arrays().items()}, draft, metadata=facts)
            draft.replace(self.path)


def features_digest(features: Mapping[str, ModalityFeatures], num_items: int) -> str | None:
    """Hash of the first items' features, 16 hex digits; None where there are fewer."""
    digest = hashlib.sha256()
    for name, one in sorted(features.items()):
        if len(one.present_V) < num_items:
            return None
        digest.update(f"{name} {one.encoder} {one.tokens is None}".encode())
        for rows in (one.vectors_VD, one.present_V, one.quality_V):
            digest.update(np.ascontiguousarray(rows[:num_items]).view(np.uint8).data)
    return digest.hexdigest()[:16]


def later_features(features: Mapping[str, ModalityFeatures], start: int) -> dict[str, ModalityFeatures]:
    """Features of the items from one on, as if they were a catalogue of their own."""
    return {
        name: replace(
            one,
            vectors_VD=one.vectors_VD[start:],
            present_V=one.present_V[start:],
            quality_V=one.quality_V[start:],
            tokens=None if one.tokens is None else _later_tokens(one.tokens, start),
        )
        for name, one in features.items()
    }


def _later_tokens(tokens: ClipTokens, start: int) -> ClipTokens:
    """Tokens on disk are not even looked up for the earlier items."""
    if isinstance(tokens, ModalityTokens):
        return replace(tokens, keys_V=tokens.keys_V[start:])
    return _Later(tokens, start)


@dataclass(frozen=True)
class _Later:
    """Tokens of the items from one on; see `kinema.store.features.ClipTokens`."""

    tokens: ClipTokens
    start: int

    def lengths(self) -> NDArray[np.int64]:
        return self.tokens.lengths()[self.start :]

    def get(self, items: Any) -> RaggedTokens:
        return self.tokens.get(np.asarray(items, dtype=np.int64) + self.start)
