import math

import numpy as np
import pytest
import torch
import torchmetrics.functional.retrieval as functional
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import DataError
from kinema.metrics.ranking import (
    METRICS,
    average_precision,
    case_metrics,
    hit_rate,
    ndcg,
    precision,
    recall,
    reciprocal_rank,
)
from kinema.metrics.ranks import target_ranks

RANKS = st.lists(st.lists(st.integers(1, 40), min_size=1, max_size=6, unique=True), min_size=1, max_size=5)


def packed(lists):
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])])
    return np.concatenate(lists), offsets


def test_a_case_worked_by_hand_has_its_values():
    ranks, offsets = packed([[2, 5, 30]])
    values = {name: float(value[0]) for name, value in case_metrics(ranks, offsets, ks=(5,)).items()}
    ideal = 1 + 1 / math.log2(3) + 1 / math.log2(4)
    assert values == pytest.approx(
        {
            "ndcg@5": (1 / math.log2(3) + 1 / math.log2(6)) / ideal,
            "recall@5": 2 / 3,
            "mrr@5": 1 / 2,
            "map@5": (1 / 2 + 2 / 5) / 3,
            "hit_rate@5": 1.0,
            "precision@5": 2 / 5,
        }
    )


@pytest.mark.parametrize("k", [1, 3, 10])
def test_values_agree_with_torchmetrics_on_random_rankings(k):
    random = np.random.default_rng(k)
    for _ in range(25):
        num_items, num_targets = 30, int(random.integers(1, 6))
        scores = random.permutation(num_items).astype(np.float32)[None] + 1
        items = random.choice(num_items, num_targets, replace=False)
        ranks = target_ranks(scores, rows_T=np.zeros(num_targets, dtype=int), items_T=items)
        ours = {
            name: float(value[0]) for name, value in case_metrics(ranks, np.array([0, num_targets]), ks=(k,)).items()
        }
        relevant = torch.zeros(num_items, dtype=torch.bool)
        relevant[torch.from_numpy(items)] = True
        asked = (torch.from_numpy(scores[0]), relevant)
        hits = int((ranks <= k).sum())
        theirs = {
            f"ndcg@{k}": functional.retrieval_normalized_dcg(*asked, top_k=k),
            f"recall@{k}": functional.retrieval_recall(*asked, top_k=k),
            f"mrr@{k}": functional.retrieval_reciprocal_rank(*asked, top_k=k),
            # torchmetrics takes the mean over the targets found, we over all that could have been.
            f"map@{k}": functional.retrieval_average_precision(*asked, top_k=k) * hits / min(k, num_targets),
            f"hit_rate@{k}": functional.retrieval_hit_rate(*asked, top_k=k),
            f"precision@{k}": functional.retrieval_precision(*asked, top_k=k),
        }
        assert ours == pytest.approx({name: float(value) for name, value in theirs.items()}, abs=1e-6)


@given(RANKS, st.integers(1, 45))
def test_every_metric_lies_between_zero_and_one(lists, k):
    for value in case_metrics(*packed(lists), ks=(k,)).values():
        assert (value >= 0).all()
        assert (value <= 1 + 1e-12).all()


@given(RANKS, st.integers(1, 40))
def test_a_longer_list_never_lowers_recall_hit_rate_or_reciprocal_rank(lists, k):
    ranks, offsets = packed(lists)
    for metric in (recall, hit_rate, reciprocal_rank):
        assert (metric(ranks, offsets, k=k + 1) >= metric(ranks, offsets, k=k)).all()


@given(RANKS, st.integers(1, 45))
def test_a_case_has_the_same_values_whatever_stands_around_it(lists, k):
    together = case_metrics(*packed(lists), ks=(k,))
    for place, one in enumerate(lists):
        alone = case_metrics(*packed([one]), ks=(k,))
        assert {name: value[place] for name, value in together.items()} == pytest.approx(
            {name: value[0] for name, value in alone.items()}
        )


@given(st.integers(1, 8), st.integers(1, 12))
def test_targets_in_front_are_perfect(num_targets, k):
    ranks, offsets = np.arange(1, num_targets + 1)[::-1], np.array([0, num_targets])
    for metric in (ndcg, average_precision, reciprocal_rank, hit_rate):
        assert metric(ranks, offsets, k=k)[0] == pytest.approx(1.0)
    assert recall(ranks, offsets, k=k)[0] == pytest.approx(min(k, num_targets) / num_targets)
    assert precision(ranks, offsets, k=k)[0] == pytest.approx(min(k, num_targets) / k)


@given(st.integers(1, 40), st.integers(1, 20))
def test_with_one_target_recall_is_hit_rate_and_map_is_mrr(rank, k):
    asked = (np.array([rank]), np.array([0, 1]))
    assert recall(*asked, k=k) == hit_rate(*asked, k=k)
    assert average_precision(*asked, k=k) == reciprocal_rank(*asked, k=k)


def test_names_come_in_the_order_of_reports():
    assert list(case_metrics(np.array([1]), np.array([0, 1]), ks=(5,))) == [f"{name}@5" for name in METRICS]


def test_undefined_questions_are_refused():
    with pytest.raises(DataError, match="k must be >= 1, is 0"):
        recall(np.array([1]), np.array([0, 1]), k=0)
    with pytest.raises(DataError, match="case 1 has none"):
        recall(np.array([1, 2]), np.array([0, 1, 1, 2]), k=5)
    with pytest.raises(DataError, match="ranks must be >= 1, got 0"):
        recall(np.array([0]), np.array([0, 1]), k=5)
    with pytest.raises(DataError, match="offsets must run from 0 to the number of ranks 2"):
        recall(np.array([1, 2]), np.array([0, 1]), k=5)
