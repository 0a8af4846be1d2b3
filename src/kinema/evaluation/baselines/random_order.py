"""A random order per question: checks the evaluator against the exact chance level.

Shape suffixes: C cases, V items.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.seeds import derive_seed
from kinema.store.splits import Cases


@dataclass(frozen=True)
class RandomRanker:
    """Scores hashed from seed, user, moment and item: the same question gets the same answer in any batch.

    Attributes:
        seed: Of the run.
        name: How reports call it.
    """

    seed: int = 0
    name: str = "random"

    def score(self, cases: Cases) -> NDArray[np.float32]:
        """See `kinema.evaluation.protocol.Ranker`; scores in [0, 1)."""
        asked_C = _mix(cases.users_C.astype(np.uint64) + np.uint64(derive_seed(self.seed, "random-ranker")))
        asked_C = _mix(asked_C ^ cases.timestamps_ms_C.astype(np.uint64))
        items_V = _mix(np.arange(cases.histories.num_items, dtype=np.uint64))
        return (_mix(asked_C[:, None] ^ items_V) >> np.uint64(40)).astype(np.float32) / np.float32(2**24)


def _mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The SplitMix64 finaliser: every input bit changes every output bit with probability one half."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
