import tomllib

import pytest

from kinema.cli.finetune import TASKS as FINETUNE_COMMANDS
from kinema.errors import ConfigError, NotBuiltError
from kinema.settings import Settings, check_settings, load_settings, template
from kinema.training.task_settings import TASKS, task_settings


def test_an_empty_file_gives_every_default(tmp_path):
    (tmp_path / "kinema.toml").write_text("")
    assert load_settings(tmp_path / "kinema.toml") == Settings()


def test_the_template_is_valid_and_changes_nothing(tmp_path):
    (tmp_path / "kinema.toml").write_text(template())
    assert load_settings(tmp_path / "kinema.toml") == Settings()


def test_every_default_in_the_template_is_valid_when_uncommented():
    lines = [
        line.removeprefix("# ") if " = " in line and "(automatic)" not in line else line
        for line in template().splitlines()
    ]
    assert check_settings(tomllib.loads("\n".join(lines[2:]))) == Settings()


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"evaluation": {"test_shar": 0.1}},
            r"unknown key 'evaluation.test_shar' in kinema.toml, did you mean 'test_share'\? allowed: .*cold_share",
        ),
        ({"fml": {}}, r"unknown key 'fml' in kinema.toml, did you mean 'flm'\? allowed: .*encoders"),
        ({"flm": {"dropout": 1.5}}, r"flm.dropout must be .*, is 1.5"),
        ({"search": {"user_weight": 1.5}}, r"search.user_weight must be less than or equal to 1, is 1.5"),
        ({"search": {"words_weight": -1}}, r"search.words_weight must be greater than or equal to 0, is -1"),
        ({"runtime": {"device": "gpu"}}, r"runtime.device must be 'cpu' or 'cuda', is 'gpu'"),
        ({"histories": {"kinds": ["clik"]}}, r"histories.kinds.0 must be 'impression', .*is 'clik'"),
        ({"media": {"sampling": "best"}}, r"media.sampling must be 'even', 'key' or 'shots', is 'best'"),
        ({"media": {"num_frames": "many"}}, r"media.num_frames must be an integer.*is 'many'"),
        (
            {"scenarios": {"home": {"boosts": [{"categories": "news"}]}}},
            r"scenarios.home.boosts.0.categories must be a list, is 'news'",
        ),
        (
            {"scenarios": {"home": {"pins": {"first": "v1"}}}},
            r"a key of scenarios.home.pins must be an integer, is 'first' \(kinema.toml or environment\)",
        ),
        (
            {"scenarios": {"home": {"sources": {"popular": 1}}}},
            r"a key of scenarios.home.sources must be 'model', 'memory', .* or 'fresh', is 'popular'",
        ),
        (
            {"scenarios": {"home": {"variants": {"b": {"diversity": 0.3}}}}},
            r"scenarios.home.variants.b.share is required, is missing \(kinema.toml or environment\)",
        ),
    ],
)
def test_a_wrong_setting_names_the_key_the_value_and_what_is_allowed(tree, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(tree)


def test_the_environment_overrides_the_file(monkeypatch):
    monkeypatch.setenv("KINEMA_FLM__MAX_EPOCHS", "5")
    settings = check_settings({"flm": {"max_epochs": 3, "dropout": 0.1}})
    assert (settings.flm.max_epochs, settings.flm.dropout) == (5, 0.1)


def test_a_wrong_environment_variable_is_an_error(monkeypatch):
    monkeypatch.setenv("KINEMA_FML__DROPOUT", "0.1")
    with pytest.raises(
        ConfigError, match=r"unknown key 'fml' in environment variable KINEMA_FML__DROPOUT, did you mean 'flm'"
    ):
        check_settings({})


def test_a_wrong_key_in_the_environment_names_the_variable(monkeypatch):
    monkeypatch.setenv("KINEMA_FLM__DROPUT", "0.1")
    with pytest.raises(
        ConfigError,
        match=r"unknown key 'flm.droput' in environment variable KINEMA_FLM__DROPUT, did you mean 'dropout'",
    ):
        check_settings({})


def test_a_section_that_stands_twice_says_where_its_keys_belong(tmp_path):
    (tmp_path / "kinema.toml").write_text("[recommend]\n[recommend]\nranker = 'click'\n")
    with pytest.raises(
        ConfigError, match=r"is not valid TOML: .*twice .*; a section stands once: write its keys below"
    ):
        load_settings(tmp_path / "kinema.toml")


def test_other_environment_variables_are_left_alone(monkeypatch):
    monkeypatch.setenv("KINEMA_DATA", "somewhere")
    assert check_settings({}) == Settings()


def test_a_missing_file_names_the_command_that_makes_it(tmp_path):
    with pytest.raises(NotBuiltError, match=r"no kinema.toml in '.*'; run: kinema init"):
        load_settings(tmp_path / "kinema.toml")


def test_a_missing_file_names_the_project_that_is_below_it(tmp_path):
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "kinema.toml").write_text("")
    with pytest.raises(NotBuiltError, match=r"no kinema.toml in '.*'; there is one in shop below it"):
        load_settings(tmp_path / "kinema.toml")


def test_broken_toml_is_said_with_its_place(tmp_path):
    (tmp_path / "kinema.toml").write_text("[flm\n")
    with pytest.raises(ConfigError, match=r"kinema.toml is not valid TOML: .*line 1"):
        load_settings(tmp_path / "kinema.toml")


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        (
            {"finetune": {"lerning_rate": 1}},
            r"unknown key 'lerning_rate' in \[finetune\], did you mean 'learning_rate'\?",
        ),
        ({"finetune": {"clik": {}}}, r"unknown key 'clik' in \[finetune\], did you mean 'click'\?"),
        ({"finetune": {"click": 3}}, r"\[finetune.click\] must be a table, is 3; write the settings below"),
        (
            {"finetune": {"click": {"batch_size": "big"}}},
            r"'batch_size' in \[finetune.click\] must be a whole number, is 'big'",
        ),
        ({"finetune": {"click": {"width": 3}}}, r"unknown key 'width' in \[finetune.click\]; known: metric, .*network"),
        ({"finetune": {"click": {"network": 3}}}, r"'network' in \[finetune.click\] must be a table, is 3"),
        (
            {"finetune": {"optimizer": "adam", "rating": {"weight_decay": 0.1}}},
            r"\[finetune.rating\]: weight_decay must be 0 with optimizer 'adam'",
        ),
        ({"tune": {"clik": {}}}, r"unknown key 'clik' in \[tune\], did you mean 'click'\?"),
        ({"tune": {"click": 1}}, r"\[tune.click\] must be a table, is 1"),
        (
            {"tune": {"click": {"patience": 3}}},
            r"'patience' in \[tune.click\] must be a domain, is 3; write \{low = 1e-4, high = 1e-2, log = true\}",
        ),
        ({"tune": {"click": {"l2": {"low": 2, "high": 1}}}}, r"'l2' in \[tune.click\] must have low < high"),
        ({"tune": {"click": {"l2": {"low": 0.0, "high": 1, "log": True}}}}, "with log above 0"),
        ({"tune": {"click": {"l2": {"lo": 0.0}}}}, r"unknown key 'lo' in 'l2' of \[tune.click\], did you mean 'low'\?"),
        ({"tune": {"click": {"network": 1}}}, r"'network' in \[tune.click\] must be a table, is 1"),
    ],
)
def test_what_is_wrong_with_a_task_is_said_with_what_to_write(tree, message):
    with pytest.raises(ConfigError, match=message):
        check_settings(tree)


def test_the_environment_sets_options_of_a_task(monkeypatch):
    monkeypatch.setenv("KINEMA_FINETUNE__CLICK__LEARNING_RATE", "0.01")
    settings = check_settings({"finetune": {"patience": 3, "click": {"optimizer": "sgd"}}})
    found = task_settings(settings.finetune, "click")
    assert found.options == {"patience": 3, "optimizer": "sgd", "learning_rate": 0.01}


def test_every_finetune_command_may_have_a_section():
    assert set(FINETUNE_COMMANDS) <= set(TASKS)
