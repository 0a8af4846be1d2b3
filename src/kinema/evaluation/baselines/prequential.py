"""The item memory that goes on counting while it is asked: what online learning is worth, without a look ahead.

Shape suffixes: C cases, V items, N interactions of the log.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.flm.memory import ItemMemory
from kinema.store.histories import Histories
from kinema.store.splits import Cases


@dataclass
class PrequentialMemory:
    """Scores each case with everything that was logged strictly before its moment.

    Cases must come in the order of time, as those of the temporal split do.

    Attributes:
        name: How reports call it.
        memory: Counted on the training histories; it is counted on here, so hand over a copy.
        log: All histories, those of the test period included. Only what lies before a case's moment is read.
        counted_until_ms: What came before this moment is in the memory already.
        every: Events that may wait before they are counted; 1 counts each before the next case is scored.
    """

    name: str
    memory: ItemMemory
    log: Histories
    counted_until_ms: int
    every: int = 20
    _places_N: NDArray[np.int64] = field(init=False)
    _starts_N: NDArray[np.int64] = field(init=False)
    _next: int = field(init=False, default=0)
    _newest_ms: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        """Put the events still to be counted in the order of time."""
        times_N = self.log.timestamps_ms
        later_N = np.flatnonzero(times_N >= self.counted_until_ms)
        self._places_N = later_N[np.argsort(times_N[later_N], kind="stable")]
        self._starts_N = np.repeat(self.log.offsets[:-1], self.log.lengths)
        self._newest_ms = self.counted_until_ms

    def score(self, cases: Cases) -> NDArray[np.float32]:
        """See `kinema.evaluation.protocol.Ranker`.

        Raises:
            DataError: A case is older than one that was scored before it.
        """
        scores_CV = np.empty((len(cases), self.log.num_items), dtype=np.float32)
        start = 0
        for case, moment in enumerate(cases.timestamps_ms_C.tolist()):
            if moment < self._newest_ms:
                raise DataError(
                    f"cases of '{self.name}' must come in the order of time, one of {moment} ms came after "
                    f"{self._newest_ms} ms; use the temporal split"
                )
            self._newest_ms = moment
            if self._waiting(moment) >= self.every:
                scores_CV[start:case] = self._scored(cases, start, case)
                start = case
                self._count(moment)
        scores_CV[start:] = self._scored(cases, start, len(cases))
        return scores_CV

    def _scored(self, cases: Cases, start: int, stop: int) -> NDArray[np.float32]:
        return self.memory.scores(cases.histories.take(np.arange(start, stop)))

    def _waiting(self, moment: int) -> int:
        times_N = self.log.timestamps_ms[self._places_N]
        return int(np.searchsorted(times_N, moment, side="left")) - self._next

    def _count(self, moment: int) -> None:
        stop = self._next + self._waiting(moment)
        for place in self._places_N[self._next : stop].tolist():
            first = max(int(self._starts_N[place]), place - self.memory.window)
            self.memory.update(self.log.items[first:place], int(self.log.items[place]))
        self._next = stop
