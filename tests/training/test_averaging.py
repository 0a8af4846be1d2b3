"""Weights are averaged along a run and over files."""

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from kinema.errors import DataError
from kinema.training.averaging import (
    WeightAverage,
    average_states,
    changing_state,
    has_statistics,
    renewed_statistics,
    soup,
)


def moved(net, by):
    with torch.no_grad():
        for one in net.parameters():
            one.add_(by)


def test_equal_shares_are_the_average_of_torch():
    net = nn.Linear(3, 2)
    average, theirs = WeightAverage(net, decay=None), AveragedModel(net)
    for by in (0.5, -2.0, 1.0):
        moved(net, by)
        average.add()
        theirs.update_parameters(net)
    raw = net.weight.detach().clone()
    with average.in_place():
        torch.testing.assert_close(net.weight, theirs.module.weight)
    assert torch.equal(net.weight, raw)


def test_a_running_average_forgets_its_beginning_soon_and_then_slowly():
    net = nn.Linear(1, 1, bias=False)
    average = WeightAverage(net, decay=0.5)
    expected = None
    for count in range(1, 20):
        moved(net, 1.0)
        average.add()
        stays = min(0.5, (count - 1) / (count + 9))
        present = net.weight.item()
        expected = present if expected is None else stays * expected + (1 - stays) * present
    with average.in_place():
        assert net.weight.item() == pytest.approx(expected, rel=1e-5)


def test_before_the_first_addition_nothing_is_put_in_place():
    net = nn.Linear(1, 1)
    average = WeightAverage(net, decay=None)
    moved(net, 1.0)
    raw = net.weight.detach().clone()
    with average.in_place():
        assert torch.equal(net.weight, raw)


def test_statistics_are_renewed_inside_and_kept_outside():
    torch.manual_seed(0)
    net = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1)).eval()
    kept = {name: one.clone() for name, one in net.named_buffers()}
    batches = [torch.randn(10, 2) + 3, torch.randn(10, 2) + 5]
    with renewed_statistics(net, [lambda x=x: net(x) for x in batches]):
        torch.testing.assert_close(net[0].running_mean, torch.stack([x.mean(0) for x in batches]).mean(0))
        assert not net.training
    assert all(torch.equal(one, kept[name]) for name, one in net.named_buffers())
    assert has_statistics(net)
    assert not has_statistics(nn.Linear(1, 1))


def test_what_does_not_learn_is_no_changing_state_but_buffers_are():
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    net[0].requires_grad_(requires_grad=False)
    assert set(changing_state(net)) == {
        "1.weight",
        "1.bias",
        "1.running_mean",
        "1.running_var",
        "1.num_batches_tracked",
    }


def test_states_are_averaged_and_whole_numbers_are_those_of_the_last():
    states = [
        {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(3)},
        {"w": torch.tensor([3.0, 6.0]), "n": torch.tensor(5)},
    ]
    found = average_states(states)
    assert found["w"].tolist() == [2.0, 4.0]
    assert found["n"].item() == 5


def test_states_of_different_networks_are_refused():
    first, second = {"w": torch.zeros(2)}, {"w": torch.zeros(3)}
    with pytest.raises(DataError, match=r"'w' of number 2 is \(3,\), of the first \(2,\); average runs of one network"):
        average_states([first, second])
    with pytest.raises(DataError, match=r"'v' of number 2 is \(1,\), of the first missing"):
        average_states([first, {"w": torch.zeros(2), "v": torch.zeros(1)}])
    with pytest.raises(DataError, match="must be at least one, are none"):
        average_states([])
    with pytest.raises(DataError, match="must be at least one, are none"):
        soup(nn.Linear(1, 1), [], lambda: 0.0)
