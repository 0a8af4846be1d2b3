"""The diary of one request: every stage, what went in, what came out, and where the rest went."""

from collections.abc import Mapping
from time import perf_counter
from typing import Any

from kinema.schema import TraceStep


class Trace:
    """Collects `TraceStep` rows; each stage is timed from the end of the one before.

    Every step's ``detail["removed"]`` maps a reason to a count, and the counts add up to what is missing at the end of
    the step, so that no item disappears unexplained.
    """

    def __init__(self) -> None:
        self._steps: list[TraceStep] = []
        self._since = perf_counter()

    def step(
        self, stage: str, num_in: int, num_out: int, *, removed: Mapping[str, int] | None = None, **detail: Any
    ) -> None:
        """Write one row.

        Args:
            stage: Name of the stage.
            num_in: Items it was given.
            num_out: Items it passed on.
            removed: Reason -> how many it dropped for that reason; zeros are left out.
            detail: Anything else worth knowing, JSON values.
        """
        now = perf_counter()
        dropped = {reason: int(count) for reason, count in (removed or {}).items() if count}
        milliseconds = round((now - self._since) * 1000, 3)
        self._steps.append(TraceStep(stage, num_in, num_out, milliseconds, {"removed": dropped, **detail}))
        self._since = now

    @property
    def steps(self) -> tuple[TraceStep, ...]:
        """What happened so far."""
        return tuple(self._steps)
