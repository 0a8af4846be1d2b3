"""The town's probabilities: what the service shows and what a user clicks.

    utility  = bias + topic taste + style taste + motion taste + focus of the session + appeal + freshness
               (+ sound taste where clips have sound)
    click    = sigmoid(utility) * examine_prob ** position
    exhibit  = uniform_share / |open| + trending_share * softmax(appeal + freshness)
               + the rest * softmax(sharpness * (topic + style + motion taste + freshness))         over the open clips
    next     = exhibit * click, normalised: the next clicked clip of a user whose session is in that state

The simulator draws from these very functions and the oracle ranks by them, so the oracle is exact by construction.

Shape suffixes: C rows (a user at a moment), V clips, T topics.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from kinema.sources.town.rules import DAY_MS, Rules
from kinema.sources.town.world import World


def taste(
    world: World, rules: Rules, *, users_C: NDArray[np.integer], focus_C: NDArray[np.integer]
) -> NDArray[np.float64]:
    """float64 [C, V], what the users think of the clips by topic, style, motion and sound in this session, in log-odds.

    Args:
        world: Clips and users.
        rules: Strengths of the planted effects.
        users_C: User numbers.
        focus_C: The topic that each row's session is about.
    """
    seen_CV = np.asarray(
        world.topic_tastes_UT[users_C][:, world.topics_V]
        + world.style_tastes_US[users_C][:, world.styles_V]
        + world.motion_tastes_UM[users_C][:, world.motions_V]
        + rules.focus_gain * (world.topics_V == focus_C[:, None])
    )
    if world.sounds_V is None or world.sound_tastes_UA is None:
        return seen_CV
    return np.asarray(seen_CV + world.sound_tastes_UA[users_C][:, world.sounds_V])


def liked_topics(world: World, users_C: NDArray[np.integer]) -> NDArray[np.bool_]:
    """The topics, bool [C, T], that a session of each user may be about: the liked ones, or any where none is liked."""
    likes_CT = world.topic_tastes_UT[users_C] > 0
    return np.asarray(likes_CT | ~likes_CT.any(axis=1, keepdims=True))


def freshness(world: World, rules: Rules, moments_ms_C: NDArray[np.integer]) -> NDArray[np.float64]:
    """float64 [C, V], the bonus of new clips in log-odds; meaningless for clips that are not published yet."""
    age_days_CV = np.maximum(moments_ms_C[:, None] - world.published_ms_V, 0) / DAY_MS
    return np.asarray(rules.fresh_gain * np.exp(-age_days_CV / rules.fresh_days))


def click_probs(
    world: World, rules: Rules, *, taste_CV: NDArray[np.float64], fresh_CV: NDArray[np.float64], position: int = 0
) -> NDArray[np.float64]:
    """float64 [C, V], probability that a clip shown at the position (from 0) is clicked."""
    utility_CV = rules.bias + taste_CV + world.appeal_V + fresh_CV
    return np.asarray(expit(utility_CV) * rules.examine_prob**position)


def _masked_softmax(scores_CV: NDArray[np.float64], open_CV: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Softmax over the open clips; 0 elsewhere."""
    top_C1 = np.max(scores_CV, axis=1, keepdims=True, where=open_CV, initial=-np.inf)
    weights_CV = np.where(open_CV, np.exp(np.minimum(scores_CV - top_C1, 0.0)), 0.0)
    return np.asarray(weights_CV / weights_CV.sum(axis=1, keepdims=True))


def exhibit_probs(
    world: World,
    rules: Rules,
    *,
    taste_CV: NDArray[np.float64],
    fresh_CV: NDArray[np.float64],
    open_CV: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """The logging policy: probability of each clip for the next free place of a slate.

    Args:
        world: The clips.
        rules: Shares of the policy's parts.
        taste_CV: From `taste`.
        fresh_CV: From `freshness`.
        open_CV: Clips that may be shown: published, not clicked before, not in the slate yet; at least one per row.

    Returns:
        float64 [C, V]; rows sum to 1, closed clips have 0.
    """
    uniform_CV = open_CV / open_CV.sum(axis=1, keepdims=True)
    trending_CV = _masked_softmax(world.appeal_V + fresh_CV, open_CV)
    personal_CV = _masked_softmax(rules.sharpness * taste_CV + world.appeal_V + fresh_CV, open_CV)
    return np.asarray(
        rules.uniform_share * uniform_CV
        + rules.trending_share * trending_CV
        + (1.0 - rules.uniform_share - rules.trending_share) * personal_CV
    )
