"""What the town would have shown and what would have come of it, drawn again: as many exposures of one moment as a measure needs.

A log has each moment once, and what came of it is chance. The town knows the probabilities, and can be asked for other
slates of the same moments.

Shape suffixes: N exposures, C moments, V clips, T topics.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.seeds import generator
from kinema.sources.town.taste import click_probs, exhibit_probs, freshness, taste
from kinema.sources.town.truth import Truth

_AT_ONCE: Final = 2048


@dataclass(frozen=True)
class Redrawn:
    """Exposures that did not happen.

    Attributes:
        moments_N: int64, row of the moment that each belongs to.
        items_N: int64, clip numbers of the town.
        positions_N: int64, from 0.
        click_probs_N: float64, true probability of a click.
    """

    moments_N: NDArray[np.int64]
    items_N: NDArray[np.int64]
    positions_N: NDArray[np.int64]
    click_probs_N: NDArray[np.float64]


def shown_click_probs(
    truth: Truth,
    *,
    users_N: NDArray[np.integer],
    items_N: NDArray[np.integer],
    times_ms_N: NDArray[np.integer],
    positions_N: NDArray[np.integer],
) -> NDArray[np.float64]:
    """float64 [N], the true probability of a click of exposures of the town's log, the topic of the session known.

    Args:
        truth: Of the town.
        users_N: User numbers of the town.
        items_N: Clip numbers of the town.
        times_ms_N: Moments inside sessions.
        positions_N: Places in slates, from 0.
    """
    found_N = np.empty(len(users_N))
    for start in range(0, len(users_N), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        clicked_CV, _ = _at(truth, users_N[rows], times_ms_N[rows])
        one_N = clicked_CV[np.arange(len(clicked_CV)), items_N[rows]]
        found_N[rows] = one_N * truth.rules.examine_prob ** positions_N[rows]
    return found_N


def redraw_slates(
    truth: Truth, *, users_C: NDArray[np.integer], times_ms_C: NDArray[np.integer], times: int, seed: int
) -> Redrawn:
    """Draw slates of given moments anew, by the policy that filled the log.

    Args:
        truth: Of the town.
        users_C: User numbers of the town.
        times_ms_C: Moments inside sessions; what the user had clicked before is not shown.
        times: Slates per moment.
        seed: Of the draws.

    Returns:
        Exposures, moment by moment.
    """
    random = generator(seed, "town/redrawn slates")
    parts = []
    length, rules = truth.rules.slate_length, truth.rules
    for start in range(0, len(users_C), _AT_ONCE // times or 1):
        rows = np.repeat(np.arange(start, min(start + (_AT_ONCE // times or 1), len(users_C))), times)
        clicks_CV, exhibited_CV = _at(truth, users_C[rows], times_ms_C[rows])
        # Without repetition, place by place, is the order of exponential races.
        with np.errstate(divide="ignore"):
            races_CV = np.where(exhibited_CV > 0, random.exponential(size=exhibited_CV.shape) / exhibited_CV, np.inf)
        items_CL = np.argsort(races_CV, axis=1)[:, :length]
        there_CL = np.isfinite(np.take_along_axis(races_CV, items_CL, axis=1))
        probs_CL = np.take_along_axis(clicks_CV, items_CL, axis=1) * rules.examine_prob ** np.arange(length)
        places_CL = np.broadcast_to(np.arange(length), items_CL.shape)
        moments_CL = np.broadcast_to(rows[:, None], items_CL.shape)
        parts.append([one[there_CL] for one in (moments_CL, items_CL, places_CL, probs_CL)])
    moments_N, items_N, positions_N, probs_N = (np.concatenate(one) for one in zip(*parts, strict=True))
    return Redrawn(moments_N, items_N, positions_N, probs_N)


def _at(
    truth: Truth, users_C: NDArray[np.integer], times_ms_C: NDArray[np.integer]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """At the first place of a slate: probability [C, V] of a click on each clip, and of each clip being shown."""
    users, times = np.asarray(users_C, np.int64), np.asarray(times_ms_C, np.int64)
    moments_ms_C, topic_probs_CT = truth.session_state(users, times)
    taste_CV = taste(truth.world, truth.rules, users_C=users, focus_C=topic_probs_CT.argmax(axis=1))
    fresh_CV = freshness(truth.world, truth.rules, moments_ms_C)
    open_CV = (truth.world.published_ms_V <= moments_ms_C[:, None]) & ~truth.clicked_before(users, times)
    return (
        click_probs(truth.world, truth.rules, taste_CV=taste_CV, fresh_CV=fresh_CV),
        exhibit_probs(truth.world, truth.rules, taste_CV=taste_CV, fresh_CV=fresh_CV, open_CV=open_CV),
    )
