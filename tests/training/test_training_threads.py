"""Pieces of a step run side by side; the sums must not depend on how many threads there are or which is first."""

import numpy as np
import pytest
import torch
from torch.utils import deterministic

import kinema.training.loop as training_loop
from kinema.flm.config import FLMConfig
from kinema.store.features import ModalityFeatures
from kinema.store.histories import Histories
from kinema.training.repeatable import repeatable

NUM_ITEMS, NUM_USERS = 300, 400


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def bits():
    random = np.random.default_rng(0)
    lists = [random.choice(NUM_ITEMS, 12, replace=False).tolist() for _ in range(NUM_USERS)]
    vectors = random.normal(size=(NUM_ITEMS, 32)).astype(np.float32)
    everywhere = np.ones(NUM_ITEMS, dtype=bool)
    model = training_loop.pretrain(
        train=Histories.from_lists(lists, NUM_ITEMS),
        valid=None,
        features={"text": ModalityFeatures("text", vectors, everywhere, everywhere.astype(np.float32))},
        profiles=None,
        item_ids=[f"v{item}" for item in range(NUM_ITEMS)],
        config=FLMConfig(num_blocks=1, max_length=20, max_epochs=2),
        seed=1,
    )
    return b"".join(value.numpy().tobytes() for value in model.network.state_dict().values())


def test_the_number_of_threads_changes_no_bit(two_threads):
    with_two = bits()
    assert bits() == with_two
    torch.set_num_threads(1)
    assert bits() == with_two


def test_training_leaves_the_callers_number_of_threads_alone(two_threads):
    bits()
    assert torch.get_num_threads() == 2


def test_the_callers_choice_of_algorithms_is_restored():
    assert deterministic.fill_uninitialized_memory
    with repeatable():
        assert torch.are_deterministic_algorithms_enabled()
        assert not deterministic.fill_uninitialized_memory
    assert not torch.are_deterministic_algorithms_enabled()
    assert deterministic.fill_uninitialized_memory
