"""Which moments of a clip the model looks at, and what of an item's vector is borrowed."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from kinema.flm.imputation import Borrowed, impute
from kinema.flm.likeness import Liken, Likeness, Weight
from kinema.flm.looking import moment_shares
from kinema.flm.moments import MAX_MOMENTS
from kinema.flm.whitening import Whitening, unit_rows
from kinema.store.features import HeldTokens
from kinema.store.tokens import RaggedTokens

pytestmark = pytest.mark.usefixtures("one_thread")

WIDTH = 6


def held(lengths, seed=0):
    tokens = np.random.default_rng(seed).normal(size=(sum(lengths), WIDTH)).astype(np.float16)
    times = np.concatenate([np.arange(one) * 500 + 250 for one in lengths]).astype(np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    return HeldTokens(RaggedTokens(tokens, times, offsets, np.ones(len(lengths), np.float32)))


@dataclass(frozen=True)
class Model:
    whitenings: dict
    liken: Liken | None


def model(*, learns=True):
    rows = np.random.default_rng(1).normal(size=(200, WIDTH)).astype(np.float32)
    plain = Whitening.fit(rows, max_width=4)
    whitening = Whitening(plain.mean_E, plain.matrix_EW, Whitening.fit(rows, max_width=4))
    torch.manual_seed(0)
    likeness = Likeness.reading({"frames": whitening}, d_model=8).eval()
    return Model({"frames": whitening}, Liken(likeness, {"frames": Weight(1.0, 1.0)}) if learns else None)


def test_learnt_attention_is_that_of_the_model():
    tokens, made = held([3, 5]), model()
    found = moment_shares(made, tokens, "frames", 1)
    assert found.learnt
    assert found.times_ms_T.tolist() == [250, 750, 1250, 1750, 2250]
    assert found.shares_T.sum() == pytest.approx(1, abs=1e-3)
    assert found.shares_T.std() > 0.01
    logits = 4 * made.liken.likeness.pools["frames"].question(
        torch.from_numpy(made.whitenings["frames"].tokens.apply(tokens.get([1]).tokens_MD.astype(np.float32)))
    )
    np.testing.assert_allclose(found.shares_T, torch.softmax(logits[:, 0], dim=0).detach().numpy(), atol=5e-3)


@pytest.mark.parametrize("made", [None, model(learns=False)])
def test_without_attention_all_moments_count_alike(made):
    found = moment_shares(made, held([4]), "frames", 0)
    assert (found.shares_T.tolist(), found.learnt) == ([0.25] * 4, False)


def test_a_clip_without_moments_has_no_shares():
    assert moment_shares(model(), held([2, 0]), "frames", 1) is None


def test_moments_that_are_not_read_have_no_share():
    found = moment_shares(model(), held([2 * MAX_MOMENTS]), "frames", 0)
    assert (found.shares_T > 0).sum() == MAX_MOMENTS
    assert found.shares_T[1::2].sum() == 0


def test_what_is_borrowed_is_what_imputation_does():
    random = np.random.default_rng(2)
    vectors = unit_rows(random.normal(size=(3, 4)))
    counts, neighbours = np.array([0, 5, 20]), np.array([[1], [2], [1]])
    weights = np.float32([[1], [1], [0]])
    found = Borrowed.of(counts, neighbours, weights, shrinkage=5.0)
    assert found.share_V.tolist() == [1.0, 0.5, 0.0]
    shares = found.share_V[:, None]
    by_hand = unit_rows((1 - shares) * vectors + shares * vectors[neighbours[:, 0]])
    np.testing.assert_allclose(impute(vectors, counts, neighbours, weights, shrinkage=5.0), by_hand, atol=1e-6)
    assert not Borrowed.of(counts, neighbours, weights, shrinkage=5.0, applies=False).share_V.any()
