import numpy as np
import pytest
import torch

from kinema.flm.batch import PADDING, as_batch, newest, pad_rows
from kinema.flm.blocks import BLOCKS, FrequencyFilter
from kinema.flm.draws import Draws
from kinema.flm.sequence import HistoryEncoder, running_mean
from kinema.store.histories import Histories

pytestmark = pytest.mark.usefixtures("one_thread")

D_MODEL, PROFILE = 8, 3


@pytest.fixture(params=[(block, share) for block in BLOCKS for share in (0.0, 0.5)])
def encoder(request):
    torch.manual_seed(0)
    block, filter_share = request.param
    return HistoryEncoder(
        d_model=D_MODEL,
        num_blocks=2,
        block=block,
        num_heads=2,
        filter_share=filter_share,
        max_length=6,
        dropout=0.4,
        profile_width=PROFILE,
    )


@pytest.fixture(name="items_BLD")
def made_items():
    return torch.nn.functional.normalize(torch.randn(3, 6, D_MODEL, generator=torch.Generator().manual_seed(1)), dim=-1)


@pytest.fixture(name="profiles_BP")
def made_profiles():
    return torch.randn(3, PROFILE, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("place", range(6))
def test_a_future_item_leaves_every_earlier_state_alone_and_changes_its_own(encoder, items_BLD, profiles_BP, place):
    changed_BLD = items_BLD.clone()
    changed_BLD[:, place] *= -1
    with torch.inference_mode():
        before, after = encoder(items_BLD, profiles_BP), encoder(changed_BLD, profiles_BP)
    torch.testing.assert_close(after[:, : place + 1], before[:, : place + 1], rtol=0, atol=1e-6)
    assert ((after[:, place + 1] - before[:, place + 1]).abs().amax(dim=1) > 1e-3).all()


def test_a_neighbour_in_the_batch_changes_nothing(encoder, items_BLD, profiles_BP):
    changed_BLD, changed_BP = items_BLD.clone(), profiles_BP.clone()
    changed_BLD[1], changed_BP[1] = 7.0, -3.0
    with torch.inference_mode():
        before, after = encoder(items_BLD, profiles_BP), encoder(changed_BLD, changed_BP)
    torch.testing.assert_close(after[[0, 2]], before[[0, 2]], rtol=0, atol=1e-6)
    assert not torch.allclose(after[1], before[1])


def test_what_stands_behind_the_end_of_a_row_changes_no_state_that_is_read(encoder, items_BLD, profiles_BP):
    with torch.inference_mode():
        short, padded = encoder(items_BLD[:, :2], profiles_BP), encoder(items_BLD, profiles_BP)
    torch.testing.assert_close(padded[:, :3], short, rtol=0, atol=1e-6)


def test_an_empty_history_gives_one_finite_unit_state(encoder):
    state_BLD = encoder(torch.zeros(2, 0, D_MODEL), None)
    assert state_BLD.shape == (2, 1, D_MODEL)
    torch.testing.assert_close(state_BLD.norm(dim=-1), torch.ones(2, 1))
    torch.testing.assert_close(state_BLD[0], state_BLD[1])


def test_a_profile_alone_tells_users_apart(encoder, profiles_BP):
    state_BD = encoder(torch.zeros(3, 0, D_MODEL), profiles_BP)[:, 0]
    assert (state_BD[0] - state_BD[1]).abs().max() > 1e-3


def test_a_zero_profile_counts_as_an_unknown_one(encoder, items_BLD):
    with torch.inference_mode():
        torch.testing.assert_close(encoder(items_BLD, torch.zeros(3, PROFILE)), encoder(items_BLD, None))


def test_the_order_of_a_history_matters_to_the_sequence_and_not_to_the_mean(encoder, items_BLD):
    turned_BLD = items_BLD.flip(1)
    with torch.inference_mode():
        assert not torch.allclose(encoder(items_BLD, None)[:, -1], encoder(turned_BLD, None)[:, -1], atol=1e-3)
    torch.testing.assert_close(running_mean(items_BLD, decay=1.0)[:, -1], running_mean(turned_BLD, decay=1.0)[:, -1])


def test_in_training_a_profile_is_hidden_now_and_then(encoder):
    encoder.profile_dropout = 0.5
    first_BD = encoder.first_token(torch.ones(400, PROFILE), 400, Draws(0))
    hidden = int((first_BD == encoder.unknown_D).all(dim=1).sum())
    assert 150 < hidden < 250


def test_every_parameter_of_the_encoder_gets_a_gradient(encoder, items_BLD, profiles_BP):
    mixed_BP = profiles_BP.clone()
    mixed_BP[0] = 0
    (encoder(items_BLD, mixed_BP) * torch.randn(3, 7, D_MODEL)).sum().backward()
    assert all(one.grad is not None and one.grad.abs().sum() > 0 for one in encoder.parameters())


@pytest.mark.parametrize("decay", [0.5, 0.9, 1.0])
def test_the_running_mean_is_the_direction_of_the_decayed_sum(items_BLD, decay):
    found_BLD = running_mean(items_BLD, decay=decay).numpy()
    for row in range(3):
        total = np.zeros(D_MODEL)
        for place in range(6):
            total = decay * total + items_BLD[row, place].numpy()
            np.testing.assert_allclose(found_BLD[row, place], total / np.linalg.norm(total), atol=1e-5)


def test_the_running_mean_of_nothing_described_is_zero():
    assert running_mean(torch.zeros(1, 3, D_MODEL), decay=0.9).abs().sum() == 0


def test_newest_items_are_cut_and_padded_behind_the_end():
    histories = Histories.from_lists([[0, 1, 2, 3], [], [4]], num_items=5)
    batch = as_batch(pad_rows(histories, *newest(histories, 3)), np.arange(3))
    assert batch.items_BL.tolist() == [[1, 2, 3], [PADDING] * 3, [4, PADDING, PADDING]]
    assert batch.num_targets == 4


def test_histories_without_any_item_are_padded_to_width_one():
    histories = Histories.from_lists([[], []], num_items=5)
    assert pad_rows(histories, *newest(histories, 3)).tolist() == [[PADDING], [PADDING]]


def test_the_filter_is_an_exponential_mean_and_a_share_of_what_it_leaves_out():
    torch.manual_seed(0)
    layer = FrequencyFilter(d_model=D_MODEL)
    x_BLD = torch.randn(2, 5, D_MODEL)
    with torch.inference_mode():
        found_BLD = layer(x_BLD)
    for length in range(1, 6):
        weights_L = 0.6 ** torch.arange(length - 1, -1, -1.0)
        slow_BD = (weights_L[:, None] * x_BLD[:, :length]).sum(1) / weights_L.sum()
        expected_BD = slow_BD + layer.scale_D.detach() ** 2 * (x_BLD[:, length - 1] - slow_BD)
        torch.testing.assert_close(found_BLD[:, length - 1], expected_BD)


def test_the_filter_keeps_what_is_steady():
    steady_BLD = torch.ones(1, 4, D_MODEL)
    torch.testing.assert_close(FrequencyFilter(d_model=D_MODEL)(steady_BLD).detach(), steady_BLD)
