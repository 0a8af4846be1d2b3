"""Processes of their own for tests that kill one: forks of one that has imported torch, which would else take each its seconds.

That one is started afresh, so that nothing of the tests' own process is in them: no thread, no random state, no open file.
"""

import multiprocessing
from contextlib import contextmanager

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["pytest", "torch", "kinema.training.loop", "kinema.training.fitting"])


@contextmanager
def forked(work, *arguments):
    """Run a function of a module in a process of its own; it is over when the block is."""
    process = _FORKS.Process(target=work, args=arguments)
    process.start()
    try:
        yield process
    finally:
        process.kill()
        process.join()
