"""Clips of actions whose right answer is known: what moves one way again and again, where frames cannot say which way.

A movement goes on for a moment, jumps back and begins anew, like a gesture that is repeated. Where in a movement a clip begins is
drawn, and the length of a movement is drawn so that a frame of every second lies anywhere in it, as often behind as before the last
one. A clip and its opposite then have the same frames in the same order with the same chance: whoever sees one frame a second can
know the kind of movement at best, one of two directions at random. Two frames close in time tell.
"""

from pathlib import Path
from typing import Final

from kinema.errors import ConfigError
from kinema.seeds import generator
from kinema.testing.clips import Pose, render_poses

ACTIONS: Final[dict[str, Pose]] = {
    "left": (-0.2, 0.0, 0.0, 0.0),
    "right": (0.2, 0.0, 0.0, 0.0),
    "up": (0.0, -0.2, 0.0, 0.0),
    "down": (0.0, 0.2, 0.0, 0.0),
    "in": (0.0, 0.0, 0.3, 0.0),
    "out": (0.0, 0.0, -0.3, 0.0),
    "clockwise": (0.0, 0.0, 0.0, 0.5),
    "anticlockwise": (0.0, 0.0, 0.0, -0.5),
}
"""Name -> movement per second, as in `kinema.testing.clips.MOTIONS`; each has its opposite."""

OPPOSITES: Final = 2
"""Directions of each kind: frames alone are right in one of so many at best."""


def render_action(
    path: Path,
    action: str,
    *,
    seed: int = 0,
    num_frames: int = 8,
    fps: int = 12,
    width: int = 160,
    height: int = 112,
    hue: float | None = None,
) -> Path:
    """Write a clip of an action, a second for each frame that is to be sampled.

    Args:
        path: Where to; see `kinema.testing.clips.render_clip`.
        action: A key of `ACTIONS`.
        seed: Of the look, of where in a movement it begins and of how long a movement is.
        num_frames: Seconds.
        fps: Frames per second.
        width: Pixels, even.
        height: Pixels, even.
        hue: See `kinema.testing.clips.render_clip`.

    Returns:
        ``path``.

    Raises:
        ConfigError: The action is unknown.
    """
    if action not in ACTIONS:
        raise ConfigError(f"unknown action '{action}'; known: {', '.join(ACTIONS)}")
    rng = generator(seed, "testing/actions")
    begin, per_second = rng.random(), 1 + rng.random()
    places = [((begin + per_second * frame / fps) % 1 - 0.5) / per_second for frame in range(num_frames * fps)]
    right, down, zoom, turn = ACTIONS[action]
    poses = [(right * place, down * place, zoom * place, turn * place) for place in places]
    return render_poses(path, poses, seed=seed, fps=fps, width=width, height=height, hue=hue)
