"""How long work reports where it is, without knowing who looks: a command line, a notebook or nobody."""

from typing import Protocol


class Progress(Protocol):
    """Called with the work done so far, the total (0 where unknown) and a short note such as ``loss 4.31``."""

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Report once."""


def silent(done: int, total: int, note: str = "") -> None:
    """Report to nobody."""
