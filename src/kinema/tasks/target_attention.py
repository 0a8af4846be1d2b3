"""A click network over histories: attention from the item in question to what the user did before (DIN), crosses (DCN-v2) on top.

Item vectors come from outside, above all FLM's: an item that nobody has watched has one as well. What is learnt here is how to look at
them, and a small vector of its own for each item that was seen in training.

Shape suffixes: B examples, L history length, D width of given item vectors, W width here, R distinct items of a batch, P profile columns,
X width of all inputs, C numbers of the context.
"""

from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from typing import Any, Final, Literal, Self, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional

from kinema.errors import ConfigError
from kinema.flm.draws import Draws

Pooling = Literal["target", "mean"]
NUM_GAPS: Final = 24
"""Buckets of time that has passed: each twice as long as the one before, from a minute on."""
NUM_HOURS: Final = 24
NUM_WEEKDAYS: Final = 7
NUM_POSITIONS: Final = 64
"""Place 0 stands for an unknown one, as when slates are made."""
NUM_NUMBERS: Final = 3
_TARGETS_AT_ONCE: Final = 250
"""Items that are asked about at once for one history: of thousands, memory that is asked of the system anew for each answer would
cost more than the answer."""


@dataclass(frozen=True)
class HistoryClickConfig:
    """A network over histories.

    Attributes:
        width: W.
        max_length: Newest events that are read.
        pooling: ``target``: weights by how an event suits the item in question; ``mean``: all events alike, the way to beat.
        cross_layers: Of DCN-v2.
        hidden: Widths of the layers beside it.
        dropout: In those layers.
        id_dropout: Share of the items that do without their own vector in a training step, so that cold ones can.
        position_dropout: Share of the examples whose place in the slate is hidden in training.
    """

    width: int = 32
    max_length: int = 50
    pooling: Pooling = "target"
    cross_layers: int = 2
    hidden: tuple[int, ...] = (128, 64)
    dropout: float = 0.1
    id_dropout: float = 0.2
    position_dropout: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        for name in ("width", "max_length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} of the click model must be >= 1, is {getattr(self, name)}")
        if self.cross_layers < 0 or not self.hidden or min(self.hidden) < 1:
            raise ConfigError(
                f"the click model needs cross_layers >= 0 and hidden widths >= 1, got {self.cross_layers} and {list(self.hidden)}"
            )
        for name in ("dropout", "id_dropout", "position_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} of the click model must be in [0, 1), is {getattr(self, name)}")
        if self.pooling not in get_args(Pooling):
            raise ConfigError(f"pooling of the click model must be target or mean, is '{self.pooling}'")

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self) | {"hidden": list(self.hidden)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """What `as_dict` gave, or some of it.

        Raises:
            ConfigError: A key is unknown.
        """
        known = [field.name for field in fields(cls)]
        unknown = sorted(set(values) - set(known))
        if unknown:
            raise ConfigError(f"'{unknown[0]}' is no setting of the click model; known: {', '.join(known)}")
        return cls(**(values | ({"hidden": tuple(values["hidden"])} if "hidden" in values else {})))


@dataclass(frozen=True)
class HistoryBatch:
    """Some examples.

    Attributes:
        items_RD: float32, given vectors of the distinct items.
        ids_R: int64, number of each's own vector, from 1; 0 where it has none.
        targets_B: int64, place of the item in question among them.
        places_BL: int64, the same of the history.
        there_BL: bool, whether there is an event. It and all below but the numbers may have one row, that of all examples.
        kinds_BL: int64, kinds of the events.
        gaps_BL: int64, buckets of the time since each event.
        hours_B: int64, of the day.
        weekdays_B: int64.
        positions_B: int64, place in the slate + 1; 0 where unknown.
        numbers_BC: float32: log of events before, of the item's popularity, of its age.
        profiles_BP: float32; None for none.
    """

    items_RD: Tensor
    ids_R: Tensor
    targets_B: Tensor
    places_BL: Tensor
    there_BL: Tensor
    kinds_BL: Tensor
    gaps_BL: Tensor
    hours_B: Tensor
    weekdays_B: Tensor
    positions_B: Tensor
    numbers_BC: Tensor
    profiles_BP: Tensor | None


class _Attention(nn.Module):
    """How an event suits the item in question: one hidden layer over both and their product.

    Split into its parts, the layer reads an event once for all items that are asked about.

    Args:
        width: W.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.event, self.target, self.both = (nn.Linear(width, width, bias=bias) for bias in (True, False, False))
        self.out = nn.Linear(width, 1)

    def forward(self, events_BLW: Tensor, target_BW: Tensor) -> Tensor:
        """Logits float32 [B, L]; one row of events may stand for all."""
        if len(events_BLW) == 1:
            parts = [self._of_one_row(events_BLW[0], some) for some in torch.split(target_BW, _TARGETS_AT_ONCE)]
            return torch.cat(parts)
        target_B1W = target_BW.unsqueeze(1)
        hidden_BLW = self.both(events_BLW * target_B1W).add_(self.event(events_BLW)).add_(self.target(target_B1W))
        logits_BL: Tensor = self.out(functional.relu(hidden_BLW, inplace=True)).squeeze(2)
        return logits_BL

    def _of_one_row(self, events_LW: Tensor, target_BW: Tensor) -> Tensor:
        """The same for one history: what a target does to the layer is put into its weights, and one product does the rest.

        The layer is linear in the event: ``both(e * t) + event(e) + target(t) = (both * t + event) e + target(t)``. Written so,
        only what comes out is as large as targets times events.
        """
        weights_BWW = torch.addcmul(self.event.weight, self.both.weight, target_BW.unsqueeze(1))
        shifts_BW = functional.linear(target_BW, self.target.weight, self.event.bias)
        hidden = torch.mm(events_LW, weights_BWW.view(-1, events_LW.shape[1]).T).add_(shifts_BW.view(-1))
        hidden_LBW = functional.relu(hidden, inplace=True).view(len(events_LW), *target_BW.shape)
        logits_LB: Tensor = self.out(hidden_LBW).squeeze(2)
        return logits_LB.T


class HistoryClickNetwork(nn.Module):
    """Logit of a click.

    Args:
        config: Shape.
        num_ids: Items with a vector of their own.
        item_width: D.
        num_kinds: Kinds of events.
        profile_width: P; 0 for none.

    Source: target attention: Zhou et al., Deep Interest Network, KDD 2018, with sigmoid weights, so that many suitable events say more than
        one. Crosses: Wang et al., DCN V2, WWW 2021. The place in the slate is a term of its own that serving leaves out: Guo et
        al., PAL, RecSys 2019, added instead of multiplied.
    """

    def __init__(
        self, config: HistoryClickConfig, *, num_ids: int, item_width: int, num_kinds: int, profile_width: int = 0
    ) -> None:
        super().__init__()
        self.config = config
        self.num_ids = num_ids
        width = config.width
        self.project = nn.Linear(item_width, width)
        self.ids = nn.Embedding(num_ids + 1, width, padding_idx=0)
        nn.init.normal_(self.ids.weight, std=0.01)
        self.kinds, self.gaps = nn.Embedding(num_kinds, width), nn.Embedding(NUM_GAPS, width)
        self.hours, self.weekdays = (
            nn.Embedding(NUM_HOURS, width // 2 or 1),
            nn.Embedding(NUM_WEEKDAYS, width // 2 or 1),
        )
        self.positions = nn.Embedding(NUM_POSITIONS, 1, padding_idx=0)
        for table in (self.kinds, self.gaps, self.hours, self.weekdays, self.positions):
            nn.init.normal_(table.weight, std=0.05)
        with torch.no_grad():
            self.positions.weight[0] = 0.0
            self.ids.weight[0] = 0.0
        self.profile = nn.Linear(profile_width, width) if profile_width else None
        self.attention = _Attention(width) if config.pooling == "target" else None
        inputs = 3 * width + 2 * (width // 2 or 1) + NUM_NUMBERS + (width if profile_width else 0)
        self.crosses = nn.ModuleList(nn.Linear(inputs, inputs) for _ in range(config.cross_layers))
        sizes = (inputs, *config.hidden)
        self.deep = nn.ModuleList(nn.Linear(one, other) for one, other in pairwise(sizes))
        self.feature_width = inputs + sizes[-1]
        self.out = nn.Linear(self.feature_width, 1)

    def forward(self, batch: HistoryBatch, draws: Draws | None = None) -> Tensor:
        """Logits float32 [B]; ``draws`` None for inference."""
        logits_B: Tensor = self.out(self.features(batch, draws)).squeeze(1)
        positions_B = batch.positions_B
        if draws is not None:
            positions_B = positions_B * draws.kept((len(positions_B),), self.config.position_dropout)
        with_place_B: Tensor = logits_B + self.positions(positions_B).squeeze(1)
        return with_place_B

    def features(self, batch: HistoryBatch, draws: Draws | None = None) -> Tensor:
        """What a head reads, float32 [B, ``feature_width``]; the place in the slate is not in it."""
        own_RW = self.ids(batch.ids_R)
        if draws is not None:
            own_RW = own_RW * draws.kept((len(own_RW),), self.config.id_dropout).unsqueeze(1)
        items_RW = self.project(batch.items_RD) + own_RW
        target_BW = items_RW[batch.targets_B]
        interest_BW = self._interest(items_RW, target_BW, batch)
        parts = [target_BW, interest_BW, target_BW * interest_BW]
        parts += [self.hours(batch.hours_B), self.weekdays(batch.weekdays_B), batch.numbers_BC]
        if self.profile is not None and batch.profiles_BP is not None:
            parts.append(self.profile(batch.profiles_BP))
        x_BX = torch.cat([one.expand(len(target_BW), -1) for one in parts], dim=1)
        crossed_BX = x_BX
        for cross in self.crosses:
            crossed_BX = torch.addcmul(crossed_BX, x_BX, cross(crossed_BX))
        deep_BX = x_BX
        for layer in self.deep:
            deep_BX = functional.relu(layer(deep_BX), inplace=True)
            deep_BX = deep_BX if draws is None else draws.dropout(deep_BX, self.config.dropout)
        return torch.cat([crossed_BX, deep_BX], dim=1)

    def _interest(self, items_RW: Tensor, target_BW: Tensor, batch: HistoryBatch) -> Tensor:
        """float32 [B, W], what the history says about the item in question; zero for an empty one."""
        events_BLW = items_RW[batch.places_BL] + self.kinds(batch.kinds_BL) + self.gaps(batch.gaps_BL)
        there_BL = batch.there_BL.to(events_BLW.dtype)
        if self.attention is None:
            weights_BL = there_BL / there_BL.sum(dim=1, keepdim=True).clamp_min(1)
        else:
            weights_BL = torch.sigmoid(self.attention(events_BLW, target_BW)) * there_BL
            weights_BL = weights_BL / there_BL.sum(dim=1, keepdim=True).clamp_min(1).sqrt()
        if len(events_BLW) == 1:
            interest_BW: Tensor = weights_BL @ events_BLW[0]
        else:
            interest_BW = torch.matmul(weights_BL.unsqueeze(1), events_BLW).squeeze(1)
        return interest_BW.expand(len(target_BW), -1)
