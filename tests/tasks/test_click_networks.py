"""Click networks against their plain definitions."""

import numpy as np
import pytest
import torch

from kinema.errors import ConfigError
from kinema.flm.draws import Draws
from kinema.tasks.click_layers import NOTHING, ClickBatch, Cross, TargetAttention, mean_of_list, pairwise
from kinema.tasks.click_networks import PARTS, ClickConfig, ClickNetwork

SMALL = {"width": 4, "hidden": (8,)}


def batch(num=6, *, scales=False, seed=0):
    random = torch.Generator().manual_seed(seed)
    rows_BF = torch.stack(
        [torch.randint(0, 5, (num,), generator=random), torch.randint(5, 9, (num,), generator=random)], 1
    )
    seen_BL = torch.randint(5, 9, (num, 3), generator=random)
    seen_BL[0] = NOTHING
    seen_BL[1, 1:] = NOTHING
    return ClickBatch(rows_BF, torch.rand(num, 2, generator=random) if scales else None, (seen_BL,))


def network(model, **settings):
    torch.manual_seed(0)
    made = ClickNetwork(ClickConfig(model=model, **{**SMALL, **settings}), num_rows=9, num_single=2, targets=(1,))
    with torch.no_grad():
        made.vectors.table.normal_()
    return made.eval()


def test_pairs_are_the_inner_products_of_all_pairs_of_fields():
    torch.manual_seed(0)
    fields_BGD = torch.randn(5, 4, 3)
    plain = sum((fields_BGD[:, i] * fields_BGD[:, j]).sum(1) for i in range(4) for j in range(i))
    torch.testing.assert_close(pairwise(fields_BGD), plain)


def test_a_cross_layer_is_its_formula():
    torch.manual_seed(0)
    cross = Cross(6, 2)
    x0 = x = torch.randn(5, 6)
    for layer in cross.layers:
        x = x0 * (x @ layer.weight.T + layer.bias) + x
    torch.testing.assert_close(cross(x0, None, 0.0), (x @ cross.head.weight.T + cross.head.bias).squeeze(1))


def test_target_attention_is_the_small_network_over_query_entry_difference_and_product():
    torch.manual_seed(0)
    attention = TargetAttention(4)
    target_BD, entries_BLD = torch.randn(3, 4), torch.randn(3, 5, 4)
    present_BL = torch.tensor([[True] * 5, [True, True, False, False, False], [False] * 5])
    found = attention(target_BD, entries_BLD, present_BL)
    for row in range(3):
        total = torch.zeros(4)
        for place in range(5):
            if present_BL[row, place]:
                q, k = target_BD[row], entries_BLD[row, place]
                hidden = attention.of_target(q) + attention.of_entry(torch.cat([k, q * k]))
                weight = attention.head(attention.bends[1](attention.middle(attention.bends[0](hidden))))
                total = total + weight * k
        torch.testing.assert_close(found[row], total)


def test_fm_is_bias_plus_values_plus_pairs():
    made, given = network("fm"), batch(scales=True)
    scaled = made.vectors.table[given.rows_BF] * given.scales_BF.unsqueeze(-1)
    present = given.lists[0] != NOTHING
    listed = mean_of_list(made.vectors.table[given.lists[0].clamp_min(0)], present)
    plain = scaled[..., -1].sum(1) + listed[:, -1] + pairwise(torch.cat([scaled[..., :-1], listed[:, None, :-1]], 1))
    torch.testing.assert_close(made(given), plain + made.bias)


@pytest.mark.parametrize("model", PARTS)
def test_rows_do_not_see_each_other_and_padding_does_not_count(model):
    made, given = network(model), batch()
    whole = made(given)
    for row in range(6):
        length = max(1, int((given.lists[0][row] != NOTHING).sum()))
        alone = ClickBatch(given.rows_BF[row : row + 1], None, (given.lists[0][row : row + 1, :length],))
        torch.testing.assert_close(made(alone), whole[row : row + 1])


@pytest.mark.parametrize("model", PARTS)
def test_gradients_reach_all_parameters_and_only_the_rows_of_the_batch(model):
    made, given = network(model, batch_norm=False), batch()
    made(given, Draws(0)).sum().backward()
    assert all(one.grad is not None for one in made.parameters())
    touched = torch.cat([given.rows_BF.flatten(), given.lists[0][given.lists[0] != NOTHING]]).unique()
    untouched = np.setdiff1d(np.arange(9), touched.numpy())
    assert (made.vectors.table.grad[untouched] == 0).all()
    assert (made.vectors.table.grad[touched] != 0).any(dim=1).all()


def test_a_large_table_without_l2_is_learnt_row_by_row():
    given, gradients = batch(), {}
    for l2 in (0.0, 1e-3):
        torch.manual_seed(0)
        config = ClickConfig(model="deepfm", embedding_l2=l2, **SMALL)
        made = ClickNetwork(config, num_rows=50_000, num_single=2, targets=(1,)).eval()
        made(given).sum().backward()
        gradients[l2] = made.vectors.table.grad
    assert gradients[0.0].is_sparse
    assert not gradients[1e-3].is_sparse
    torch.testing.assert_close(gradients[0.0].to_dense(), gradients[1e-3])


def test_dropout_comes_from_the_draws_alone():
    made, given = network("dcn", dropout=0.5), batch()
    assert torch.equal(made(given, Draws(1)), made(given, Draws(1)))
    assert not torch.equal(made(given, Draws(1)), made(given, Draws(2)))
    assert torch.equal(made(given), made(given))


def test_din_without_a_history_says_how_to_name_one():
    with pytest.raises(
        ConfigError, match="model din must have a list field with a target, has none; name one: --field seen=list"
    ):
        ClickNetwork(ClickConfig(model="din"), num_rows=9, num_single=2)


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"model": "resnet"}, "model must be one of lr, fm, deepfm, dcn, din, is 'resnet'"),
        ({"width": 0}, "width must be >= 1, is 0"),
        ({"hidden": ()}, "hidden must name the units of at least one layer"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\), is 1.0"),
        ({"embedding_l2": -1.0}, "embedding_l2 must be >= 0, is -1.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, match):
    with pytest.raises(ConfigError, match=match):
        ClickConfig(**settings)
