from dataclasses import replace

import numpy as np
import pytest
import torch

from kinema.errors import DataError, NotBuiltError, StaleArtifactError
from kinema.flm.config import FLMConfig
from kinema.flm.model import FLM, whitened_content
from kinema.flm.scorer import BRANCHES
from kinema.store.features import ModalityFeatures, Profiles
from kinema.store.histories import Histories
from kinema.store.splits import leave_one_out
from kinema.training.loop import pretrain

pytestmark = pytest.mark.usefixtures("one_thread")

NUM_GROUPS, NUM_TRAINED, NUM_NEW = 3, 24, 3
NUM_ITEMS = NUM_TRAINED + NUM_NEW
GROUPS = np.arange(NUM_ITEMS) % NUM_GROUPS
IDS = [f"v{item}" for item in range(NUM_TRAINED)]
CONFIG = FLMConfig(d_model=16, num_blocks=1, max_length=8, max_epochs=3, evaluate_every=1, learning_rate=5e-3)
ASKED = Histories.from_lists([[0, 3, 6], [1], [], [2, 5, 8, 11, 14, 17, 20, 23, 1, 4]], NUM_TRAINED)


def features(num_items=NUM_ITEMS, *, encoder="made-1", names=("text", "frames")):
    made = {}
    for place, name in enumerate(names):
        random = np.random.default_rng(place)
        vectors = 3 * np.eye(NUM_GROUPS)[GROUPS] @ random.normal(size=(NUM_GROUPS, 12))
        vectors = vectors + 0.3 * random.normal(size=(NUM_ITEMS, 12))
        present = np.ones(NUM_ITEMS, dtype=bool)
        present[4 + place] = False
        vectors[~present] = 0
        part = slice(0, num_items)
        quality = present.astype(np.float32)[part]
        made[name] = ModalityFeatures(name, vectors.astype(np.float32)[part], present[part], quality, encoder)
    return made


def log():
    random = np.random.default_rng(5)
    groups = [np.flatnonzero(GROUPS[:NUM_TRAINED] == group) for group in range(NUM_GROUPS)]
    return Histories.from_lists(
        [random.permutation(groups[user % NUM_GROUPS])[:6].tolist() for user in range(30)], NUM_TRAINED
    )


def user_profiles():
    return Profiles(np.eye(NUM_GROUPS, dtype=np.float32)[np.arange(30) % NUM_GROUPS], ("a", "b", "c"))


def trained(config=CONFIG, *, given=None, profiles=None):
    split = leave_one_out(log())
    return pretrain(
        train=split.train,
        valid=split.valid,
        features=features(NUM_TRAINED) if given is None else given,
        profiles=profiles,
        item_ids=IDS,
        config=config,
        seed=3,
    )


@pytest.fixture(scope="module")
def model():
    return trained(profiles=user_profiles())


def test_a_loaded_model_scores_bit_for_bit_like_the_saved_one(model, tmp_path):
    model.save(tmp_path / "flm", parents={"log": "abc"})
    loaded = FLM.load(tmp_path / "flm")
    before, after = model.serve(features(), NUM_ITEMS), loaded.serve(features(), NUM_ITEMS)
    profiles = np.eye(4, NUM_GROUPS, dtype=np.float32)
    for branch in BRANCHES:
        expected = before.score(ASKED, profiles, branch=branch)
        assert after.score(ASKED, profiles, branch=branch).tobytes() == expected.tobytes()
    assert after.encode(ASKED, profiles).tobytes() == before.encode(ASKED, profiles).tobytes()
    assert loaded.config == model.config
    assert loaded.item_ids == model.item_ids
    assert (loaded.seed, loaded.profile_columns) == (3, ("a", "b", "c"))
    assert loaded.report == model.report


def test_saving_again_replaces_the_older_artefact(model, tmp_path):
    model.save(tmp_path / "flm")
    replace(model, seed=99).save(tmp_path / "flm")
    assert FLM.load(tmp_path / "flm").seed == 99


def test_loading_where_nothing_was_saved_says_what_to_run(tmp_path):
    with pytest.raises(NotBuiltError, match="no flm artefact in 'nowhere'; run: kinema pretrain"):
        FLM.load(tmp_path / "nowhere")


def test_new_items_get_the_vectors_of_their_content_neighbours(model):
    scorer = model.serve(features(), NUM_ITEMS)
    assert scorer.num_items == NUM_ITEMS
    assert scorer.counts_V[NUM_TRAINED:].tolist() == [0] * NUM_NEW
    np.testing.assert_allclose(np.linalg.norm(scorer.item_vectors_VD, axis=1), 1, rtol=1e-4)
    for item in range(NUM_TRAINED, NUM_ITEMS):
        nearest, _ = scorer.nearest_items(item, 4)
        assert (GROUPS[nearest] == GROUPS[item]).mean() >= 0.75


def test_without_imputation_new_items_stand_where_their_content_puts_them_and_old_ones_where_they_were_learnt(model):
    plain = replace(model, config=model.config.with_changes(use_imputation=False)).serve(features(), NUM_ITEMS)
    assert np.array_equal(plain.item_vectors_VD[NUM_TRAINED:], plain.content_vectors_VD[NUM_TRAINED:])
    content = whitened_content(features(), model.whitenings, NUM_ITEMS)
    own_VD = model.network.tower(torch.arange(NUM_TRAINED), content)[0].detach().numpy()
    np.testing.assert_allclose(plain.item_vectors_VD[:NUM_TRAINED], own_VD, atol=1e-6)
    imputed = model.serve(features(), NUM_ITEMS)
    assert not np.allclose(imputed.item_vectors_VD[NUM_TRAINED:], plain.item_vectors_VD[NUM_TRAINED:], atol=1e-2)


def test_new_items_leave_the_order_of_the_old_ones_as_it_was(model):
    old = model.serve(features(NUM_TRAINED), NUM_TRAINED).score(ASKED, branch="sequential")
    grown = model.serve(features(), NUM_ITEMS).score(ASKED, branch="sequential")
    np.testing.assert_allclose(grown[:, :NUM_TRAINED], old, atol=1e-3)


def test_new_items_of_which_nothing_is_known_come_last(model):
    given = features()
    for one in given.values():
        one.present_V[NUM_ITEMS - 1] = False
        one.vectors_VD[NUM_ITEMS - 1] = 0
    scores = model.serve(given, NUM_ITEMS).score(ASKED)
    assert (scores.argmin(axis=1) == NUM_ITEMS - 1).all()


def test_a_catalogue_that_shrank_is_refused(model):
    message = f"catalogue must have at least the {NUM_TRAINED} items of training, has 20; run: kinema pretrain"
    with pytest.raises(DataError, match=message):
        model.serve(features(20), 20)


def test_features_with_another_number_of_rows_are_refused(model):
    with pytest.raises(DataError, match=f"features 'frames' must have {NUM_ITEMS} rows, have 24; run: kinema extract"):
        model.serve(features(24), NUM_ITEMS)


def test_features_of_another_encoder_are_refused(model):
    message = "features 'frames' must come from encoder made-1 as in training, come from made-2; run: kinema pretrain"
    with pytest.raises(StaleArtifactError, match=message):
        model.serve(features(encoder="made-2"), NUM_ITEMS)


def test_a_modality_that_is_missing_or_unknown_at_serving_does_no_harm(model):
    fewer = model.serve(features(names=("text",)), NUM_ITEMS)
    more = model.serve(features(names=("text", "frames", "smell")), NUM_ITEMS)
    assert np.isfinite(fewer.score(ASKED)).all()
    assert "smell" not in more.content_VD
    assert (more.score(ASKED) == model.serve(features(), NUM_ITEMS).score(ASKED)).all()


def test_without_any_features_only_new_items_come_last(model):
    scores = model.serve({}, NUM_ITEMS).score(ASKED)
    assert np.isfinite(scores).all()
    assert (scores[:, NUM_TRAINED:].max(axis=1) < scores[:, :NUM_TRAINED].min(axis=1)).all()


@pytest.mark.parametrize("branch", BRANCHES)
def test_every_branch_gives_finite_scores_for_known_and_unknown_users(model, branch):
    scores = model.serve(features(), NUM_ITEMS).score(ASKED, branch=branch)
    assert scores.shape == (4, NUM_ITEMS)
    assert scores.dtype == np.float32
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("branch", BRANCHES)
def test_no_user_gives_no_scores(model, branch):
    none = Histories.from_lists([], NUM_ITEMS)
    assert model.serve(features(), NUM_ITEMS).score(none, branch=branch).shape == (0, NUM_ITEMS)


def test_users_are_scored_alone_as_they_are_scored_together(model):
    scorer = model.serve(features(), NUM_ITEMS)
    together = scorer.score(ASKED)
    for row in range(4):
        np.testing.assert_allclose(scorer.score(ASKED.take([row]))[0], together[row], atol=1e-4)


def test_an_unknown_branch_and_a_foreign_catalogue_are_refused(model):
    scorer = model.serve(features(), NUM_ITEMS)
    with pytest.raises(DataError, match="unknown branch 'magic'; known: fused, content"):
        scorer.score(ASKED, branch="magic")
    with pytest.raises(DataError, match=f"histories must be of a catalogue of at most {NUM_ITEMS} items, have 99"):
        scorer.score(Histories.from_lists([[98]], 99))


def test_unknown_items_and_modalities_are_refused_by_the_neighbour_search(model):
    scorer = model.serve(features(), NUM_ITEMS)
    with pytest.raises(DataError, match=r"item number must be in 0\.\.26, is 27; serve the current catalogue"):
        scorer.nearest_items(27, 3)
    with pytest.raises(DataError, match="item number must be in"):
        scorer.audience(-1, scorer.encode(ASKED), 3)
    with pytest.raises(DataError, match="unknown modality 'smell'; known: frames, text"):
        scorer.nearest_items(0, 3, modality="smell")


def test_an_item_without_a_modality_has_no_neighbours_in_it_and_is_nobodys(model):
    scorer = model.serve(features(), NUM_ITEMS)
    assert len(scorer.nearest_items(4, 5, modality="text")[0]) == 0
    assert 4 not in scorer.nearest_items(1, NUM_ITEMS, modality="text")[0]
    assert 4 in scorer.nearest_items(1, NUM_ITEMS, modality="frames")[0]


def test_the_audience_of_an_item_are_the_users_whose_vectors_are_nearest(model):
    scorer = model.serve(features(), NUM_ITEMS)
    users = scorer.encode(ASKED)
    rows, cosines = scorer.audience(0, users, 2)
    expected = users @ scorer.item_vectors_VD[0]
    assert rows.tolist() == np.argsort(-expected, kind="stable")[:2].tolist()
    np.testing.assert_allclose(cosines, expected[rows], rtol=1e-5)


def test_updates_of_a_served_memory_reach_neither_the_model_nor_other_scorers(model):
    scorer, other = (model.serve(features(), NUM_ITEMS) for _ in range(2))
    before = other.memory.totals.copy()
    scorer.memory.update([0, 1], NUM_ITEMS - 1)
    assert scorer.memory.totals[0] > before[0]
    assert (other.memory.totals == before).all()
    assert (model.memory.totals == before[:NUM_TRAINED]).all()


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        ({"use_ids": False}, None),
        ({"use_content": False}, None),
        ({"use_memory": False}, None),
        ({"use_profiles": False}, None),
        ({"weight_collab": 0.0, "weight_content": 0.0}, None),
        ({"weight_sequence": 0.0, "full_softmax_items": 5, "num_negatives": 7}, None),
        ({"use_imputation": False}, None),
        ({}, {}),
        ({"full_softmax_items": 5, "num_negatives": 7}, None),
        ({}, features(NUM_TRAINED, names=("text",))),
    ],
    ids=[
        "no ids",
        "no content",
        "no memory",
        "profiles off",
        "one loss",
        "no order",
        "no imputation",
        "no features",
        "sampled",
        "one modality",
    ],
)
def test_a_model_with_a_part_switched_off_trains_serves_and_survives_saving(changes, given, tmp_path):
    config = CONFIG.with_changes(max_epochs=1, **changes)
    made = trained(config, given=given, profiles=user_profiles())
    made.save(tmp_path / "flm")
    served = features(names=tuple(made.whitenings))
    scorer = FLM.load(tmp_path / "flm").serve(served, NUM_ITEMS)
    for branch in BRANCHES:
        assert np.isfinite(scorer.score(ASKED, branch=branch)).all()
    assert scorer.score(ASKED).tobytes() == made.serve(served, NUM_ITEMS).score(ASKED).tobytes()


def test_a_model_without_profiles_and_validation_trains_and_serves():
    made = pretrain(
        train=log(),
        valid=None,
        features={},
        profiles=None,
        item_ids=IDS,
        config=CONFIG.with_changes(max_epochs=1),
        seed=0,
    )
    assert made.profile_columns == ()
    assert np.isfinite(made.serve({}, NUM_ITEMS).score(ASKED)).all()
