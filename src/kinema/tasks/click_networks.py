"""Networks that give the log-odds of a click from the fields of a row, all on one table of field vectors.

| model | log-odds are the sum of |
|---|---|
| lr | each value's own |
| fm | the same, and the inner products of all pairs of fields (Rendle, ICDM 2010) |
| deepfm | the same, and a deep part (Guo et al., DeepFM, IJCAI 2017) |
| dcn | cross layers with matrices beside a deep part (Wang et al., DCN V2, WWW 2021, parallel form) |
| din | a deep part whose lists are read with their target in view (Zhou et al., DIN, KDD 2018) |

Shape suffixes: B rows of a batch, F single-valued fields, L length of a list, G all fields, D width, I = G x D.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from kinema.errors import ConfigError
from kinema.flm.draws import Draws
from kinema.tasks.click_layers import (
    NOTHING,
    ClickBatch,
    Cross,
    Deep,
    FieldVectors,
    TargetAttention,
    mean_of_list,
    pairwise,
)

PARTS: Final[dict[str, frozenset[str]]] = {
    "lr": frozenset({"values"}),
    "fm": frozenset({"values", "pairs"}),
    "deepfm": frozenset({"values", "pairs", "deep"}),
    "dcn": frozenset({"cross", "deep"}),
    "din": frozenset({"deep", "attention"}),
}
"""Model -> its parts."""

_BY_ROW_FROM: Final = 50_000
"""Rows from which on sparse gradients pay. L2 over the table moves all rows, so it leaves nothing to be saved."""


@dataclass(frozen=True)
class ClickConfig:
    """What defines a click network.

    Attributes:
        model: A key of `PARTS`.
        width: Of field vectors.
        hidden: Units of the deep part's layers.
        cross_layers: Of ``dcn``.
        batch_norm: Of the deep part.
        dropout: Share of hidden units left out in training.
        embedding_dropout: Share of the numbers of field vectors left out in training.
        embedding_l2: Weight of half the squared length of the table of vectors in the loss.
    """

    model: str = "deepfm"
    width: int = 10
    hidden: tuple[int, ...] = (400, 400, 400)
    cross_layers: int = 3
    batch_norm: bool = True
    dropout: float = 0.2
    embedding_dropout: float = 0.0
    embedding_l2: float = 0.0

    def __post_init__(self) -> None:
        if self.model not in PARTS:
            raise ConfigError(f"model must be one of {', '.join(PARTS)}, is '{self.model}'")
        for name in ("width", "cross_layers"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be >= 1, is {getattr(self, name)}")
        if not self.hidden or min(self.hidden) < 1:
            raise ConfigError(f"hidden must name the units of at least one layer, all >= 1, is {self.hidden}")
        for name in ("dropout", "embedding_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} must be in [0, 1), is {getattr(self, name)}")
        if self.embedding_l2 < 0:
            raise ConfigError(f"embedding_l2 must be >= 0, is {self.embedding_l2}")


def usual_l2(model: str) -> float:
    """A weight of `ClickConfig.embedding_l2` to start from.

    Behind a deep part with batch norm only the direction of a vector counts, so strong L2 keeps noise down and costs nothing.
    In ``lr`` and ``fm`` the length itself is the prediction: the same weight would leave nothing of it.

    Args:
        model: A key of `PARTS`.

    Example:
        >>> usual_l2("deepfm"), usual_l2("fm")
        (0.01, 1e-05)
    """
    return 0.01 if "deep" in PARTS[model] else 1e-5


class ClickNetwork(nn.Module):
    """Fields of a row to the log-odds of a click.

    Args:
        config: Which model, how large.
        num_rows: Of the table of vectors.
        num_single: F.
        targets: Per list field, the place of the single-valued field it is read against; None for its mean.

    Raises:
        ConfigError: ``din`` without a list that has a target.
    """

    def __init__(
        self, config: ClickConfig, *, num_rows: int, num_single: int, targets: Sequence[int | None] = ()
    ) -> None:
        super().__init__()
        self.config, self.targets = config, tuple(targets)
        parts = PARTS[config.model]
        if "attention" in parts and not any(target is not None for target in targets):
            raise ConfigError(
                f"model {config.model} must have a list field with a target, has none; "
                "name one: --field seen=list,target=item, or choose another model"
            )
        flat = (num_single + len(self.targets)) * config.width
        by_row = not config.embedding_l2 and num_rows >= _BY_ROW_FROM
        self.vectors = FieldVectors(num_rows, config.width, by_row=by_row)
        self.bias = nn.Parameter(torch.zeros(1))
        self.cross = Cross(flat, config.cross_layers) if "cross" in parts else None
        self.deep = Deep(flat, config.hidden, batch_norm=config.batch_norm) if "deep" in parts else None
        self.attention = nn.ModuleList(
            TargetAttention(config.width) if "attention" in parts and target is not None else nn.Identity()
            for target in self.targets
        )

    def forward(self, batch: ClickBatch, draws: Draws | None = None) -> Tensor:
        """Log-odds of a click.

        Args:
            batch: Rows.
            draws: Of dropout; None leaves it out.

        Returns:
            [B].
        """
        config, parts = self.config, PARTS[self.config.model]
        single_BFD, odds_B, lists = self.vectors(batch)
        fields = [single_BFD]
        for place, (values_BLX, rows_BL) in enumerate(zip(lists, batch.lists, strict=True)):
            read_BD, more_B = self._read(place, values_BLX, rows_BL != NOTHING, single_BFD)
            fields.append(read_BD.unsqueeze(1))
            odds_B = odds_B + more_B
        fields_BGD = torch.cat(fields, dim=1) if len(fields) > 1 else single_BFD
        if draws is not None:
            fields_BGD = draws.dropout(fields_BGD, config.embedding_dropout)
        total_B = self.bias.expand(len(fields_BGD))
        if "values" in parts:
            total_B = total_B + odds_B
        if "pairs" in parts:
            total_B = total_B + pairwise(fields_BGD)
        flat_BI = fields_BGD.flatten(1)
        for part in (self.cross, self.deep):
            if part is not None:
                total_B = total_B + part(flat_BI, draws, config.dropout)
        return total_B

    def _read(self, place: int, values_BLX: Tensor, present_BL: Tensor, single_BFD: Tensor) -> tuple[Tensor, Tensor]:
        """A list as one vector, and its mean log-odds."""
        mean_BX = mean_of_list(values_BLX, present_BL)
        width, target = self.config.width, self.targets[place]
        if target is None or isinstance(self.attention[place], nn.Identity):
            return mean_BX[:, :width], mean_BX[:, width]
        read_BD = self.attention[place](single_BFD[:, target], values_BLX[..., :width], present_BL)
        return read_BD, mean_BX[:, width]
