"""Logs of towns for `calibration.py`: of a project that has been pre-trained, or of a town that is planned here and has no clips.

Shape suffixes: N exposures, V clips, D width of item vectors, C moments.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.project import Project
from kinema.schema import EventKind
from kinema.seeds import generator
from kinema.sources.town.events import simulate
from kinema.sources.town.redrawing import redraw_slates, shown_click_probs
from kinema.sources.town.rules import MOTIONS, STYLES, TOPICS, Rules
from kinema.sources.town.truth import Clicks, Truth
from kinema.sources.town.world import World, draw_profiles, plan_world
from kinema.steps.clean_vectors import clean_vectors
from kinema.steps.log_world import LOG_COLUMNS, TRAIL_KINDS, log_world, needed_scorer, profile_columns
from kinema.steps.slates import trained_profile_schema
from kinema.steps.truth import Oracle, load_oracle
from kinema.store.exposures import Exposures, exposures_of
from kinema.store.trails import pack_trails
from kinema.tasks.history_click import ClickWorld, by_time

LABEL: Final = EventKind.CLICK.value
WIDTH, NOISE = 64, 0.5


@dataclass(frozen=True)
class Log:
    """A log of a town with slates drawn again behind it.

    Attributes:
        world: Of the project.
        exposures: The log's, then the redrawn ones.
        parts: ``train``, ``valid``, ``shown`` (what is measured) and ``redrawn`` -> rows.
        true_N: float64, probability of a click on each.
        columns: Of the profiles.
    """

    world: ClickWorld
    exposures: Exposures
    parts: Mapping[str, NDArray[np.int64]]
    true_N: NDArray[np.float64]
    columns: tuple[str, ...]


def read(project: Path, town: Path, part: str, *, clean: bool, times: int) -> Log:
    """A project's log, its parts, and the truth."""
    with Project.open(project) as opened:
        dataset = opened.dataset(profile_schema=trained_profile_schema(opened.artifacts / "flm"))
        scorer = needed_scorer(opened.artifacts, dataset, needs_it="the benchmark")
        events = opened.store.events(columns=LOG_COLUMNS)
        shown = exposures_of(events)
        vectors_VD = scorer.item_vectors_VD
        if clean:
            before_ms = int(shown.times_ms_N[parts_of(shown, part)[1][0]])
            vectors_VD = clean_vectors(dataset, artifacts=opened.artifacts, before_ms=before_ms, seed=0)
    oracle = load_oracle(town, dataset)
    assert oracle is not None, "the project must have been made from this town"
    nothing_V = np.zeros(len(dataset.item_ids), np.float32)
    world = log_world(dataset, events, vectors_VD=vectors_VD, popularity_V=nothing_V)
    return _log(world, shown, oracle, part=part, columns=profile_columns(dataset), times=times)


@dataclass(frozen=True)
class Size:
    """Of a town that is planned.

    Attributes:
        users: Who come.
        clips: In all.
        events: Wanted.
        rules: What is planted.
    """

    users: int
    clips: int
    events: int
    rules: Rules


def demo_like() -> Size:
    """As large as the demo's town, by its rules."""
    return Size(2000, 440, 60_000, Rules())


def large(users: int) -> Size:
    """Ten sessions a user, a fifth of the clips published after the training period until the end, and more newcomers.

    In a long log the default town's cold clips, all published at once, have been clicked before validation begins.
    """
    return Size(users, 800, 175 * users, Rules(cold_share=0.2, cold_window=0.95, newcomer_share=0.3))


def planned(size: Size, part: str, *, seed: int, times: int) -> Log:
    """A town's log without clips, and the truth.

    Item vectors are planted: topic, style and motion through a random matrix, with noise of half their length, of unit length
    in the end: what an encoder would give, and nothing that users did.
    """
    rules = size.rules
    world = plan_world(seed=seed, num_clips=size.clips, num_users=size.users, rules=rules)
    durations_V = generator(seed, "benchmark/durations").integers(3000, 6000, world.num_clips)
    events, sessions = simulate(world, rules, seed=seed, num_events=size.events, durations_ms_V=durations_V)
    clicked = events.filter(pl.col("kind") == LABEL)
    clicks = Clicks(*(clicked[name].to_numpy() for name in ("user", "item", "timestamp_ms")))
    ids = [tuple(str(one) for one in range(count)) for count in (world.num_clips, world.num_users)]
    truth = Truth(seed, rules, world, sessions, clicks, ids[0], ids[1])
    oracle = Oracle(truth, np.arange(world.num_clips), np.arange(world.num_users), world.num_clips)
    numbered = events.select(LOG_COLUMNS).cast({"user": pl.Int32, "item": pl.Int32, "position": pl.Int32})
    profiles = pl.DataFrame(draw_profiles(world, rules, seed=seed)).to_dummies(separator="=")
    judged = ClickWorld(
        planted_vectors(world, seed=seed),
        np.zeros(world.num_clips, np.float32),
        world.published_ms_V,
        pack_trails(numbered, kinds=TRAIL_KINDS, num_users=world.num_users),
        profiles.to_numpy().astype(np.float32),
    )
    return _log(judged, exposures_of(numbered), oracle, part=part, columns=tuple(profiles.columns), times=times)


def planted_vectors(world: World, *, seed: int) -> NDArray[np.float32]:
    """float32 [V, D], what is planted in each clip, through a random matrix and with noise."""
    random = generator(seed, "benchmark/vectors")
    kinds = ((world.topics_V, TOPICS), (world.styles_V, STYLES), (world.motions_V, MOTIONS))
    factors = np.concatenate([np.eye(len(names))[numbers_V] for numbers_V, names in kinds], axis=1)
    seen_VD = factors @ (random.normal(size=(factors.shape[1], WIDTH)) / np.sqrt(WIDTH))
    seen_VD += NOISE * np.linalg.norm(seen_VD, axis=1).mean() / np.sqrt(WIDTH) * random.normal(size=seen_VD.shape)
    return (seen_VD / np.linalg.norm(seen_VD, axis=1, keepdims=True)).astype(np.float32)


def _log(
    world: ClickWorld, shown: Exposures, oracle: Oracle, *, part: str, columns: tuple[str, ...], times: int
) -> Log:
    """Parts of the log, with slates drawn again behind it."""
    train, valid, asked = parts_of(shown, part)
    exposures, true_N = _with_redrawn(shown, asked, oracle, len(world.vectors_VD), times)
    rows = {"train": train, "valid": valid, "shown": asked, "redrawn": np.arange(len(shown), len(exposures))}
    return Log(world, exposures, rows, true_N, columns)


def parts_of(shown: Exposures, part: str) -> tuple[NDArray[np.int64], ...]:
    """Rows that train, that choose, and that are measured: the newest tenth, or everything one tenth earlier."""
    return by_time(shown, (0.8, 0.1) if part == "test" else (0.7, 0.1, 0.1))[:3]


def _with_redrawn(
    shown: Exposures, asked: NDArray[np.int64], oracle: Oracle, num_items: int, times: int
) -> tuple[Exposures, NDArray[np.float64]]:
    """The log's exposures and the redrawn ones of the asked rows' moments, with their true probabilities."""
    clips_V = np.full(num_items, -1)
    clips_V[oracle.columns_W] = np.arange(len(oracle.columns_W))
    true_N = shown_click_probs(
        oracle.truth,
        users_N=oracle.users_U[shown.users_N],
        items_N=clips_V[shown.items_N],
        times_ms_N=shown.times_ms_N,
        positions_N=shown.positions_N,
    )
    users_C, times_C = np.unique(np.stack([shown.users_N[asked], shown.times_ms_N[asked]]), axis=1)
    more = redraw_slates(oracle.truth, users_C=oracle.users_U[users_C], times_ms_C=times_C, times=times, seed=1)
    size = len(more.items_N)
    both = [
        (shown.users_N, users_C[more.moments_N].astype(np.int32)),
        (shown.items_N, oracle.columns_W[more.items_N].astype(np.int32)),
        (shown.times_ms_N, times_C[more.moments_N]),
        (shown.positions_N, more.positions_N.astype(np.int32)),
        (shown.propensities_N, np.full(size, np.nan, dtype=np.float32)),
    ]
    clicked_N = np.concatenate([shown.outcomes[LABEL], np.zeros(size, dtype=bool)])
    watched_N = np.concatenate([shown.watch_ms_N, np.zeros(size, dtype=np.int64)])
    joined = Exposures(*(np.concatenate(one) for one in both), {LABEL: clicked_N}, watched_N)
    return joined, np.concatenate([true_N, more.click_probs_N])
