"""Does what was learnt on one catalogue help on another? Two planted ones, described by the same encoder."""

import numpy as np
import pytest
import torch

from kinema.flm.config import FLMConfig
from kinema.store.splits import blocked_items, leave_one_out
from kinema.training.loop import pretrain
from kinema.training.transfer import bind_source, count_log, stood_in_by_content
from kinema.training.validation import ndcg
from two_catalogues import Catalogue

CONFIG = FLMConfig(
    d_model=32,
    num_blocks=1,
    num_heads=1,
    max_length=10,
    max_epochs=20,
    evaluate_every=5,
    learning_rate=5e-3,
    warmup_steps=5,
    weight_content=1.0,
    use_memory=False,
)
SEEDS = (1, 2)


class World:
    """A source trained on a long log, and a small catalogue with 300 events."""

    def __init__(self, seed):
        there = Catalogue(10 + seed, items=400, users=480, events=10)
        split = leave_one_out(there.log)
        self.source = pretrain(
            train=split.train,
            valid=split.valid,
            features={"text": there.modality()},
            profiles=None,
            item_ids=there.ids,
            config=CONFIG,
            seed=seed,
        )
        self.seed = seed
        self.here = Catalogue(20 + seed, items=150, users=60, events=6)
        self.features = {"text": self.here.modality()}
        self.split = leave_one_out(self.here.log)
        self.asked = self.split.test.histories

    def after(self, epochs, source):
        """Scores after a short training on the small log, from a source or from nothing."""
        config = CONFIG.with_changes(max_epochs=epochs)
        model = pretrain(
            train=self.split.train,
            valid=self.split.valid,
            features=self.features,
            profiles=None,
            item_ids=self.here.ids,
            config=config if source is None else stood_in_by_content(config, self.split.train),
            seed=self.seed,
            source=source,
        )
        return self.quality_of(model)

    def quality_of(self, model):
        """NDCG@10 on each user's last interaction, and the share of the ten best that are of the user's subject."""
        scorer, blocked = model.serve(self.features, 150), blocked_items(self.split.test)
        share = self.here.quality(scorer.score(self.asked, branch="collaborative"), self.asked)
        return ndcg(scorer.score(self.asked), self.split.test, blocked), share


@pytest.fixture(scope="module")
def worlds():
    torch.set_num_threads(1)
    return [World(seed) for seed in SEEDS]


def zero_shot(world):
    return bind_source(world.source, features=world.features, item_ids=world.here.ids)


def test_without_any_training_the_source_beats_chance_popularity_and_the_encoder_on_a_catalogue_it_has_never_seen(
    worlds,
):
    for world in worlds:
        scorer = zero_shot(world).serve(world.features, 150)
        found = world.here.quality(scorer.score(world.asked), world.asked)
        chance = np.mean(world.here.subjects[None, :] == world.here.users[:, None])
        popular_V = world.split.train.item_counts()
        by_popularity = world.here.quality(np.tile(popular_V, (60, 1)), world.asked)
        joint_VE = scorer.content_joint_VD
        means_CE = np.stack([joint_VE[world.asked.of(case)].mean(axis=0) for case in range(60)])
        by_encoder = world.here.quality(means_CE @ joint_VE.T, world.asked)
        assert found > max(2.5 * chance, by_popularity + 0.25)
        assert found > by_encoder + 0.05


def test_counting_the_new_log_does_not_spoil_zero_shot(worlds):
    for world in worlds:
        alone = world.here.quality(zero_shot(world).serve(world.features, 150).score(world.asked), world.asked)
        counted = count_log(zero_shot(world), world.split.train, seed=0).serve(world.features, 150)
        assert world.here.quality(counted.score(world.asked), world.asked) > alone - 0.03


@pytest.mark.parametrize("epochs", [1, 4])
def test_at_few_events_and_epochs_a_start_from_the_source_beats_a_start_from_nothing(worlds, epochs):
    from_source = np.mean([world.after(epochs, world.source) for world in worlds], axis=0)
    from_nothing = np.mean([world.after(epochs, None) for world in worlds], axis=0)
    assert from_source[0] > 1.15 * from_nothing[0]
    assert from_source[1] > from_nothing[1] + 0.12
