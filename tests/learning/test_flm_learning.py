"""Does the model learn what it is meant to? Tiny worlds in which the right answer is planted."""

import numpy as np
import pytest

from kinema.flm.config import FLMConfig
from kinema.store.features import ModalityFeatures
from kinema.store.histories import Histories
from kinema.store.splits import leave_one_out
from kinema.training.loop import pretrain

pytestmark = pytest.mark.usefixtures("one_thread")

NUM_SUBJECTS, NUM_WARM, NUM_COLD, NUM_USERS = 4, 48, 40, 120
NUM_ITEMS = NUM_WARM + NUM_COLD
SUBJECTS = np.arange(NUM_ITEMS) % NUM_SUBJECTS
MODALITIES = ("text", "frames", "motion")
CONFIG = FLMConfig(
    d_model=16, num_blocks=1, max_length=10, max_epochs=8, evaluate_every=2, learning_rate=1e-2, warmup_steps=5
)


@pytest.fixture(scope="module")
def log():
    """Every user watches warm items of one subject; nobody has watched the cold ones."""
    random = np.random.default_rng(0)
    warm = [np.flatnonzero(SUBJECTS[:NUM_WARM] == subject) for subject in range(NUM_SUBJECTS)]
    return Histories.from_lists(
        [random.permutation(warm[user % NUM_SUBJECTS])[:7].tolist() for user in range(NUM_USERS)], NUM_ITEMS
    )


def modality(name, *, tells):
    """Features that tell an item's subject, or nothing at all."""
    random = np.random.default_rng(MODALITIES.index(name) + 1)
    vectors = 0.5 * random.normal(size=(NUM_ITEMS, 12))
    directions = random.normal(size=(NUM_SUBJECTS, 12))
    if tells:
        vectors += directions[SUBJECTS]
    everywhere = np.ones(NUM_ITEMS, dtype=bool)
    return ModalityFeatures(name, vectors.astype(np.float32), everywhere, everywhere.astype(np.float32), "planted")


def served(log, features):
    split = leave_one_out(log)
    model = pretrain(
        train=split.train,
        valid=split.valid,
        features=features,
        profiles=None,
        item_ids=[f"v{item}" for item in range(NUM_ITEMS)],
        config=CONFIG,
        seed=1,
    )
    return model.serve(features, NUM_ITEMS), split.test.histories


def order_quality(scores_CV, columns):
    """How often an item of the user's subject is put before one of another; a tie is half. Chance is .5."""
    found = []
    for case, scores_V in enumerate(scores_CV):
        own = SUBJECTS[columns] == case % NUM_SUBJECTS
        gaps = scores_V[columns][own][:, None] - scores_V[columns][~own]
        found.append(np.mean((gaps > 0) + 0.5 * (gaps == 0)))
    return float(np.mean(found))


COLD, WARM = np.arange(NUM_WARM, NUM_ITEMS), np.arange(NUM_WARM)


@pytest.fixture(scope="module")
def by_ids_alone(log):
    scorer, histories = served(log, {})
    return scorer.score(histories)


def test_without_content_taste_is_learned_on_warm_items_and_cold_ones_are_left_to_chance(by_ids_alone):
    assert order_quality(by_ids_alone, WARM) > 0.85
    assert order_quality(by_ids_alone, COLD) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("name", MODALITIES)
def test_each_modality_alone_carries_the_taste_to_items_that_nobody_watched(log, by_ids_alone, name):
    features = {one: modality(one, tells=one == name) for one in MODALITIES}
    scorer, histories = served(log, {name: features[name]})
    scores = scorer.score(histories)
    assert order_quality(scores, COLD) > max(0.75, order_quality(by_ids_alone, COLD) + 0.2)
    assert order_quality(scores, WARM) > 0.85


def test_a_modality_that_tells_is_heard_beside_two_that_do_not(log):
    scorer, histories = served(log, {one: modality(one, tells=one == "frames") for one in MODALITIES})
    scores = scorer.score(histories)
    assert order_quality(scores, COLD) > 0.65
    assert order_quality(scores, WARM) > 0.85


def test_random_content_brings_cold_items_to_chance_and_leaves_warm_ones_alone(log):
    scorer, histories = served(log, {"text": modality("text", tells=False)})
    scores = scorer.score(histories)
    assert order_quality(scores, COLD) == pytest.approx(0.5, abs=0.15)
    assert order_quality(scores, WARM) > 0.85


def test_the_order_of_watching_is_learned_by_the_sequential_branch():
    """Items form a ring and everybody walks along it; the next item follows from the last one only."""
    ring = 20
    random = np.random.default_rng(2)
    walks = [((int(start) + np.arange(7)) % ring).tolist() for start in random.integers(0, ring, 240)]
    model = pretrain(
        train=Histories.from_lists(walks, ring),
        valid=None,
        features={},
        profiles=None,
        item_ids=[f"v{item}" for item in range(ring)],
        config=CONFIG.with_changes(max_epochs=30),
        seed=0,
    )
    asked = [[(start + step) % ring for step in range(5)] for start in range(ring)]
    scores = model.serve({}, ring).score(Histories.from_lists(asked, ring), branch="sequential")
    assert np.mean(scores.argmax(axis=1) == (np.arange(ring) + 5) % ring) >= 0.8
