"""The item tower: modalities and a learned ID vector become one item vector, the same for history and candidate.

    u_i = keep_i * e_i + sum_m present_im * sigmoid(a_m + b_m * quality_im) * P_m c_im      v_i = u_i / |u_i|

A modality starts small and hidden at times, so that it has to earn its place (FLM.md sections 1 and 2).

Shape suffixes: V catalogue, R rows of it, M modalities, W whitened width, D model width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kinema.flm.draws import Draws
from kinema.flm.pooling import Moments

_FULL_QUALITY_GATE = 0.5
_ID_LENGTH = 0.15
"""ID vectors start short: cosines see directions only, and a step of the optimizer turns a short vector further."""


@dataclass(frozen=True)
class ItemContent:
    """Whitened features of a catalogue, one tensor per modality in the order of ``names``.

    Attributes:
        names: Modalities.
        vectors: Per modality float32 [V, W], unit rows, zero where absent.
        present_VM: float32, 1 where the item has the modality.
        quality_VM: float32 in [0, 1].
        moments: Modality -> whitened tokens, of those whose moments are read.
    """

    names: tuple[str, ...]
    vectors: tuple[Tensor, ...]
    present_VM: Tensor
    quality_VM: Tensor
    moments: Mapping[str, Moments] = field(default_factory=dict)

    @property
    def num_items(self) -> int:
        """V."""
        return int(self.present_VM.shape[0])

    def arrays(self) -> list[NDArray[Any]]:
        """All numbers of it, for a fingerprint."""
        tokens = (self.moments[name].tokens_VTW for name in sorted(self.moments))
        return [one.numpy() for one in (*self.vectors, *tokens)]

    @property
    def described(self) -> Tensor:
        """Whether each item has any modality, bool [V]."""
        return self.present_VM.sum(dim=1) > 0

    @classmethod
    def empty(cls, num_items: int) -> "ItemContent":
        """No modality at all."""
        return cls((), (), torch.zeros(num_items, 0), torch.zeros(num_items, 0))


class ItemTower(nn.Module):
    """Fuses an item's ID vector and its modalities.

    Args:
        num_items: Items that have an ID vector; 0 for the content-only model.
        d_model: D.
        modality_widths: Modality -> W, in the order of `ItemContent.names`.
        content_init: Length of a projected modality at the start; an ID vector starts at 0.15.
        id_dropout: Share of items with content that do without their ID vector in a training step.
        modality_dropout: Share of (item, modality) pairs hidden in a training step.
    """

    open_M: Tensor
    known_by_M: Tensor

    def __init__(
        self,
        *,
        num_items: int,
        d_model: int,
        modality_widths: Mapping[str, int],
        content_init: float = 0.3,
        id_dropout: float = 0.1,
        modality_dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.names = tuple(modality_widths)
        self.id_dropout = id_dropout
        self.modality_dropout = modality_dropout
        self.ids_VD = nn.Parameter(torch.randn(num_items, d_model) * _ID_LENGTH / d_model**0.5)
        self.bias_V = nn.Parameter(torch.zeros(num_items))
        self.projections = nn.ModuleList(nn.Linear(width, d_model, bias=False) for width in modality_widths.values())
        for projection in self.projections:
            assert isinstance(projection, nn.Linear)
            nn.init.normal_(projection.weight, std=content_init / _FULL_QUALITY_GATE / d_model**0.5)
        self.gate_offset_M = nn.Parameter(torch.zeros(len(self.names)))
        self.gate_slope_M = nn.Parameter(torch.zeros(len(self.names)))
        # Do-no-harm gates, set to 0 at the end of training for a modality that validation is better without: beside ID vectors,
        # and where content is all there is to an item.
        self.register_buffer("open_M", torch.ones(len(self.names)))
        self.register_buffer("known_by_M", torch.ones(len(self.names)))

    @property
    def num_ids(self) -> int:
        """Items that have an ID vector."""
        return int(self.ids_VD.shape[0])

    def gates(self, rows_R: Tensor, content: ItemContent) -> Tensor:
        """float32 [R, M], how far each modality of each item counts."""
        learned_RM = torch.sigmoid(self.gate_offset_M + self.gate_slope_M * content.quality_VM.index_select(0, rows_R))
        return content.present_VM.index_select(0, rows_R) * learned_RM

    def parts(self, rows_R: Tensor, content: ItemContent) -> Tensor:
        """Projected modalities, gated, before they are summed.

        Returns:
            float32 [R, M, D].
        """
        if not self.names:
            return self.ids_VD.new_zeros(len(rows_R), 0, self.ids_VD.shape[1])
        projected_RMD = torch.stack(
            [
                project(vectors.index_select(0, rows_R))
                for project, vectors in zip(self.projections, content.vectors, strict=True)
            ],
            dim=1,
        )
        return projected_RMD * self.gates(rows_R, content).unsqueeze(-1)

    def behaviour(self, rows_R: Tensor) -> Tensor:
        """ID vectors float32 [R, D], zero for items that have none."""
        if not self.num_ids:
            return self.ids_VD.new_zeros(len(rows_R), self.ids_VD.shape[1])
        known_R1 = (rows_R < self.num_ids).unsqueeze(-1)
        return functional.embedding(rows_R.clamp_max(self.num_ids - 1), self.ids_VD) * known_R1

    def bias(self, rows_R: Tensor) -> Tensor:
        """Log-odds float32 [R] that an item has whoever asks, 0 for items that have no ID vector.

        Unit vectors leave no room for how much an item is liked by everybody; without this a direction of the space
        is spent on it.
        """
        if not self.num_ids:
            return self.bias_V.new_zeros(len(rows_R))
        return self.bias_V.index_select(0, rows_R.clamp_max(self.num_ids - 1)) * (rows_R < self.num_ids)

    def forward(
        self, rows_R: Tensor, content: ItemContent, *, ids_RD: Tensor | None = None, draws: Draws | None = None
    ) -> tuple[Tensor, Tensor]:
        """Item vectors, and their content side alone.

        Args:
            rows_R: int64, item numbers; numbers beyond the training catalogue have no ID vector.
            content: Features of the whole catalogue.
            ids_RD: ID vectors of these rows where the caller has gathered them; None gathers them here.
            draws: Of a training step; None for inference.

        Returns:
            v float32 [R, D] and t float32 [R, D]: unit rows of ID and content together, and of content alone (zero
            where there is neither). In training both see the same dropped modalities.
        """
        parts_RMD = self.parts(rows_R, content)
        ids_RD = self.behaviour(rows_R) if ids_RD is None else ids_RD
        if draws is not None and self.names:
            num_rows, num_modalities = parts_RMD.shape[:2]
            shown_RM = draws.kept((num_rows, num_modalities), self.modality_dropout)
            parts_RMD = parts_RMD * shown_RM.unsqueeze(-1)
            has_content_R = (shown_RM & (content.present_VM.index_select(0, rows_R) > 0) & (self.open_M > 0)).any(
                dim=-1
            )
            keep_R = draws.kept((num_rows,), self.id_dropout) | ~has_content_R
            ids_RD = ids_RD * keep_R.unsqueeze(-1)
        content_RD = self._sum(parts_RMD, self.known_by_M)
        beside_RD = content_RD if torch.equal(self.open_M, self.known_by_M) else self._sum(parts_RMD, self.open_M)
        return functional.normalize(ids_RD + beside_RD, dim=-1), functional.normalize(content_RD, dim=-1)

    def _sum(self, parts_RMD: Tensor, gates_M: Tensor) -> Tensor:
        """float32 [R, D], the modalities whose gates are open."""
        return parts_RMD.sum(dim=1) if gates_M.all() else (parts_RMD * gates_M.unsqueeze(-1)).sum(dim=1)


def content_from(
    names: Sequence[str],
    vectors: Sequence[Tensor],
    present: Sequence[Tensor],
    quality: Sequence[Tensor],
    num_items: int,
) -> ItemContent:
    """Assemble `ItemContent` from per-modality columns; no modality gives the empty content."""
    if not names:
        return ItemContent.empty(num_items)
    return ItemContent(
        tuple(names), tuple(vectors), torch.stack(list(present), dim=1), torch.stack(list(quality), dim=1)
    )
