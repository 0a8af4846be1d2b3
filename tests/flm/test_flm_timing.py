import numpy as np
import pytest
import torch

from kinema.flm.config import FLMConfig
from kinema.flm.sequence import HistoryEncoder
from kinema.flm.timing import Moments, TimeBias, moments
from kinema.metrics.ranks import target_ranks
from kinema.store.histories import Histories
from kinema.store.splits import leave_one_out
from kinema.training.loop import pretrain

HOUR = 3_600_000
D_MODEL = 8


def make_encoder(*, timed):
    torch.manual_seed(0)
    return HistoryEncoder(d_model=D_MODEL, num_blocks=2, num_heads=2, max_length=6, dropout=0.0, timed=timed)


@pytest.fixture(name="timed")
def made_timed():
    encoder = make_encoder(timed=True)
    torch.nn.init.normal_(encoder.time_bias.table_GAH)
    return encoder


@pytest.fixture(name="items_BLD")
def made_items():
    return torch.randn(2, 4, D_MODEL, generator=torch.Generator().manual_seed(1))


@pytest.fixture(name="read_BL")
def made_times():
    return torch.tensor([[0, HOUR, 2 * HOUR, 90 * HOUR], [5, 5, 5, 7]])


@pytest.mark.parametrize(
    ("gap_ms", "bucket"), [(0, 0), (999, 0), (1000, 1), (2000, 2), (3999, 2), (4000, 3), (10**15, 32), (-5000, 0)]
)
def test_gaps_are_told_apart_by_powers_of_two_seconds(gap_ms, bucket):
    bias = TimeBias(num_blocks=1, num_heads=1)
    with torch.no_grad():
        bias.table_GAH[:, 0, 0] = torch.arange(34)
    found = bias(Moments(torch.tensor([[0]]), torch.tensor([[0, gap_ms]])))[0, 0, 0]
    assert found[1].tolist() == [33.0, float(bucket)]
    assert found[0, 1] == -torch.inf


def test_a_bias_of_zero_is_plain_causal_attention(items_BLD, read_BL):
    times = moments("history", read_BL, torch.cat([read_BL, read_BL[:, -1:]], dim=1))
    with torch.inference_mode():
        timed = make_encoder(timed=True)(items_BLD, None, times=times)
        torch.testing.assert_close(timed, make_encoder(timed=False)(items_BLD, None), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["history", "query"])
def test_what_happens_later_leaves_earlier_states_alone(timed, items_BLD, read_BL, kind):
    later_BL, later_BLD = read_BL.clone(), items_BLD.clone()
    later_BL[:, 3] += 1000 * HOUR
    later_BLD[:, 3] *= -1
    end_B1 = later_BL[:, -1:] + HOUR
    with torch.inference_mode():
        before = timed(items_BLD, None, times=moments(kind, read_BL, torch.cat([read_BL, end_B1], dim=1)))
        after = timed(later_BLD, None, times=moments(kind, later_BL, torch.cat([later_BL, end_B1], dim=1)))
    # The state before the last interaction may know when it is asked, in a query; all earlier ones know neither.
    last = 4 if kind == "history" else 3
    torch.testing.assert_close(after[:, :last], before[:, :last], rtol=0, atol=1e-6)
    assert not torch.allclose(after[:, 4], before[:, 4], atol=1e-3)


@pytest.mark.parametrize(("kind", "differs"), [("history", False), ("query", True)])
def test_only_a_query_knows_when_it_is_asked(timed, items_BLD, read_BL, kind, differs):
    def states(wait_ms):
        next_BM = torch.cat([read_BL, read_BL[:, -1:] + wait_ms], dim=1)
        with torch.inference_mode():
            return timed(items_BLD, None, times=moments(kind, read_BL, next_BM))[:, -1]

    assert torch.allclose(states(0), states(500 * HOUR), atol=1e-4) != differs


def test_no_time_gives_no_moments(read_BL):
    assert moments("none", read_BL, read_BL) is None


@pytest.fixture(scope="module", name="sittings")
def made_sittings():
    """Within a sitting item i is followed by i + 1; after a long break everybody starts again somewhere in 0..3."""
    random = np.random.default_rng(0)
    lengths, items, times = [], [], []
    for _ in range(300):
        now, item, mine = 0, int(random.integers(4)), []
        for _ in range(int(random.integers(4, 13))):
            mine.append((item, now))
            if random.random() < 0.5:
                now, item = now + HOUR // 60, min(item + 4, 39)
            else:
                now, item = now + 48 * HOUR, int(random.integers(4))
        lengths.append(len(mine))
        items += [one for one, _ in mine]
        times += [when for _, when in mine]
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return leave_one_out(Histories(offsets, np.array(items, dtype=np.int32), np.array(times, dtype=np.int64), 40))


def trained(split, kind):
    config = FLMConfig(
        d_model=16,
        num_blocks=2,
        num_heads=1,
        dropout=0.0,
        learning_rate=1e-2,
        batch_tokens=256,
        max_epochs=30,
        evaluate_every=30,
        use_memory=False,
        weight_collab=0.0,
        time_bias=kind,
    )
    return pretrain(
        train=split.train,
        valid=split.valid,
        features={},
        profiles=None,
        item_ids=[str(item) for item in range(40)],
        config=config,
        seed=0,
    )


def mean_rank(model, split, **asked):
    test = split.test
    scores_CV = model.serve({}, 40).score(test.histories, branch="sequential", **asked)
    blocked = np.zeros(scores_CV.shape, dtype=bool)
    ranks_T = target_ranks(scores_CV, rows_T=np.arange(len(test)), items_T=test.targets.items, blocked_CV=blocked)
    return float(np.log(ranks_T).mean())


def test_a_model_with_the_time_of_the_query_knows_that_a_sitting_has_ended(sittings, tmp_path):
    model = trained(sittings, "query")
    asked = {"moments_C": sittings.test.timestamps_ms_C}
    knowing = mean_rank(model, sittings, **asked)
    assert knowing < mean_rank(trained(sittings, "none"), sittings) - 0.1
    assert knowing < mean_rank(model, sittings) - 0.1
    model.save(tmp_path / "flm")
    assert mean_rank(type(model).load(tmp_path / "flm"), sittings, **asked) == pytest.approx(knowing)
