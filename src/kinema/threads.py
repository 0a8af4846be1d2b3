"""Thread policy, set before the numeric libraries start.

OpenMP threads spin while they wait. On a machine that does anything else at the same time this costs a factor of two
to ten, so waiting threads sleep unless the user decided otherwise.
"""

import os


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
