from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.optimize import approx_fprime

from kinema.flm.config import FLMConfig
from kinema.flm.fusion import content_from
from kinema.flm.memory import ItemMemory
from kinema.flm.mixture import Mixture
from kinema.flm.network import FLMNetwork
from kinema.store.features import ModalityFeatures
from kinema.store.histories import Histories
from kinema.store.splits import Cases, blocked_items
from kinema.training import blending, calibration
from kinema.training.calibration import Pretence, affordable, fit_cold, forget, pretended_cold
from kinema.training.preparation import prepare
from kinema.training.selection import Selection, _forget_useless
from kinema.training.validation import ndcg, sample_cases

NUM_CASES, NUM_ITEMS = 80, 30


def asked(histories, targets, num_items=NUM_ITEMS):
    count = len(histories)
    later = Histories.from_lists(targets, num_items)
    return Cases(
        np.arange(count, dtype=np.int32), np.full(count, 10**6), Histories.from_lists(histories, num_items), later
    )


@pytest.fixture
def world():
    """Two branches of which `good` tells the target and `noise` nothing; long and short histories."""
    random = np.random.default_rng(0)
    order = [random.permutation(NUM_ITEMS).tolist() for _ in range(NUM_CASES)]
    cases = asked([one[: 1 + case % 9] for case, one in enumerate(order)], [one[20:21] for one in order])
    logits = {name: random.normal(size=(NUM_CASES, NUM_ITEMS)).astype(np.float32) for name in ("noise", "good")}
    logits["good"][np.arange(NUM_CASES), cases.targets.items] += 2
    return cases, logits, blocked_items(cases, published_ms_V=None)


def loss_of(monkeypatch, module, run):
    """The function that a fit hands to the minimiser, and where it starts."""
    seen = []
    minimize = module.minimize

    def spy(loss, begin, **options):
        seen.append((loss, begin))
        return minimize(loss, begin, **options)

    monkeypatch.setattr(module, "minimize", spy)
    run()
    return seen[0]


def agrees_with_finite_differences(loss, begin):
    for seed in range(3):
        place = begin + 0.5 * np.random.default_rng(seed).normal(size=len(begin))
        expected = approx_fprime(place, lambda one: loss(one)[0], 1e-3)
        np.testing.assert_allclose(loss(place)[1], expected, rtol=0.03, atol=5e-3)


def likelihood(scores, cases, blocked):
    scores = np.where(blocked, -np.inf, scores.astype(np.float64))
    rows = np.arange(len(cases))
    return float((scores[rows, cases.targets.items] - np.logaddexp.reduce(scores, axis=1)).mean())


def test_the_fitted_mixture_leans_on_the_planted_better_branch(world):
    cases, logits, blocked = world
    start = {"noise": 0.5, "good": 0.5}
    mixture = blending.fit_mixture(logits, cases, blocked, start=start)
    weights = mixture.weights(cases.histories.lengths)
    assert mixture.branches == ("noise", "good")
    assert (weights[:, 1] > 3 * weights[:, 0]).all()
    before = Mixture.from_weights(start).blend(logits, cases.histories.lengths)
    after = mixture.blend(logits, cases.histories.lengths)
    assert likelihood(after, cases, blocked) > likelihood(before, cases, blocked) + 0.1


def test_a_branch_that_tells_only_for_long_histories_gets_a_growing_weight(world):
    cases, logits, blocked = world
    long = cases.histories.lengths > 4
    logits["good"][long, cases.targets.items[long]] += 3
    logits["good"][~long] = np.random.default_rng(1).normal(size=(int((~long).sum()), NUM_ITEMS))
    mixture = blending.fit_mixture(logits, cases, blocked, start={"noise": 0.5, "good": 0.5})
    short_weight, long_weight = mixture.weights(np.array([1, 9]))[:, 1]
    assert long_weight > 1.5 * short_weight


def test_the_gradient_of_the_mixture_agrees_with_finite_differences(world, monkeypatch):
    cases, logits, blocked = world
    start = {"noise": 0.7, "good": 0.4}
    found = loss_of(monkeypatch, blending, lambda: blending.fit_mixture(logits, cases, blocked, start=start))
    agrees_with_finite_differences(*found)


def planted_cold(cases, logits):
    """Cold items, which the better branch scores five times too flat and two too low."""
    cold = np.arange(NUM_ITEMS) % 3 == 0
    served = {name: one.copy() for name, one in logits.items()}
    served["good"][:, cold] = served["good"][:, cold] / 5 - 2
    return Pretence(served, cold)


def test_the_gradient_of_the_cold_weights_agrees_with_finite_differences(world, monkeypatch):
    cases, logits, blocked = world
    mixture, pretence = Mixture.from_weights({"noise": 0.3, "good": 1.0}), planted_cold(cases, logits)
    found = loss_of(monkeypatch, calibration, lambda: fit_cold(mixture, [pretence, pretence], cases, blocked))
    agrees_with_finite_differences(*found)


def test_cold_items_that_are_scored_too_flat_and_too_low_are_put_right(world):
    cases, logits, blocked = world
    mixture, pretence = Mixture.from_weights({"noise": 0.1, "good": 1.0}), planted_cold(cases, logits)
    fitted = fit_cold(mixture, [pretence], cases, blocked)
    lengths = cases.histories.lengths
    assert fitted.cold_bonus > 0.5
    assert fitted.cold_ratios_A[1] > 1.5
    before, after = (one.blend(pretence.logits, lengths, pretence.cold_V) for one in (mixture, fitted))
    assert likelihood(after, cases, blocked) > likelihood(before, cases, blocked) + 0.1
    assert (after[:, ~pretence.cold_V] == before[:, ~pretence.cold_V]).all()
    assert fitted.offsets_A.tolist() == mixture.offsets_A.tolist()


def test_only_items_with_events_and_content_are_pretended_to_be_cold():
    counts, described = np.arange(200) % 4, np.arange(200) % 3 > 0
    chosen = pretended_cold(counts, described, share=0.2, seed=1)
    pool = (counts > 0) & described
    assert chosen.sum() == round(0.2 * pool.sum())
    assert not (chosen & ~pool).any()
    assert (chosen == pretended_cold(counts, described, share=0.2, seed=1)).all()
    assert (chosen != pretended_cold(counts, described, share=0.2, seed=2)).any()


def test_without_warm_described_items_none_is_pretended_to_be_cold():
    assert not pretended_cold(np.zeros(5, dtype=np.int64), np.ones(5, dtype=bool), share=0.5, seed=0).any()


def test_a_forgotten_item_neither_follows_nor_is_followed_and_the_memory_itself_keeps_it():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1, 2], [1, 2]], 3), query_decay=0.4)
    forgetful = forget(memory, np.array([False, True, False]))
    counts = forgetful.counts.toarray()
    assert not counts[1].any()
    assert not counts[:, 1].any()
    assert forgetful.totals[1] == 0
    assert counts[0, 2] == memory.counts[0, 2] > 0
    assert memory.counts[1, 2] > 0
    assert forgetful.query_decay == 0.4


def chain_world():
    """What comes next follows the last item; what came before it says something else."""
    random = np.random.default_rng(3)
    starts = random.integers(0, 12, 150)
    lists = [[int(12 + random.integers(0, 12)), int(start), int((start + 1) % 12)] for start in starts]
    return Histories.from_lists(lists, 24)


def test_the_query_decay_with_the_best_validation_is_chosen():
    random = np.random.default_rng(4)
    train = chain_world()
    lasts = random.integers(0, 12, 60)
    # The older items have followers of their own, so the further back a query reaches the more it is misled.
    others = [random.choice([one for one in range(12) if abs(one - last) > 2], 3, replace=False) for last in lasts]
    valid = asked(
        [[*map(int, other), int(last)] for other, last in zip(others, lasts, strict=True)],
        [[int((last + 1) % 12)] for last in lasts],
        24,
    )
    config = FLMConfig(memory_query_decay=0.95)
    prepared = prepare(
        train=train, features={}, profiles=None, item_ids=[str(item) for item in range(24)], config=config
    )
    valid = valid.take(
        np.flatnonzero([target not in row for target, row in zip(valid.targets.items, others, strict=True)])
    )
    Selection(prepared, config=config, valid=valid, published_ms_V=None, seed=0)
    chosen, blocked, found = prepared.memory.query_decay, blocked_items(valid, published_ms_V=None), {}
    for decay in (0.6, 0.75, 0.85, 0.95, 1.0):
        prepared.memory.query_decay = decay
        found[decay] = ndcg(prepared.memory.scores(valid.histories), valid, blocked)
    assert chosen == 0.6
    assert found[0.6] == max(found.values()) > found[1.0]


def test_a_modality_that_is_clearly_better_closed_is_closed_and_one_that_may_be_is_not():
    train = chain_world()
    random = np.random.default_rng(0)
    everywhere = np.ones(24, dtype=bool)
    noise = ModalityFeatures(
        "noise", random.normal(size=(24, 6)).astype(np.float32), everywhere, everywhere.astype(np.float32)
    )
    valid = asked([[0], [4], [7]], [[1], [5], [8]], 24)
    config = FLMConfig(d_model=8, num_blocks=1, num_heads=1, max_length=4)
    prepared = prepare(
        train=train, features={"noise": noise}, profiles=None, item_ids=[str(i) for i in range(24)], config=config
    )
    selection = Selection(prepared, config=config, valid=valid, published_ms_V=None, seed=0)
    looks = iter([np.array([0.3, 0.2, 0.5]), np.array([0.4, 0.3, 0.5])])
    selection._values = lambda _: next(looks)
    network = network_of(config)
    assert selection._close_gates(network) == {"noise": False}
    assert network.tower.open_M.tolist() == [0]
    looks = iter([np.array([0.3, 0.2, 0.5]), np.array([1.0, 0.0, 0.1])])
    network.tower.open_M[0] = 1
    assert selection._close_gates(network) == {"noise": True}
    assert network.tower.open_M.tolist() == [1]


@pytest.mark.parametrize(("gain", "kept"), [(0.3, False), (0.0, True), (-0.3, True)])
def test_unwatched_items_are_known_by_a_closed_modality_unless_they_are_clearly_better_without(gain, kept):
    network = network_of(FLMConfig(d_model=8, num_blocks=1, num_heads=1, max_length=4))
    network.tower.open_M[0] = 0
    looks = iter([np.array([0.3, 0.4, 0.5]), np.array([0.31, 0.39, 0.5]) + gain])
    rehearsal = SimpleNamespace(among_cold=lambda _: next(looks))
    assert _forget_useless(network, {"noise": False}, rehearsal) == {"noise": kept}
    assert network.tower.known_by_M.tolist() == [float(kept)]
    assert network.tower.open_M.tolist() == [0]


def test_an_open_modality_is_not_asked_about_and_without_cold_items_a_closed_one_stays_known():
    network = network_of(FLMConfig(d_model=8, num_blocks=1, num_heads=1, max_length=4))
    assert _forget_useless(network, {"noise": True}, SimpleNamespace()) == {"noise": True}
    nothing = SimpleNamespace(among_cold=lambda _: np.zeros(0))
    assert _forget_useless(network, {"noise": False}, nothing) == {"noise": True}


def test_a_closed_modality_leaves_vectors_of_watched_items_and_stays_in_their_content_side():
    network = network_of(FLMConfig(d_model=8, num_blocks=1, num_heads=1, max_length=4))
    vectors = torch.randn(24, 6)
    content = content_from(["noise"], [vectors], [torch.ones(24)], [torch.ones(24)], 24)
    with torch.inference_mode():
        opened, by_content = network.tower(torch.arange(24), content)
        network.tower.open_M[0] = 0
        closed, still = network.tower(torch.arange(24), content)
    torch.testing.assert_close(still, by_content)
    torch.testing.assert_close(closed, torch.nn.functional.normalize(network.tower.ids_VD.detach(), dim=-1))
    assert not torch.allclose(closed, opened)


def network_of(config):
    return FLMNetwork(config, num_items=24, modality_widths={"noise": 6}, profile_width=0).eval()


def test_ndcg_has_the_value_worked_out_by_hand_and_ties_count_against_the_target():
    cases = asked([[0], [0], [0]], [[1], [2], [3, 4]], 5)
    blocked = blocked_items(cases, published_ms_V=None)
    scores = np.float32([[9, 5, 1, 1, 1], [9, 5, 4, 4, 1], [9, 5, 1, 4, 3]])
    first, second = 1.0, 1 / np.log2(4)
    third = (1 / np.log2(3) + 1 / np.log2(4)) / (1 + 1 / np.log2(3))
    assert ndcg(scores, cases, blocked) == pytest.approx((first + second + third) / 3)
    assert ndcg(scores, cases, blocked, k=1) == pytest.approx(1 / 3)


def test_sampled_cases_have_targets_and_fit_into_the_cells():
    cases = asked([[0]] * 50, [[1] if case % 2 else [] for case in range(50)], 5)
    assert len(sample_cases(cases, num_items=5, max_cells=10**6, seed=0)) == 25
    few = sample_cases(cases, num_items=5, max_cells=50, seed=0)
    assert len(few) == 10
    assert few.targets.lengths.all()
    assert (few.users_C == sample_cases(cases, num_items=5, max_cells=50, seed=0).users_C).all()


def test_the_likeliest_scale_undoes_a_factor_on_scores_drawn_from_a_softmax():
    random = np.random.default_rng(5)
    scores = random.normal(size=(3000, 12)).astype(np.float32)
    chances = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    targets = [[int(random.choice(12, p=row / row.sum()))] for row in chances.astype(np.float64)]
    cases = Cases(
        np.arange(3000, dtype=np.int32),
        np.zeros(3000, dtype=np.int64),
        Histories.from_lists([[]] * 3000, num_items=12),
        Histories.from_lists(targets, num_items=12),
    )
    blocked = np.zeros((3000, 12), dtype=bool)
    assert blending.likeliest_scale(scores / 4, cases, blocked) == pytest.approx(4, rel=0.1)


def test_the_even_bonus_is_the_smallest_that_finds_cold_items_as_often_as_asked():
    def rates(bonus):
        return 0.4 - 0.02 * bonus, 0.1 * bonus

    assert calibration.even_bonus(rates, share=1.0, least=0.0) == pytest.approx(3.35)
    assert calibration.even_bonus(rates, share=0.5, least=0.0) == pytest.approx(1.85)
    assert calibration.even_bonus(rates, share=0.5, least=2.6) == 2.6
    assert calibration.even_bonus(rates, share=9.0, least=0.0) == pytest.approx(6.0)


def leaning_selection(*, dated, num_cold):
    """A log in which some items were never watched, described like the watched ones, and validation asks for them."""
    random = np.random.default_rng(0)
    subjects = np.arange(24) % 3
    warm = [np.flatnonzero((subjects == subject) & (np.arange(24) < 18)) for subject in range(3)]
    train = Histories.from_lists([random.permutation(warm[user % 3])[:4].tolist() for user in range(120)], 24)
    vectors = (np.eye(3)[subjects] + 0.05 * random.normal(size=(24, 3))).astype(np.float32)
    everywhere = np.ones(24, dtype=bool)
    features = {"text": ModalityFeatures("text", vectors, everywhere, everywhere.astype(np.float32))}
    config = FLMConfig(d_model=8, num_blocks=1, num_heads=1, max_length=4)
    prepared = prepare(train=train, features=features, profiles=None, item_ids=list(map(str, range(24))), config=config)
    targets = [[18 + user % 3] if user < num_cold else [int(warm[user % 3][5])] for user in range(60)]
    histories = [[item for item in warm[user % 3][:4].tolist() if item != targets[user][0]] for user in range(60)]
    published = np.zeros(24, dtype=np.int64) if dated else None
    return prepared, config, asked(histories, targets, 24), published


@pytest.mark.parametrize("dated", [False, True])
@pytest.mark.parametrize("num_cold", [0, 40])
def test_cold_items_are_raised_by_validation_unless_publication_dates_are_known(dated, num_cold):
    prepared, config, valid, published = leaning_selection(dated=dated, num_cold=num_cold)
    found = {}
    for share in (0.0, 3.0):
        network = FLMNetwork(
            config, num_items=24, modality_widths={"text": prepared.whitenings["text"].width}, profile_width=0
        )
        changed = config.with_changes(cold_share=share)
        selection = Selection(prepared, config=changed, valid=valid, published_ms_V=published, seed=0)
        torch.manual_seed(0)
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        mixture, _, _ = selection.choose(network)
        found[share] = mixture.cold_bonus
    assert found[3.0] >= found[0.0]
    assert (found[3.0] == found[0.0]) if dated else (found[3.0] > found[0.0])


@pytest.mark.parametrize(("most_lost", "expected"), [(0.0, 0.0), (0.1, 1.0), (0.5, 3.0)])
def test_raising_stops_where_it_would_cost_too_much(most_lost, expected):
    found = affordable(lambda bonus: 2.0 - 0.2 * bonus, least=0.0, wanted=3.0, most_lost=most_lost)
    assert found == pytest.approx(expected, abs=0.05)
