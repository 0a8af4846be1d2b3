import numpy as np
import pytest
import torch

from kinema.errors import DataError
from kinema.flm.moments import MAX_MOMENTS, fit_moments, padded_moments
from kinema.flm.pooling import Moments, TemporalPooling
from kinema.flm.whitening import Whitening
from kinema.store.features import HeldTokens, ModalityFeatures
from kinema.store.tokens import RaggedTokens

pytestmark = pytest.mark.usefixtures("one_thread")

WIDTH, D_MODEL = 6, 8


@pytest.fixture(name="pool")
def made_pool():
    torch.manual_seed(0)
    return TemporalPooling(width=WIDTH, d_model=D_MODEL)


def moments(lengths, width=None, seed=1):
    width = width or max(lengths)
    valid_VT = torch.arange(width) < torch.tensor(lengths).unsqueeze(1)
    tokens = torch.randn(len(lengths), width, WIDTH, generator=torch.Generator().manual_seed(seed))
    places = (torch.arange(width) + 0.5) / torch.tensor(lengths).clamp_min(1).unsqueeze(1)
    return Moments(tokens * valid_VT.unsqueeze(-1), valid_VT, places.clamp(0, 1))


def test_padding_changes_nothing(pool):
    short, long = moments([4, 2]), moments([4, 2])
    filled = torch.full((2, 3, WIDTH), 9.0)
    long = Moments(
        torch.cat([short.tokens_VTW, filled], dim=1),
        torch.cat([short.valid_VT, torch.zeros(2, 3, dtype=torch.bool)], dim=1),
        torch.cat([short.places_VT, torch.rand(2, 3)], dim=1),
    )
    torch.testing.assert_close(pool(long), pool(short), rtol=1e-5, atol=1e-5)


def test_clips_of_other_length_in_the_batch_change_nothing(pool):
    both = moments([5, 2])
    alone = Moments(both.tokens_VTW[1:], both.valid_VT[1:], both.places_VT[1:])
    torch.testing.assert_close(pool(both)[1:], pool(alone), rtol=1e-5, atol=1e-5)


def test_attention_is_a_share_of_the_moments_that_are_there(pool):
    found = pool.attention(moments([3, 0, 5]))
    torch.testing.assert_close(found.sum(dim=1), torch.tensor([1.0, 0.0, 1.0]))
    assert not found[0, 3:].any()


def test_what_is_asked_for_outweighs_everything_else(pool):
    asked = moments([4])
    with torch.no_grad():
        pool.question.weight.copy_(10 * asked.tokens_VTW[0, 2])
    assert pool.attention(asked)[0].argmax() == 2
    torch.testing.assert_close(pool(asked)[0], pool.out(asked.tokens_VTW[0, 2]), rtol=1e-2, atol=1e-2)


def test_an_item_without_moments_gets_nothing_and_does_no_harm(pool):
    found = pool(moments([0, 2]))
    assert not found[0].any()
    found.sum().backward()
    assert all(torch.isfinite(one.grad).all() for one in pool.parameters())


def packed(lengths, times=None, width=WIDTH):
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    tokens = np.random.default_rng(0).normal(size=(offsets[-1], width)).astype(np.float16)
    spread = np.concatenate([(np.arange(one) + 0.5) * 1000 for one in lengths]) if times is None else times
    return HeldTokens(RaggedTokens(tokens, spread.astype(np.int64), offsets, np.ones(len(lengths), np.float32)))


def test_tokens_are_whitened_padded_and_placed_in_their_clips():
    tokens = packed([4, 0, 2])
    whitening = Whitening.fit(tokens.tokens.tokens_MD.astype(np.float32))
    found = padded_moments(tokens, whitening, num_items=3)
    assert found.valid_VT.tolist() == [[True] * 4, [False] * 4, [True, True, False, False]]
    np.testing.assert_allclose(found.places_VT[0], [0.125, 0.375, 0.625, 0.875])
    expected = whitening.apply(tokens.tokens.tokens_MD[4:].astype(np.float32))
    np.testing.assert_allclose(found.tokens_VTW[2, :2].float(), expected, atol=1e-3)
    assert not found.tokens_VTW[1].any()


def test_of_very_many_moments_some_are_read_from_all_over_the_clip():
    tokens = packed([4 * MAX_MOMENTS])
    found = padded_moments(tokens, Whitening.fit(tokens.tokens.tokens_MD.astype(np.float32)), num_items=1)
    assert found.valid_VT.shape == (1, MAX_MOMENTS)
    assert found.places_VT[0, 0] < 0.02
    assert found.places_VT[0, -1] > 0.95


def test_tokens_of_another_catalogue_are_refused():
    with pytest.raises(DataError, match=r"tokens must be of 5 items, are of 2; run: kinema extract"):
        padded_moments(packed([1, 1]), Whitening.fit(np.eye(WIDTH, dtype=np.float32)), num_items=5)


def test_moments_are_only_read_where_clips_have_several():
    def features(name, lengths):
        present = np.array(lengths) > 0
        return ModalityFeatures(
            name, np.zeros((2, WIDTH), np.float32), present, present.astype(np.float32), "", packed(lengths)
        )

    told = {"frames": features("frames", [3, 2]), "motion": features("motion", [1, 1])}
    assert set(fit_moments(told, dict.fromkeys(told, np.ones(2, dtype=bool)))) == {"frames"}
