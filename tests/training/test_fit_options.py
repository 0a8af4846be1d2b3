"""Options of training come from a plain table, and each error says what to write instead."""

import re

import pytest

from kinema.errors import ConfigError
from kinema.training.fit_options import FitOptions


def test_a_table_gives_options_and_the_rest_is_default():
    options = FitOptions.from_mapping(
        {"metric": "auc", "learning_rate": 1, "rate_factors": {"encoder": 0.1}, "optimizer": "sgd", "l2": 1e-5}
    )
    assert options == FitOptions("auc", learning_rate=1.0, rate_factors={"encoder": 0.1}, optimizer="sgd", l2=1e-5)
    assert isinstance(options.learning_rate, float)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (
            {"lerning_rate": 0.1},
            "unknown key 'lerning_rate' in [finetune], did you mean 'learning_rate'? known: metric, ",
        ),
        ({"zzz": 1}, "unknown key 'zzz' in [finetune]; known: metric, "),
        ({"learning_rate": "fast"}, "'learning_rate' in [finetune] must be a number, is 'fast'; correct it"),
        ({"learning_rate": True}, "'learning_rate' in [finetune] must be a number, is True"),
        ({"batch_size": 2.5}, "'batch_size' in [finetune] must be a whole number, is 2.5"),
        ({"optimizer": 3}, "'optimizer' in [finetune] must be a text, is 3"),
        ({"rate_factors": 3}, "'rate_factors' in [finetune] must be a table of numbers, is 3"),
        ({"rate_factors": {"head": "x"}}, "'rate_factors.head' in [finetune] must be a number, is 'x'"),
        ({"batch_size": 0}, "[finetune]: batch_size must be in [1, 1.67772e+07], is 0; choose another"),
        ({"clip_norm": -1}, "[finetune]: clip_norm must be >= 0, is -1; choose another"),
        ({"learning_rate": float("nan")}, "[finetune]: learning_rate must be in [1e-12, 100], is nan"),
        ({"rate_factors": {"head": 0}}, "[finetune]: rate_factors['head'] must be in"),
        (
            {"schedule": "cosin"},
            "[finetune]: unknown schedule 'cosin', did you mean 'cosine'? known: constant, linear, ",
        ),
        ({"optimizer": "lion"}, "[finetune]: unknown optimizer 'lion'; known: adamw, adam, rmsprop, sgd"),
        ({"optimizer": "adam", "weight_decay": 0.1}, "weight_decay must be 0 with optimizer 'adam', is 0.1"),
        ({"l2": 0.1}, "l2 must be 0 with optimizer 'adamw', is 0.1; use weight_decay"),
    ],
)
def test_what_is_wrong_is_named(values, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        FitOptions.from_mapping({"metric": "auc"} | values)


def test_a_metric_must_be_named():
    with pytest.raises(ConfigError, match=re.escape("[finetune.click] must name the metric that decides")):
        FitOptions.from_mapping({}, where="[finetune.click]")
