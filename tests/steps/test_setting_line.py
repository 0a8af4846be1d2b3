"""One line of a person's settings changes; everything else stays."""

import pytest

from kinema.errors import ConfigError
from kinema.settings import template
from kinema.steps.setting_line import write_setting, write_settings


def written(tmp_path, text, **changes):
    path = tmp_path / "kinema.toml"
    path.write_text(text, encoding="utf-8")
    write_setting(path, **{"section": "encoders", "key": "text", "value": "new"} | changes)
    assert list(tmp_path.iterdir()) == [path]
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (
            '[encoders] # ours\ntext = "old"  # why\n\n[flm]\ntext = 1\n',
            '[encoders] # ours\ntext = "new"\n\n[flm]\ntext = 1\n',
        ),
        ('[encoders]\n# text = "x"  # titles\nframes = "f"\n', '[encoders]\ntext = "new"\nframes = "f"\n'),
        ('[encoders]\n# text = "x"\ntext = "y"\n', '[encoders]\n# text = "x"\ntext = "new"\n'),
        ("[encoders]\n[flm]\n", '[encoders]\ntext = "new"\n[flm]\n'),
        ("# nothing", '# nothing\n\n[encoders]\ntext = "new"\n'),
    ],
)
def test_only_the_line_changes(tmp_path, before, after):
    assert written(tmp_path, before) == after


def test_the_template_of_a_new_project_keeps_its_comments(tmp_path):
    before, after = template().splitlines(), written(tmp_path, template(), key="frames").splitlines()
    assert [new for old, new in zip(before, after, strict=True) if old != new] == ['frames = "new"']


def test_quotes_in_a_path_survive(tmp_path):
    assert 'text = "a \\"b\\" \\\\ ü"' in written(tmp_path, "[encoders]\n", value='a "b" \\ ü')


@pytest.mark.parametrize(
    "text", ['encoders = { text = "x" }\n', '[encoders]\ntext = """\nx"""\n', 'encoders.text = "x"\n']
)
def test_a_file_written_in_another_way_is_left_alone(tmp_path, text):
    with pytest.raises(ConfigError, match=r'a plain \[encoders\] section to be changed; write there: text = "new"'):
        written(tmp_path, text)
    assert (tmp_path / "kinema.toml").read_text() == text


def test_sections_in_sections_get_numbers_and_lists(tmp_path):
    path = tmp_path / "kinema.toml"
    path.write_text("[finetune]  # all\npatience = 3\n\n[finetune.click]\n# learning_rate = 1  # was\n")
    write_settings(path, {"finetune.click": {"learning_rate": 2e-3}, "finetune.click.network": {"hidden": [64, 32]}})
    assert path.read_text() == (
        "[finetune]  # all\npatience = 3\n\n[finetune.click]\nlearning_rate = 0.002\n\n"
        "[finetune.click.network]\nhidden = [64, 32]\n"
    )
