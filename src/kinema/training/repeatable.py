"""Sums that do not depend on the order in which threads finish."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.utils.deterministic


@contextmanager
def repeatable() -> Iterator[None]:
    """Make torch choose algorithms whose result does not depend on timing.

    The gradient of an indexed row is added up by several threads at once; without this, two runs with one seed differ
    in the last bits from the first step on, and in the third digit of a metric at the end. Torch would also fill all memory
    before it is written, against code that reads it too early; that costs a seventh of a step and is left out.
    """
    details: Any = torch.utils.deterministic  # its setting is made by a class that type checkers do not see
    filled = details.fill_uninitialized_memory
    before, warn = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    torch.use_deterministic_algorithms(mode=True)
    details.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=before, warn_only=warn)
        details.fill_uninitialized_memory = filled
