"""What a model makes of one user.

Shape suffixes: D width, K items.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Reading:
    """One user, read once.

    Attributes:
        vector: What `kinema.flm.scorer.Scorer.encode` gives, float32 [D].
        scores_of: What `kinema.flm.scorer.Scorer.score` gives for some items, all sides fused, float32 [K]; the rest of the
            catalogue is not looked at.
    """

    vector: NDArray[np.float32]
    scores_of: Callable[[NDArray[np.integer]], NDArray[np.float32]]
