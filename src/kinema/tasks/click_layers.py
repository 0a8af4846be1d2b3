"""Parts of click networks: the table of field vectors, factorisation machine, cross layers, deep part, target attention.

Shape suffixes: B rows of a batch, F single-valued fields, L length of a list, G all fields (single values, then lists),
D width, R rows of the table, I width of a row's fields side by side (G x D), H hidden units.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from kinema.flm.draws import Draws

NOTHING: Final = -1
"""Behind the end of a list."""

_INITIAL: Final = 0.01
_UNIT: Final = (32, 16)


@dataclass(frozen=True)
class ClickBatch:
    """Rows of a table as places in the table of vectors.

    Attributes:
        rows_BF: int64, one per single-valued field.
        scales_BF: What each vector is multiplied with, 1 for categories; None where no field is a number.
        lists: int64 [B, L] per list field, `NOTHING` behind its end.
    """

    rows_BF: Tensor
    scales_BF: Tensor | None
    lists: tuple[Tensor, ...]


class FieldVectors(nn.Module):
    """One table for all fields: a vector per value, and the value's own log-odds as a last column.

    One look-up then serves both; apart they would cost two.

    Args:
        num_rows: Of the table.
        width: Of a vector.
        by_row: Gradients are sparse, and a step costs the rows it touches instead of all.
    """

    def __init__(self, num_rows: int, width: int, *, by_row: bool = False) -> None:
        super().__init__()
        self.width = width
        start = torch.randn(num_rows, width + 1) * _INITIAL
        start[:, width] = 0
        self.rows = nn.Embedding(num_rows, width + 1, sparse=by_row, _weight=start)

    @property
    def table(self) -> nn.Parameter:
        """The vectors, [R, D + 1]."""
        return cast("nn.Parameter", self.rows.weight)

    def forward(self, batch: ClickBatch) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Vectors of single values [B, F, D], their summed log-odds [B], and one [B, L, D + 1] per list."""
        found = self.rows(batch.rows_BF)
        if batch.scales_BF is not None:
            found = found * batch.scales_BF.unsqueeze(-1)
        lists = [self.rows(rows_BL.clamp_min(0)) for rows_BL in batch.lists]
        return found[..., : self.width], found[..., self.width].sum(dim=1), lists


def mean_of_list(values_BLX: Tensor, present_BL: Tensor) -> Tensor:
    """[B, X], the mean over what is there; zeros for an empty list."""
    weights_BL = present_BL.to(values_BLX.dtype)
    weights_BL = weights_BL / weights_BL.sum(dim=1, keepdim=True).clamp_min(1)
    return (weights_BL.unsqueeze(1) @ values_BLX).squeeze(1)


def pairwise(fields_BGD: Tensor) -> Tensor:
    """[B], the sum of the inner products of all pairs of fields, in time linear in their number.

    Source: Rendle, Factorization Machines, ICDM 2010, lemma 3.1.

    Example:
        >>> pairwise(torch.tensor([[[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]]]))
        tensor([17.])
    """
    return 0.5 * (fields_BGD.sum(dim=1).square() - fields_BGD.square().sum(dim=1)).sum(dim=1)


class Cross(nn.Module):
    """Cross network with matrices: x' = x0 * (W x + b) + x; every layer raises the degree of the crosses by one.

    Args:
        width: I.
        num_layers: >= 1.

    Source: Wang et al., DCN V2, WWW 2021, equation 1.
    """

    def __init__(self, width: int, num_layers: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(num_layers))
        self.head = nn.Linear(width, 1)

    def forward(self, flat_BI: Tensor, draws: Draws | None, dropout: float) -> Tensor:
        """Log-odds, [B]."""
        crossed_BI = flat_BI
        for layer in self.layers:
            crossed_BI = torch.addcmul(crossed_BI, flat_BI, layer(crossed_BI))
        if draws is not None:
            crossed_BI = draws.dropout(crossed_BI, dropout)
        odds_B1: Tensor = self.head(crossed_BI)
        return odds_B1.squeeze(1)


class Deep(nn.Module):
    """Layers of linear map, batch norm, ReLU and dropout.

    Args:
        width: I.
        hidden: Units of each layer.
        batch_norm: Whether hidden layers are normalised over the batch.
    """

    def __init__(self, width: int, hidden: Sequence[int], *, batch_norm: bool) -> None:
        super().__init__()
        sizes = [width, *hidden]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in itertools.pairwise(sizes))
        self.norms = nn.ModuleList(nn.BatchNorm1d(size) if batch_norm else nn.Identity() for size in hidden)
        self.head = nn.Linear(sizes[-1], 1)

    def forward(self, x_BH: Tensor, draws: Draws | None, dropout: float) -> Tensor:
        """Log-odds, [B]."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x_BH = functional.relu(norm(layer(x_BH)))
            if draws is not None:
                x_BH = draws.dropout(x_BH, dropout)
        odds_B1: Tensor = self.head(x_BH)
        return odds_B1.squeeze(1)


class TargetAttention(nn.Module):
    """A list read with a target in view: each entry weighs as much as a small network says it matters for the target.

    Weights are not forced to sum to one, so a list with more that matters gives a longer vector.

    Args:
        width: D.

    Source: Zhou et al., Deep Interest Network, KDD 2018, section 4.3. There the network sees query, entry and their outer
        product; here, as in the authors' code, difference and product element by element. Its units are PReLU.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        first, second = _UNIT
        self.of_target = nn.Linear(width, first)
        self.of_entry = nn.Linear(2 * width, first, bias=False)
        self.bends = nn.ModuleList((nn.PReLU(), nn.PReLU()))
        self.middle = nn.Linear(first, second)
        self.head = nn.Linear(second, 1)

    def forward(self, target_BD: Tensor, entries_BLD: Tensor, present_BL: Tensor) -> Tensor:
        """[B, D]; zeros for an empty list.

        [q, k, q - k, q * k] W is computed as q W1 + [k, q * k] W2: the difference is a sum of what is there already.
        """
        products_BLD = entries_BLD * target_BD.unsqueeze(1)
        seen_BLH = self.of_entry(torch.cat([entries_BLD, products_BLD], dim=2)) + self.of_target(target_BD).unsqueeze(1)
        weights_BL = self.head(self.bends[1](self.middle(self.bends[0](seen_BLH)))).squeeze(2)
        read_B1D: Tensor = (weights_BL * present_BL).unsqueeze(1) @ entries_BLD
        return read_B1D.squeeze(1)
