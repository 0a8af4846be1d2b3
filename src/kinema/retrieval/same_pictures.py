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
"""Correlation of the pictures from which two clips are the same. Copies reach .8, other clips .6 at most."""
MOST_CHANGE_LOST: Final = 0.35
"""How far the correlation of the change may stay behind that of the pictures. Damage lowers both, another recording of the
same scene only one."""
STILL: Final = 0.002
"""Share of a picture that must change before change is compared; compression alone makes less."""
_STILL_LENGTHS: Final = 0.98
"""Still clips must be as long as each other: one cover picture stands for many songs."""
_SHOWN: Final = 0.3
_HOPELESS: Final = 0.5
_AS_GOOD: Final = 0.02
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
        return _unit(band(cut(self.pictures, CENTRE), fine=COARSE_CELLS))


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
        (one, other, one.centre @ other.whole.T, CENTRE),
        (other, one, other.centre @ one.whole.T, CENTRE),
    )
    tried = [
        (max(_ways(left, right, likeness), key=lambda way: way.value, default=None), left, right, where)
        for left, right, likeness, where in firsts
    ]
    match, left, right, where = max(tried, key=lambda one: one[0].alike if one[0] else 0.0)
    if match is None or match.alike < _HOPELESS or not len(match.lefts):
        return nothing
    for fine in (COARSE_CELLS, _FINE_CELLS):
        where = _in_space(left.pictures[match.lefts], right.pictures[match.rights], where, fine=fine)
    fitted, target = (
        _unit(band(cut(left.pictures, where), fine=_FINE_CELLS)),
        _unit(band(right.pictures, fine=_FINE_CELLS)),
    )
    ways = _ways(left, right, fitted @ target.T)
    best = max((way.alike for way in ways), default=0.0)
    where_still = float(lengths[0] >= _STILL_LENGTHS * lengths[1])
    found = [
        Alignment(_likeness(way, fitted, target), _change(way, fitted, target, where_still=where_still), way.overlap)
        for way in ways
        if way.alike >= best - _AS_GOOD
    ]
    return max(found, key=lambda fit: min(fit.alike, fit.change), default=nothing)


def is_same(found: Alignment) -> bool:
    """Whether an alignment is that of two copies.

    Example:
        >>> is_same(Alignment(alike=0.97, change=0.94, overlap=0.9)), is_same(Alignment(alike=0.97, change=0.1, overlap=1.0))
        (True, False)
    """
    return found.alike >= LEAST_ALIKE and found.change >= found.alike - MOST_CHANGE_LOST


@dataclass(frozen=True)
class _Match:
    """Moments of two clips that belong together and both show something: their numbers [M] in either.

    Attributes:
        value: What to choose by: `alike`, and a little for beginning together.
        alike: How alike all moments are, those that show little counting little.
        overlap: See `Alignment`.
        shown: Share of the moments at which both show something, of those at which one does.
        rights: The more alike of the two right moments around each left one.
        befores: The right moment before each left one.
        afters: The one after.
        shares: How far each left moment is on the way between these, in [0, 1].
    """

    value: float
    alike: float
    overlap: float
    shown: float
    lefts: NDArray[np.int64]
    rights: NDArray[np.int64]
    befores: NDArray[np.int64]
    afters: NDArray[np.int64]
    shares: NDArray[np.float32]


def _ways(left: Prints, right: Prints, likeness_AB: NDArray[np.float32]) -> list[_Match]:
    """Ways to lay the moments beside each other: the same speed from many starts, or the same ends."""
    longer = max(left.length_ms, right.length_ms)
    ways = [(1.0, share * longer) for share in _OFFSETS]
    if left.length_ms and right.length_ms:
        ways.append((right.length_ms / left.length_ms, 0.0))
    found = (_lay(left, right, likeness_AB, speed=speed, offset_ms=offset_ms) for speed, offset_ms in ways)
    return [match for match in found if match is not None]


def _lay(
    left: Prints, right: Prints, likeness_AB: NDArray[np.float32], *, speed: float, offset_ms: float
) -> _Match | None:
    """One way; None where too little of the clips lies beside each other."""
    moments_A, rows = left.times * speed + offset_ms, np.arange(len(left.times))
    inside_A = (moments_A >= right.times[0] - right.gap_ms) & (moments_A <= right.times[-1] + right.gap_ms)
    reach = inside_A.sum() * left.gap_ms * speed / right.length_ms if right.length_ms else 1.0
    overlap = min(float(inside_A.mean()), float(reach))
    if overlap < LEAST_OVERLAP - 0.5 / len(rows):
        return None
    before_A = np.clip(np.searchsorted(right.times, moments_A, side="right") - 1, 0, len(right.times) - 1)
    after_A = np.minimum(before_A + 1, len(right.times) - 1)
    share_A = np.clip(
        (moments_A - right.times[before_A]) / np.maximum(right.times[after_A] - right.times[before_A], 1), 0, 1
    )
    better_A = np.where(likeness_AB[rows, before_A] >= likeness_AB[rows, after_A], before_A, after_A)
    weights_A = np.sqrt(left.weights * right.weights[better_A]) * inside_A
    alike = float((weights_A * likeness_AB[rows, better_A]).sum() / max(float(weights_A.sum()), 1.0))
    lefts_A, rights_A = inside_A & (left.weights >= _SHOWN), inside_A & (right.weights[better_A] >= _SHOWN)
    both_A = lefts_A & rights_A
    return _Match(
        value=alike - 0.02 * abs(offset_ms) / max(left.length_ms, right.length_ms, 1.0),
        alike=alike,
        overlap=overlap,
        shown=float(both_A.sum() / max(int((lefts_A | rights_A).sum()), 1)),
        lefts=rows[both_A],
        rights=better_A[both_A],
        befores=before_A[both_A],
        afters=after_A[both_A],
        shares=share_A[both_A].astype(np.float32),
    )


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


def _likeness(match: _Match, fitted_AD: Pictures, target_BD: Pictures) -> float:
    """Mean correlation at the moments that show something; what only one of the clips shows lowers it."""
    if not len(match.lefts):
        return 0.0
    return float((fitted_AD[match.lefts] * target_BD[match.rights]).sum(axis=1).mean()) * match.shown


def _change(match: _Match, fitted_AD: Pictures, target_BD: Pictures, *, where_still: float) -> float:
    """Correlation of what differs from the mean picture; see `Alignment`.

    The right pictures are blended to the moments of the left ones. Choosing the better of two, as for the likeness, makes
    any two clips with a simple change seem to change together.
    """
    if not len(match.lefts):
        return 0.0
    share_M1 = match.shares[:, None]
    left_MD = fitted_AD[match.lefts]
    right_MD = (1 - share_M1) * target_BD[match.befores] + share_M1 * target_BD[match.afters]
    left_MD, right_MD = left_MD - left_MD.mean(axis=0), right_MD - right_MD.mean(axis=0)
    sizes = float(np.square(left_MD).sum(axis=1).mean()), float(np.square(right_MD).sum(axis=1).mean())
    if max(sizes) < STILL:
        return where_still
    return float((left_MD * right_MD).sum() / max(np.linalg.norm(left_MD) * np.linalg.norm(right_MD), 1e-9))


def _unit(pictures_MSS: Pictures) -> Pictures:
    """[M, D] rows of length 1."""
    rows = pictures_MSS.reshape(len(pictures_MSS), -1)
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-6))
