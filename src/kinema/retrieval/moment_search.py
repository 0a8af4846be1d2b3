"""Clips near a picture or another clip, moment by moment: a frame is compared with every moment of a clip, and the nearest counts.

The mean of a clip's frames shows none of its scenes; a picture of one scene is near to that scene, wherever it is in the clip.

Shape suffixes: V items, M moments of all of them, T frames of a query, D width of a vector, E width of the space.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.tasks.towers import nearest_moments


@dataclass(frozen=True)
class MomentSpace:
    """Moments of a catalogue that queries are compared with; see `kinema.retrieval.content_search.Space`.

    Attributes:
        rows_ME: float32, unit rows, one item's moments after another's.
        offsets: int64 [V + 1]; item v has the moments offsets[v] to offsets[v + 1], none where it cannot be compared.
        carry: Vectors [T, D] of a query's frames -> their places, unit rows [T, E].
        width: D.

    Source: late interaction as in Khattab and Zaharia 2020, "ColBERT", with the mean over a query's frames.
    """

    rows_ME: NDArray[np.float32]
    offsets: NDArray[np.int64]
    carry: Callable[[NDArray[np.floating]], NDArray[np.float32]]
    width: int

    @property
    def present_V(self) -> NDArray[np.bool_]:  # noqa: N802 -- shape suffix
        """Bool [V], the items that can be compared."""
        return np.diff(self.offsets) > 0

    def closeness(self, query: NDArray[np.floating]) -> NDArray[np.float32]:
        """Cosine of every item with a query: of each frame with the nearest moment, mean over frames.

        Args:
            query: [T, D], vectors of frames, or [D] of one.

        Returns:
            float32 [V]; not-a-number where the item has no moments.

        Raises:
            DataError: The query has another width, no frame, or a value that is not finite.
        """
        frames_TD = np.atleast_2d(query)
        if frames_TD.shape[1:] != (self.width,) or not len(frames_TD) or not np.isfinite(frames_TD).all():
            raise DataError(
                f"a query must be frames of {self.width} finite numbers as the items' are, got {list(frames_TD.shape)}"
            )
        near_TV = nearest_moments(self.carry(frames_TD), self.rows_ME, self.offsets)
        return np.asarray(near_TV.mean(axis=0), dtype=np.float32)
