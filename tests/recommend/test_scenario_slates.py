"""Slates by the rules of a scenario: who is asked, what may appear, what counts more, what stands where, and what chance does."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_world import NOW, history, removed_adds_up, world_catalogue, world_items, world_scorer
from test_pipeline_properties import situations

from kinema.errors import DataError
from kinema.ranking.rescoring import Rescoring
from kinema.recommend.arranging import boost
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.pipeline import Recommender
from kinema.recommend.scenario import Boost, Condition, Scenario
from kinema.recommend.stages import Ranked
from kinema.recommend.trace import Trace
from kinema.retrieval.merge import Proposed
from kinema.schema import Item, Request

SPORT = Condition(categories=("sport",))


def recommender(**parts):
    return Recommender(**{"catalogue": world_catalogue(), "scorer": world_scorer(), "diversity": 0.0, **parts})


def ask(num_items=5, **more):
    return Request("u1", **{"num_items": num_items, "timestamp_ms": NOW, **more})


def ids(slate):
    return [item.id for item in slate.items]


def slate_of(num_items=5, past=(0,), parts=None, **rules):
    return recommender(**(parts or {})).recommend(
        ask(num_items), history=history(*past) if past else None, scenario=Scenario("kids", **rules)
    )


def step(slate, stage):
    return next(one for one in slate.trace if one.stage == stage)


def test_a_scenario_without_rules_changes_nothing():
    plain = recommender(diversity=0.3).recommend(ask(), history=history(0))
    ruled = recommender(diversity=0.3).recommend(ask(), history=history(0), scenario=Scenario("home"))
    assert plain.items == ruled.items
    assert step(ruled, "filter").detail["scenario"] == "home"


def test_an_unknown_scenario_without_rules_is_refused():
    with pytest.raises(DataError, match="unknown scenario 'hoem', did you mean 'home'"):
        recommender().recommend(ask(scenario="hoem"))


def test_what_the_filter_takes_out_is_counted_and_told_where_the_slate_is_short():
    slate = slate_of(filter=Condition(categories=("nature", "sport"), not_categories=("water",)))
    assert sorted(ids(slate)) == ["v1", "v2", "v3", "v5"]
    assert step(slate, "filter").detail["removed"] == {"seen": 1, "of another category": 1}
    assert slate.notice == "only 4 of 5 items: of the others 1 seen, 1 of another category"


def test_what_was_seen_may_come_again_where_the_scenario_says_so():
    slate = slate_of(6, exclude_seen=False)
    assert len(ids(slate)) == 6
    assert ids(slate)[0] == "v0"


def test_only_the_sources_that_are_named_are_asked_each_for_its_share():
    slate = slate_of(1, sources={"model": 1.0, "popularity": 0.01}, parts={"num_candidates": 4})
    asked = [one for one in slate.trace if one.stage.startswith("retrieve:")]
    assert [(one.stage, one.num_out) for one in asked] == [("retrieve:flm", 4), ("retrieve:popularity", 1)]


def test_sources_that_find_too_little_are_filled_up_with_what_is_popular():
    slate = slate_of(4, past=(), sources={"fresh": 1.0})
    assert ids(slate)[:2] == ["v5", "v3"]
    assert len(slate.items) == 4
    assert [item.sources for item in slate.items[:2]] == [("fresh",), ("popularity",)]


def test_weights_of_sources_count_where_ranks_are_fused():
    popular = slate_of(2, past=(), sources={"popularity": 1.0, "fresh": 0.1})
    fresh = slate_of(2, past=(), sources={"popularity": 0.1, "fresh": 1.0})
    assert (ids(popular)[0], ids(fresh)[0]) == ("v3", "v5")


def test_a_scenario_may_rank_by_its_sources_where_a_model_could():
    slate = slate_of(4, sources={"popularity": 1.0}, rank_by="sources")
    assert ids(slate) == ["v3", "v4", "v2", "v1"]
    assert step(slate, "rank").detail["by"] == "fused ranks"


def test_the_second_opinion_is_heard_only_where_the_scenario_wants_it():
    likely = Rescoring("click", lambda items, _: np.where(items == 3, 0.9, 0.1).astype(np.float32), weight=1.0)
    heard, not_heard = (
        recommender().recommend(ask(1), history=history(0), rescoring=likely, scenario=Scenario("home", ranker=wanted))
        for wanted in (True, False)
    )
    assert ids(heard) == ["v3"] != ids(not_heard)


def test_one_added_lifts_the_last_candidate_level_with_the_best():
    plain = slate_of(5)
    last = plain.items[-1].id
    where = Condition(categories=("sport",)) if last == "v3" else Condition(not_categories=("sport", "nature"))
    lifted = slate_of(5, boosts=(Boost(where, add=1.0),))
    before, after = ({item.id: item.score for item in slate.items} for slate in (plain, lifted))
    assert after[last] == pytest.approx(plain.items[0].score)
    assert {one: score for one, score in after.items() if one != last} == {
        one: score for one, score in before.items() if one != last
    }


def matches(item, where):
    return bool(set(world_items()[int(item[1])].categories) & set(where.categories))


@pytest.mark.parametrize("past", [(0,), ()])
def test_nothing_times_an_item_puts_it_level_with_the_last(past):
    plain = slate_of(6, past=past)
    best = next(item for item in plain.items if item.id in {"v3", "v1", "v2", "v5"})
    where = Condition(categories=("sport",) if best.id == "v3" else ("nature",))
    lowered = slate_of(6, past=past, boosts=(Boost(where, multiply=0.0),))
    scores = {item.id: item.score for item in lowered.items}
    assert scores[best.id] == pytest.approx(min(scores.values()))
    assert step(lowered, "boost").detail["boosted"] == [sum(matches(one, where) for one in scores)]


def test_half_the_relevance_is_half_of_the_way_to_the_last():
    plain = slate_of(5)
    scores = {item.id: item.score for item in plain.items}
    halved = slate_of(5, boosts=(Boost(SPORT, multiply=0.5),))
    low = min(scores.values())
    assert {item.id: item.score for item in halved.items}["v3"] == pytest.approx(low + 0.5 * (scores["v3"] - low))


def test_boosts_follow_each_other():
    both = slate_of(5, boosts=(Boost(SPORT, multiply=0.0), Boost(SPORT, add=1.0)))
    plain = slate_of(5)
    assert {item.id: item.score for item in both.items}["v3"] == pytest.approx(plain.items[0].score)


def test_boosts_work_among_equals():
    equal_K = np.zeros(3)
    ranked = Ranked(np.array([1, 2, 3]), equal_K, equal_K, Proposed.by(3))
    moved = boost(
        recommender().parts, ranked, Scenario("x", boosts=(Boost(SPORT, add=0.5),)), now_ms=NOW, trace=Trace()
    )
    assert moved.items_K.tolist() == [3, 1, 2]
    assert moved.scores_K.tolist() == [0.5, 0.0, 0.0]


def test_boosts_beyond_measure_stay_finite():
    slate = slate_of(6, past=(), boosts=(Boost(Condition(), multiply=1000.0),) * 3)
    assert all(np.isfinite(item.score) for item in slate.items)


def test_pins_stand_where_they_are_put_and_nowhere_else():
    slate = slate_of(4, pins={0: "v5", 2: "v4"})
    assert (ids(slate)[0], ids(slate)[2]) == ("v5", "v4")
    assert len(set(ids(slate))) == 4
    pinned = slate.items[0]
    assert (pinned.sources, pinned.reason, pinned.propensity) == (("pinned",), "pinned to this place", 1.0)
    assert pinned.evidence["kind"] == "pinned"
    assert step(slate, "pin").detail["pinned"] == {"0": "v5", "2": "v4"}


def test_a_pin_that_may_not_appear_leaves_its_place_and_is_told():
    slate = slate_of(3, pins={0: "v0", 1: "nowhere", 7: "v1", 2: "v4", 1000 - 1: "v2"})
    assert ids(slate)[2] == "v4"
    assert step(slate, "pin").detail["left_out"] == {
        "v0": "may not appear",
        "nowhere": "unknown",
        "v1": "behind the slate",
        "v2": "behind the slate",
    }


def test_an_item_is_pinned_once():
    slate = slate_of(3, pins={0: "v4", 1: "v4"})
    assert ids(slate).count("v4") == 1
    assert step(slate, "pin").detail["left_out"] == {"v4": "pinned above"}


def test_a_slate_that_is_too_short_has_its_pins_last():
    slate = slate_of(5, pins={4: "v4"}, filter=Condition(not_categories=("nature",)))
    assert ids(slate) == ["v3", "v4"]


def test_a_slate_may_be_pinned_from_end_to_end():
    assert ids(slate_of(2, pins={0: "v3", 1: "v4"})) == ["v3", "v4"]


def test_copies_of_what_is_pinned_stay_out():
    parts = {"copies_V": np.array([-1, 7, 7, -1, -1, -1])}
    slate = slate_of(5, pins={0: "v1"}, parts=parts)
    assert "v2" not in ids(slate)
    assert ids(slate)[0] == "v1"


def test_a_category_and_a_creator_have_their_caps_and_pins_count():
    items = [replace(item, attributes={"by": "ann" if item.id in {"v1", "v3"} else "bob"}) for item in world_items()]
    parts = {"catalogue": world_catalogue(items)}
    plain = slate_of(2, parts=parts, exclude_seen=False)
    assert ids(plain) == ["v0", "v5"]
    once = slate_of(2, parts=parts, exclude_seen=False, caps={"by": 1})
    assert ids(once) == ["v0", "v1"]
    assert step(once, "rerank").detail["capped"] == {"by": 1}
    capped = slate_of(2, parts=parts, caps={"by": 1}, pins={1: "v3"})
    assert not {"v1"} & set(ids(capped))


def test_a_cap_reaches_behind_the_pool():
    """Sixty of one creator come first; the cap is kept although the pool holds fifty."""
    items = [Item(f"i{n}", attributes={"by": "ann" if n < 60 else f"c{n}"}) for n in range(70)]
    many = Recommender(catalogue=Catalogue.of(items), popularity_V=np.arange(70.0, 0.0, -1))
    slate = many.recommend(ask(5), scenario=Scenario("home", caps={"by": 1}))
    assert ids(slate) == ["i0", "i60", "i61", "i62", "i63"]


def test_a_slate_is_no_longer_than_the_scenario_allows():
    slate = slate_of(5, max_items=2)
    assert len(slate.items) == 2
    assert slate.notice == ""


def test_diversity_and_new_items_are_the_scenarios_own_where_it_says_so():
    assert step(slate_of(3, past=(), diversity=0.0), "rerank").detail["diversity"] == 0.0
    assert step(slate_of(3, diversity=0.7), "rerank").detail["diversity"] == 0.7
    assert step(slate_of(3, past=()), "rerank").detail["diversity"] == 0.3


def test_chance_hangs_on_the_recommendation_and_can_be_replayed():
    rules = Scenario("home", exploration=0.8)
    made = [
        recommender().recommend(ask(3), history=history(0), scenario=rules, draw=draw)
        for draw in ("r1", "r1", *"abcdefgh")
    ]
    assert made[0].items == made[1].items
    assert len({tuple(ids(slate)) for slate in made}) > 3
    assert ids(recommender(seed=1).recommend(ask(3), scenario=rules)) is not None


def test_the_propensity_of_each_place_is_what_the_rule_says():
    slate = slate_of(5, exploration=0.5)
    drawn = step(slate, "explore")
    assert drawn.detail["pool"] == 5
    plan = ids(slate_of(5))
    for position, item in enumerate(slate.items):
        placed = ids(slate)[:position]
        planned = next(one for one in plan if one not in placed)
        assert item.propensity == pytest.approx(0.5 / (5 - position) + 0.5 * (item.id == planned))


def test_each_item_takes_the_first_place_as_often_as_its_propensity_says():
    rules, model = Scenario("home", exploration=0.6), recommender()
    slates = [model.recommend(ask(2), history=history(0), scenario=rules, draw=str(n)) for n in range(400)]
    shares = {item: sum(ids(slate)[0] == item for slate in slates) / 400 for item in ("v1", "v2", "v3", "v4", "v5")}
    told = {slate.items[0].id: slate.items[0].propensity for slate in slates}
    assert sorted(told) == sorted(shares)
    for item, propensity in told.items():
        assert shares[item] == pytest.approx(propensity, abs=5 * np.sqrt(propensity * (1 - propensity) / 400))


def test_without_exploration_every_place_is_certain():
    assert {item.propensity for item in slate_of(5).items} == {1.0}


def test_similar_items_follow_the_rules_too():
    rules = Scenario("related", filter=Condition(not_categories=("sport",)), pins={1: "v4"}, exploration=0.3)
    slate = recommender().similar("v0", 4, timestamp_ms=NOW, scenario=rules, draw="r")
    assert ids(slate)[1] == "v4"
    assert "v3" not in ids(slate)
    assert removed_adds_up(slate.trace)
    assert min(item.propensity for item in slate.items) < 1
    boosted = recommender().similar(
        "v0", 1, timestamp_ms=NOW, scenario=Scenario("related", boosts=(Boost(SPORT, add=1),))
    )
    assert ids(boosted) == ["v3"]
    assert len(recommender().similar("v0", 4, timestamp_ms=NOW, scenario=Scenario("related", max_items=2)).items) == 2


@st.composite
def rules(draw):
    some = st.sampled_from(["a", "b", "c"])
    condition = Condition(
        categories=tuple(draw(st.lists(some, max_size=1))), not_categories=tuple(draw(st.lists(some, max_size=1)))
    )
    return Scenario(
        "own",
        filter=condition,
        exclude_seen=draw(st.booleans()),
        sources=draw(st.sampled_from([{}, {"fresh": 1.0}, {"model": 1.0, "popularity": 0.2}, {"memory": 0.5}])),
        rank_by=draw(st.sampled_from(["model", "sources"])),
        boosts=draw(st.sampled_from([(), (Boost(Condition(categories=("a",)), 2.0, -0.1),)])),
        pins=draw(st.sampled_from([{}, {0: "i3", 4: "i1"}])),
        caps=draw(st.sampled_from([{}, {"category": 1}])),
        exploration=draw(st.sampled_from([0.0, 0.4])),
        max_items=draw(st.sampled_from([None, 6])),
    )


@settings(max_examples=150, deadline=None)
@given(situations(), rules())
def test_every_slate_by_rules_is_as_long_as_it_can_be_and_adds_up(situation, scenario):
    model, items, seen, request, past, profile = situation
    slate = model.recommend(request, history=past, profile_P=profile, scenario=scenario)
    wanted, left_out = scenario.filter.categories, scenario.filter.not_categories
    eligible = {
        item.id
        for number, item in enumerate(items)
        if not item.hidden
        and (item.published_at is None or item.published_at <= request.timestamp_ms)
        and not (scenario.exclude_seen and number in seen)
        and item.id not in request.exclude
        and (not wanted or set(item.categories) & set(wanted))
        and not set(item.categories) & set(left_out)
    }
    shown = ids(slate)
    assert set(shown) <= eligible
    assert len(set(shown)) == len(shown) == min(request.num_items, scenario.max_items or 1000, len(eligible))
    assert removed_adds_up(slate.trace)
    assert all(np.isfinite(item.score) and 0 < item.propensity <= 1 for item in slate.items)
