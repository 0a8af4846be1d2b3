import numpy as np
import pytest
import torch

from kinema.training.negatives import draw_negatives


def drawn(step=0, **changes):
    given = {"num_items": 50, "num_negatives": 20, "seed": 1, "epoch": 0, "step": step} | changes
    return draw_negatives(**given)


def test_uniform_negatives_are_different_items_and_need_no_correction():
    found = drawn()
    assert len(found.items_K.unique()) == 20
    assert found.log_rate_K is None


def test_the_draw_follows_from_seed_epoch_and_step_alone():
    assert torch.equal(drawn().items_K, drawn().items_K)
    assert not torch.equal(drawn().items_K, drawn(step=1).items_K)
    assert not torch.equal(drawn().items_K, drawn(epoch=1).items_K)


def test_popular_items_are_drawn_at_the_rate_that_is_told():
    chances = np.arange(1, 51) / np.arange(1, 51).sum()
    counts, rates = np.zeros(50), np.zeros(50)
    for step in range(3000):
        found = drawn(step, popular_share=0.3, chances_V=chances)
        counts[found.items_K.numpy()] += 1
        rates[found.items_K.numpy()] = found.log_rate_K.exp().numpy()
        assert len(found.items_K.unique()) == len(found.items_K) <= 20
    assert counts[40:].mean() > counts[:10].mean()
    assert counts / 3000 == pytest.approx(rates, abs=0.04)


def test_items_without_popularity_are_drawn_uniformly_only():
    chances = np.zeros(50)
    chances[:3] = 1 / 3
    found = drawn(popular_share=0.5, chances_V=chances)
    assert {0, 1, 2} <= set(found.items_K.tolist())
