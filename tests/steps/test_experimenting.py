"""`kinema experiment` on a project whose log was written, and what it says where there is nothing to compare."""

import json

import polars as pl
import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.errors import DataError, NotBuiltError
from kinema.project import Project
from kinema.store.service_protocols import LoggedSlate

T0 = 1_767_225_600_000
SCENARIOS = "[scenarios.home.variants.b]\nshare = 0.5\n[scenarios.plain]\nmax_items = 5\n"


@pytest.fixture
def project(tmp_path):
    with Project.init(tmp_path / "shop") as made:
        (made.folder / "kinema.toml").write_text(SCENARIOS)
        made.reload()
        made.store.write_items(pl.DataFrame({"id": ["v1", "v2"]}))
        made.store.write_users(pl.DataFrame({"id": [f"u{user}" for user in range(80)]}))
        yield made


def show(project, num_users=80):
    slates, events = [], []
    for user in range(num_users):
        variant = "b" if user % 2 else "control"
        slates.append(
            LoggedSlate(f"s{user}", f"u{user}", T0 + user, "home", variant, "m", ("v1", "v2"), (1.0, 1.0), {})
        )
        if user % 4 == 1 or user % 8 == 0:
            events.append((f"u{user}", "v2", T0 + user + 5, "click", None, f"s{user}"))
            events.append((f"u{user}", "v2", T0 + user + 9, "watch", 4000, f"s{user}"))
    project.store.write_slates(slates)
    columns = ["user", "item", "timestamp_ms", "kind", "watch_ms", "slate_id"]
    project.store.write_events(pl.DataFrame(events, schema=columns, orient="row"))


def test_slates_and_events_of_the_store_become_a_report(project):
    show(project)
    report = project.experiment("home")
    control, variant = report.variants
    assert (control.users, control.impressions, control.clicks, control.watch_seconds) == (40, 80, 10, 40.0)
    assert (variant.users, variant.impressions, variant.clicks) == (40, 80, 20)
    assert project.experiment("home", since="2026-01-01T00:00:00.040").variants[0].users == 20


def test_the_command_shows_tables_and_a_sentence_or_json(project):
    show(project)
    said = CliRunner().invoke(main, ["experiment", "home", "-p", str(project.folder)])
    assert said.exit_code == 0, said.output
    assert "experiment on home" in said.output
    assert "click rate: b has a higher click rate than the control: +100.0 %" in said.output
    as_json = CliRunner().invoke(main, ["experiment", "home", "-p", str(project.folder), "--json"])
    assert json.loads(as_json.output)["variants"][1]["measures"]["click rate"]["mean"] == 0.25


def test_where_there_is_nothing_to_compare_the_remedy_is_told(project):
    with pytest.raises(
        NotBuiltError, match=r"no slate of scenario 'home' was logged with a variant yet; run: kinema serve"
    ):
        project.experiment("home")
    with pytest.raises(NotBuiltError, match=r"'plain' has no variants to compare; add \[scenarios.plain.variants.b\]"):
        project.experiment("plain")
    with pytest.raises(DataError, match="unknown scenario 'hme', did you mean 'home'"):
        project.experiment("hme")
    show(project, 2)
    with pytest.raises(DataError, match="--since must be an ISO date such as 2026-01-31, is 'monday'"):
        project.experiment("home", since="monday")
