"""Several threads add up the gradients of indexed rows; the sums must not depend on which one is first."""

import numpy as np
import pytest
import torch

import kinema.training.loop as training_loop
from kinema.flm.config import FLMConfig
from kinema.store.features import ModalityFeatures
from kinema.store.histories import Histories

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


def test_two_threads_give_the_same_bits_every_time(two_threads):
    assert bits() == bits() == bits()


def test_training_leaves_the_callers_choice_of_algorithms_alone():
    with training_loop.repeatable():
        assert torch.are_deterministic_algorithms_enabled()
    assert not torch.are_deterministic_algorithms_enabled()
