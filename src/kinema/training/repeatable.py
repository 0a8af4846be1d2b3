"""Sums that do not depend on the order in which threads finish."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def repeatable() -> Iterator[None]:
    """Make torch choose algorithms whose result does not depend on timing.

    The gradient of an indexed row is added up by several threads at once; without this, two runs with one seed differ
    in the last bits from the first step on, and in the third digit of a metric at the end.
    """
    before, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=warn)
