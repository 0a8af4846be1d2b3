"""Rules that cannot work are refused, with the scenario, the value and what it must be."""

import pytest

from kinema.errors import ConfigError, DataError
from kinema.recommend.scenario import BUILT_IN, Boost, Condition, Scenario, check_scenario


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"sources": {"modl": 1.0}}, "unknown source 'modl' in scenario 'kids', did you mean 'model'"),
        ({"sources": {"model": 0.0}}, r"sources.model must be in \(0, 1000\], is 0.0 in scenario 'kids'"),
        ({"diversity": 1.1}, r"diversity must be in \[0, 1\], is 1.1"),
        ({"fresh_share": -0.1}, r"fresh_share must be in \[0, 1\], is -0.1"),
        ({"exploration": float("nan")}, r"exploration must be in \[0, 1\], is nan"),
        ({"boosts": (Boost(Condition(), multiply=-1.0),)}, r"multiply of a boost must be in \[0, 1000\], is -1.0"),
        ({"boosts": (Boost(Condition(), add=2.0),)}, r"add of a boost must be in \[-1, 1\], is 2.0"),
        ({"pins": {1000: "v"}}, "position of a pin must be in 0..999, is 1000"),
        ({"caps": {"category": 0}}, "caps.category must be >= 1, is 0"),
        ({"max_items": 0}, "max_items must be in 1..1000, is 0"),
    ],
)
def test_a_rule_out_of_range_is_named(rules, message):
    with pytest.raises(ConfigError, match=message):
        Scenario("kids", **rules)


def test_a_mistyped_scenario_is_answered_with_the_close_one():
    with pytest.raises(DataError, match=r"unknown scenario 'hme', did you mean 'home'\? known: home, related, search"):
        check_scenario("hme", BUILT_IN)


def test_a_scenario_like_no_other_is_answered_with_all():
    with pytest.raises(DataError, match="unknown scenario 'zzz'; known: home, related, search"):
        check_scenario("zzz", BUILT_IN)
