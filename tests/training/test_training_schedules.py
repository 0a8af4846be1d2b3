"""The step size grows, then goes as the schedule says."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kinema.training.schedules import SCHEDULES, rate_share


@given(st.sampled_from(sorted(SCHEDULES)), st.integers(1, 60), st.floats(0, 0.9), st.floats(0, 1))
def test_a_share_lies_between_nothing_and_all_and_ends_where_it_should(schedule, total, warmup, last):
    shares = [rate_share(schedule, update=u, total=total, warmup_share=warmup, last=last) for u in range(total)]
    assert all(0 <= one <= 1 + 1e-12 for one in shares)
    grown = round(warmup * total)
    assert shares[:grown] == sorted(shares[:grown])
    assert shares[grown:] == sorted(shares[grown:], reverse=True)
    if schedule != "constant" and total - grown > 1:
        assert shares[-1] == pytest.approx(last)


def test_a_cosine_without_warm_up_is_that_of_torch():
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=9, eta_min=0.1)
    for update in range(10):
        ours = rate_share("cosine", update=update, total=10, warmup_share=0.0, last=0.1)
        assert ours == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()
