import pytest
import torch

from kinema.flm.draws import Draws


def test_equal_seeds_give_equal_draws_and_different_ones_do_not():
    ones = torch.ones(50, 20)
    assert torch.equal(Draws(3).dropout(ones, 0.3), Draws(3).dropout(ones, 0.3))
    assert not torch.equal(Draws(3).dropout(ones, 0.3), Draws(4).dropout(ones, 0.3))


@pytest.mark.parametrize("share", [0.1, 0.3, 0.75])
def test_dropout_hides_its_share_and_keeps_the_mean(share):
    dropped = Draws(0).dropout(torch.ones(400, 500, dtype=torch.float64), share)
    assert float((dropped == 0).double().mean()) == pytest.approx(share, abs=0.005)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.01)
    assert len(dropped.unique()) == 2


def test_what_is_dropped_gets_no_gradient():
    x = torch.ones(1000, requires_grad=True)
    dropped = Draws(0).dropout(x, 0.5)
    dropped.sum().backward()
    assert torch.equal(x.grad == 0, dropped == 0)


def test_kept_is_false_for_its_share():
    assert float(Draws(1).kept((300, 300), 0.2).double().mean()) == pytest.approx(0.8, abs=0.01)


def test_some_are_different_places_and_all_where_there_is_room():
    assert Draws(0).some(4, 9).tolist() == [0, 1, 2, 3]
    picked = Draws(0).some(1000, 50)
    assert len(picked.unique()) == 50
    assert int(picked.max()) < 1000


def test_gaps_are_geometric():
    gaps = Draws(0).gaps(20_000, 0.25)
    assert int(gaps.min()) == 0
    assert float(gaps.double().mean()) == pytest.approx(3, abs=0.1)
