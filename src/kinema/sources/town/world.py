"""What is planted before anything happens: the clips' hidden factors, the users' tastes and their profiles.

Shape suffixes: V clips, U users, T topics, S styles, M motions, A sounds.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.seeds import generator
from kinema.sources.town.rules import DAY_MS, MOTIONS, SOUNDS, START_MS, STYLES, TOPICS, Rules

HOBBIES: Final = ("sailing", "stargazing", "baking", "five-a-side", "hiking", "photography", "guitar", "board games")
"""Profile attribute, one per topic and in the order of `TOPICS`."""
THEMES: Final = ("midnight", "cream", "graphite", "arcade", "plain", "amber")
"""Profile attribute, one per style and in the order of `STYLES`."""
DEVICES: Final = ("tv", "tablet", "desktop", "phone", "console")
"""Profile attribute, one per motion and in the order of `MOTIONS`."""
COUNTRIES: Final = ("de", "fr", "gb", "in", "br", "us")
AGE_GROUPS: Final = ("13-17", "18-24", "25-34", "35-49", "50+")


@dataclass(frozen=True)
class World:
    """Hidden factors and tastes.

    Attributes:
        topics_V: int64, number of the topic in `TOPICS`.
        styles_V: int64, number of the style in `STYLES`.
        motions_V: int64, number of the motion in `MOTIONS`.
        appeal_V: float64, popularity in log-odds.
        published_ms_V: int64, UTC milliseconds, ascending.
        topic_tastes_UT: float64, log-odds each user gives to each topic; 0 for what the user does not care about.
        style_tastes_US: float64, the same for styles.
        motion_tastes_UM: float64, the same for motions.
        activity_U: float64, relative number of sessions.
        cutoff_ms: End of the training period.
        end_ms: End of the log.
        sounds_V: int64, number of the sound in `SOUNDS`; None where the clips are silent.
        sound_tastes_UA: float64, the same as for styles; None with ``sounds_V``.
    """

    topics_V: NDArray[np.int64]
    styles_V: NDArray[np.int64]
    motions_V: NDArray[np.int64]
    appeal_V: NDArray[np.float64]
    published_ms_V: NDArray[np.int64]
    topic_tastes_UT: NDArray[np.float64]
    style_tastes_US: NDArray[np.float64]
    motion_tastes_UM: NDArray[np.float64]
    activity_U: NDArray[np.float64]
    cutoff_ms: int
    end_ms: int
    sounds_V: NDArray[np.int64] | None = None
    sound_tastes_UA: NDArray[np.float64] | None = None

    @property
    def num_clips(self) -> int:
        """V."""
        return len(self.topics_V)

    @property
    def num_users(self) -> int:
        """U."""
        return len(self.activity_U)

    @property
    def cold_V(self) -> NDArray[np.bool_]:  # noqa: N802 -- shape suffix
        """Which clips [V] are published after the training cut-off."""
        return self.published_ms_V > self.cutoff_ms


def _demand(num_values: int, skew: float) -> NDArray[np.float64]:
    """float64 [num_values], how many users like each value: evenly falling from 1 + skew to 1 - skew, normalised."""
    weights = np.linspace(1.0 + skew, 1.0 - skew, num_values)
    return np.asarray(weights / weights.sum())


def _shares(rng: np.random.Generator, count: int, probs: NDArray[np.float64]) -> NDArray[np.int64]:
    """Values in exact proportion, in random order: small catalogues would otherwise miss whole tastes."""
    values = np.searchsorted(np.cumsum(probs), (np.arange(count) + 0.5) / count)
    return rng.permutation(values).astype(np.int64)


def _factor(rng: np.random.Generator, groups: tuple[int, int], num_values: int, *, skew: float) -> NDArray[np.int64]:
    """int64 [V], one hidden factor of warm and cold clips: even in the first group, as the demand is in the second."""
    warm_V = _shares(rng, groups[0], _demand(num_values, 0.0))
    return np.concatenate([warm_V, _shares(rng, groups[1], _demand(num_values, skew))])


def _tastes(
    rng: np.random.Generator,
    *,
    num_users: int,
    num_values: int,
    gain: float,
    second_gain: float,
    second_prob: float,
    skew: float,
) -> NDArray[np.float64]:
    """float64 [U, num_values]: one liked value per user, sometimes a second one."""
    tastes = np.zeros((num_users, num_values))
    first_U = rng.choice(num_values, size=num_users, p=_demand(num_values, skew))
    step_U = rng.integers(1, num_values, size=num_users)
    has_second_U = rng.random(num_users) < second_prob
    rows_U = np.arange(num_users)
    tastes[rows_U, first_U] = gain
    tastes[rows_U[has_second_U], ((first_U + step_U) % num_values)[has_second_U]] = gain * second_gain
    return tastes


def plan_world(*, seed: int, num_clips: int, num_users: int, rules: Rules) -> World:
    """Draw the hidden factors of all clips and users.

    Topic, style and motion of a clip are drawn independently of each other, so no modality can stand in for another.

    Args:
        seed: The town's seed.
        num_clips: V.
        num_users: U.
        rules: Strengths of the planted effects.

    Returns:
        The world; clips are in the order of their publication, so the cold ones are last.
    """
    rng = generator(seed, "town/clips")
    num_cold = round(num_clips * rules.cold_share)
    groups = (num_clips - num_cold, num_cold)
    topics_V, styles_V, motions_V = (
        _factor(rng, groups, num_values, skew=rules.demand_skew)
        for num_values in (len(TOPICS), len(STYLES), len(MOTIONS))
    )
    length_ms = rules.days * DAY_MS
    cutoff_ms = START_MS + round(length_ms * rules.cutoff_share)
    num_launch = round(groups[0] * rules.launch_share)
    window_ms = round((START_MS + length_ms - cutoff_ms) * rules.cold_window)
    published_ms_V = np.concatenate(
        [
            np.sort(rng.integers(START_MS - 90 * DAY_MS, START_MS, size=num_launch)),
            np.sort(rng.integers(START_MS, cutoff_ms, size=groups[0] - num_launch)),
            np.sort(rng.integers(cutoff_ms + 1, cutoff_ms + window_ms, size=num_cold)),
        ]
    )
    appeal_V = np.concatenate([rng.normal(0, rules.appeal_deviation, size=groups[0]), np.zeros(num_cold)])

    rng = generator(seed, "town/users")

    def tastes(num_values: int, gain: float, second_prob: float, rng: np.random.Generator = rng) -> NDArray[np.float64]:
        return _tastes(
            rng,
            num_users=num_users,
            num_values=num_values,
            gain=gain,
            second_gain=rules.second_gain,
            second_prob=second_prob,
            skew=rules.demand_skew,
        )

    # Sounds are drawn aside, so that the rest of a town is the same with and without them.
    aside = generator(seed, "town/sounds")
    return World(
        topics_V=topics_V,
        styles_V=styles_V,
        motions_V=motions_V,
        appeal_V=appeal_V,
        published_ms_V=published_ms_V,
        topic_tastes_UT=tastes(len(TOPICS), rules.topic_gain, rules.second_topic_prob),
        style_tastes_US=tastes(len(STYLES), rules.style_gain, rules.second_style_prob),
        motion_tastes_UM=tastes(len(MOTIONS), rules.motion_gain, rules.second_motion_prob),
        activity_U=rng.lognormal(0.0, 0.5, size=num_users),
        cutoff_ms=cutoff_ms,
        end_ms=START_MS + length_ms,
        sounds_V=_factor(aside, groups, len(SOUNDS), skew=rules.demand_skew) if rules.has_sound else None,
        sound_tastes_UA=tastes(len(SOUNDS), rules.sound_gain, rules.second_sound_prob, aside)
        if rules.has_sound
        else None,
    )


def draw_profiles(world: World, rules: Rules, *, seed: int) -> dict[str, list[str]]:
    """Draw what the service knows about its users before they have watched anything.

    Hobby, theme and device hint at the first liked topic, style and motion; country and age group say nothing, so that
    a model has something to ignore.

    Args:
        world: The users.
        rules: How reliable the hints are.
        seed: The town's seed.

    Returns:
        Attribute -> value per user.
    """
    rng = generator(seed, "town/profiles")
    columns = {
        name: [values[i] for i in rng.integers(len(values), size=world.num_users)]
        for name, values in (("country", COUNTRIES), ("age_group", AGE_GROUPS))
    }
    hints = (
        ("device", DEVICES, world.motion_tastes_UM),
        ("hobby", HOBBIES, world.topic_tastes_UT),
        ("theme", THEMES, world.style_tastes_US),
    )
    for name, values, tastes in hints:
        honest_U = rng.random(world.num_users) < rules.hint_prob
        shown_U = np.where(honest_U, tastes.argmax(axis=1), rng.integers(len(values), size=world.num_users))
        columns[name] = [values[i] for i in shown_U]
    return columns
