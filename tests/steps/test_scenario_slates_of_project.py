"""A project answers by the rules of its kinema.toml."""

import polars as pl
import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from kinema.cli.main import main
from kinema.errors import DataError
from kinema.project import Project

RULES = """
[scenarios.kids]
filter = { categories = ["cartoon", "cartoons"] }
pins = { 1 = "v3" }
[scenarios.kids.variants.b]
share = 1.0
max_items = 1
"""


@pytest.fixture
def project(tmp_path):
    with Project.init(tmp_path / "shop") as made:
        (made.folder / "kinema.toml").write_text(RULES)
        made.reload()
        categories = [["cartoon"], ["news"], ["cartoon"], ["cartoon"]]
        made.store.write_items(pl.DataFrame({"id": ["v0", "v1", "v2", "v3"], "categories": categories}))
        yield made


def test_a_user_gets_the_rules_of_their_variant(project):
    slate = project.recommend("u1", scenario="kids")
    assert [item.id for item in slate.items] == ["v0"]
    assert slate.trace[0].detail["variant"] == "b"
    assert len(project.recommend("u1").items) == 4


def test_what_the_catalogue_does_not_have_is_logged_once(project):
    with capture_logs() as logged:
        project.recommend("u1", scenario="kids")
    warning = "scenario 'kids' names category 'cartoons', no item has it, did you mean 'cartoon'?"
    assert [one["event"] for one in logged if one["log_level"] == "warning"] == [warning]


def test_an_unknown_scenario_is_refused_with_those_of_the_project(project):
    with pytest.raises(
        DataError, match=r"unknown scenario 'kid', did you mean 'kids'\? known: home, related, search, kids"
    ):
        project.recommend("u1", scenario="kid")


def test_the_command_takes_a_scenario(project):
    said = CliRunner().invoke(main, ["recommend", "u1", "--scenario", "kids", "--explain", "-p", str(project.folder)])
    assert said.exit_code == 0, said.output
    assert "scenario kids; variant b" in said.output
    assert "of another category 1" in said.output
