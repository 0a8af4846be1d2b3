"""What users like lasts for one moment of a clip, between others that look alike: attention finds it, the mean does not."""

import numpy as np
import pytest

from kinema.flm.config import FLMConfig
from kinema.flm.model import FLM
from kinema.store.features import HeldTokens, ModalityFeatures
from kinema.store.splits import leave_one_out
from kinema.store.tokens import RaggedTokens
from kinema.testing.moments import moment_world
from kinema.training.loop import pretrain

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module", name="world")
def made_world():
    return moment_world(num_warm=160, num_users=400, seed=4)


def features(world):
    lengths = [len(one.tokens_TD) for one in world.tokens]
    tokens = HeldTokens(
        RaggedTokens(
            np.concatenate([one.tokens_TD for one in world.tokens]).astype(np.float16),
            np.concatenate([one.times_ms_T for one in world.tokens]),
            np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
            np.ones(len(lengths), dtype=np.float32),
        )
    )
    there = np.ones(len(lengths), dtype=bool)
    return {"frames": ModalityFeatures("frames", world.pooled_by_mean(), there, there.astype(np.float32), "e", tokens)}


def learn(world, told, **changes):
    split = leave_one_out(world.histories)
    config = FLMConfig(
        d_model=32, num_blocks=1, learning_rate=6e-3, max_epochs=20, batch_tokens=256, temperature=0.1, **changes
    )
    return pretrain(
        train=split.train,
        valid=split.valid,
        features=told,
        profiles=None,
        item_ids=[str(item) for item in range(len(world.tokens))],
        config=config,
        seed=0,
    )


def told_apart(model, world, told):
    scorer = model.serve(told, len(world.tokens))
    return world.order_quality(scorer.score(world.histories))


def test_attention_finds_the_moment_that_the_mean_drowns(world, tmp_path):
    told = features(world)
    attentive, plain = learn(world, told), learn(world, told, use_moments=False)
    assert attentive.liken.weights["frames"].learnt > 0
    assert plain.liken is None
    quality = told_apart(attentive, world, told)
    assert quality > told_apart(plain, world, told) + 0.15
    assert quality > 0.7
    attentive.save(tmp_path / "flm")
    assert told_apart(FLM.load(tmp_path / "flm"), world, told) == pytest.approx(quality)


def test_moments_in_random_order_of_items_teach_nothing_and_are_left_out(world):
    told = features(world)
    one = told["frames"]
    mixed = np.random.default_rng(0).permutation(len(world.tokens))
    tokens = HeldTokens(one.tokens.get(mixed))
    wrong = {"frames": ModalityFeatures("frames", one.vectors_VD, one.present_V, one.quality_V, "e", tokens)}
    assert learn(world, wrong).liken is None
