import json
import re

import pytest

from kinema.errors import ConfigError
from kinema.flm.config import _POSITIVE, _SHARES, FLMConfig


@pytest.mark.parametrize("name", _POSITIVE)
@pytest.mark.parametrize("value", [0, -1])
def test_what_must_be_positive_is_refused_when_it_is_not(name, value):
    with pytest.raises(ConfigError, match=re.escape(f"flm.{name} must be > 0, is {value}; change it in kinema.toml")):
        FLMConfig(**{name: value})


@pytest.mark.parametrize("name", _SHARES)
@pytest.mark.parametrize("value", [-0.1, 1, 1.5])
def test_a_share_outside_zero_to_one_is_refused(name, value):
    message = f"flm.{name} must be in [0, 1), is {value}; change it in kinema.toml"
    with pytest.raises(ConfigError, match=re.escape(message)):
        FLMConfig(**{name: value})


def test_heads_that_do_not_divide_the_width_are_refused():
    message = re.escape("flm.num_heads must divide flm.d_model, got 3 heads for width 64")
    with pytest.raises(ConfigError, match=message):
        FLMConfig(num_heads=3)


def test_a_model_without_ids_and_without_content_is_refused():
    with pytest.raises(ConfigError, match=r"use_ids and flm\.use_content are both false, one must be true"):
        FLMConfig(use_ids=False, use_content=False)


@pytest.mark.parametrize("name", ["content_terms", "collab_terms"])
def test_an_unknown_part_of_a_loss_is_refused_with_the_known_ones(name):
    with pytest.raises(
        ConfigError, match=rf"flm\.{name} must be of (items, users|next, align).*, has 'nxt'; change it"
    ):
        FLMConfig(**{name: ("nxt",)})


@pytest.mark.parametrize("off", [{"weight_collab": 0.0}, {"collab_terms": ()}])
def test_a_model_that_nothing_teaches_what_is_watched_is_refused(off):
    with pytest.raises(ConfigError, match=r"weight_sequence and flm\.weight_collab are both 0.*--catalogue-only"):
        FLMConfig(weight_sequence=0.0, **off)


def test_without_a_sequential_loss_the_collaborative_branch_leads_and_no_step_goes_without():
    config = FLMConfig(auxiliary_every=4)
    assert (config.leading, config.auxiliary_period) == ("sequential", 4)
    config = config.with_changes(weight_sequence=0.0)
    assert (config.leading, config.auxiliary_period) == ("collaborative", 1)


def test_changes_are_checked_too_and_leave_the_original_alone():
    config = FLMConfig()
    assert config.with_changes(d_model=32).d_model == 32
    assert config.d_model == 64
    with pytest.raises(ConfigError, match=r"flm\.patience must be > 0, is 0"):
        config.with_changes(patience=0)


def test_a_configuration_survives_the_round_trip_through_json():
    config = FLMConfig(
        d_model=32, content_terms=("next", "align"), collab_terms=("users",), use_profiles=False, max_seconds=2.5
    )
    assert FLMConfig.from_dict(json.loads(json.dumps(config.as_dict()))) == config


def test_keys_that_are_missing_get_their_default_and_a_model_from_before_the_filter_has_none():
    assert FLMConfig.from_dict({}) == FLMConfig(filter_share=0.0)


def test_an_unknown_key_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ConfigError, match=r"flm\.depth is unknown; known: d_model, num_blocks, .*patience"):
        FLMConfig.from_dict({"d_model": 32, "depth": 3})


def test_short_histories_get_a_short_model_and_long_ones_a_long_one():
    short = FLMConfig.for_data(num_items=12101, num_interactions=150_000, mean_length=7.0)
    long = FLMConfig.for_data(num_items=1682, num_interactions=100_000, mean_length=106.0)
    assert (short.max_length, short.num_heads, short.num_negatives) == (50, 1, 1024)
    assert (long.max_length, long.num_heads, long.num_negatives) == (200, 2, 512)


def test_small_logs_are_read_more_often_than_large_ones():
    sizes = [1000, 100_000, 5_000_000]
    small, medium, large = (FLMConfig.for_data(num_items=500, num_interactions=n, mean_length=30) for n in sizes)
    assert small.max_epochs > medium.max_epochs == large.max_epochs
    assert small.batch_tokens == medium.batch_tokens < large.batch_tokens


def test_what_is_asked_for_wins_over_what_suits_the_data():
    config = FLMConfig.for_data(num_items=10, num_interactions=100, mean_length=5, max_epochs=2, d_model=16)
    assert (config.max_epochs, config.d_model) == (2, 16)


@pytest.mark.parametrize(
    ("size", "width", "block"), [("tiny", 64, "plain"), ("base", 128, "ligr"), ("large", 256, "ligr")]
)
def test_a_size_changes_the_defaults_and_the_users_choice_wins(size, width, block):
    facts = {"num_items": 100, "num_interactions": 1000, "mean_length": 10.0}
    config = FLMConfig.for_data(**facts, size=size)
    assert (config.d_model, config.block) == (width, block)
    assert FLMConfig.for_data(**facts, size=size, d_model=32).d_model == 32


def test_an_unknown_size_or_block_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="size must be one of tiny, base, large, is 'huge'"):
        FLMConfig.for_data(num_items=1, num_interactions=1, mean_length=1.0, size="huge")
    with pytest.raises(ConfigError, match="block must be one of plain, ligr, is 'round'"):
        FLMConfig(block="round")
