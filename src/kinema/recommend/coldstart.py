"""What an answer can stand on when little is known about the user."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.model import Reading, Scorer
from kinema.store.histories import Histories


class Footing(StrEnum):
    """The rungs of the ladder, from the best known user down to nobody."""

    HISTORY = "history"
    PROFILE = "profile"
    NOTHING = "nothing"


def footing_of(history: Histories, profile_P: NDArray[np.float32] | None) -> Footing:
    """The highest rung a user reaches.

    A profile row of zeros is a profile with nothing filled in, and a row with a value that is not finite is no profile.

    Example:
        >>> footing_of(Histories.from_lists([[]], 3), np.zeros(2, dtype=np.float32)).value
        'nothing'
    """
    if len(history.items):
        return Footing.HISTORY
    known = profile_P is not None and bool(profile_P.any()) and bool(np.isfinite(profile_P).all())
    return Footing.PROFILE if known else Footing.NOTHING


def read_user(
    scorer: Scorer | None, history: Histories, profile_P: NDArray[np.float32] | None, now_ms: int
) -> Reading | None:
    """What the model makes of one user; None without a model or without anything known.

    A user of whom nothing is known gets no vector: the model's prior is popularity learned at training time, and the
    log knows the popularity of today.
    """
    if scorer is None or footing_of(history, profile_P) is Footing.NOTHING:
        return None
    return scorer.read(history, profile_P, moment_ms=now_ms)


def user_vector(reading: Reading | None) -> NDArray[np.float32] | None:
    """The vector of a user who was read; None for one who was not, or where it is not finite or zero."""
    if reading is None:
        return None
    vector_D = reading.vector
    return vector_D if np.isfinite(vector_D).all() and vector_D.any() else None
