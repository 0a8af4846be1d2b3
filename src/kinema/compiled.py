"""Loops over numbers as machine code, for what one request does thousands of times and NumPy would do in a dozen small steps.

A function is compiled at its first call with arguments of some types, which takes seconds, and kept on disk; the next process
reads it in milliseconds. While it runs, other threads of Python run, too.
"""

from collections.abc import Callable
from typing import Any, Final, ParamSpec, TypeVar, cast

from numba import njit

Given = ParamSpec("Given")
Result = TypeVar("Result")

_IN_ANY_ORDER: Final = {"reassoc", "contract", "nsz"}
"""What adding up several numbers at once may change: the last bits of a sum, nothing of NaN and infinity."""


def compiled(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """The function, compiled. Its arguments are numbers, arrays and None, and it calls nothing but compiled functions and NumPy.

    Example:
        >>> import numpy as np
        >>> @compiled
        ... def largest(values):
        ...     found = values[0]
        ...     for value in values:
        ...         found = max(found, value)
        ...     return found
        >>> float(largest(np.array([1.0, 3.0, 2.0])))
        3.0
    """
    return _with(function)


def compiled_sums(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """`compiled`, and sums may be added up in any order, several numbers at once."""
    return _with(function, fastmath=_IN_ANY_ORDER)


def _with(function: Callable[Given, Result], **options: Any) -> Callable[Given, Result]:
    is_in_a_file = function.__code__.co_filename.endswith(".py")
    made = njit(cache=is_in_a_file, nogil=True, error_model="numpy", **options)(function)
    return cast("Callable[Given, Result]", made)
