"""``[scenarios.NAME]`` in kinema.toml becomes plain rules; what cannot be is refused with its key."""

import re
import tomllib
from pathlib import Path

import pytest

from kinema.errors import ConfigError
from kinema.recommend.scenario import Boost, Condition, Scenario
from kinema.scenario_settings import SCENARIO_LINES, ConditionSettings, RuleSettings, ScenarioSettings, scenarios_of
from kinema.settings import check_settings, template

WHOLE = """
[scenarios.kids]
sources = { model = 1, fresh = 0.2 }
rank_by = "sources"
ranker = false
exclude_seen = false
boosts = [{ tags = ["live"], multiply = 1.5, add = 0.1 }]
pins = { 0 = "v1", 5 = "v9" }
caps = { category = 3, creator = 2 }
diversity = 0.4
fresh_share = 0.0
exploration = 0.05
max_items = 20

[scenarios.kids.filter]
categories = ["cartoon"]
not_tags = ["loud"]
languages = ["en"]
published_since = 2026-01-01
max_age_days = 30
min_seconds = 1.5
attributes = { rated = ["g", "pg"], premium = false, level = 3 }
available_until = "until"
"""


def rules(text, name="kids", who="u1"):
    return scenarios_of(check_settings(tomllib.loads(text)).scenarios).rules(name, who)


def test_every_key_becomes_its_rule():
    assert rules(WHOLE) == Scenario(
        "kids",
        sources={"model": 1.0, "fresh": 0.2},
        rank_by="sources",
        ranker=False,
        filter=Condition(
            categories=("cartoon",),
            not_tags=("loud",),
            languages=("en",),
            published_since_ms=1_767_225_600_000,
            max_age_days=30,
            min_duration_ms=1500,
            attributes=(("rated", ("g", "pg")), ("premium", (False,)), ("level", (3,))),
            available_until="until",
        ),
        exclude_seen=False,
        boosts=(Boost(Condition(tags=("live",)), 1.5, 0.1),),
        pins={0: "v1", 5: "v9"},
        caps={"category": 3, "creator": 2},
        diversity=0.4,
        fresh_share=0.0,
        exploration=0.05,
        max_items=20,
    )
    assert rules(WHOLE).filter.attributes[1][1][0] is False


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("1767225600000", 1_767_225_600_000),
        ("2026-01-01T02:00:00+02:00", 1_767_225_600_000),
        ("2026-01-01T00:00:00", 1_767_225_600_000),
    ],
)
def test_published_since_is_a_date_a_moment_or_milliseconds(moment, expected):
    assert rules(f"[scenarios.kids.filter]\npublished_since = {moment}").filter.published_since_ms == expected


def test_what_is_left_out_is_as_usual():
    assert rules("[scenarios.kids]") == Scenario("kids")
    assert rules("", name="home") == Scenario("home")


def test_a_variant_changes_what_it_names_and_keeps_the_rest():
    text = """
    [scenarios.home]
    diversity = 0.2
    max_items = 5
    filter = { languages = ["en"] }
    [scenarios.home.variants.b]
    share = 1.0
    diversity = 0.6
    """
    expected = Scenario("home", "b", diversity=0.6, max_items=5, filter=Condition(languages=("en",)))
    assert rules(text, "home") == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[scenarios.home]\ndiversty = 1",
            "unknown key 'scenarios.home.diversty' in kinema.toml, did you mean 'diversity'",
        ),
        ("[scenarios.home.filter]\ncategory = ['a']", "'scenarios.home.filter.category' .* did you mean 'categories'"),
        ("[scenarios.home]\nboosts = [{ multply = 2 }]", "'scenarios.home.boosts.0.multply' .* mean 'multiply'"),
        ("[scenarios.home.variants.b]\nshare = 0.5\nshre = 1", "'scenarios.home.variants.b.shre' .* mean 'share'"),
        ("[scenarios.home]\nexploration = 1.5", "scenarios.home.exploration must be less than or equal to 1, is 1.5"),
        (
            "[scenarios.home]\nsources = { modl = 1 }",
            "a key of scenarios.home.sources must be 'model', 'memory'.*, is 'modl'",
        ),
        ("[scenarios.home]\npins = { x = 'v' }", "a key of scenarios.home.pins must be an integer, is 'x'"),
        ("[scenarios.home.variants.b]\ndiversity = 1", "scenarios.home.variants.b.share is required, is missing"),
        ("[scenarios.'a b']\ndiversity = 1", "a key of scenarios must match pattern .*, is 'a b'"),
        ("[scenarios.home.variants.control]\nshare = 0.5", "variants of scenario 'home' must have names of their own"),
        (
            "[scenarios.home.variants.b]\nshare = 0.7\n[scenarios.home.variants.c]\nshare = 0.7",
            "shares of the variants of scenario 'home' must be .* sum to 1.4",
        ),
        (
            "[recommend.scenario_weights]\nkid = { click = 1 }\n[scenarios.kids]",
            "unknown key 'recommend.scenario_weights.kid' in kinema.toml, did you mean 'kids'.* home, related, search, kids",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_key(text, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(tomllib.loads(text))


def test_heads_may_be_weighted_in_a_scenario_of_ones_own():
    found = check_settings(tomllib.loads("[recommend.scenario_weights]\nkids = { click = 1 }\n[scenarios.kids]"))
    assert found.recommend.scenario_weights == {"kids": {"click": 1.0}}


def test_the_environment_reaches_a_scenario(monkeypatch):
    monkeypatch.setenv("KINEMA_SCENARIOS__HOME__MAX_ITEMS", "7")
    assert scenarios_of(check_settings({}).scenarios).rules("home", "u").max_items == 7


def test_a_new_file_names_every_rule():
    named = "\n".join(SCENARIO_LINES)
    assert named in template()
    assert all(f"{key}," in named or f"{key};" in named for key in RuleSettings.model_fields)


def test_the_examples_of_the_documentation_work():
    text = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text(encoding="utf-8")
    examples = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    found = [scenarios_of(check_settings(tomllib.loads(one)).scenarios) for one in examples]
    assert [list(one.placements) for one in found] == [
        ["home", "related", "search", "kids", "trending"],
        ["home", "related", "search"],
    ]
    assert all(f"| `{key}`" in text for key in ScenarioSettings.model_fields)
    assert all(f"`{key}`" in text for key in ConditionSettings.model_fields)
