"""The oracle: a generated town's own probabilities, as a ranker over the store's numbers.

Shape suffixes: C cases, V items of the store, W clips of the town.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.sources.town.truth import FACTS, Truth, load_truth
from kinema.steps.dataset import Dataset
from kinema.store.splits import Cases

TRUTH_FILE: Final = FACTS


@dataclass(frozen=True)
class Oracle:
    """Ranks by the true probability that an item is the next one clicked: no model can do better on average.

    Attributes:
        truth: Of the town.
        columns_W: int64, the town's clip -> the store's item number.
        users_U: int64, the store's user number -> the town's; -1 for users the town does not know.
        num_items: V.
        name: In tables.
    """

    truth: Truth
    columns_W: NDArray[np.int64]
    users_U: NDArray[np.int64]
    num_items: int
    name: str = "oracle"

    @property
    def cutoff_ms(self) -> int:
        """End of the town's training period."""
        return self.truth.cutoff_ms

    def score(self, cases: Cases) -> NDArray[np.float32]:
        """float32 [C, V], true log-probabilities; -inf where the town knows nothing."""
        scores_CV = np.full((len(cases), self.num_items), -np.inf, dtype=np.float32)
        known_R = np.flatnonzero(self.users_U[cases.users_C] >= 0)
        found_RW = self.truth.next_click_log_probs(self.users_U[cases.users_C[known_R]], cases.timestamps_ms_C[known_R])
        scores_CV[np.ix_(known_R, self.columns_W)] = found_RW
        return scores_CV


def load_oracle(folder: Path, dataset: Dataset) -> Oracle | None:
    """The oracle of a store that was filled from a town; None where the town is gone or its items are not all here."""
    if not (folder / FACTS).is_file():
        return None
    truth = load_truth(folder)
    items = {name: number for number, name in enumerate(dataset.item_ids)}
    users = {name: number for number, name in enumerate(truth.user_ids)}
    if any(name not in items for name in truth.item_ids):
        return None
    return Oracle(
        truth=truth,
        columns_W=np.array([items[name] for name in truth.item_ids], dtype=np.int64),
        users_U=np.array([users.get(name, -1) for name in dataset.users["id"]], dtype=np.int64),
        num_items=len(items),
    )
