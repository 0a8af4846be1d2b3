"""Thread policy, set before the numeric libraries start, and how freed memory is treated.

OpenMP threads spin while they wait. On a machine that does anything else at the same time this costs a factor of two
to ten, so waiting threads sleep unless the user decided otherwise.
"""

import ctypes
import os
import sys
from typing import Any, Final

_MALLOC_OPTIONS: Final = {
    "trim threshold": (-1, 256 << 20),
    "top pad": (-2, 16 << 20),
    "mmap threshold": (-3, 32 << 20),
}
"""Numbers of glibc's ``mallopt`` and their values, bytes."""


def set_thread_policy(*, num_threads: int | None = None) -> None:
    """Make waiting OpenMP threads sleep. Must run before torch is imported; an explicit user setting wins.

    Args:
        num_threads: Threads of the numeric libraries; None leaves the number to them.
    """
    if num_threads is not None:
        os.environ.setdefault("OMP_NUM_THREADS", str(num_threads))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # torch would read the metadata of every installed package for devices that we do not use: a tenth of its start.
    os.environ.setdefault("TORCH_DEVICE_BACKEND_AUTOLOAD", "0")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def keep_freed_memory() -> None:
    """Let the C library keep memory that is freed, up to 256 MB, instead of handing it back to the system.

    A training step frees what the next one asks for; getting it from the system anew, zeroed page by page, costs a
    twentieth of the step. Only glibc is told; elsewhere nothing happens.
    """
    mallopt = _of_glibc("mallopt")
    if mallopt is not None:
        for option, size in _MALLOC_OPTIONS.values():
            mallopt(option, size)


def give_back_freed_memory() -> None:
    """Hand what is free back to the system, for a process that goes on for weeks.

    Large arrays that come and go in several threads leave holes, and resident memory grows though nothing more is kept. It takes
    milliseconds. Only glibc is asked; elsewhere nothing happens.
    """
    trim = _of_glibc("malloc_trim")
    if trim is not None:
        trim(0)


def _of_glibc(name: str) -> Any:
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None
