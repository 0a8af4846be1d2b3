"""A town without clips for the tests of its log and its truth: 200 clips, 300 users, about 8,000 events."""

from functools import cache

import numpy as np
import polars as pl

from kinema.sources.town.events import simulate
from kinema.sources.town.rules import Rules
from kinema.sources.town.truth import Clicks, Truth
from kinema.sources.town.world import World, plan_world

DURATIONS_MS = np.full(200, 4000)


@cache
def town_service() -> tuple[World, Rules, pl.DataFrame, Truth]:
    rules = Rules()
    world = plan_world(seed=3, num_clips=200, num_users=300, rules=rules)
    events, sessions = simulate(world, rules, seed=3, num_events=8000, durations_ms_V=DURATIONS_MS)
    clicked = events.filter(pl.col("kind") == "click")
    clicks = Clicks(*(clicked[name].to_numpy() for name in ("user", "item", "timestamp_ms")))
    names = tuple(map(str, range(200))), tuple(map(str, range(300)))
    return world, rules, events, Truth(3, rules, world, sessions, clicks, *names)
