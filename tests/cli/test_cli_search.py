"""`kinema search` as it is typed."""

import json

import polars as pl
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.project import Project
from kinema.recommend.search import search
from kinema.steps import searching


@pytest.fixture
def shop(tmp_path):
    items = {"id": ["v1", "v2", "v3"], "title": ["Otters swim", "Kites", "[otters] play"], "tags": ["", "", "river"]}
    pl.DataFrame(items).write_csv(tmp_path / "items.csv")
    with Project.init(tmp_path / "shop") as project:
        project.ingest(items=tmp_path / "items.csv")
    return tmp_path / "shop"


def call(shop, *arguments):
    done = CliRunner().invoke(main, ["search", *arguments, "-p", str(shop)], catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_people_see_titles_reasons_weights_and_notes(shop):
    text = call(shop, "oters", "--user", "u9", "--explain")
    assert "for 'oters'" in text
    assert "[otters] play" in text
    assert "has 'otters' in its title" in text
    assert "weights: words 1" in text
    assert "'oters' was read as 'otters'; user 'u9' is unknown: taste plays no part" in text
    assert "what adds up to the score" in text
    assert "narrow" not in text
    assert "match" in text


def test_machines_get_everything(shop):
    found = json.loads(call(shop, "river", "--json", "-n", "1", "--user-weight", "0.5"))
    assert [item["id"] for item in found["items"]] == ["v3"]
    assert found["items"][0]["evidence"]["words"]["river"]["field"] == "tags"
    assert {"weights", "trace", "notice", "bridges", "user_weight"} <= found.keys()


def test_the_weight_of_taste_is_the_settings_unless_given(shop, monkeypatch):
    asked = []

    def answer(parts, index, question, **rest):
        asked.append(question)
        return search(parts, index, question, **rest)

    monkeypatch.setattr(searching, "search", answer)
    (shop / "kinema.toml").write_text("[search]\nuser_weight = 0.7\nwords_weight = 2.0\n")
    assert json.loads(call(shop, "river", "--json"))["weights"] == {"words": 2.0}
    call(shop, "river", "--user-weight", "0.1")
    assert [one.user_weight for one in asked] == [0.7, 0.1]


def test_answers_of_a_language_and_a_length(shop, tmp_path):
    rows = {"id": ["s", "l"], "title": ["Otters"] * 2, "language": ["de", "en"], "duration_ms": [4000, 90_000]}
    pl.DataFrame(rows).write_csv(tmp_path / "more.csv")
    with Project.open(shop) as project:
        project.ingest(items=tmp_path / "more.csv")

    def found(*options):
        return [item["id"] for item in json.loads(call(shop, "otters", "--json", *options))["items"]]

    assert found("--language", "de") == ["s"]
    assert found("--min-seconds", "4.5") == ["l"]
    assert found("--max-seconds", "4") == ["s"]


def test_a_long_question_is_shortened_in_the_heading(shop):
    assert f"for '{'otter ' * 10}...'" in " ".join(call(shop, "otter " * 100).split("\n"))


def test_nothing_found_is_said(shop):
    assert "nothing matches 'zebra'" in call(shop, "zebra")
