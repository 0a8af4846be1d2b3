"""Whether two clips show the same pictures: their fingerprints laid over each other in space and time.

Space: one of the two is moved and stretched until it fits the other best, as a crop or a bar cut a little differently
wants it. Time: one begins later, or runs a little faster. What counts is how equal the pictures then are, and how equal
what changes in them: two recordings from one fixed camera share the picture but not the change.

Shape suffixes: A, B moments of two clips, M matched moments, S side of a small picture, D width of a token.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.modality import Tokens
from kinema.encoders.picture_hash import CENTRE, COARSE_CELLS, SIDE, band, cut, substance

LEAST_OVERLAP: Final = 0.75
"""Share of the longer clip that both must have: an excerpt is a clip of its own."""
LEAST_ALIKE: Final = 0.75
"""Correlation of the pictures from which two clips are the same. Copies reach .8 and more, other clips about .55."""
MOST_CHANGE_LOST: Final = 0.2
"""How far the correlation of the change may stay behind that of the pictures. Damage lowers both, another recording of the
same scene only one."""
STILL: Final = 0.002
"""Share of a picture that must change before change is compared; compression alone makes less."""
_STILL_LENGTHS: Final = 0.98
"""Still clips must be as long as each other: one cover picture stands for many songs."""
_SHOWN: Final = 0.3
_HOPELESS: Final = 0.5
_FINE_CELLS: Final = 0.8
_OFFSETS: Final = np.linspace(-0.25, 0.25, 41)
_WHOLE: Final = (0.5, 1.0, 0.5, 1.0)
_Window = tuple[float, float, float, float]
Pictures = NDArray[np.float32]


@dataclass(frozen=True)
class Alignment:
    """How two clips fit.

    Attributes:
        alike: Mean correlation of the pictures at the same moments, at most 1.
        change: Correlation of what changes in them, at most 1; where next to nothing changes in
            either, 1 for equal lengths and 0 for others.
        overlap: Share of the longer clip that both have.
    """

    alike: float
    change: float
    overlap: float


@dataclass(frozen=True)
class Prints:
    """The fingerprint of a clip, prepared for comparisons.

    Attributes:
        tokens: From `kinema.encoders.picture_hash.PictureHash`.
    """

    tokens: Tokens

    @cached_property
    def pictures(self) -> Pictures:
        """[A, S, S]."""
        return self.tokens.tokens_TD.reshape(-1, SIDE, SIDE)

    @cached_property
    def weights(self) -> NDArray[np.float32]:
        """[A], how much each shows."""
        return substance(self.tokens)

    @cached_property
    def times(self) -> NDArray[np.float64]:
        """[A], milliseconds."""
        return self.tokens.times_ms_T.astype(np.float64)

    @cached_property
    def gap_ms(self) -> float:
        """Usual time between two moments."""
        return float(self.times[-1] - self.times[0]) / max(len(self.times) - 1, 1)

    @cached_property
    def length_ms(self) -> float:
        """Length of the clip as far as the moments tell."""
        return self.gap_ms * len(self.times)

    @cached_property
    def whole(self) -> Pictures:
        """[A, D], unit rows for a first comparison."""
        return _unit(band(self.pictures, fine=COARSE_CELLS))

    @cached_property
    def centre(self) -> Pictures:
        """[A, D], the same of the centre."""
        return _unit(band(cut(self.pictures, (0.5, CENTRE, 0.5, CENTRE)), fine=COARSE_CELLS))


def align(one: Prints, other: Prints) -> Alignment:
    """Lay two fingerprints over each other.

    Args:
        one: A fingerprint.
        other: Another; the order matters little.

    Returns:
        The best fit found; ``alike`` is 0 where the lengths differ too much or nothing is shown.

    Source:
        The fit in space is that of B. D. Lucas and T. Kanade, An iterative image registration technique, IJCAI 1981, on
        four numbers (place and size in width and height) that all moments share.
    """
    nothing = Alignment(0.0, 0.0, 0.0)
    lengths = sorted((one.length_ms, other.length_ms))
    if lengths[0] < LEAST_OVERLAP * lengths[1] or (len(one.times) == 1) != (len(other.times) == 1):
        return nothing
    firsts = (
        (one, other, one.whole @ other.whole.T, _WHOLE),
        (one, other, one.centre @ other.whole.T, (0.5, CENTRE, 0.5, CENTRE)),
        (other, one, other.centre @ one.whole.T, (0.5, CENTRE, 0.5, CENTRE)),
    )
    tried = [(_in_time(left, right, likeness), left, right, where) for left, right, likeness, where in firsts]
    match, left, right, where = max(tried, key=lambda found: found[0].alike)
    if match.alike < _HOPELESS or not len(match.lefts):
        return nothing
    for fine in (COARSE_CELLS, _FINE_CELLS):
        where = _in_space(left.pictures[match.lefts], right.pictures[match.rights], where, fine=fine)
    fitted, target = (
        _unit(band(cut(left.pictures, where), fine=_FINE_CELLS)),
        _unit(band(right.pictures, fine=_FINE_CELLS)),
    )
    match = _in_time(left, right, fitted @ target.T)
    same_length = lengths[0] >= _STILL_LENGTHS * lengths[1]
    change = _change(fitted[match.lefts], target[match.rights], where_still=float(same_length))
    return Alignment(match.alike, change, match.overlap)


def is_same(found: Alignment) -> bool:
    """Whether an alignment is that of two copies.

    Example:
        >>> is_same(Alignment(alike=0.97, change=0.94, overlap=0.9)), is_same(Alignment(alike=0.97, change=0.1, overlap=1.0))
        (True, False)
    """
    return found.alike >= LEAST_ALIKE and found.change >= found.alike - MOST_CHANGE_LOST


@dataclass(frozen=True)
class _Match:
    """Moments of two clips that belong together and show something: their numbers [M] in either, and how alike all are."""

    alike: float
    overlap: float
    lefts: NDArray[np.int64]
    rights: NDArray[np.int64]


def _in_time(left: Prints, right: Prints, likeness_AB: NDArray[np.float32]) -> _Match:
    """The best of many ways to lay the moments beside each other: the same speed from many starts, or the same ends."""
    longer = max(left.length_ms, right.length_ms)
    ways = [(1.0, share * longer) for share in _OFFSETS]
    if left.length_ms and right.length_ms:
        ways.append((right.length_ms / left.length_ms, 0.0))
    best, nothing = None, np.zeros(0, dtype=np.int64)
    for speed, offset_ms in ways:
        moments_A = left.times * speed + offset_ms
        inside_A = (moments_A >= right.times[0] - right.gap_ms) & (moments_A <= right.times[-1] + right.gap_ms)
        covered = min(
            float(inside_A.mean()), inside_A.sum() * left.gap_ms * speed / right.length_ms if right.length_ms else 1.0
        )
        if covered < LEAST_OVERLAP - 0.5 / len(left.times):
            continue
        before_A = np.clip(np.searchsorted(right.times, moments_A, side="right") - 1, 0, len(right.times) - 1)
        after_A = np.minimum(before_A + 1, len(right.times) - 1)
        rows = np.arange(len(left.times))
        better_A = np.where(likeness_AB[rows, before_A] >= likeness_AB[rows, after_A], before_A, after_A)
        weights_A = np.sqrt(left.weights * right.weights[better_A]) * inside_A
        alike = float((weights_A * likeness_AB[rows, better_A]).sum() / max(float(weights_A.sum()), 1.0))
        value = alike - 0.02 * abs(offset_ms) / max(longer, 1.0)
        if best is None or value > best[0]:
            shown_A = inside_A & (left.weights >= _SHOWN) & (right.weights[better_A] >= _SHOWN)
            best = value, _Match(alike, covered, rows[shown_A], better_A[shown_A])
    return best[1] if best else _Match(0.0, 0.0, nothing, nothing)


def _in_space(left_MSS: Pictures, right_MSS: Pictures, where: _Window, *, fine: float) -> _Window:
    """The window of the left pictures that fits the right ones best, near the one given."""
    target = band(right_MSS, fine=fine)
    target_MD = _unit(target)
    across = ((np.arange(SIDE) + 0.5) / SIDE - 0.5).astype(np.float32)
    best, best_where = -1.0, where
    for _ in range(6):
        seen_MSS = band(cut(left_MSS, where), fine=fine)
        lengths_M = np.linalg.norm(seen_MSS.reshape(len(seen_MSS), -1), axis=1)
        value = float((_unit(seen_MSS) * target_MD).sum(axis=1).mean())
        if value <= best + 1e-4:
            break
        best, best_where = value, where
        slope_x = np.gradient(seen_MSS, 1 / SIDE, axis=2) / where[1]
        slope_y = np.gradient(seen_MSS, 1 / SIDE, axis=1) / where[3]
        slopes = np.stack([slope_x, slope_x * across, slope_y, slope_y * across[:, None]], axis=-1).reshape(-1, 4)
        missing = (target_MD * lengths_M[:, None]).ravel() - seen_MSS.ravel()
        moves = np.linalg.lstsq(slopes.T @ slopes + 1e-3 * np.eye(4), slopes.T @ missing, rcond=None)[0]
        x, width, y, height = (float(v) for v in np.asarray(where) + np.clip(moves, -0.05, 0.05))
        where = (x, min(max(width, 0.7), 1.1), y, min(max(height, 0.7), 1.1))
    return best_where


def _change(left_MD: Pictures, right_MD: Pictures, *, where_still: float) -> float:
    """Correlation of what differs from the mean picture; see `Alignment`."""
    if not len(left_MD):
        return 0.0
    left, right = left_MD - left_MD.mean(axis=0), right_MD - right_MD.mean(axis=0)
    sizes = float(np.square(left).sum(axis=1).mean()), float(np.square(right).sum(axis=1).mean())
    if max(sizes) < STILL:
        return where_still
    return float((left * right).sum() / max(np.linalg.norm(left) * np.linalg.norm(right), 1e-9))


def _unit(pictures_MSS: Pictures) -> Pictures:
    """[M, D] rows of length 1."""
    rows = pictures_MSS.reshape(len(pictures_MSS), -1)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))
