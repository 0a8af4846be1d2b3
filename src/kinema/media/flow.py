"""Dense optical flow between two frames, and what it says about the movement in a grid of cells.

Everything is measured in frame widths per second, so neither the size of the picture nor its frame rate matters. Where a
picture is dark, even, or dissolves into another, flow is a guess that compression decides: each point counts as much as
it can be believed (`flow_trust`).

Shape suffixes: H height, W width, 2 (right, down), G grid cells per side, S statistics.
"""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.extras import require

FLOW_METHODS: Final = ("dis", "dis-fast", "farneback")
"""How the flow is computed; all stay within a tenth of a pixel on textures that move by a known amount."""
FLOW_WIDTH: Final = 128
"""Pictures are brought to this width before the flow is computed, pixels."""
NUM_DIRECTIONS: Final = 8
CELL_STATISTICS: Final = (
    *(f"direction_{n}" for n in range(NUM_DIRECTIONS)),
    "right",
    "down",
    "speed",
    "spread",
    "curl",
)
CAMERA_STATISTICS: Final = ("pan", "tilt", "zoom", "spin", "rest", "still")
OBJECT_STATISTICS: Final = (*(f"object_direction_{n}" for n in range(NUM_DIRECTIONS)), "moving")

_MOVING: Final = 0.02
_FIT_STRIDE: Final = 2
_FIT_ROUNDS: Final = 3
_NOISE: Final = 2.0
"""What compression changes in a point's brightness, of 255."""
_ERROR: Final = 0.4
"""Pixels of a picture `FLOW_WIDTH` wide by which a flow that is believed by half may be wrong."""
_NEIGHBOURS: Final = 2.0
_LEAST_TRUST: Final = 0.1
"""Where points are believed less on average, movement shrinks towards none."""


def dense_flow(first: NDArray[np.uint8], second: NDArray[np.uint8], *, method: str = "dis") -> NDArray[np.float32]:
    """Displacement of every second point of the first picture, both ways.

    Args:
        first: uint8 [H, W, 3].
        second: uint8 [H, W, 3], the same size.
        method: ``dis`` (the default), ``dis-fast`` (x1.7 as fast, a third less exact) or ``farneback`` (polynomials; as
            slow as ``dis``, smoother at the edges of objects).

    Returns:
        float32 [H', 64, 2], right and down, in frame widths; H' keeps the shape of the picture.

    Raises:
        ConfigError: The method is unknown.
        MissingExtraError: OpenCV is not installed.

    Source:
        Kroeger et al., Fast Optical Flow using Dense Inverse Search, ECCV 2016, in OpenCV's medium and fast presets;
        Farneback, Two-Frame Motion Estimation Based on Polynomial Expansion, SCIA 2003.
    """
    if method not in FLOW_METHODS:
        raise ConfigError(f"unknown flow method '{method}'; known: {', '.join(FLOW_METHODS)}")
    cv2 = require("cv2")
    height = int(np.clip(round(FLOW_WIDTH * first.shape[0] / first.shape[1]), FLOW_WIDTH // 3, FLOW_WIDTH * 3))
    grey = [
        cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (FLOW_WIDTH, height), interpolation=cv2.INTER_AREA)
        for picture in (first, second)
    ]
    flow = np.asarray(_displacement(cv2, grey[0], grey[1], method), dtype=np.float32)
    return np.ascontiguousarray(flow[::2, ::2]) / np.float32(FLOW_WIDTH)


def _displacement(cv2: Any, first_HW: Any, second_HW: Any, method: str) -> Any:
    """float32 [H, W, 2], pixels."""
    if method == "farneback":
        return cv2.calcOpticalFlowFarneback(first_HW, second_HW, None, 0.5, 4, 13, 3, 5, 1.1, 0)
    if method == "dis":
        # The preset's finest scale is half the picture, so that every second point holds all there is.
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    else:
        # As the preset comes it stops at a quarter of the picture, and is off by up to .15 pixels.
        search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        search.setFinestScale(1)
        search.setVariationalRefinementIterations(2)
    return search.calc(first_HW, second_HW, None)


def flow_trust(
    first: NDArray[np.uint8], second: NDArray[np.uint8], flow_HW2: NDArray[np.float32]
) -> NDArray[np.float32]:
    """How far each point of a flow can be believed.

    A flow is as exact as there are edges in more than one direction to follow, and as the second picture, brought back by
    it, looks like the first. Dark corners, bars, walls and dissolves have neither.

    Args:
        first: uint8 [H, W, 3].
        second: uint8 [H, W, 3], the same size.
        flow_HW2: float32 [H', W', 2], `dense_flow` of the two.

    Returns:
        float32 [H', W'] in 0..1: a / (a + b), a = edges * (error allowed)^2, b = noise^2 + (what the flow leaves
        unexplained)^2, edges the smaller eigenvalue of the structure tensor.

    Raises:
        MissingExtraError: OpenCV is not installed.

    Source:
        Simoncelli, Adelson and Heeger, Probability Distributions of Optical Flow, CVPR 1991: the covariance of a flow is
        the noise over the structure tensor. Ours takes the noise from the pictures as well.

    Example:
        >>> black = np.zeros((72, 128, 3), dtype=np.uint8)
        >>> float(flow_trust(black, black, dense_flow(black, black)).max())
        0.0
    """
    cv2 = require("cv2")
    height, width = flow_HW2.shape[:2]
    before, after = (
        cv2.resize(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), (width, height), interpolation=cv2.INTER_AREA).astype(
            np.float32
        )
        for one in (first, second)
    )
    y, x = np.mgrid[:height, :width].astype(np.float32)
    moved = flow_HW2 * np.float32(width)
    back = cv2.remap(after, x + moved[..., 0], y + moved[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    mean = (before + back) / 2
    right, down = (cv2.Sobel(mean, cv2.CV_32F, *axis, scale=1 / 8) for axis in ((1, 0), (0, 1)))
    xx, xy, yy, rest = (
        cv2.GaussianBlur(one, (0, 0), _NEIGHBOURS)
        for one in (right * right, right * down, down * down, (back - before) ** 2)
    )
    edges = np.maximum((xx + yy) / 2 - np.hypot((xx - yy) / 2, xy), 0.0)
    exact = edges * np.float32((_ERROR * width / FLOW_WIDTH) ** 2)
    return np.asarray(exact / (exact + rest + np.float32(_NOISE**2)), dtype=np.float32)


def _believed(trust_HW: NDArray[np.float32] | None, speed_HW2: NDArray[np.float32]) -> NDArray[np.float64]:
    """float64 [H, W], every point alike where nothing else is known."""
    return np.ones(speed_HW2.shape[:2]) if trust_HW is None else trust_HW.astype(np.float64)


def _enough(trust: NDArray[np.float64]) -> float:
    """What to divide a sum by that was weighted by trust: a mean, or less where there is hardly any trust."""
    return max(float(trust.sum()), _LEAST_TRUST * trust.size)


def cell_statistics(
    speed_HW2: NDArray[np.float32], *, grid: int, trust_HW: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Movement in each cell of a grid.

    Args:
        speed_HW2: float32 [H, W, 2], frame widths per second.
        grid: G, cells per side, >= 1.
        trust_HW: float32 [H, W], how far each point is believed, see `flow_trust`; all alike where None.

    Returns:
        float32 [G, G, S], S as in `CELL_STATISTICS`: mean speed by direction (from right, clockwise), mean movement
        right and down, mean speed, divergence and curl (per second), the slopes of lines through the whole cell
        (by weighted least squares, one axis at a time).
        A cell in which nothing can be believed stands still.

    Example:
        >>> still = np.zeros((45, 80, 2), dtype=np.float32)
        >>> cell_statistics(still, grid=3).shape
        (3, 3, 13)
    """
    height, width = speed_HW2.shape[:2]
    trust = _believed(trust_HW, speed_HW2)
    right, down = (trust * speed_HW2[..., axis] for axis in (0, 1))
    speed = np.hypot(right, down)
    row_of, column_of = (
        np.repeat(np.arange(grid), [len(part) for part in np.array_split(np.arange(side), grid)])
        for side in (height, width)
    )
    cell_of = row_of[:, None] * grid + column_of

    def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64 [G, G]."""
        sums = np.bincount(cell_of.ravel(), weights=values.ravel(), minlength=grid * grid)
        return np.asarray(sums, dtype=np.float64).reshape(grid, grid)

    weight, sum_right, sum_down = total(trust), total(right), total(down)
    least = _LEAST_TRUST * np.bincount(row_of)[:, None] * np.bincount(column_of)
    slopes = []
    for places, side in (
        (np.arange(width, dtype=np.float64)[None], width),
        (np.arange(height, dtype=np.float64)[:, None], height),
    ):
        middle = total(trust * places) / np.maximum(weight, 1e-12)
        width_of = np.maximum(
            total(trust * places**2) - weight * middle**2, least * ((side / grid) ** 2 - 1) / 12 + 1e-12
        )
        slopes.append([(total(one * places) - middle * total(one)) / width_of * width for one in (right, down)])
    sector_of = cell_of * NUM_DIRECTIONS + _sector(speed_HW2)
    directions = np.bincount(sector_of.ravel(), weights=speed.ravel(), minlength=grid * grid * NUM_DIRECTIONS)
    means = np.dstack([directions.reshape(grid, grid, NUM_DIRECTIONS), sum_right, sum_down, total(speed)])
    spread, curl = slopes[0][0] + slopes[1][1], slopes[0][1] - slopes[1][0]
    return np.dstack([means / np.maximum(weight, least)[..., None], spread, curl]).astype(np.float32)


def _sector(speed_HW2: NDArray[np.float32]) -> NDArray[np.int64]:
    """int64 [H, W], the eighth of the circle that each point moves to: 0 right, 2 down, 4 left, 6 up."""
    angle = np.arctan2(speed_HW2[..., 1], speed_HW2[..., 0])
    return np.round(angle / (2 * np.pi / NUM_DIRECTIONS)).astype(np.int64) % NUM_DIRECTIONS


def camera_statistics(
    speed_HW2: NDArray[np.float32], *, trust_HW: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Movement of the camera, told apart from that of objects by a robust fit.

    The flow of a camera that pans, tilts, zooms and spins is a similarity: right = pan + zoom x - spin y,
    down = tilt + zoom y + spin x. Points that do not follow it lose their weight from round to round.

    Args:
        speed_HW2: float32 [H, W, 2], frame widths per second.
        trust_HW: float32 [H, W], how far each point is believed, see `flow_trust`; all alike where None.

    Returns:
        float32 [6], `CAMERA_STATISTICS`: pan and tilt (widths per second; the picture moves right, down), zoom and spin
        (per second; inwards and clockwise are positive), mean speed of what is left, share of points that stand still:
        a point at .02 widths per second counts half.

    Example:
        >>> pan = np.zeros((45, 80, 2), dtype=np.float32)
        >>> pan[..., 0] = 0.25
        >>> abs(camera_statistics(pan).round(3)).tolist()
        [0.25, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    points = speed_HW2[::_FIT_STRIDE, ::_FIT_STRIDE].astype(np.float64)
    full_height, full_width = speed_HW2.shape[:2]
    y, x = np.mgrid[:full_height:_FIT_STRIDE, :full_width:_FIT_STRIDE].astype(np.float64)
    x, y = ((x - (full_width - 1) / 2) / full_width).ravel(), ((y - (full_height - 1) / 2) / full_width).ravel()
    one, zero = np.ones_like(x), np.zeros_like(x)
    design = np.concatenate([np.stack([one, zero, x, -y], axis=1), np.stack([zero, one, y, x], axis=1)])
    goal = np.concatenate([points[..., 0].ravel(), points[..., 1].ravel()])
    trust = _believed(trust_HW, speed_HW2)[::_FIT_STRIDE, ::_FIT_STRIDE].ravel()
    weights = trust
    for _ in range(_FIT_ROUNDS):
        both = np.concatenate([weights, weights])[:, None]
        fit = np.linalg.solve(design.T @ (both * design) + 1e-9 * np.eye(4), design.T @ (both[:, 0] * goal))
        rest = np.hypot(*(goal - design @ fit).reshape(2, -1))
        scale = max(_weighted_median(rest, trust), 0.25 * _MOVING)
        weights = trust / (1.0 + (rest / scale) ** 2)
    speed = np.hypot(points[..., 0], points[..., 1]).ravel()
    moving = trust @ (1.0 - 1.0 / (1.0 + (speed / _MOVING) ** 4)) / _enough(trust)
    believed = float(trust.sum()) / _enough(trust)
    return np.array([*(believed * fit), trust @ rest / _enough(trust), 1.0 - moving], dtype=np.float32)


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    """The value that half of the weight lies below; the lowest where nothing has weight."""
    order = np.argsort(values)
    below = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(below, below[-1] / 2)])


def camera_flow(camera: NDArray[np.float32], *, shape: tuple[int, int]) -> NDArray[np.float32]:
    """The movement that the camera alone would make.

    Args:
        camera: float32 [6] of `camera_statistics`; the first four are used.
        shape: H and W of the field.

    Returns:
        float32 [H, W, 2], frame widths per second.
    """
    height, width = shape
    y, x = np.mgrid[:height, :width].astype(np.float32)
    x, y = (x - (width - 1) / 2) / width, (y - (height - 1) / 2) / width
    pan, tilt, zoom, spin = camera[:4]
    return np.stack([pan + zoom * x - spin * y, tilt + zoom * y + spin * x], axis=-1).astype(np.float32)


def object_statistics(
    speed_HW2: NDArray[np.float32], camera: NDArray[np.float32], *, trust_HW: NDArray[np.float32] | None = None
) -> NDArray[np.float32]:
    """Where objects go, once the camera's movement is taken away.

    The directions of the whole field are the camera's wherever it moves; a runner that a pan follows stands still in it.

    Args:
        speed_HW2: float32 [H, W, 2], frame widths per second.
        camera: float32 [6], `camera_statistics` of the field.
        trust_HW: float32 [H, W], how far each point is believed, see `flow_trust`; all alike where None.

    Returns:
        float32 [9], `OBJECT_STATISTICS`: speed that is left, averaged over the picture, by direction (from right,
        clockwise), and the share of points that move by themselves. Less than .02 widths per second, or than a tenth of
        the camera's own speed there, counts as standing: the fit leaves as much behind.

    Example:
        >>> field = np.full((45, 80, 2), 0.3, dtype=np.float32)
        >>> field[10:20, 10:30, 1] -= 0.5
        >>> objects = object_statistics(field, camera_statistics(field))
        >>> OBJECT_STATISTICS[int(objects[:8].argmax())], round(float(objects[8]), 3)
        ('object_direction_6', 0.056)
    """
    height, width = speed_HW2.shape[:2]
    field = camera_flow(camera, shape=(height, width))
    own = speed_HW2 - field
    speed = np.hypot(own[..., 0], own[..., 1])
    moves = speed > np.maximum(_MOVING, 0.1 * np.hypot(field[..., 0], field[..., 1]))
    moving = _believed(trust_HW, speed_HW2) * moves
    whole = _enough(_believed(trust_HW, speed_HW2))
    directions = np.bincount(_sector(own).ravel(), weights=(speed * moving).ravel(), minlength=NUM_DIRECTIONS)
    return (np.append(directions, moving.sum()) / whole).astype(np.float32)
