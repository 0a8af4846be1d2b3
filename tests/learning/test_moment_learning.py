"""Can the taste of one short moment be learnt? Yes by attention over tokens, hardly by their mean."""

import numpy as np
import pytest
import torch

from kinema.errors import ConfigError
from kinema.flm.config import FLMConfig
from kinema.store.features import ModalityFeatures
from kinema.store.splits import leave_one_out
from kinema.testing.moments import moment_world
from kinema.training.loop import pretrain

CONFIG = FLMConfig(
    d_model=16, num_blocks=1, max_length=10, max_epochs=8, evaluate_every=2, learning_rate=1e-2, warmup_steps=5
)


@pytest.fixture(scope="module")
def world():
    torch.set_num_threads(1)
    return moment_world(seed=1)


def flm_quality(world, vectors_VD):
    everywhere = np.ones(len(vectors_VD), dtype=bool)
    features = {"frames": ModalityFeatures("frames", vectors_VD, everywhere, everywhere.astype(np.float32), "planted")}
    split = leave_one_out(world.histories)
    model = pretrain(
        train=split.train,
        valid=split.valid,
        features=features,
        profiles=None,
        item_ids=[f"v{item}" for item in range(len(vectors_VD))],
        config=CONFIG,
        seed=1,
    )
    return world.order_quality(model.serve(features, len(vectors_VD)).score(split.test.histories))


def attended(world):
    """Vectors [V, D] of a single learned query, taught by nothing but which items the same people watched."""
    torch.manual_seed(0)
    tokens_VTD, is_token_VT = (torch.as_tensor(part) for part in world.padded())
    query = torch.nn.Linear(tokens_VTD.shape[2], 1)
    outward = torch.nn.Linear(tokens_VTD.shape[2], tokens_VTD.shape[2], bias=False)
    optimizer = torch.optim.Adam([*query.parameters(), *outward.parameters()], lr=0.05)
    histories = world.histories
    pairs = torch.as_tensor(
        np.stack([histories.of(user)[[0, -1]] for user in range(histories.num_users)]), dtype=torch.int64
    )

    def pooled():
        weights_VT = query(tokens_VTD)[..., 0].masked_fill(~is_token_VT, -torch.inf).softmax(dim=1)
        return (weights_VT[:, None, :] @ tokens_VTD)[:, 0]

    for _ in range(150):
        vectors_VD = torch.nn.functional.normalize(outward(pooled()), dim=1)
        loss = torch.nn.functional.cross_entropy(
            vectors_VD[pairs[:, 0]] @ vectors_VD[~torch.as_tensor(world.cold_V)].T / 0.2, pairs[:, 1]
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return pooled().detach().numpy()


def test_the_mean_drowns_the_moment_and_the_moment_alone_carries_the_taste_to_cold_items(world):
    by_mean, by_oracle = (flm_quality(world, vectors) for vectors in (world.pooled_by_mean(), world.pooled_by_oracle()))
    assert by_oracle > 0.9
    assert by_mean < 0.75
    assert by_oracle > by_mean + 0.2


def test_a_query_learnt_from_the_log_finds_the_moment(world):
    vectors_VD = attended(world)
    own = np.linalg.norm(vectors_VD - world.pooled_by_oracle(), axis=1)
    drowned = np.linalg.norm(world.pooled_by_mean() - world.pooled_by_oracle(), axis=1)
    assert np.median(own) < 0.3 * np.median(drowned)
    assert flm_quality(world, vectors_VD) > 0.9


def test_without_a_mark_the_moment_cannot_be_told_from_stock():
    world = moment_world(mark=0.0, noise=0.0)
    stock = {tuple(np.round(token_D, 4)) for one in world.tokens for token_D in one.tokens_TD}
    assert len(stock) == 4


def test_tokens_are_ragged_and_padding_holds_them_all(world):
    tokens_VTD, is_token_VT = world.padded()
    lengths = is_token_VT.sum(axis=1)
    assert lengths.min() < lengths.max() == tokens_VTD.shape[1]
    assert (world.moments_V < lengths).all()
    assert np.array_equal(tokens_VTD[3][is_token_VT[3]], world.tokens[3].tokens_TD)
    assert not tokens_VTD[~is_token_VT].any()


def test_users_watch_what_they_like_and_nobody_watches_cold_items(world):
    users_N = np.repeat(np.arange(world.histories.num_users), world.histories.lengths)
    assert not world.cold_V[world.histories.items].any()
    assert 0.8 < (world.looks_V[world.histories.items] == world.liked_U[users_N]).mean() < 0.97
    perfect_UV = world.looks_V == world.liked_U[:, None]
    assert world.order_quality(perfect_UV.astype(float)) == 1.0


def test_tokens_that_are_too_narrow_are_an_error():
    with pytest.raises(
        ConfigError, match=r"width > num_looks and 2 <= fewest_tokens <= most_tokens, got 4, 4, 8 and 16"
    ):
        moment_world(width=4)
