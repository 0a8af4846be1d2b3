"""A world whose taste sits in one moment of each item, as tokens: no clips, no encoders, the right answer known.

Most tokens of an item are stock: each is one of the very looks that users like or not, drawn blindly, so that a mean over
the item says next to nothing. One token is the moment: it has the item's own look, and carries a mark by which something
that compares tokens can find it. What users watch follows from the look of the moment alone.

Shape suffixes: V items, U users, T moments of an item, D width of a token, L looks.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.modality import Tokens
from kinema.errors import ConfigError
from kinema.seeds import generator
from kinema.store.histories import Histories


@dataclass(frozen=True)
class MomentWorld:
    """Items with tokens, and users who like one look each.

    Attributes:
        tokens: One per item, of different length.
        looks_V: int64, the look of each item's moment: what is liked or not.
        moments_V: int64, which token is the moment.
        cold_V: bool, items that nobody has watched; the last ones.
        liked_U: int64, the look that each user likes.
        histories: What the users watched, warm items only, oldest first.
    """

    tokens: tuple[Tokens, ...]
    looks_V: NDArray[np.int64]
    moments_V: NDArray[np.int64]
    cold_V: NDArray[np.bool_]
    liked_U: NDArray[np.int64]
    histories: Histories

    def pooled_by_mean(self) -> NDArray[np.float32]:
        """float32 [V, D], the baseline to beat."""
        return np.stack([one.tokens_TD.mean(axis=0) for one in self.tokens])

    def pooled_by_oracle(self) -> NDArray[np.float32]:
        """float32 [V, D], the token of the moment: the best that attention can do."""
        return np.stack([one.tokens_TD[at] for one, at in zip(self.tokens, self.moments_V.tolist(), strict=True)])

    def padded(self) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """float32 [V, T, D] with zeros at the end, and bool [V, T], which of them are tokens."""
        longest = max(len(one.tokens_TD) for one in self.tokens)
        width = self.tokens[0].tokens_TD.shape[1]
        tokens_VTD = np.zeros((len(self.tokens), longest, width), dtype=np.float32)
        is_token_VT = np.zeros((len(self.tokens), longest), dtype=bool)
        for item, one in enumerate(self.tokens):
            tokens_VTD[item, : len(one.tokens_TD)] = one.tokens_TD
            is_token_VT[item, : len(one.tokens_TD)] = True
        return tokens_VTD, is_token_VT

    def order_quality(self, scores_UV: NDArray[np.floating]) -> float:
        """How well cold items are told apart.

        Args:
            scores_UV: [U, V], higher for what a user should see first.

        Returns:
            How often a cold item of the look a user likes stands before one of another; a tie is half, chance .5.
        """
        cold = np.flatnonzero(self.cold_V)
        found = []
        for liked, scores_V in zip(self.liked_U.tolist(), scores_UV, strict=True):
            own = self.looks_V[cold] == liked
            gaps = scores_V[cold][own][:, None] - scores_V[cold][~own]
            found.append(np.mean((gaps > 0) + 0.5 * (gaps == 0)))
        return float(np.mean(found))


def moment_world(
    *,
    seed: int = 0,
    num_warm: int = 120,
    num_cold: int = 60,
    num_users: int = 240,
    num_looks: int = 4,
    history_length: int = 8,
    width: int = 24,
    fewest_tokens: int = 8,
    most_tokens: int = 16,
    mark: float = 1.0,
    noise: float = 0.15,
    stray: float = 0.1,
) -> MomentWorld:
    """Make a world.

    Args:
        seed: Decides everything.
        num_warm: Items that are watched.
        num_cold: Items that nobody has watched.
        num_users: U; look number u mod L is liked by user u.
        num_looks: L.
        history_length: Watched items per user, fewer where there are not as many of the look.
        width: D; must hold a direction for each look and one for the mark.
        fewest_tokens: Of an item.
        most_tokens: Of an item.
        mark: Length of what tells the moment from stock; a look has length 1. 0 makes it impossible to find.
        noise: Standard deviation on each column of each token.
        stray: Share of watched items that have another look.

    Returns:
        The world.

    Raises:
        ConfigError: The tokens are too narrow, or there are fewer than two of them.

    Example:
        >>> world = moment_world(num_warm=40, num_cold=10, num_users=12)
        >>> len(world.tokens), world.histories.num_users, int(world.cold_V.sum())
        (50, 12, 10)
    """
    if width <= num_looks or fewest_tokens < 2 or most_tokens < fewest_tokens:
        raise ConfigError(
            f"a world of moments needs width > num_looks and 2 <= fewest_tokens <= most_tokens, "
            f"got {width}, {num_looks}, {fewest_tokens} and {most_tokens}"
        )
    rng = generator(seed, "testing/moments")
    looks_V = np.concatenate([rng.permutation(count) % num_looks for count in (num_warm, num_cold)]).astype(np.int64)
    lengths_V = rng.integers(fewest_tokens, most_tokens + 1, size=num_warm + num_cold)
    moments_V = rng.integers(lengths_V)
    liked_U = np.arange(num_users, dtype=np.int64) % num_looks
    return MomentWorld(
        tokens=_tokens(rng, looks_V, lengths_V, moments_V, num_looks=num_looks, width=width, mark=mark, noise=noise),
        looks_V=looks_V,
        moments_V=moments_V,
        cold_V=np.arange(num_warm + num_cold) >= num_warm,
        liked_U=liked_U,
        histories=Histories.from_lists(
            [_watched(rng, looks_V[:num_warm] == liked, history_length, stray) for liked in liked_U.tolist()],
            num_warm + num_cold,
        ),
    )


def _tokens(
    rng: np.random.Generator,
    looks_V: NDArray[np.int64],
    lengths_V: NDArray[np.int64],
    moments_V: NDArray[np.int64],
    *,
    num_looks: int,
    width: int,
    mark: float,
    noise: float,
) -> tuple[Tokens, ...]:
    """Stock in looks drawn blindly, and one token in the item's own look with the mark on it."""
    directions_DL, _ = np.linalg.qr(rng.standard_normal((width, num_looks + 1)))
    made = []
    for look, length, moment in zip(looks_V.tolist(), lengths_V.tolist(), moments_V.tolist(), strict=True):
        shown_T = rng.integers(num_looks, size=length)
        shown_T[moment] = look
        tokens_TD = directions_DL[:, shown_T].T + noise * rng.standard_normal((length, width))
        tokens_TD[moment] += mark * directions_DL[:, num_looks]
        made.append(Tokens(tokens_TD.astype(np.float32), 250 * np.arange(length, dtype=np.int64)))
    return tuple(made)


def _watched(rng: np.random.Generator, is_liked_W: NDArray[np.bool_], length: int, stray: float) -> list[int]:
    """What one user watches: items of the liked look, and a few of others."""
    own = rng.permutation(np.flatnonzero(is_liked_W))[:length]
    others = rng.permutation(np.flatnonzero(~is_liked_W))[: len(own)]
    is_stray = rng.random(len(own)) < stray
    is_stray[len(others) :] = False
    own[is_stray] = others[is_stray[: len(others)]]
    return [int(item) for item in own]
