"""Matching learns what a plain cosine cannot know, starts at it, and reaches items by content alone."""

import numpy as np
import pytest
import torch

from kinema.errors import ConfigError, DataError, StaleArtifactError
from kinema.losses.contrastive import in_batch_softmax, info_nce
from kinema.store.features import ModalityFeatures
from kinema.tasks.match import Maps, MatchLearner, MatchNetwork, cosines
from kinema.tasks.match_data import Pairs, split_pairs
from kinema.tasks.match_material import MatchConfig, items_material, words_material
from kinema.tasks.match_model import MatchModel
from kinema.tasks.towers import Carrier, Tower, directions, standard, unit
from kinema.training.fitting import FitOptions, fit

ITEMS, QUERIES, LOOKS, WIDTH = 120, 150, 6, 16


def feature(name, vectors_VD, present_V=None):
    present_V = np.ones(len(vectors_VD), bool) if present_V is None else present_V
    vectors_VD = (vectors_VD * present_V[:, None]).astype(np.float32)
    return ModalityFeatures(name, vectors_VD, present_V, present_V.astype(np.float32), f"{name}-encoder")


@pytest.fixture(scope="module", name="world")
def made_world():
    """Queries name a look in words that no item's text has: only pictures tell looks."""
    random = np.random.default_rng(0)
    looks_V, wanted_Q = random.integers(0, LOOKS, ITEMS), random.integers(0, LOOKS, QUERIES)
    centres, words = random.standard_normal((LOOKS, 24)), unit(random.standard_normal((LOOKS, WIDTH)))
    text = unit(random.standard_normal((ITEMS, WIDTH)))
    worded_V = np.arange(ITEMS) % 3 == 0
    features = {
        "text": feature("text", text, worded_V),
        "frames": feature("frames", 3 + centres[looks_V] + 0.3 * random.standard_normal((ITEMS, 24))),
    }
    asked_QD = unit(words[wanted_Q] + 0.1 * random.standard_normal((QUERIES, WIDTH)))
    query_N = np.repeat(np.arange(QUERIES), 4)
    item_N = np.concatenate([random.permutation(np.flatnonzero(looks_V == one))[:4] for one in wanted_Q])
    queries = tuple(f"q{one}" for one in range(QUERIES))
    pairs = Pairs(queries, query_N, item_N, np.ones(len(query_N), np.float32))
    return features, asked_QD, pairs, looks_V[None] == wanted_Q[:, None]


def share_right(scores_CV, right_CV):
    """Of the best ten, those that have what was asked for."""
    best_CK = np.argsort(-scores_CV, axis=1)[:, :10]
    return np.take_along_axis(right_CV, best_CK, axis=1).mean()


def learnt(world, config, **options):
    features, asked_QD, pairs, _ = world
    split = split_pairs(pairs, num_items=ITEMS, seed=0)
    material = words_material(features, ~split.cold_V, config)
    ask = Maps({"text": np.eye(WIDTH, dtype=np.float32)})
    network = MatchNetwork(ask, Maps(material.maps()))
    learner = MatchLearner(network, pairs, split, ask={"text": asked_QD}, answer=material.inputs, config=config)
    how = {"batch_size": 128, "learning_rate": 3e-3, "max_epochs": 12, "patience": 12} | options
    fit(learner, FitOptions("ndcg@10", **how), seed=0)
    zeros, ones = np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32)
    return (
        learner,
        split,
        MatchModel(
            "texts",
            Tower({"text": Carrier(zeros, ones, ask.arrays()["text"])}),
            material.learnt(network.answer.arrays()),
            {name: one.encoder for name, one in features.items()},
        ),
    )


def test_words_find_looks_that_no_text_tells_also_of_items_in_no_pair(world, tmp_path):
    features, asked_QD, _, right_QV = world
    learner, split, model = learnt(world, MatchConfig(directions=12))
    queries = np.concatenate([one.query_C for one in split.cases["test"].values()])
    plain_CV = asked_QD[queries] @ features["text"].vectors_VD.T
    ours_CV = model.words(asked_QD[queries]) @ model.items(features).T
    for among_V in (~split.cold_V, split.cold_V):
        right_CV = right_QV[queries][:, among_V]
        chance = right_CV.mean()
        assert share_right(plain_CV[:, among_V], right_CV) < chance + 0.15
        best = np.minimum(right_CV.sum(axis=1), 10).mean() / 10
        share = share_right(ours_CV[:, among_V], right_CV)
        assert share > chance + 0.3 * (best - chance)
    model.save(tmp_path / "texts", seed=0)
    again = MatchModel.load(tmp_path / "texts")
    rows_VE = again.items(features)
    cases = split.cases["test"]["warm"]
    served = cosines(again.words(asked_QD[cases.query_C]), rows_VE)(0, len(cases))
    np.testing.assert_allclose(served, learner.scores(cases)(0, len(cases)), atol=1e-5)
    other = {**features, "frames": ModalityFeatures(**{**vars(features["frames"]), "encoder": "another"})}
    with pytest.raises(
        StaleArtifactError, match=r"must be given frames vectors of encoder frames-encoder.*finetune match"
    ):
        again.items(other)


def test_training_begins_at_the_plain_cosine_where_items_have_texts_alone(world):
    features, asked_QD, pairs, _ = world
    config = MatchConfig()
    text = {"text": features["text"]}
    split = split_pairs(pairs, num_items=ITEMS, seed=0)
    material = words_material(text, ~split.cold_V, config)
    network = MatchNetwork(Maps({"text": np.eye(WIDTH, dtype=np.float32)}), Maps(material.maps()))
    learner = MatchLearner(network, pairs, split, ask={"text": asked_QD}, answer=material.inputs, config=config)
    cases = split.cases["test"]["warm"]
    plain = cosines(asked_QD[cases.query_C], features["text"].vectors_VD)(0, len(cases))
    np.testing.assert_allclose(learner.scores(cases)(0, len(cases)), plain, atol=1e-6)


def test_the_same_seed_learns_the_same(world):
    first = learnt(world, MatchConfig(directions=12), max_epochs=2)[2]
    again = learnt(world, MatchConfig(directions=12), max_epochs=2)[2]
    for name, value in first.answer.arrays("a").items():
        assert (value == again.answer.arrays("a")[name]).all()


def test_items_start_as_near_as_their_content_is(world):
    features = world[0]
    material = items_material(features, np.ones(ITEMS, bool), MatchConfig(directions=200, width=200))
    joined_VR = np.concatenate(list(material.inputs.values()), axis=1)
    rows_VE = material.tower.rows(features)
    np.testing.assert_allclose(rows_VE @ rows_VE.T, unit(joined_VR) @ unit(joined_VR).T, atol=1e-4)


def test_in_batch_softmax_is_info_nce_with_corrections():
    random = torch.Generator().manual_seed(0)
    one, other = (torch.nn.functional.normalize(torch.randn(5, 4, generator=random), dim=1) for _ in range(2))
    assert in_batch_softmax(one, other, temperature=0.1) == pytest.approx(info_nce(one, other, temperature=0.1))
    right = torch.zeros(5, 5, dtype=torch.bool)
    right[0, 3] = right[2, 2] = True
    rates = torch.tensor([0.1, 0.2, 0.3, 0.2, 0.2]).log()
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0, 1.0])
    logits = (one @ other.T / 0.1 - rates).double()
    logits[0, 3] = -torch.inf
    losses = torch.logsumexp(logits, dim=1) - logits.diagonal()
    wanted = (losses * weights).sum() / weights.sum()
    found = in_batch_softmax(one, other, temperature=0.1, also_right_NN=right, log_rate_N=rates, weights_N=weights)
    assert float(found) == pytest.approx(float(wanted), rel=1e-5)
    assert float(in_batch_softmax(one[:1], other[:1], temperature=0.1)) == 0


def test_directions_are_those_of_a_singular_value_decomposition():
    rows = np.random.default_rng(0).standard_normal((30, 5)).astype(np.float32)
    basis = directions(rows, 3)
    np.testing.assert_allclose(basis.T @ basis, np.eye(3), atol=1e-5)
    assert np.square(rows @ basis).sum() == pytest.approx(np.square(np.linalg.svd(rows)[1][:3]).sum(), rel=1e-4)
    assert directions(np.zeros((4, 5), np.float32), 3).shape == (5, 1)
    mean_D, scale_D = standard(rows, plain=True)
    assert not mean_D.any() and (scale_D == 1).all()  # noqa: PT018  # one thought


def test_what_cannot_be_done_is_said(world):
    with pytest.raises(ConfigError, match=r"a matcher needs directions >= 1.*got 0, 128"):
        MatchConfig(directions=0)
    tower = Tower({"sound": Carrier(np.zeros(2, np.float32), np.ones(2, np.float32), np.eye(2, dtype=np.float32))})
    assert tower.width == 2
    with pytest.raises(DataError, match="items must have one of sound, have none; run: kinema extract"):
        tower.rows(world[0])
    with pytest.raises(DataError, match=r"vectors must be \[rows, 2\] as those that were learnt from, are \[1, 3\]"):
        tower.carriers["sound"].carry(np.ones((1, 3)))
    with pytest.raises(DataError, match="items that are learnt from must have content, none has any"):
        words_material(world[0], np.zeros(ITEMS, bool), MatchConfig())
