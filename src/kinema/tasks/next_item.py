"""Next item as a task of its own: FLM learns on, on the order of another catalogue's log.

Two parts learn apart from each other: the vectors and log-odds that the catalogue's items have of their own, which no other
catalogue can use and which always learn, and the rest, of which `kinema.training.parameter_choice` says what learns.

Shape suffixes: B windows, L window length, N predictions, V catalogue, D width.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinema.errors import DataError
from kinema.flm.batch import Negatives, as_batch, pad_rows
from kinema.flm.config import FLMConfig
from kinema.flm.draws import Draws
from kinema.flm.network import FLMNetwork
from kinema.seeds import generator
from kinema.store.histories import Histories
from kinema.tasks.pretraining import PretrainingTask, Touched

OWN: Final = "own"
"""Name of the part that belongs to the catalogue's items, the head of this task."""
_START: Final = 0.15
"""Length of a vector that starts at random, as in pre-training."""


class OwnVectors(nn.Module):
    """What each item has of its own beside its content.

    Args:
        ids_VD: Its vector, float32.
        bias_V: Its log-odds whoever asks, float32.
    """

    def __init__(self, ids_VD: nn.Parameter, bias_V: nn.Parameter) -> None:
        super().__init__()
        self.ids_VD, self.bias_V = ids_VD, bias_V


class NextNetwork(nn.Module):
    """FLM's network with the items' own parameters as a head; they are the very parameters that its item tower reads.

    Args:
        flm: The network, changed in place: its items' vectors are replaced where another number is wanted, and it no longer hides
            modalities in training, since an item whose own vector is zero would have nothing left to take a direction from.
        num_items: V; vectors of items that the network does not know start at zero, log-odds too.
        blank_V: bool, items without content, whose vectors start at random for the same reason; None for none.
        seed: Of those.

    Example:
        >>> from kinema.flm.config import FLMConfig
        >>> config = FLMConfig(d_model=8, num_blocks=1, num_heads=1, max_length=4, use_ids=False)
        >>> flm = FLMNetwork(config, num_items=0, modality_widths={}, profile_width=0)
        >>> NextNetwork(flm, num_items=5).own.ids_VD.shape, flm.tower.num_ids
        (torch.Size([5, 8]), 5)
    """

    def __init__(
        self, flm: FLMNetwork, *, num_items: int, blank_V: NDArray[np.bool_] | None = None, seed: int = 0
    ) -> None:
        super().__init__()
        tower = flm.tower
        tower.modality_dropout = 0.0
        if tower.num_ids != num_items:
            known, width = min(tower.num_ids, num_items), tower.ids_VD.shape[1]
            new_VD = np.zeros((num_items - known, width), dtype=np.float32)
            if blank_V is not None:
                drawn_VD = generator(seed, "next/own").normal(0, _START / width**0.5, new_VD.shape)
                new_VD = np.where(blank_V[known:, None], drawn_VD, new_VD).astype(np.float32)
            tower.ids_VD = nn.Parameter(torch.cat([tower.ids_VD.detach()[:known], torch.from_numpy(new_VD)]))
            tower.bias_V = nn.Parameter(torch.cat([tower.bias_V.detach()[:known], torch.zeros(num_items - known)]))
        # Registered first, so that the shared parameters are known by the name of the head.
        self.own = OwnVectors(tower.ids_VD, tower.bias_V)
        self.flm = flm


class NextItem:
    """Histories to learn from, cut into windows; see `kinema.tasks.task.Learner`.

    The loss is that of pre-training as far as it tells what comes next: at every place of a window the next item is told from
    all others, or from drawn ones where the catalogue is large, by the sequential branch, and with less weight by the
    order-free ones, which are asked as well when slates are made. Without draws it is the sequential branch's alone.

    Args:
        network: What learns.
        task: Of the same catalogue.
        train: Training histories, row = user number.
        looks: Asked what validation says of FLM's network.
        config: Of the model.

    Attributes:
        num_examples: Windows.

    Raises:
        DataError: No history has anything to predict from.
    """

    def __init__(
        self,
        network: NextNetwork,
        task: PretrainingTask,
        train: Histories,
        *,
        looks: Callable[[FLMNetwork], Mapping[str, float]],
        config: FLMConfig,
    ) -> None:
        self.network = network
        self._task, self._train, self._looks, self._config = task, train, looks, config
        self._starts_B, self._lengths_B, self._users_B = whole_windows(train, max_length=config.max_length)
        self.num_examples = len(self._starts_B)
        if not self.num_examples:
            raise DataError("next item must have histories to learn from, has none; give a longer log")

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Mean over the predictions of some windows."""
        windows = self._starts_B[rows_B], self._lengths_B[rows_B]
        timed = self._config.time_bias != "none"
        batch = as_batch(
            pad_rows(self._train, *windows),
            self._users_B[rows_B],
            pad_rows(self._train, *windows, times=True) if timed else None,
        )
        items, places_K, told = self._task.rows(batch, self._negatives(rows_B))
        flm = self.network.flm
        items_RD, content_RD = flm.tower(items, self._task.content, draws=draws)
        touched = Touched(items, items_RD, content_RD, flm.tower.bias(items), places_K)
        parts = self._task.window_losses(flm, touched, told, draws)
        weights = self._task.weights(share=1 / self._config.auxiliary_period)
        return torch.stack([weights[name] * one for name, one in parts.items()]).sum()

    def validate(self) -> Mapping[str, float]:
        """``ndcg``: NDCG@10 with the item memory at its best weight; the name of the leading branch: without it."""
        found = self._looks(self.network.flm)
        return {"ndcg": found["with_memory"], self._config.leading: found[self._config.leading]}

    def embeddings(self) -> Sequence[nn.Parameter]:
        """The items' own vectors."""
        return (self.network.own.ids_VD,)

    def _negatives(self, rows_B: NDArray[np.int64]) -> Negatives | None:
        """Drawn uniformly, by the examples alone, so that a run that goes on draws what an uninterrupted one would."""
        num_items, wanted = self._train.num_items, self._config.num_negatives
        if num_items <= max(self._config.full_softmax_items, wanted):
            return None
        random = np.random.default_rng(zlib.crc32(np.ascontiguousarray(rows_B).tobytes()))
        return Negatives(torch.from_numpy(random.choice(num_items, wanted, replace=False, shuffle=False)))


def whole_windows(
    histories: Histories, *, max_length: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Histories cut from their newest end, so that the newest window is as long as one may be.

    Returns:
        First place in ``histories.items``, length and user of each window, int64 [B].

    Example:
        >>> [one.tolist() for one in whole_windows(Histories.from_lists([[5, 6, 7], [], [4]], 8), max_length=2)]
        [[0, 1, 3], [1, 2, 1], [0, 0, 2]]
    """
    lengths_U = histories.lengths
    num_windows_U = -(-lengths_U // max_length)
    users_B = np.repeat(np.arange(histories.num_users), num_windows_U)
    last_B = np.cumsum(num_windows_U)[users_B]
    back_B = last_B - 1 - np.arange(len(users_B))  # 0 for the newest window of a user
    ends_B = histories.offsets[1:][users_B] - back_B * max_length
    starts_B = np.maximum(ends_B - max_length, histories.offsets[:-1][users_B])
    return starts_B.astype(np.int64), (ends_B - starts_B).astype(np.int64), users_B.astype(np.int64)
