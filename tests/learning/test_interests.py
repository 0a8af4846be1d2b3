"""People with several interests and several aversions: attention to the item in question tells them apart, the mean of a history cannot."""

import numpy as np
import polars as pl
import pytest

from kinema.schema import EventKind
from kinema.store.exposures import exposures_of
from kinema.store.trails import pack_trails
from kinema.tasks.history_click import ClickWorld, HistoryClick, by_time
from kinema.tasks.target_attention import HistoryClickConfig
from kinema.training.fitting import FitOptions, fit

NUM_TOPICS, NUM_ITEMS, NUM_USERS, SHOWN = 12, 240, 300, 24


@pytest.fixture(scope="module", name="interests")
def made_interests():
    """Everybody likes three topics, cannot stand three, and is shown these six only: clicks on some, skips of the others."""
    random = np.random.default_rng(0)
    topics_V = np.arange(NUM_ITEMS) % NUM_TOPICS
    vectors_VD = (np.eye(NUM_TOPICS)[topics_V] + 0.1 * random.normal(size=(NUM_ITEMS, NUM_TOPICS))).astype(np.float32)
    rows = []
    for user in range(NUM_USERS):
        mine = random.permutation(NUM_TOPICS)[:6]
        for step in range(SHOWN):
            topic = int(random.choice(mine))
            item, moment = int(random.choice(np.flatnonzero(topics_V == topic))), 1_000_000 * step + user
            rows.append((user, item, moment, "impression"))
            likes = topic in mine[:3]
            rows.append((user, item, moment + 10, "click" if likes == (random.random() < 0.95) else "skip"))
    schema = {"user": pl.Int32, "item": pl.Int32, "timestamp_ms": pl.Int64, "kind": pl.String}
    events = pl.DataFrame(rows, schema=schema, orient="row").with_columns(
        watch_ms=pl.lit(None, dtype=pl.Int64),
        position=pl.lit(None, dtype=pl.Int32),
        propensity=pl.lit(None, dtype=pl.Float64),
    )
    trails = pack_trails(events, kinds=[EventKind.CLICK, EventKind.SKIP], num_users=NUM_USERS)
    world = ClickWorld(
        vectors_VD,
        np.zeros(NUM_ITEMS, dtype=np.float32),
        np.full(NUM_ITEMS, np.iinfo(np.int64).min),
        trails,
    )
    return world, exposures_of(events)


def test_attention_tells_interests_from_aversions_where_the_mean_cannot(interests):
    world, exposures = interests
    train, valid, test = by_time(exposures, (0.7, 0.15))
    found = {}
    for pooling in ("target", "mean"):
        config = HistoryClickConfig(width=32, max_length=SHOWN, pooling=pooling, hidden=(32,), cross_layers=1)
        task = HistoryClick(world, exposures, label="click", train=train, valid=valid, config=config, seed=0)
        fit(task, FitOptions("auc", batch_size=128, learning_rate=5e-3, max_epochs=6, patience=6))
        found[pooling] = task.measure(test)["auc"]
    assert found["target"] > 0.8
    assert found["target"] > found["mean"] + 0.1
