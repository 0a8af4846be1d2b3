"""What a person's weights of modalities do to the order of candidates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_world import NOW, history, world_catalogue, world_scorer

from kinema.errors import ConfigError
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.interests import MOST_WEIGHT, Weights, with_weights
from kinema.recommend.leaning import lean, likeness
from kinema.recommend.parts import Parts
from kinema.recommend.pipeline import Recommender
from kinema.recommend.scenario import Scenario
from kinema.recommend.stages import Ranked
from kinema.recommend.trace import Trace
from kinema.retrieval.content import unit_rows
from kinema.retrieval.merge import Proposed
from kinema.retrieval.query import Query
from kinema.schema import Item, Request
from kinema.store.histories import Histories

NUM = 40
WATCHED = [0, 1]


def parts(content):
    return Parts.of(
        catalogue=Catalogue.of([Item(f"v{one}") for one in range(NUM)]),
        scorer=None,
        content=content,
        memory=None,
        popularity_V=None,
        segments=None,
        fresh_days=14.0,
    )


def made_up():
    """What is watched looks and sounds alike; of the rest one half looks like it, the other sounds like it."""
    random = np.random.default_rng(3)
    look, sound = (random.normal(size=(NUM, 8)) for _ in range(2))
    axis = np.eye(8)[0] * 12
    look[WATCHED] += axis
    sound[WATCHED] += axis
    look[2:21] += axis
    sound[21:] += axis
    return {"look": unit_rows(look), "sound": unit_rows(sound)}


def ranked():
    scores_K = np.linspace(1.0, 0.0, NUM - 2)
    items_K = np.random.default_rng(5).permutation(np.arange(2, NUM))
    return Ranked(items_K, scores_K, scores_K, Proposed.by(NUM - 2, "flm"))


def leant(weights, past=tuple(WATCHED), before=None):
    trace = Trace()
    query = Query(Histories.from_lists([list(past)], NUM), np.ones(NUM, dtype=bool), NOW)
    found = lean(parts(made_up()), ranked() if before is None else before, query, weights, trace=trace)
    return found, trace.steps


def looking(found, num=10):
    """How many of the first look like what was watched; the others sound like it."""
    return int((found.items_K[:num] < 21).sum())


def test_who_leaves_a_modality_out_sees_less_of_what_is_like_it_by_that_one():
    plain = looking(ranked(), num=19)
    assert looking(leant({"look": 0.0})[0], num=19) < plain < looking(leant({"sound": 0.0})[0], num=19)


def test_the_largest_weight_makes_a_modality_decide():
    assert looking(leant({"look": MOST_WEIGHT})[0]) == 10
    assert looking(leant({"sound": MOST_WEIGHT})[0]) == 0


def test_scores_follow_and_nothing_is_lost():
    found, (step,) = leant({"look": 3.0})
    assert sorted(found.items_K.tolist()) == list(range(2, NUM))
    assert np.all(np.diff(found.scores_K) <= 0)
    np.testing.assert_array_equal(found.scores_K, found.relevance_K)
    assert (step.stage, step.num_in, step.num_out) == ("modalities", NUM - 2, NUM - 2)
    assert step.detail["weights"] == {"look": 3.0}
    assert step.detail["moved"] == int((found.items_K != ranked().items_K).sum()) > 0


def test_a_step_is_one_deviation_of_relevance_for_one_of_likeness():
    content, before = made_up(), ranked()
    found, _ = leant({"look": 2.0})
    z_K = likeness(content["look"][before.items_K], content["look"][WATCHED])
    expected_K = before.relevance_K + before.relevance_K.std() * z_K / 2
    order_K = np.argsort(before.items_K)
    np.testing.assert_allclose(found.relevance_K[np.argsort(found.items_K)], expected_K[order_K])


@pytest.mark.parametrize("weights", [{}, {"look": 1.0}, {"smell": 0.0}])
def test_what_is_not_set_or_not_there_changes_nothing(weights):
    found, steps = leant(weights)
    np.testing.assert_array_equal(found.items_K, ranked().items_K)
    assert steps == ()


def test_somebody_without_a_history_sees_the_same():
    found, steps = leant({"look": 0.0, "sound": MOST_WEIGHT}, past=())
    np.testing.assert_array_equal(found.items_K, ranked().items_K)
    assert steps == ()


def test_fused_ranks_stay_above_nothing():
    fused_K = 1.0 / np.arange(1, NUM - 1)
    before = Ranked(ranked().items_K, fused_K, np.log(fused_K), Proposed.by(NUM - 2, "content"))
    found, _ = leant({"look": MOST_WEIGHT}, before=before)
    assert (found.scores_K > 0).all()
    assert looking(found) == 10


def test_an_item_without_the_modality_stays_where_it_is_on_average():
    rows = np.float32([[1, 0], [0, 1], [0, 0]])
    np.testing.assert_array_equal(likeness(rows, np.float32([[1, 0]])), [1, -1, 0])
    np.testing.assert_array_equal(likeness(rows, np.zeros((1, 2), dtype=np.float32)), 0)
    np.testing.assert_array_equal(likeness(rows[:1], np.float32([[1, 0]])), 0)


@given(st.floats(0, MOST_WEIGHT), st.floats(0, MOST_WEIGHT))
def test_a_larger_weight_never_shows_less_of_what_is_alike(one, other):
    small, large = sorted((one, other))
    content = made_up()["look"]
    means = [
        likeness(content[2:], content[WATCHED])[leant({"look": weight})[0].items_K[:10] - 2].mean()
        for weight in (small, large)
    ]
    assert means[0] <= means[1] + 1e-9


def test_weights_reach_a_slate_by_the_rules_and_are_in_its_trace():
    recommender = Recommender(catalogue=world_catalogue(), scorer=world_scorer(), diversity=0.0, fresh_share=0.0)

    def slate(**modalities):
        rules = with_weights(Scenario("home"), Weights(modalities=modalities))
        return recommender.recommend(Request("u1", 5, timestamp_ms=NOW), history=history(0), scenario=rules)

    def places(found):
        return [one.id for one in found.items]

    # v2 looks and moves like what was watched, v1 has its words.
    plain, by_words = slate(), slate(text=MOST_WEIGHT, frames=0.0, motion=0.0)
    by_looks = slate(text=0.0, frames=MOST_WEIGHT)
    assert places(by_words).index("v1") < places(by_words).index("v2")
    assert places(by_looks).index("v2") < places(by_looks).index("v1")
    assert [step.stage for step in plain.trace if step.stage == "modalities"] == []
    step = next(one for one in by_words.trace if one.stage == "modalities")
    assert step.detail["weights"] == {"text": MOST_WEIGHT, "frames": 0.0, "motion": 0.0}
    assert slate(text=MOST_WEIGHT, frames=0.0, motion=0.0).items == by_words.items


def test_weights_that_cannot_be_are_refused():
    with pytest.raises(ConfigError, match=r"weight of frames must be in \[0, 1000\], is -1 in scenario 'home'"):
        Scenario("home", modalities={"frames": -1})
