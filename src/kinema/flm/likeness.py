"""What items are like for those who choose among them: content as behaviour teaches to look at it.

Raw content knows everything about a clip and not what of it matters. Where a modality's moments are at hand, learned attention over
them is taught on items that have events, and items without any find their neighbours by it. Item vectors themselves are left
alone: a network that may use every moment of every clip learns the clips by heart.

Shape suffixes: R items, D model width, E content width, V catalogue, W whitened width, T moments.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kinema.flm.draws import Draws
from kinema.flm.fusion import ItemContent
from kinema.flm.pooling import TemporalPooling
from kinema.flm.whitening import Whitening, unit_rows

_HIDDEN_MOMENTS: Final = 0.2
_HIDDEN_NUMBERS: Final = 0.2
_ITEMS_AT_ONCE: Final = 4096


class Likeness(nn.Module):
    """A map from content to the direction of behaviour.

    Args:
        widths: Modality -> width of its whitened vectors, read where its moments are not.
        moment_widths: Modality -> width of its whitened tokens, of those whose moments are read.
        d_model: D.
    """

    def __init__(self, *, widths: Mapping[str, int], moment_widths: Mapping[str, int], d_model: int) -> None:
        super().__init__()
        self.d_model = d_model
        plain = {name: width for name, width in widths.items() if name not in moment_widths}
        self.means = nn.ModuleDict({name: nn.Linear(width, d_model, bias=False) for name, width in plain.items()})
        self.pools = nn.ModuleDict(
            {name: TemporalPooling(width=width, d_model=d_model) for name, width in moment_widths.items()}
        )

    @classmethod
    def reading(cls, whitenings: Mapping[str, Whitening], *, d_model: int) -> Self:
        """A fresh one for what these maps give."""
        return cls(
            widths={name: one.width for name, one in whitenings.items()},
            moment_widths={name: one.tokens.width for name, one in whitenings.items() if one.tokens is not None},
            d_model=d_model,
        )

    def forward(self, rows_R: Tensor, content: ItemContent, draws: Draws | None = None) -> Tensor:
        """Directions, one per modality.

        Args:
            rows_R: int64, item numbers.
            content: Of the catalogue; a modality it lacks adds nothing.
            draws: Of a training step: some moments and numbers are hidden; None for inference.

        Returns:
            float32 [R, M, D], unit rows; zero where an item lacks the modality.
        """
        parts = [self._direction(m, name, rows_R, content, draws) for m, name in enumerate(content.names)]
        return functional.normalize(torch.stack(parts, dim=1), dim=-1)

    def _direction(self, m: int, name: str, rows_R: Tensor, content: ItemContent, draws: Draws | None) -> Tensor:
        """float32 [R, D], one modality's."""
        if name in self.means:
            vectors_RW = content.vectors[m][rows_R]
            if draws is not None:
                vectors_RW = draws.dropout(vectors_RW, _HIDDEN_NUMBERS)
            by_mean_RD: Tensor = self.means[name](vectors_RW)
            return by_mean_RD
        if name not in self.pools or name not in content.moments:
            return torch.zeros(len(rows_R), self.d_model)
        moments = content.moments[name].take(rows_R)
        if draws is not None:
            kept_RT = draws.kept(tuple(moments.valid_VT.shape), _HIDDEN_MOMENTS)
            moments = replace(moments, valid_VT=moments.valid_VT & kept_RT)
        pooled_RD: Tensor = self.pools[name](moments)
        return pooled_RD

    @torch.inference_mode()
    def rows(self, content: ItemContent) -> NDArray[np.float32]:
        """float32 [V, M, D], of the whole catalogue."""
        blocks = [
            self(torch.arange(start, min(start + _ITEMS_AT_ONCE, content.num_items)), content).numpy()
            for start in range(0, content.num_items, _ITEMS_AT_ONCE)
        ]
        return np.concatenate(blocks)


@dataclass(frozen=True)
class Weight:
    """How much a modality says of what items are like.

    Attributes:
        raw: As its encoder sees it; all modalities together have length 1.
        learnt: As `Likeness` does, against that length.
    """

    raw: float = 1.0
    learnt: float = 0.0


@dataclass(frozen=True)
class Liken:
    """By what items are alike: each modality as it is and as behaviour teaches to look at it, at weights of its own.

    What people do not care for is noise beside what they do: of four modalities of which one decides, unweighted neighbours are
    hardly better than chance.

    Attributes:
        likeness: The map.
        weights: Modality -> weights; one without any says nothing.
        rows_VMD: What the map says of the catalogue that is asked about, where it is at hand.
    """

    likeness: Likeness
    weights: Mapping[str, Weight]
    rows_VMD: NDArray[np.float32] | None = None

    def as_dict(self) -> dict[str, dict[str, float]]:
        """JSON values: modality -> its weights."""
        return {name: asdict(one) for name, one in self.weights.items()}

    def alike(self, content: ItemContent) -> NDArray[np.float32]:
        """float32 [V, E + M D], unit rows: what content neighbours are found by."""
        weights = [self.weights.get(name, Weight(0.0)) for name in content.names]
        raw = [one.raw * vectors.numpy() for one, vectors in zip(weights, content.vectors, strict=True)]
        rows_VMD = self.likeness.rows(content) if self.rows_VMD is None else self.rows_VMD
        learnt = [one.learnt * rows_VMD[:, m] for m, one in enumerate(weights)]
        return unit_rows(np.concatenate([unit_rows(np.concatenate(raw, axis=1)), *learnt], axis=1))
