import numpy as np

from kinema.store.histories import Histories
from kinema.store.splits import leave_one_out
from kinema.tuning.report import report_on
from kinema.tuning.search import Found
from kinema.tuning.study import TrialRecord

CASES = leave_one_out(Histories.from_lists([[0, 1, 2, 3]] * 200, num_items=4)).valid


def report(folder, *gains):
    """One trial per mean gain and spread; the first is the default."""
    trials = []
    for number, (mean, spread) in enumerate(gains):
        gains_C = mean + spread * np.where(np.arange(len(CASES)) % 2, 1.0, -1.0)
        np.save(folder / f"gains-{number}.npy", gains_C)
        trials.append(TrialRecord(number, {"dropout": number / 10}, "finished", float(gains_C.mean()), 1.0))
    best = max(trials, key=lambda one: one.value).number
    found = Found(tuple(trials), default=0, best=best, seconds=float(len(trials)))
    return report_on(found, cases=CASES, folder=folder, budget_seconds=60.0, seed=0)


def test_a_clear_gain_is_told_with_its_interval_and_a_warning(tmp_path):
    made = report(tmp_path, (0.1, 0.1), (0.2, 0.11))
    assert made.verdict.startswith(
        "Trial 1 won with NDCG@10 0.2000 on validation, +0.1000 over the default settings (95 %"
    )
    assert made.verdict.endswith("It is the best of 2 on the cases it was chosen by: expect somewhat less.")
    assert "chance" not in made.verdict
    assert made.chosen == made.best == 1
    assert made.gain.low > 0.09
    assert made.cases == 200


def test_a_gain_that_may_be_chance_is_called_so(tmp_path):
    made = report(tmp_path, (0.1, 0.1), (0.13, 0.4))
    assert "The gain may be chance." in made.verdict
    assert made.gain.low < 0 < made.gain.high
    assert made.chosen == 1


def test_a_gain_below_a_standard_error_is_not_followed(tmp_path):
    made = report(tmp_path, (0.1, 0.1), (0.101, 0.4))
    assert made.verdict.startswith(
        "The default settings are kept: trial 1 had NDCG@10 0.1010 on validation, +0.0010 over"
    )
    assert made.verdict.endswith("a gain of less than a standard error.")
    assert (made.default, made.best, made.chosen) == (0, 1, 0)


def test_a_default_that_won_is_said_to_have_won(tmp_path):
    made = report(tmp_path, (0.1, 0.0), (0.05, 0.0), (0.02, 0.0))
    assert made.verdict == "The default settings won: none of 2 others was better on validation than 0.1000."
    assert made.gain is None
    assert made.chosen == made.default


def test_a_budget_for_the_default_alone_asks_for_more(tmp_path):
    made = report(tmp_path, (0.1, 0.0))
    assert made.verdict == "Only the default settings were tried, so they are kept; give more seconds."
