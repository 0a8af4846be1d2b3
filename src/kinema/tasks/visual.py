"""Visual queries: a picture lies near the clip that it shows, whatever was done to it on its way.

One linear map for frames of queries and moments of clips, learnt by contrast: a changed frame must be nearer to some moment of its own
clip than to any moment of the others in the batch. It starts as the directions in which moments differ most.

Shape suffixes: N queries, B of a step, V items, M moments, T moments of a clip, D width of a frame's vector, R directions, E width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kinema.errors import ConfigError, DataError
from kinema.flm.draws import Draws
from kinema.tasks.match_data import Cases
from kinema.tasks.match_measures import K, Scores, means, measure
from kinema.tasks.towers import Carrier, directions, nearest_moments, standard

_MOST_ROWS = 20_000


@dataclass(frozen=True)
class VisualConfig:
    """What defines a visual matcher.

    Attributes:
        directions: Kept of the vectors of frames, >= 1; the width of the space as well.
        temperature: Cosines are divided by it, > 0.
        stay: Weight of the squared distance that the map has moved from where it started, >= 0.
    """

    directions: int = 256
    temperature: float = 0.05
    stay: float = 0.003

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        if self.directions < 1 or not self.temperature > 0 or self.stay < 0:
            raise ConfigError(
                "a visual matcher needs directions >= 1, temperature > 0 and stay >= 0, got "
                f"{self.directions}, {self.temperature:g} and {self.stay:g}"
            )


@dataclass(frozen=True)
class Questions:
    """Frames that were changed, with the clip they show.

    Attributes:
        frames_ND: float32, vectors.
        offsets: int64 [C + 1]; question c has the frames offsets[c] to offsets[c + 1].
        items_C: int64, the clip.
    """

    frames_ND: NDArray[np.float32]
    offsets: NDArray[np.int64]
    items_C: NDArray[np.int64]

    @classmethod
    def joined(cls, parts: "Sequence[Questions]") -> "Questions":
        """Several, one after the other."""
        lengths = np.concatenate([np.diff(one.offsets) for one in parts])
        return cls(
            np.concatenate([one.frames_ND for one in parts]),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.concatenate([one.items_C for one in parts]),
        )

    def cases(self, groups_V: NDArray[np.int64]) -> Cases:
        """As cases; copies of the clip are no candidates.

        Args:
            groups_V: int64, items that show the same have one number.
        """
        num = np.arange(len(self.items_C))
        rows, items = np.nonzero(groups_V[None] == groups_V[self.items_C][:, None])
        return Cases(num, num, self.items_C, num, np.stack([rows, items], axis=1).astype(np.int64))


@dataclass(frozen=True)
class Moments:
    """Moments of a catalogue and the way into their space before anything is learnt.

    Attributes:
        carrier: Its map is the directions in which moments differ most.
        rows_MR: float32, the moments there, not of length 1.
        offsets: int64 [V + 1].
    """

    carrier: Carrier
    rows_MR: NDArray[np.float32]
    offsets: NDArray[np.int64]

    @classmethod
    def of(
        cls,
        vectors_MD: NDArray[np.float32],
        offsets: NDArray[np.int64],
        among_V: NDArray[np.bool_],
        config: VisualConfig,
    ) -> "Moments":
        """Find the directions.

        Args:
            vectors_MD: Moments of all clips.
            offsets: int64 [V + 1].
            among_V: Clips that are learnt from.
            config: How many.
        """
        rows_ND = vectors_MD[np.repeat(among_V, np.diff(offsets))]
        if len(rows_ND) < 2:
            raise DataError("clips that are learnt from must have frames, have none; run: kinema extract")
        if len(rows_ND) > _MOST_ROWS:
            rows_ND = rows_ND[np.linspace(0, len(rows_ND) - 1, _MOST_ROWS).astype(int)]
        mean_D, scale_D = standard(rows_ND, plain=False)
        plain = Carrier(mean_D, scale_D, np.zeros((len(mean_D), 0), dtype=np.float32))
        basis_DR = directions(plain.inputs(rows_ND), config.directions)
        return cls(Carrier(mean_D, scale_D, basis_DR), plain.inputs(vectors_MD) @ basis_DR, offsets)

    def enter(self, frames_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 [N, R]."""
        return self.carrier.inputs(frames_ND) @ self.carrier.map_DE


class VisualNetwork(nn.Module):
    """A linear map.

    Args:
        width: R, and E.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.turn = nn.Parameter(torch.eye(width))

    def forward(self, rows_NR: Tensor) -> Tensor:
        """Unit rows [N, E]."""
        return functional.normalize(rows_NR @ self.turn, dim=1)

    def moved(self) -> Tensor:
        """Squared distance from the start."""
        return (self.turn - torch.eye(len(self.turn))).square().sum()


class VisualLearner:
    """Changed frames to learn from, as a `kinema.tasks.task.Learner`.

    Args:
        network: Changed by training.
        moments: Of the catalogue.
        train: One frame per question.
        valid: What validation asks.
        groups_V: Items that show the same have one number.
        config: What is learnt.

    Attributes:
        network: See the class.
        num_examples: Questions that are learnt from.
        moments: See the class.
    """

    def __init__(
        self,
        network: VisualNetwork,
        moments: Moments,
        train: Questions,
        valid: Questions,
        *,
        groups_V: NDArray[np.int64],
        config: VisualConfig,
    ) -> None:
        self.network, self.num_examples = network, len(train.items_C)
        self.moments, self._config, self._groups = moments, config, groups_V
        self._train, self._valid = train, valid
        self._frames = torch.from_numpy(moments.enter(train.frames_ND))
        self._rows = torch.from_numpy(moments.rows_MR)

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Each frame picks its clip out of those at hand."""
        del draws
        items_B = self._train.items_C[rows_B]
        distinct, places_B = np.unique(items_B, return_inverse=True)
        stay = self._config.stay * self.network.moved()
        if len(distinct) < 2:
            return stay
        lengths = np.diff(self.moments.offsets)[distinct]
        places_KT = self.moments.offsets[distinct][:, None] + np.arange(lengths.max())
        there_KT = torch.from_numpy(np.arange(lengths.max()) < lengths[:, None])
        rows_KTE = self.network(self._rows[np.where(there_KT.numpy(), places_KT, 0).ravel()]).view(*there_KT.shape, -1)
        asked_BE = self.network(self._frames[rows_B])
        near_BKT = torch.einsum("be,kte->bkt", asked_BE, rows_KTE).masked_fill(~there_KT, -torch.inf)
        logits_BK = near_BKT.amax(dim=2) / self._config.temperature
        same_BK = self._groups[items_B][:, None] == self._groups[distinct][None]
        same_BK[np.arange(len(items_B)), places_B] = False
        logits_BK = logits_BK.masked_fill(torch.from_numpy(same_BK), -torch.inf)
        return functional.cross_entropy(logits_BK, torch.from_numpy(places_B)) + stay

    def validate(self) -> Mapping[str, float]:
        """``recall@10``, ``ndcg@10`` and ``mrr`` among all clips."""
        cases = self._valid.cases(self._groups)
        found = means(measure(self.scores(self._valid), cases, num_items=len(self._groups)))
        return {name: found[name] for name in (f"recall@{K}", f"ndcg@{K}", "mrr")}

    def embeddings(self) -> Sequence[nn.Parameter]:
        """None: there are no tables."""
        return []

    def scores(self, questions: Questions) -> Scores:
        """How near all clips are to questions; for `kinema.tasks.match_measures.measure`."""
        with torch.inference_mode():
            rows_ME = self.network(self._rows).numpy()
            asked_NE = self.network(torch.from_numpy(self.moments.enter(questions.frames_ND))).numpy()
        return moment_scores(asked_NE, questions.offsets, rows_ME, self.moments.offsets)

    def carrier(self) -> Carrier:
        """What was learnt, for `kinema.tasks.visual_model.VisualModel`."""
        start = self.moments.carrier
        return Carrier(start.mean_D, start.scale_D, start.map_DE @ self.network.turn.detach().numpy())


def moment_scores(
    asked_NE: NDArray[np.float32],
    frames_of: NDArray[np.int64],
    rows_ME: NDArray[np.float32],
    offsets: NDArray[np.int64],
) -> Scores:
    """Nearness of clips to questions of one or several frames: the mean over frames of the nearest moment.

    Args:
        asked_NE: Unit rows.
        frames_of: int64 [C + 1]; question c has the frames frames_of[c] to frames_of[c + 1].
        rows_ME: Unit rows.
        offsets: int64 [V + 1].
    """

    def block(first: int, last: int) -> NDArray[np.floating]:
        near_TV = nearest_moments(asked_NE[frames_of[first] : frames_of[last]], rows_ME, offsets)
        starts = frames_of[first:last] - frames_of[first]
        return np.add.reduceat(near_TV, starts, axis=0) / np.diff(frames_of[first : last + 1])[:, None]

    return block
