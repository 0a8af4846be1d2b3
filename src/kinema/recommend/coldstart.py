"""What an answer can stand on when little is known about the user."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.model import Scorer
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


def user_vector(
    scorer: Scorer | None, history: Histories, profile_P: NDArray[np.float32] | None, now_ms: int
) -> NDArray[np.float32] | None:
    """The model's vector of one user; None without a model, without anything known, or where it is not finite or zero.

    A user of whom nothing is known gets no vector: the model's prior is popularity learned at training time, and the
    log knows the popularity of today.
    """
    if scorer is None or footing_of(history, profile_P) is Footing.NOTHING:
        return None
    vector_D = scorer.encode(history, None if profile_P is None else profile_P[None], moments_C=np.array([now_ms]))[0]
    return vector_D if np.isfinite(vector_D).all() and vector_D.any() else None
