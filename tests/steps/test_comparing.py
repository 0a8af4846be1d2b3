"""Is the new model no worse: the margin, the sentence, and how often the answer is wrong."""

import numpy as np
import pytest

from kinema.evaluation.bootstrap import Interval
from kinema.seeds import generator
from kinema.steps.comparing import ComparedRow, Comparison, Contender, _row, answered, compare_models
from kinema.store.histories import Histories
from kinema.store.splits import leave_one_out

ITEMS = 20


class Fixed:
    """Scores that were drawn once: the right item is raised by so much for a share of the users."""

    def __init__(self, targets, *, raised, seed):
        self.scores_CV = generator(seed, "scores").random((len(targets), ITEMS)).astype(np.float32)
        self.scores_CV[np.arange(len(targets)), targets] += raised
        self.asked = 0

    def score(self, histories, profiles_CP=None, *, branch="fused", moments_C=None):
        found = self.scores_CV[self.asked : self.asked + histories.num_users]
        self.asked = (self.asked + histories.num_users) % len(self.scores_CV)
        return found


def world(users=300):
    """Each user has watched three of the items but the last two, in any order."""
    random = generator(0, "world")
    log = Histories.from_lists([random.permutation(ITEMS - 2)[:3].tolist() for _ in range(users)], ITEMS)
    split = leave_one_out(log)
    return split, split.test, split.test.targets.items


def compared(raised, *, tolerance=0.1, serving=0.6, users=300, known=ITEMS):
    split, questions, targets = world(users)
    counts_V = np.ones(known, dtype=np.int64)
    ours = Contender("serving", Fixed(targets, raised=serving, seed=1), counts_V, None)
    theirs = Contender("candidate", Fixed(targets, raised=raised, seed=2), np.ones(ITEMS, dtype=np.int64), None)
    return compare_models(ours, theirs, questions, split, popularity_V=np.ones(ITEMS), tolerance=tolerance)


def test_a_better_one_is_no_worse_and_clearly_so():
    found = compared(1.0)
    assert found.no_worse
    assert found.sentence().endswith("clearly better")
    assert found.sentence().startswith("NDCG@10 on 300 held-out questions is ")


def test_one_that_is_as_good_needs_tolerance():
    assert compared(0.6, tolerance=0.5).no_worse
    assert "if it loses at all" in compared(0.6, tolerance=0.5).sentence()
    assert not compared(0.6, tolerance=0).no_worse


def test_a_worse_one_is_refused():
    found = compared(0.1)
    assert not found.no_worse
    assert "worse, or no better by the margin of" in found.sentence()


def test_few_questions_tell_nothing_and_the_sentence_says_how_many_would():
    found = Comparison({"all": ComparedRow(100, 0.3, 0.29, Interval(-0.01, -0.04, 0.02))}, 0.1, 0.02)
    assert not found.no_worse
    assert found.sentence().endswith("it may lose more than the margin of 0.0200; about 900 questions would tell")


def test_the_margin_is_a_share_of_what_the_serving_model_is_better_than_popularity():
    found = compared(0.6, tolerance=0.25)
    assert found.margin == pytest.approx(0.25 * (found.rows["all"].serving - found.popularity))
    worse_than_popularity = Contender("x", Fixed(world()[2], raised=-1, seed=3), np.ones(ITEMS, dtype=np.int64), None)
    split, questions, targets = world()
    asked = {"popularity_V": np.bincount(targets, minlength=ITEMS), "tolerance": 0.5}
    better = Contender("y", Fixed(targets, raised=1, seed=4), np.ones(ITEMS, dtype=np.int64), None)
    assert compare_models(worse_than_popularity, better, questions, split, **asked).margin == 0


def test_questions_are_told_apart_by_who_knew_the_item():
    found = compared(0.6, known=10)
    targets = world()[2]
    assert found.rows["warm items"].questions == (targets < 10).sum()
    assert found.rows["new items"].questions == (targets >= 10).sum()
    assert {"cold items", "users without history"}.isdisjoint(found.rows)


def test_one_model_is_asked_alone():
    split, questions, targets = world()
    assert answered(Contender("x", Fixed(targets, raised=9, seed=1), np.ones(ITEMS), None), questions, split) == 1


def decided(loss, random, *, users=400, spread=0.15, margin=0.02):
    """Whether a candidate that is worse by so much is taken for no worse."""
    serving_C = random.random(users)
    candidate_C = serving_C - loss + random.normal(0, spread, users)
    row = _row(serving_C, candidate_C, np.arange(users), 300, int(random.integers(1 << 30)))
    return Comparison({"all": row}, 0.0, margin).no_worse


def test_a_model_that_is_worse_by_the_margin_is_seldom_published_and_one_as_good_mostly():
    random = np.random.default_rng(0)
    wrong = np.mean([decided(0.02, random) for _ in range(300)])
    right = np.mean([decided(0.0, random) for _ in range(300)])
    assert wrong < 0.06
    assert right > 0.6
