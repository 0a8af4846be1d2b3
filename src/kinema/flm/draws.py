"""Randomness of one part of a training step, from a seed of its own.

Parts of a step run side by side; drawing from one global generator would make the numbers depend on which part comes
first. Random bytes are also several times cheaper than random floats, and dropout draws more numbers than anything else.

Shape suffixes: N any number of rows.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor

_LEVELS: Final = 256


class Draws:
    """Draws masks and places.

    Args:
        seed: Equal seeds give equal draws in equal order.
    """

    def __init__(self, seed: int) -> None:
        self._random = np.random.Generator(np.random.SFC64(seed))

    def generator(self) -> np.random.Generator:
        """The same draws for functions that take NumPy's generator."""
        return self._random

    def dropout(self, x: Tensor, share: float) -> Tensor:
        """``x`` with a share of its numbers set to zero and the others enlarged to make up for it.

        Args:
            x: Any shape.
            share: In [0, 1), rounded to a 256th.

        Example:
            >>> Draws(0).dropout(torch.ones(2, 3), 0.0)
            tensor([[1., 1., 1.],
                    [1., 1., 1.]])
        """
        cut = round(share * _LEVELS)
        if not cut:
            return x
        # Four bytes at a time: three times faster than integers of one byte, and the same bytes.
        words_N = self._random.integers(0, 1 << 32, -(-x.numel() // 4), dtype=np.uint32)
        bytes_N = torch.from_numpy(words_N.view(np.uint8)[: x.numel()])
        mask = torch.ge(bytes_N, cut, out=torch.empty(x.numel(), dtype=x.dtype)).mul_(_LEVELS / (_LEVELS - cut))
        return x * mask.view(x.shape)

    def kept(self, shape: tuple[int, ...], share: float) -> Tensor:
        """bool, False with probability ``share``."""
        return torch.from_numpy(self._random.random(shape, dtype=np.float32) >= share)

    def some(self, size: int, most: int) -> Tensor:
        """int64, at most ``most`` different places of 0..size-1, in random order where a choice is made."""
        if size <= most:
            return torch.arange(size)
        return torch.from_numpy(self._random.choice(size, most, replace=False))

    def order(self, size: int) -> Tensor:
        """int64, 0..size-1 in random order."""
        return torch.from_numpy(self._random.permutation(size))

    def gaps(self, size: int, chance: float) -> Tensor:
        """int64 [size], geometric: failures before the first success."""
        return torch.from_numpy(self._random.geometric(chance, size).astype(np.int64) - 1)
