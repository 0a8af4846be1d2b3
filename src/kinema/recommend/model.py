"""What the request path asks of a trained model. It sees arrays only, so it runs without torch and without any model.

Shape suffixes: C cases, V items, D width, P profile columns, K followers.
"""

from collections.abc import Callable
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.schema import Branch
from kinema.store.histories import Histories


class Memory(Protocol):
    """Item-item transitions: what was watched close to what. `kinema.flm.memory.ItemMemory` is one."""

    def connected(self, items_N: NDArray[np.integer]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The items that a history, oldest first, leads on to, by number ascending, and how strongly, > 0."""

    def update(self, history: NDArray[np.integer], new_item: int) -> None:
        """Count one more event of a user with the given items before it, oldest first."""

    def count_on(self, histories: Histories) -> int:
        """Count what a log holds beyond what was counted of it, and say how many interactions that were."""

    def neighbours(self, item: int, n: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The most connected items [K] of an item and the weights [K] of the connections, strongest first."""

    def links(self, items_H: NDArray[np.integer], items_K: NDArray[np.integer]) -> NDArray[np.float32]:
        """Weights [H, K] of the connections of some items with others, each of these once; 0 where there is none."""


class Reading(Protocol):
    """One user, read once by a model."""

    @property
    def vector(self) -> NDArray[np.float32]:
        """[D], what `Scorer.encode` gives."""

    @property
    def scores_of(self) -> Callable[[NDArray[np.integer]], NDArray[np.float32]]:
        """What `Scorer.score` gives for some items, all sides fused, [K]; costs what the items cost, not the catalogue."""


class Scorer(Protocol):
    """A model bound to the current catalogue. `kinema.flm.scorer.Scorer` is one.

    Attributes:
        item_vectors_VD: Unit rows; imputed for items without interactions.
        content_VD: Modality -> unit rows of content, zero rows where the item lacks it.
        content_joint_VD: Unit rows of all modalities together.
        popularity_V: Recency-weighted interactions per item.
    """

    item_vectors_VD: NDArray[np.float32]
    content_VD: dict[str, NDArray[np.float32]]
    content_joint_VD: NDArray[np.float32]
    popularity_V: NDArray[np.float32]

    @property
    def memory(self) -> Memory:
        """The model's item-item transitions."""

    @property
    def branches(self) -> tuple[str, ...]:
        """Those of `kinema.schema.BRANCHES` that the model has learnt; the others cannot be asked alone."""

    def encode(
        self,
        histories: Histories,
        profiles_CP: NDArray[np.float32] | None = None,
        *,
        moments_C: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """[C, D] unit user vectors, also for empty histories; ``moments_C`` is when each user asks, UTC ms."""

    def read(
        self, history: Histories, profile_P: NDArray[np.float32] | None = None, *, moment_ms: int | None = None
    ) -> Reading:
        """Read one user once, for vector and scores: what costs most is not done twice."""

    def score(
        self,
        histories: Histories,
        profiles_CP: NDArray[np.float32] | None = None,
        *,
        branch: Branch | Literal["fused"] = "fused",
        moments_C: NDArray[np.int64] | None = None,
    ) -> NDArray[np.float32]:
        """[C, V] logits of one side, or of all fused, over the whole catalogue; -inf where the model cannot score."""
