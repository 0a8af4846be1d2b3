"""The model asked about some items says what it says of them when it is asked about all."""

import numpy as np
import pytest
from scipy import sparse

from kinema.flm.config import FLMConfig
from kinema.flm.memory import ItemMemory
from kinema.flm.mixture import Mixture
from kinema.flm.network import FLMNetwork
from kinema.flm.scorer import Scorer
from kinema.retrieval.content import unit_rows
from kinema.store.histories import Histories

NUM_ITEMS, WIDTH = 60, 16
NEURAL = ("sequential", "collaborative", "content")
MIXES = [
    ("sequential",),
    ("collaborative", "memory"),
    (*NEURAL, "imputed_memory", "popularity"),
    ("content", "memory", "imputed_memory"),
    ("popularity",),
]


def scorer(rng, branches, *, cold_ratios, with_blank):
    """Random vectors and counts; the last items are cold, the very last ones blank where wanted."""
    vectors, content = (unit_rows(rng.normal(size=(NUM_ITEMS, WIDTH))) for _ in range(2))
    counts = rng.integers(1, 9, NUM_ITEMS)
    counts[-12:] = 0
    if with_blank:
        vectors[-4:] = content[-4:] = 0
    lists = [rng.choice(NUM_ITEMS - 12, 7, replace=False).tolist() for _ in range(30)]
    memory = ItemMemory.fit(Histories.from_lists(lists, NUM_ITEMS))
    memory.update(lists[0][:3], int(lists[1][0]))
    weights = Mixture.from_weights(dict.fromkeys(branches, 1.0)).scaled(rng.uniform(0.2, 2, len(branches)))
    slopes = rng.normal(size=len(branches)) * 0.1
    ratios = rng.uniform(0.3, 2, len(branches)) if cold_ratios else np.zeros(0)
    mixture = Mixture(branches, weights.offsets_A, slopes, weights.scales_A, ratios, 0.3 if cold_ratios else 0.0)
    config = FLMConfig(d_model=WIDTH, max_length=8)
    network = FLMNetwork.reading({}, config, num_items=NUM_ITEMS, profile_width=0).eval()
    borrowed = sparse.random(NUM_ITEMS, NUM_ITEMS, 0.1, "csr", np.float32, random_state=1)
    return Scorer(
        network,
        mixture=mixture,
        memory=memory,
        item_vectors_VD=vectors,
        content_vectors_VD=content,
        content_VD={},
        content_joint_VD=content,
        counts_V=counts,
        popularity_V=counts.astype(np.float32),
        prior_V=np.log1p(counts).astype(np.float32),
        smoothing_VV=(sparse.eye(NUM_ITEMS) * 0.5 + borrowed).tocsr().astype(np.float32),
        bias_V=rng.normal(size=NUM_ITEMS).astype(np.float32),
        temperature=0.07,
        max_length=8,
    )


@pytest.mark.parametrize("branches", MIXES, ids="+".join)
@pytest.mark.parametrize(("cold_ratios", "with_blank"), [(False, False), (True, False), (True, True)])
def test_some_items_score_as_among_all(branches, cold_ratios, with_blank):
    rng = np.random.default_rng(len(branches))
    model = scorer(rng, branches, cold_ratios=cold_ratios, with_blank=with_blank)
    for length in (0, 1, 5, 30):
        history = Histories.from_lists([rng.choice(NUM_ITEMS, length, replace=False).tolist()], NUM_ITEMS)
        whole = model.score(history)[0]
        for items in (np.arange(NUM_ITEMS), rng.permutation(NUM_ITEMS)[:9], np.zeros(0, dtype=np.int64)):
            np.testing.assert_allclose(model.read(history).scores_of(items), whole[items], rtol=1e-5, atol=2e-5)


def test_what_nothing_is_known_of_comes_last_whoever_asks():
    model = scorer(np.random.default_rng(0), MIXES[2], cold_ratios=True, with_blank=True)
    for item in range(5):
        scores = model.score(Histories.from_lists([[item, item + 5]], NUM_ITEMS))[0]
        assert scores[-4:].max() < scores[:-4].min()


@pytest.mark.parametrize("num_items", [60, 6000])
def test_a_memory_names_what_it_connects_in_a_small_and_in_a_large_catalogue(num_items):
    rng = np.random.default_rng(3)
    lists = [rng.choice(60, 5, replace=False).tolist() for _ in range(8)]
    memory = ItemMemory.fit(Histories.from_lists(lists, num_items))
    asked = Histories.from_lists([lists[0], []], num_items)
    for _ in range(2):  # what was lent came back clean
        for row in range(2):
            dense = memory.scores(asked)[row]
            items, scores = memory.connected(asked.of(row))
            assert items.tolist() == np.flatnonzero(dense).tolist()
            np.testing.assert_allclose(scores, dense[items], rtol=1e-5)
            np.testing.assert_allclose(memory.scores_of(asked.of(row), items), scores, rtol=1e-6)
