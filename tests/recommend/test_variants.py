"""Who gets which variant: always the same, in the shares that were asked for, independently between experiments."""

import numpy as np
import pytest

from kinema.errors import ConfigError, DataError
from kinema.recommend.scenario import Scenario
from kinema.recommend.variants import CONTROL, Placement, Scenarios, place_of

USERS = [f"u{number}" for number in range(4000)]


def variant(name="b", share=0.3, scenario="home"):
    return Scenario(scenario, name, diversity=0.5), share


def test_the_place_of_a_user_is_a_known_number():
    assert place_of("home", "u1") == pytest.approx(0.1274976420847651)


def test_people_are_spread_evenly():
    counts, _ = np.histogram([place_of("home", user) for user in USERS], bins=20, range=(0, 1))
    assert ((counts - 200) ** 2 / 200).sum() < 43.8  # chi-square, 19 degrees of freedom, one in a thousand


def test_variants_get_their_shares_and_the_rest_is_the_control():
    home = Placement(Scenario("home"), (variant("b", 0.3), variant("c", 0.2)))
    names = [home.of(user).variant for user in USERS]
    assert names.count("b") == pytest.approx(1200, abs=100)
    assert names.count("c") == pytest.approx(800, abs=100)
    assert names.count(CONTROL) == len(USERS) - names.count("b") - names.count("c")
    assert home.shares == pytest.approx({CONTROL: 0.5, "b": 0.3, "c": 0.2})


def test_two_experiments_deal_users_out_independently():
    home, related = (Placement(Scenario(name), (variant("b", 0.5, name),)) for name in ("home", "related"))
    both = [(home.of(user).variant, related.of(user).variant) for user in USERS]
    assert both.count(("b", "b")) == pytest.approx(1000, abs=120)


def test_a_new_name_of_the_experiment_deals_users_out_anew():
    first, second = (Placement(Scenario("home"), (variant("b", 0.5),), name) for name in ("", "again"))
    same = sum(first.of(user).variant == second.of(user).variant for user in USERS)
    assert same == pytest.approx(2000, abs=150)


def test_without_variants_there_is_no_name_and_nobody_without_a_name_is_dealt():
    assert Placement(Scenario("home")).of("u1").variant == ""
    assert Placement(Scenario("home")).shares == {}
    assert Placement(Scenario("home"), (variant("b", 1.0),)).of("").variant == CONTROL


@pytest.mark.parametrize("shares", [(0.6, 0.6), (0.0, 0.5), (1.1,)])
def test_shares_beyond_everybody_are_refused(shares):
    with pytest.raises(ConfigError, match=r"shares of the variants of scenario 'home' must be in \(0, 1\] and sum to"):
        Placement(Scenario("home"), tuple(variant(f"v{n}", share) for n, share in enumerate(shares)))


@pytest.mark.parametrize("names", [("control",), ("b", "b"), ("",)])
def test_names_that_mean_two_things_are_refused(names):
    with pytest.raises(ConfigError, match="variants of scenario 'home' must have names of their own, not 'control'"):
        Placement(Scenario("home"), tuple(variant(name, 0.1) for name in names))


def test_built_in_scenarios_are_always_there_and_others_may_be_added():
    scenarios = Scenarios.of([Placement(Scenario("home", diversity=0.9)), Placement(Scenario("kids"), (variant(),))])
    assert list(scenarios.placements) == ["home", "related", "search", "kids"]
    assert scenarios.rules("home", "u1").diversity == 0.9
    assert [rules.variant for rules in scenarios.all()] == ["", "", "", "", "b"]
    with pytest.raises(DataError, match=r"unknown scenario 'kid', did you mean 'kids'\? known: home, related, search"):
        scenarios.rules("kid", "u1")
