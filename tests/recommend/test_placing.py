"""Decisions about single items over the rules of any scenario."""

import pytest
from small_world import NOW, history, world_catalogue, world_scorer

from kinema.errors import ConfigError
from kinema.recommend.pipeline import Recommender
from kinema.recommend.placing import Placement, Placing
from kinema.recommend.scenario import Scenario
from kinema.schema import Request


def ids(slate):
    return [one.id for one in slate.items]


def asked(scenario, num_items=3):
    recommender = Recommender(catalogue=world_catalogue(), scorer=world_scorer(), diversity=0.0, fresh_share=0.0)
    request = Request("u1", num_items=num_items, timestamp_ms=NOW)
    return recommender.recommend(request, history=history(0), scenario=scenario)


def test_decisions_go_over_the_rules_of_a_scenario():
    placing = Placing.of(
        {
            "v1": Placement(position=0, updated_ms=5),
            "v2": Placement(position=0, updated_ms=9),
            "v3": Placement(boost=0.5),
            "v4": Placement(hidden=True, boost=1.0, position=3),
        }
    )
    assert (placing.hidden, placing.lifts, placing.pins) == ({"v4"}, {"v3": 0.5}, {0: "v2"})
    rules = Scenario("tv", pins={0: "v5", 1: "v2", 2: "v0"}, lifts={"v3": 0.1, "v5": 0.2}, max_items=4)
    over = placing.over(rules)
    assert over.pins == {0: "v2", 2: "v0"}, "an item has one place"
    assert over.lifts == {"v3": 0.5, "v5": 0.2}
    assert over.max_items == 4
    assert Placing().over(rules) is rules


def test_a_lifted_item_is_a_candidate_whatever_the_sources():
    plain = Scenario("tv", sources={"popularity": 1.0})
    last = ids(asked(plain, 5))[-1]
    lifted = asked(Scenario("tv", sources={"popularity": 1.0}, lifts={last: 1.0}), 2)
    assert last in ids(lifted)
    slate = asked(Scenario("tv", sources={"memory": 1.0}, lifts={"v4": 1.0}), 5)
    place = next(one for one in slate.items if one.id == "v4")
    assert "lifted" in place.sources


def test_a_lowered_item_goes_down_and_an_unknown_one_nowhere():
    first = ids(asked(Scenario("tv")))[0]
    assert ids(asked(Scenario("tv", lifts={first: -1.0, "nobody": 1.0}), 5))[0] != first


def test_a_lifted_item_that_may_not_appear_does_not():
    assert "v0" not in ids(asked(Scenario("tv", lifts={"v0": 1.0}), 6)), "it was seen"


@pytest.mark.parametrize("lift", [-1.1, 2])
def test_lifts_are_bounded(lift):
    with pytest.raises(ConfigError, match=r"lift of an item must be in \[-1, 1\], is"):
        Scenario("tv", lifts={"v1": lift})
