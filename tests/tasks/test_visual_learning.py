"""Visual queries: what was done to pictures is learnt to be passed over, of clips that were never seen as well."""

import numpy as np
import pytest

from kinema.errors import ConfigError, DataError, StaleArtifactError
from kinema.store.features import HeldTokens, ModalityFeatures
from kinema.store.tokens import RaggedTokens
from kinema.tasks.match_measures import means, measure
from kinema.tasks.visual import Moments, Questions, VisualConfig, VisualLearner, VisualNetwork
from kinema.tasks.visual_model import VisualModel, moments_of
from kinema.training.fitting import FitOptions, fit

CLIPS, WIDTH, SHOWN = 120, 24, 3


@pytest.fixture(scope="module", name="world")
def made_world():
    """Three moments a clip; half of the columns change with the light, the others tell the clip."""
    random = np.random.default_rng(0)
    told = random.standard_normal((CLIPS * SHOWN, WIDTH // 2))
    vectors_MD = np.concatenate([told, random.standard_normal((CLIPS * SHOWN, WIDTH // 2))], axis=1).astype(np.float32)

    def ask(clips):
        places = np.repeat(clips * SHOWN, 4) + random.integers(0, SHOWN, 4 * len(clips))
        frames_ND = vectors_MD[places].copy()
        frames_ND[:, WIDTH // 2 :] = random.standard_normal((len(places), WIDTH // 2))
        frames_ND[:, : WIDTH // 2] += 0.5 * random.standard_normal((len(places), WIDTH // 2))
        return Questions(frames_ND, np.arange(len(places) + 1), np.repeat(clips, 4))

    parts = np.split(np.arange(CLIPS), [80, 95])
    return vectors_MD, np.arange(0, CLIPS * SHOWN + 1, SHOWN), [ask(one) for one in parts]


def learner_of(world, config):
    vectors_MD, offsets, (train, valid, _) = world
    moments = Moments.of(vectors_MD, offsets, np.arange(CLIPS) < 80, config)
    network = VisualNetwork(moments.carrier.map_DE.shape[1])
    groups_V = np.arange(CLIPS)
    return VisualLearner(network, moments, train, valid, groups_V=groups_V, config=config)


def test_changes_are_learnt_to_be_passed_over(world, tmp_path):
    learner, test = learner_of(world, VisualConfig(directions=WIDTH, stay=0.0003)), world[2][2]
    cases = test.cases(np.arange(CLIPS))
    before = means(measure(learner.scores(test), cases, num_items=CLIPS))
    fit(learner, FitOptions("ndcg@10", batch_size=64, learning_rate=5e-3, max_epochs=8, patience=8), seed=0)
    after = means(measure(learner.scores(test), cases, num_items=CLIPS))
    assert after["ndcg@10"] > before["ndcg@10"] + 0.1
    model = VisualModel(learner.carrier(), "encoder", {"visual": {}}, {"told": 1})
    model.save(tmp_path / "visual", seed=0)
    again = VisualModel.load(tmp_path / "visual")
    assert again.report == {"told": 1}
    rows_ME = again.carrier.carry(world[0])
    near = again.carrier.carry(test.frames_ND[:1]) @ rows_ME.T
    np.testing.assert_allclose(near.reshape(-1, SHOWN).max(axis=1), learner.scores(test)(0, 1)[0], atol=1e-5)


def test_a_run_of_frames_is_the_mean_of_its_frames(world):
    learner, test = learner_of(world, VisualConfig(directions=WIDTH)), world[2][2]
    runs = Questions(test.frames_ND, np.arange(0, len(test.frames_ND) + 1, 4), test.items_C[::4])
    single = learner.scores(test)(0, len(test.items_C))
    np.testing.assert_allclose(
        learner.scores(runs)(0, len(runs.items_C)), single.reshape(-1, 4, CLIPS).mean(axis=1), atol=1e-6
    )


def test_copies_are_no_wrong_answers(world):
    groups_V = np.arange(CLIPS)
    groups_V[96] = groups_V[95]
    cases = world[2][2].cases(groups_V)
    blocked_CV = cases.blocked(0, len(cases), CLIPS)
    assert blocked_CV[0, 96]
    assert not blocked_CV[0, 95]
    assert blocked_CV.sum() == 8


def test_what_does_not_fit_is_refused(world):
    tokens = RaggedTokens(
        world[0].astype(np.float16), np.zeros(len(world[0]), np.int64), world[1], np.ones(CLIPS, np.float32)
    )
    frames = ModalityFeatures(
        "frames", world[0][::3], np.ones(CLIPS, bool), np.ones(CLIPS, np.float32), "here", HeldTokens(tokens)
    )
    assert moments_of({"frames": frames})[1].tolist() == world[1].tolist()
    model = VisualModel(learner_of(world, VisualConfig()).carrier(), "there")
    with pytest.raises(
        StaleArtifactError,
        match=r"must be given frames of encoder there.*these are of here; run: kinema finetune visual",
    ):
        model.check({"frames": frames})
    with pytest.raises(
        ConfigError, match="a visual matcher needs directions >= 1, temperature > 0 and stay >= 0, got 0"
    ):
        VisualConfig(directions=0)
    with pytest.raises(DataError, match="clips that are learnt from must have frames, have none"):
        Moments.of(world[0], world[1], np.zeros(CLIPS, bool), VisualConfig())
