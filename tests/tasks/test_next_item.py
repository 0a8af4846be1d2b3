"""Next item as a task: windows, the loss, and what belongs to the items alone."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from kinema.errors import DataError
from kinema.flm.config import FLMConfig
from kinema.flm.draws import Draws
from kinema.flm.fusion import ItemContent
from kinema.flm.network import FLMNetwork
from kinema.store.histories import Histories
from kinema.tasks.next_item import NextItem, NextNetwork, whole_windows
from kinema.tasks.pretraining import PretrainingTask

CONFIG = FLMConfig(d_model=8, num_blocks=1, num_heads=1, max_length=3, use_content=False, dropout=0.5)


def made(lists, *, num_items=6, config=CONFIG):
    torch.manual_seed(0)
    network = NextNetwork(
        FLMNetwork(config, num_items=num_items, modality_widths={}, profile_width=0), num_items=num_items
    )
    task = PretrainingTask(
        config,
        content=ItemContent.empty(num_items),
        profiles_UP=None,
        warm_V=torch.ones(num_items, dtype=torch.bool),
        neighbours_VJ=torch.zeros(num_items, 1, dtype=torch.int64),
        neighbour_weights_VJ=torch.zeros(num_items, 1),
    )
    histories = Histories.from_lists(lists, num_items)
    looks = {"with_memory": 0.5, "sequential": 0.25}
    return NextItem(network, task, histories, looks=lambda _: looks, config=config)


@given(st.lists(st.integers(0, 9), max_size=6), st.integers(1, 5))
def test_windows_cover_each_interaction_once_and_only_the_oldest_is_short(lengths, most):
    histories = Histories.from_lists([[0] * one for one in lengths], num_items=1)
    starts, sizes, users = whole_windows(histories, max_length=most)
    covered = sorted(place for start, size in zip(starts, sizes, strict=True) for place in range(start, start + size))
    assert covered == list(range(len(histories.items)))
    assert (sizes <= most).all()
    assert (sizes == np.minimum(most, histories.lengths[users])).sum() >= np.count_nonzero(lengths)


def test_the_loss_is_that_of_a_softmax_over_all_items():
    learner = made([[0, 1, 2], [3, 4]])
    flm = learner.network.flm.eval()
    found = learner.loss(np.array([0, 1]), None)
    vectors = functional.normalize(flm.tower.ids_VD, dim=1)
    expected = []
    for history in ([0, 1, 2], [3, 4]):
        states = flm.encoder(vectors[history[:-1]].unsqueeze(0), None)[0]
        logits = states @ vectors.T / CONFIG.temperature + flm.tower.bias_V
        expected += functional.cross_entropy(logits, torch.tensor(history), reduction="none").tolist()
    assert found.item() == pytest.approx(np.mean(expected), rel=1e-4)


def test_drawn_negatives_follow_from_the_examples_alone():
    config = CONFIG.with_changes(full_softmax_items=1, num_negatives=2)
    learner = made([[0, 1, 2], [3, 4], [5, 1]], config=config)
    rows = np.array([0, 2])
    one, other = (learner.loss(rows, Draws(1)).item() for _ in range(2))
    assert one == other != learner.loss(np.array([0, 1]), Draws(1)).item()


def test_items_that_the_network_does_not_know_start_at_zero():
    flm = FLMNetwork(CONFIG, num_items=2, modality_widths={}, profile_width=0)
    known = flm.tower.ids_VD.detach().clone()
    network = NextNetwork(flm, num_items=3)
    assert network.own.ids_VD is flm.tower.ids_VD
    torch.testing.assert_close(flm.tower.ids_VD[:2], known)
    assert not flm.tower.ids_VD[2].any()
    assert [name for name, _ in network.named_parameters()][:2] == ["own.ids_VD", "own.bias_V"]


def test_items_without_content_start_at_random_for_nothing_else_would_give_them_a_direction():
    flm = FLMNetwork(CONFIG, num_items=1, modality_widths={}, profile_width=0)
    one, other = (NextNetwork(copy.deepcopy(flm), num_items=3, blank_V=np.array([True, False, True])) for _ in range(2))
    assert not one.own.ids_VD[1].any()
    assert one.own.ids_VD[2].any()
    torch.testing.assert_close(one.own.ids_VD, other.own.ids_VD)


def test_validation_decides_by_what_slates_are_made_of():
    learner = made([[0, 1]])
    assert learner.validate() == {"ndcg": 0.5, "sequential": 0.25}
    assert learner.embeddings() == (learner.network.own.ids_VD,)


def test_a_log_without_histories_is_refused():
    with pytest.raises(DataError, match="next item must have histories to learn from, has none"):
        made([[], []])
