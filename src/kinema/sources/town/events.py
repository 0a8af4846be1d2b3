"""The log of the town: sessions of slates, what was shown with which probability, and what the users made of it.

Shape suffixes: V clips, N sessions.
"""

from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.progress import Progress, silent
from kinema.schema import EventKind
from kinema.seeds import generator
from kinema.sources.town.rules import DAY_MS, START_MS, Rules
from kinema.sources.town.taste import click_probs, exhibit_probs, freshness, liked_topics, taste
from kinema.sources.town.world import World

HOUR_MS: Final = 3_600_000
HOUR_WEIGHTS: Final = (2, 1, 1, 1, 1, 2, 4, 6, 6, 5, 5, 6, 8, 7, 6, 6, 7, 9, 12, 15, 16, 14, 9, 5)
"""How busy each hour of the day is, UTC."""
COLUMNS: Final[dict[str, Any]] = {
    "user": pl.Int64,
    "item": pl.Int64,
    "timestamp_ms": pl.Int64,
    "kind": pl.String,
    "watch_ms": pl.Int64,
    "session": pl.Int64,
    "slate": pl.Int64,
    "position": pl.Int64,
    "propensity": pl.Float64,
}


@dataclass(frozen=True)
class Sessions:
    """Who was there when, and which topic each session was about; row = session number of the log.

    Attributes:
        users_N: int64, user numbers.
        starts_ms_N: int64; what is published and how fresh it is are settled at this moment for the whole session.
        ends_ms_N: int64, time of the last event.
        focus_N: int64, topic numbers.
    """

    users_N: NDArray[np.int64]
    starts_ms_N: NDArray[np.int64]
    ends_ms_N: NDArray[np.int64]
    focus_N: NDArray[np.int64]


@dataclass
class _Log:
    """Rows written so far and the state they leave behind."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    num_slates: int = 0


def _plan_sessions(
    world: World, rules: Rules, *, seed: int, num_sessions: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Owners and intended starts of all sessions, in order of start; everybody comes at least once if there is room."""
    rng = generator(seed, "town/sessions")
    length_ms = world.end_ms - START_MS
    joined_ms_U = rng.integers(world.cutoff_ms - START_MS, size=world.num_users)
    late_U = rng.random(world.num_users) < rules.newcomer_share
    joined_ms_U[late_U] = rng.integers(world.cutoff_ms - START_MS, length_ms, size=int(late_U.sum()))
    everybody_U = rng.permutation(world.num_users)[:num_sessions]
    share_U = world.activity_U / world.activity_U.sum()
    more = rng.choice(world.num_users, size=num_sessions - len(everybody_U), p=share_U)
    later_ms = joined_ms_U[more] + rng.random(len(more)) * (length_ms - joined_ms_U[more])
    owners_N = np.concatenate([everybody_U, more]).astype(np.int64)
    days_N = np.concatenate([joined_ms_U[everybody_U], later_ms]).astype(np.int64) // DAY_MS
    hours_N = rng.choice(24, size=num_sessions, p=np.array(HOUR_WEIGHTS) / sum(HOUR_WEIGHTS))
    starts_N = START_MS + days_N * DAY_MS + hours_N * HOUR_MS + rng.integers(HOUR_MS, size=num_sessions)
    order_N = np.argsort(starts_N, kind="stable")
    return owners_N[order_N], starts_N[order_N].astype(np.int64)


def _watch(rng: np.random.Generator, *, enjoyment: float, duration_ms: int) -> tuple[EventKind, int, bool]:
    """What follows a click: skipped within moments or watched, for how long, and whether a like was given."""
    if rng.random() < 0.05 + 0.3 * (1.0 - enjoyment):
        return EventKind.SKIP, int(duration_ms * rng.uniform(0.02, 0.15)), False
    share = rng.beta(1.0 + 5.0 * enjoyment, 1.0 + 3.0 * (1.0 - enjoyment))
    if share > 0.9 and rng.random() < 0.3:
        share += rng.uniform(0.2, 1.0)
    return EventKind.WATCH, int(duration_ms * share), bool(rng.random() < 0.25 * enjoyment * enjoyment)


def _show_slate(
    world: World,
    rules: Rules,
    rng: np.random.Generator,
    *,
    taste_1V: NDArray[np.float64],
    fresh_1V: NDArray[np.float64],
    open_V: NDArray[np.bool_],
) -> list[tuple[int, float]]:
    """Draw a slate place by place without repetition; (clip, probability it was drawn with) per place."""
    still_open_1V = open_V[None].copy()
    places = []
    for _ in range(rules.slate_length):
        probs_V = exhibit_probs(world, rules, taste_CV=taste_1V, fresh_CV=fresh_1V, open_CV=still_open_1V)[0]
        heights_V = np.cumsum(probs_V)
        clip = int(np.searchsorted(heights_V, rng.random() * heights_V[-1], side="right"))
        places.append((clip, float(probs_V[clip])))
        still_open_1V[0, clip] = False
    return places


def _play_session(
    world: World,
    rules: Rules,
    rng: np.random.Generator,
    *,
    user: int,
    session: int,
    start_ms: int,
    focus: int,
    clicked_V: NDArray[np.bool_],
    durations_ms_V: NDArray[np.int64],
    log: _Log,
) -> int:
    """Play one session, append its rows to the log, mark what was clicked; returns when it ended."""
    moment_1 = np.array([start_ms])
    taste_1V = taste(world, rules, users_C=np.array([user]), focus_C=np.array([focus]))
    fresh_1V = freshness(world, rules, moment_1)
    click_prob_V = click_probs(world, rules, taste_CV=taste_1V, fresh_CV=fresh_1V)[0]
    now_ms = start_ms
    for _ in range(1 + rng.poisson(rules.slates_per_session - 1.0)):
        open_V = (world.published_ms_V <= start_ms) & ~clicked_V
        if open_V.sum() <= rules.slate_length:
            break
        places = _show_slate(world, rules, rng, taste_1V=taste_1V, fresh_1V=fresh_1V, open_V=open_V)
        slate, log.num_slates = log.num_slates, log.num_slates + 1
        for position, (clip, propensity) in enumerate(places):
            log.rows.append((user, clip, now_ms, EventKind.IMPRESSION, None, session, slate, position, propensity))
        for position, (clip, propensity) in enumerate(places):
            now_ms += int(rng.integers(800, 4_000))
            if rng.random() >= click_prob_V[clip] * rules.examine_prob**position:
                continue
            clicked_V[clip] = True
            where = (session, slate, position, propensity)
            log.rows.append((user, clip, now_ms, EventKind.CLICK, None, *where))
            kind, watch_ms, liked = _watch(
                rng, enjoyment=float(click_prob_V[clip]), duration_ms=int(durations_ms_V[clip])
            )
            now_ms += max(watch_ms, 1)
            log.rows.append((user, clip, now_ms, kind, watch_ms, *where))
            if liked:
                now_ms += int(rng.integers(200, 1_500))
                log.rows.append((user, clip, now_ms, EventKind.LIKE, None, *where))
        now_ms += int(rng.integers(500, 5_000))
    return now_ms


def simulate(
    world: World,
    rules: Rules,
    *,
    seed: int,
    num_events: int,
    durations_ms_V: NDArray[np.int64],
    progress: Progress = silent,
) -> tuple[pl.DataFrame, Sessions]:
    """Run the service for the whole period.

    A user never overlaps with themselves: a session that would begin before the last one has ended for an hour is
    put off. Clips that a user has clicked are never shown to them again.

    Args:
        world: Clips and users.
        rules: Strengths of the planted effects.
        seed: The town's seed.
        num_events: How many events of all kinds are wanted; fewer come where users run out of clips they like.
        durations_ms_V: Length of each clip's file.
        progress: Told the sessions done.

    Returns:
        The events in time order with the columns of `COLUMNS` (numbers for users, clips, sessions and slates), and
        the hidden state of the sessions.
    """
    rng = generator(seed, "town/events")
    num_sessions = max(1, round(num_events / rules.events_per_session))
    owners_N, starts_N = _plan_sessions(world, rules, seed=seed, num_sessions=num_sessions)
    clicked_UV = np.zeros((world.num_users, world.num_clips), dtype=bool)
    free_from_U = np.zeros(world.num_users, dtype=np.int64)
    ends_N, focus_N = np.zeros_like(starts_N), np.zeros_like(starts_N)
    liked_UT = liked_topics(world, np.arange(world.num_users))
    log = _Log()
    for session, user in enumerate(owners_N.tolist()):
        starts_N[session] = max(starts_N[session], free_from_U[user])
        focus_N[session] = rng.choice(np.flatnonzero(liked_UT[user]))
        ends_N[session] = _play_session(
            world,
            rules,
            rng,
            user=user,
            session=session,
            start_ms=int(starts_N[session]),
            focus=int(focus_N[session]),
            clicked_V=clicked_UV[user],
            durations_ms_V=durations_ms_V,
            log=log,
        )
        free_from_U[user] = ends_N[session] + HOUR_MS
        if session % 100 == 0:
            progress(session, num_sessions, "sessions")
    progress(num_sessions, num_sessions, "sessions")
    events = pl.DataFrame(log.rows, schema=COLUMNS, orient="row").sort("timestamp_ms", maintain_order=True)
    return events, Sessions(owners_N, starts_N, ends_N, focus_N)
