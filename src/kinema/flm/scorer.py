"""FLM bound to a catalogue, for inference: NumPy in, NumPy out, safe to call from several threads.

Shape suffixes: C cases, V catalogue, D width, E content width, P profile columns, U users, L history length.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from kinema.errors import DataError
from kinema.flm.batch import newest, pad_rows
from kinema.flm.best_rows import best
from kinema.flm.fused import Fused, Tables
from kinema.flm.imputation import Borrowed
from kinema.flm.memory import ItemMemory
from kinema.flm.memory_query import check_items
from kinema.flm.mixture import Mixture
from kinema.flm.network import FLMNetwork
from kinema.flm.one_history import OneHistory
from kinema.flm.reading import Reading
from kinema.flm.timing import Moments, TimeKind, buckets_of_one, moments
from kinema.store.histories import Histories

Branch = Literal["fused", "content", "collaborative", "sequential", "memory", "imputed_memory", "popularity"]
BRANCHES: Final[tuple[Branch, ...]] = get_args(Branch)

_CASES_AT_ONCE: Final = 256
_MOST_READ: Final = 4096
"""Users whose states are kept: some kilobytes each."""


@dataclass(frozen=True)
class _Chunk:
    """A few cases as tensors: padded newest items, their number, profiles, times."""

    items_CL: Tensor
    lengths_C: Tensor
    profiles_CP: Tensor | None
    times: Moments | None


class Scorer:
    """Item vectors of a catalogue, and users' scores over it.

    Args:
        network: Trained; switched to evaluation by the caller and never changed here.
        mixture: Weights of the branches in ``fused``.
        memory: Item-item transitions over the same catalogue.
        item_vectors_VD: Unit rows; imputed for cold items, zero rows for items without content and events.
        content_vectors_VD: Unit rows, the content side of the item tower; zero rows for items without content.
        content_VD: Modality -> whitened unit rows, zero where absent.
        counts_V: Training interactions per item.
        popularity_V: Recency-weighted training interactions per item.
        prior_V: Logit of an item before anything is known of the user; of cold items that of their neighbours.
        smoothing_VV: By which items each item is stood in for in the memory; see `kinema.flm.imputation.smoothing`.
        bias_V: Log-odds of each item whoever asks; of cold items that of their neighbours.
        temperature: Cosines are divided by it.
        max_length: Newest interactions that are read.
        time_bias: What the network knows of when things happened.
        borrowed: What of the item vectors comes from other items; None where nobody has to know.

    Attributes:
        content_joint_VD: float32 unit rows, all modalities side by side.
    """

    def __init__(
        self,
        network: FLMNetwork,
        *,
        mixture: Mixture,
        memory: ItemMemory,
        item_vectors_VD: NDArray[np.float32],
        content_vectors_VD: NDArray[np.float32],
        content_VD: Mapping[str, NDArray[np.float32]],
        content_joint_VD: NDArray[np.float32],
        counts_V: NDArray[np.int64],
        popularity_V: NDArray[np.float32],
        prior_V: NDArray[np.float32],
        smoothing_VV: sparse.csr_matrix,
        bias_V: NDArray[np.float32],
        temperature: float,
        max_length: int,
        time_bias: TimeKind = "none",
        borrowed: Borrowed | None = None,
    ) -> None:
        self.borrowed = borrowed
        self.mixture = mixture
        self.memory = memory
        self.item_vectors_VD = item_vectors_VD
        self.content_vectors_VD = content_vectors_VD
        self.content_VD = dict(content_VD)
        self.content_joint_VD = content_joint_VD
        self.counts_V = counts_V
        self.popularity_V = popularity_V
        self.prior_V = prior_V
        self.bias_V = bias_V
        self._bias_V = torch.from_numpy(bias_V)
        self._network = network
        self._smoothing_VV = smoothing_VV
        self._cold_V = counts_V == 0
        self._temperature = temperature
        self._max_length = max_length
        self._time_bias = time_bias
        self._items_VD = torch.from_numpy(item_vectors_VD)
        self._content_VD = torch.from_numpy(content_vectors_VD)
        self._lock = threading.Lock()
        self._kept: OrderedDict[tuple[bytes, bytes | None], Mapping[str, NDArray[np.float32]]] = OrderedDict()
        self._blank_V = self._cold_V & ~(item_vectors_VD.any(axis=1) | content_vectors_VD.any(axis=1))

    @property
    def num_items(self) -> int:
        """V."""
        return len(self.item_vectors_VD)

    @property
    def branches(self) -> tuple[str, ...]:
        """Sides that were learnt and can be asked alone, the memory with or without content neighbours as one."""
        return tuple("memory" if name == "imputed_memory" else name for name in self.mixture.branches)

    @property
    def side(self) -> str:
        """The branch whose state is a user's vector."""
        return "sequential" if "sequential" in self.mixture.branches else "collaborative"

    def encode(
        self,
        histories: Histories,
        profiles_CP: NDArray[np.float32] | None = None,
        *,
        moments_C: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """User vectors in the space of ``item_vectors_VD``.

        They are those of `side`: the sequential branch; for a model that has learnt from no history, the items' sum.

        Args:
            histories: C rows, oldest first; empty rows are answered from the profile or as an unknown user.
            profiles_CP: Profiles with the columns of training, zero rows where unknown; None for none.
            moments_C: When each user asks, UTC ms; see `score`.

        Returns:
            float32 [C, D], unit rows; zero for an empty history where no history was learnt from.
        """
        # Those of one length together: a short history is not computed at the length of the longest.
        order_C = np.argsort(np.minimum(histories.lengths, self._max_length), kind="stable")
        profiles = None if profiles_CP is None else profiles_CP[order_C]
        asked = None if moments_C is None else moments_C[order_C]
        vectors_CD = np.zeros((len(order_C), self.item_vectors_VD.shape[1]), dtype=np.float32)
        chunks = self._chunks(histories.take(order_C), profiles, asked)
        for start, chunk in zip(range(0, len(order_C), _CASES_AT_ONCE), chunks, strict=True):
            vectors_CD[order_C[start : start + _CASES_AT_ONCE]] = self._states(chunk)[self.side].numpy()
        return vectors_CD

    def score(
        self,
        histories: Histories,
        profiles_CP: NDArray[np.float32] | None = None,
        *,
        branch: Branch = "fused",
        moments_C: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """Logits over the whole catalogue; seen items are not removed.

        Args:
            histories: C rows, oldest first; rows may be empty.
            profiles_CP: Profiles; None for none.
            branch: Which side of the model is asked; ``fused`` blends them.
            moments_C: When each user asks, UTC ms; only a model with the query's time reads it. None stands for the moment of
                the newest interaction.

        Returns:
            float32 [C, V], finite, higher is better. In ``fused``, items of which nothing is known come last.

        Raises:
            DataError: Unknown branch, or the histories are of another catalogue.
        """
        if branch not in BRANCHES:
            raise DataError(f"unknown branch '{branch}'; known: {', '.join(BRANCHES)}")
        wanted = self.mixture.branches if branch == "fused" else (branch,)
        logits = self.branch_logits(histories, profiles_CP, branches=wanted, moments_C=moments_C)
        if branch != "fused":
            return logits[branch]
        return self._fused(logits, histories)

    def _fused(self, logits: Mapping[str, NDArray[np.float32]], histories: Histories) -> NDArray[np.float32]:
        scores_CV = self.mixture.blend(logits, histories.lengths, self._cold_V)
        if self._blank_V.any():
            scores_CV[:, self._blank_V] = self.mixture.least(self._fused_of_one.floors, histories.lengths)[:, None] - 1
        return scores_CV

    def _scores_of(
        self, history: Histories, states: Mapping[str, NDArray[np.float32]], items_K: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """What `score` gives for some items, float32 [K]: what is not asked about is not computed."""
        asked_K: NDArray[np.int64] = np.asarray(items_K, dtype=np.int64)
        check_items(asked_K, self.num_items)
        memories = {
            name: self.memory.scores_of(history.of(0), asked_K, smoothing_VV=smoothing_VV)
            for name, smoothing_VV in (("memory", None), ("imputed_memory", self._smoothing_VV))
            if name in self.mixture.branches
        }
        return self._fused_of_one.scores_of(len(history.items), states, asked_K, memories)

    @cached_property
    def _fused_of_one(self) -> Fused:
        sides = self.item_vectors_VD, self.content_vectors_VD, self.bias_V, self.prior_V
        return Fused(self.mixture, Tables(*sides, self._cold_V, self._blank_V), self._temperature)

    def read(
        self,
        history: Histories,
        profile_P: NDArray[np.float32] | None = None,
        *,
        moment_ms: int | None = None,
    ) -> Reading:
        """Read one user once, for the vector and for the scores; who comes again with nothing new is not read again.

        Args:
            history: One row.
            profile_P: See `score`.
            moment_ms: See `score`.
        """
        if self._time_bias != "none":
            return self._reading(history, self._states_of_one(history, profile_P, moment_ms))
        newest = history.of(0)[-self._max_length :]
        key = newest.tobytes(), None if profile_P is None else profile_P.tobytes()
        with self._lock:
            if (states := self._kept.get(key)) is not None:
                self._kept.move_to_end(key)
        if states is None:
            states = self._states_of_one(history, profile_P, None)
            with self._lock:
                self._kept[key] = states
                while len(self._kept) > _MOST_READ:
                    self._kept.popitem(last=False)
        return self._reading(history, states)

    def _reading(self, history: Histories, states: Mapping[str, NDArray[np.float32]]) -> Reading:
        return Reading(states[self.side], lambda items_K: self._scores_of(history, states, items_K))

    def _states_of_one(
        self, history: Histories, profile_P: NDArray[np.float32] | None, moment_ms: int | None
    ) -> Mapping[str, NDArray[np.float32]]:
        if self._one is None:
            profiles_1P = None if profile_P is None else profile_P[None]
            moments_1 = None if moment_ms is None else np.array([moment_ms], dtype=np.int64)
            (chunk,) = self._chunks(history, profiles_1P, moments_1)
            return {name: state_1D[0].numpy() for name, state_1D in self._states(chunk).items()}
        newest_L = history.of(0)[-self._max_length :]
        times_L = history.timestamps_ms[len(history.timestamps_ms) - len(newest_L) :]
        items_LD = self.item_vectors_VD[newest_L]
        return {
            "sequential": self._one.sequential(
                items_LD, profile_P, buckets_of_one(self._time_bias, times_L, moment_ms)
            ),
            "collaborative": self._one.collaborative(items_LD),
            "content": self._one.content(self.content_vectors_VD[newest_L]),
        }

    @cached_property
    def _one(self) -> OneHistory | None:
        """The network for one user at a time; None where only torch knows all of its parts."""
        return OneHistory.of(self._network)

    def branch_logits(
        self,
        histories: Histories,
        profiles_CP: NDArray[np.float32] | None,
        *,
        branches: tuple[str, ...],
        moments_C: NDArray[np.int64] | None = None,
    ) -> dict[str, NDArray[np.float32]]:
        """float32 [C, V] of each branch asked for; see `score`."""
        if histories.num_items > self.num_items:
            raise DataError(
                f"histories must be of a catalogue of at most {self.num_items} items, have {histories.num_items}; "
                "serve the model with the current number of items"
            )
        logits: dict[str, NDArray[np.float32]] = {}
        neural = [name for name in branches if name in ("sequential", "collaborative", "content")]
        if neural:
            chunks = [self._states(chunk) for chunk in self._chunks(histories, profiles_CP, moments_C)]
            for name in neural:
                vectors_VD = self._content_VD if name == "content" else self._items_VD
                parts = [torch.addmm(self._bias_V, states[name] / self._temperature, vectors_VD.T) for states in chunks]
                logits[name] = torch.cat(parts).numpy() if parts else np.zeros((0, self.num_items), dtype=np.float32)
        if "memory" in branches:
            logits["memory"] = self.memory.scores(histories)
        if "imputed_memory" in branches:
            logits["imputed_memory"] = self.memory.scores(histories, smoothing_VV=self._smoothing_VV)
        if "popularity" in branches:
            logits["popularity"] = np.tile(self.prior_V, (histories.num_users, 1))
        return logits

    def nearest_items(
        self, item: int, n: int, modality: str | None = None
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Items most like one item, itself excluded.

        Args:
            item: Item number.
            n: How many, at most.
            modality: Compare this modality's content only; None compares the model's item vectors.

        Returns:
            Items int64 [<= n], nearest first (ties: lower number first), and cosines float32. Items without the
            modality, or without any vector, are left out; empty when the item itself has none.

        Raises:
            DataError: The item or the modality is unknown.
        """
        self._check_item(item)
        if modality is not None and modality not in self.content_VD:
            raise DataError(f"unknown modality '{modality}'; known: {', '.join(self.content_VD) or 'none'}")
        vectors_VD = self.item_vectors_VD if modality is None else self.content_VD[modality]
        allowed_V: NDArray[np.bool_] = (vectors_VD != 0).any(axis=1)
        if not allowed_V[item]:
            return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
        allowed_V[item] = False
        return best(vectors_VD @ vectors_VD[item], allowed_V, n)

    def audience(
        self, item: int, user_vectors_UD: NDArray[np.float32], n: int
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Users to whom an item fits best.

        Args:
            item: Item number.
            user_vectors_UD: From `encode`.
            n: How many, at most.

        Returns:
            Rows of ``user_vectors_UD`` int64 [<= n], best first (ties: lower row first), and cosines float32.

        Raises:
            DataError: The item is unknown.
        """
        self._check_item(item)
        return best(user_vectors_UD @ self.item_vectors_VD[item], np.ones(len(user_vectors_UD), dtype=bool), n)

    def _check_item(self, item: int) -> None:
        if not 0 <= item < self.num_items:
            raise DataError(f"item number must be in 0..{self.num_items - 1}, is {item}; serve the current catalogue")

    def _chunks(
        self,
        histories: Histories,
        profiles_CP: NDArray[np.float32] | None,
        moments_C: NDArray[np.int64] | None,
    ) -> list[_Chunk]:
        """Cases a few at a time."""
        starts_C, lengths_C = newest(histories, self._max_length)
        found = []
        for start in range(0, len(starts_C), _CASES_AT_ONCE):
            part = slice(start, start + _CASES_AT_ONCE)
            lengths = torch.from_numpy(lengths_C[part])
            items_CL = torch.from_numpy(pad_rows(histories, starts_C[part], lengths_C[part]))
            times = None
            if self._time_bias != "none":
                times = self._moments(
                    torch.from_numpy(pad_rows(histories, starts_C[part], lengths_C[part], times=True)),
                    lengths,
                    None if moments_C is None else torch.from_numpy(moments_C[part].astype(np.int64)),
                )
            profiles = None if profiles_CP is None else np.ascontiguousarray(profiles_CP[part], dtype=np.float32)
            found.append(_Chunk(items_CL, lengths, None if profiles is None else torch.from_numpy(profiles), times))
        return found

    def _moments(self, read_CL: Tensor, lengths_C: Tensor, asked_C: Tensor | None) -> Moments | None:
        rows = torch.arange(len(lengths_C))
        next_CM = torch.cat([read_CL, read_CL[:, -1:]], dim=1)
        newest_C = read_CL[rows, (lengths_C - 1).clamp_min(0)]
        next_CM[rows, lengths_C] = newest_C if asked_C is None else asked_C
        return moments(self._time_bias, read_CL, next_CM)

    @torch.inference_mode()
    def _states(self, chunk: _Chunk) -> dict[str, Tensor]:
        """Last state of each branch, float32 [C, D]; zero in the order-free branches for an empty history."""
        places_CL = chunk.items_CL.clamp_min(0)
        states = self._network.states(
            self._items_VD[places_CL], self._content_VD[places_CL], chunk.profiles_CP, chunk.times
        )
        lengths = chunk.lengths_C
        rows = torch.arange(len(lengths))
        last = (lengths - 1).clamp_min(0)
        known = (lengths > 0).unsqueeze(1)
        return {
            "sequential": states.sequential_BLD[rows, lengths],
            "collaborative": states.collaborative_BLD[rows, last] * known,
            "content": states.content_BLD[rows, last] * known,
        }
