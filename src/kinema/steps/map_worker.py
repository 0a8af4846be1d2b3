"""One map of a catalogue, drawn in a process of its own that lets others go first: ``python -m kinema.steps.map_worker``."""

import os
import sys
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

WIDTH: Final = 50
PERPLEXITY: Final = 30.0
_FEWEST: Final = 8


def draw(vectors_SD: NDArray[np.float32], *, seed: int) -> NDArray[np.float32]:
    """Positions in the plane: principal components, then t-SNE, so that what is alike lies together. The same seed, the same map.

    Args:
        vectors_SD: One row per item, finite.
        seed: Of t-SNE.

    Returns:
        float32 [S, 2] within [-1, 1], as wide as high.
    """
    from sklearn.decomposition import PCA  # noqa: PLC0415  # takes a second to load
    from sklearn.manifold import TSNE  # noqa: PLC0415  # the same

    num, width = vectors_SD.shape
    if num < 2:
        return np.zeros((num, 2), dtype=np.float32)
    if num < _FEWEST:
        plane_S2 = np.zeros((num, 2))
        found = PCA(min(2, num, width), svd_solver="full").fit_transform(vectors_SD)
        plane_S2[:, : found.shape[1]] = found
    else:
        lean_SW = PCA(min(WIDTH, num, width), svd_solver="full").fit_transform(vectors_SD)
        perplexity = min(PERPLEXITY, (num - 1) / 3)
        plane_S2 = TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(lean_SW)
    plane_S2 = plane_S2 - plane_S2.mean(axis=0)
    widest = np.abs(plane_S2).max(initial=0.0)
    drawn_S2: NDArray[np.float32] = (plane_S2 / widest if widest else plane_S2).astype(np.float32)
    return drawn_S2


def main() -> None:
    """Read the vectors, write the positions."""
    source, target, seed = sys.argv[1:]
    if hasattr(os, "nice"):
        os.nice(10)
    np.save(Path(target), draw(np.load(source, allow_pickle=False), seed=int(seed)), allow_pickle=False)


if __name__ == "__main__":
    main()
