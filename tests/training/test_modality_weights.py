"""How much each modality says of what items are like is searched for, and only what is clearly better is taken."""

import numpy as np
import pytest

from kinema.flm.likeness import Weight
from kinema.training.likeness import is_clear, weigh_modalities

PLAIN = {name: Weight() for name in ("look", "words", "noise")}


class Judge:
    """Questions that are answered the better the more of a direction's length is the look, with an error of each question's own."""

    def __init__(self, *, error=0.05, num=400):
        self.errors = np.random.default_rng(0).normal(size=(50, num)) * error
        self.asked = []

    def __call__(self, weights):
        self.asked.append(dict(weights))
        length = sum(one.raw + one.learnt for one in weights.values())
        share = (weights["look"].raw + 2 * weights["look"].learnt) / (length + weights["look"].learnt)
        return share + self.errors[len(self.asked) % len(self.errors)]


def test_what_decides_counts_for_more_than_the_others():
    found = weigh_modalities(Judge(), PLAIN, tries=1000)
    assert found["look"].learnt > found["look"].raw > 0
    assert found["look"].raw >= 4 * max(found["words"].raw, found["noise"].raw)


def test_where_nothing_is_clearly_better_all_count_alike_and_raw():
    random = np.random.default_rng(1)
    assert weigh_modalities(lambda weights: random.normal(size=200), PLAIN, tries=1000) == PLAIN


def test_the_search_asks_no_more_than_it_may():
    judge = Judge()
    weigh_modalities(judge, PLAIN, tries=7)
    assert len(judge.asked) <= 1 + 4 + 7


def test_one_modality_is_weighed_against_what_is_learnt_of_it_alone():
    judge = Judge()
    found = weigh_modalities(judge, {"look": Weight()}, tries=1000)
    assert found["look"].raw == 1
    assert len(judge.asked) == 5


def test_without_a_question_nothing_is_weighed():
    assert weigh_modalities(lambda weights: np.zeros(0), PLAIN, tries=1000) == PLAIN


def test_what_items_are_not_known_by_stays_out():
    found = weigh_modalities(Judge(), PLAIN | {"noise": Weight(0.0)}, tries=1000)
    assert found["noise"] == Weight(0.0)


@pytest.mark.parametrize(("gain", "clear"), [(0.3, True), (0.05, False), (-0.3, False)])
def test_a_gain_is_clear_beyond_two_standard_errors(gain, clear):
    assert is_clear(gain + np.tile([1.0, -1.0], 50)) is clear
