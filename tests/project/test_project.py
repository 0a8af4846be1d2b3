import os

import pytest

from kinema.errors import ConfigError, NotBuiltError
from kinema.project import Project


def test_a_new_project_has_every_setting_commented_out(tmp_path):
    Project.init(tmp_path / "shop").close()
    text = (tmp_path / "shop" / "kinema.toml").read_text()
    assert "[flm]" in text
    assert all(line.startswith(("#", "[")) or not line for line in text.splitlines())


def test_a_project_is_not_made_over_another(tmp_path):
    Project.init(tmp_path / "shop").close()
    with pytest.raises(ConfigError, match=r"'.*shop' already holds a project"):
        Project.init(tmp_path / "shop")


def test_a_project_is_found_from_inside_and_from_just_above(tmp_path):
    Project.init(tmp_path / "shop").close()
    (tmp_path / "shop" / "deep").mkdir()
    for place in (tmp_path, tmp_path / "shop", tmp_path / "shop" / "deep"):
        assert Project.find(start=place).folder == (tmp_path / "shop").resolve()


def test_two_projects_below_must_be_told_apart(tmp_path):
    for name in ("a", "b"):
        Project.init(tmp_path / name).close()
    with pytest.raises(NotBuiltError, match=r"2 projects are below '.*': a, b; choose one with --project"):
        Project.find(start=tmp_path)


def test_the_number_of_threads_is_set_unless_the_user_has_set_it(tmp_path, monkeypatch):
    Project.init(tmp_path / "shop").close()
    (tmp_path / "shop" / "kinema.toml").write_text("[runtime]\nthreads = 3\n")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    Project.open(tmp_path / "shop")
    assert os.environ["OMP_NUM_THREADS"] == "7"
    monkeypatch.delenv("OMP_NUM_THREADS")
    Project.open(tmp_path / "shop")
    assert os.environ["OMP_NUM_THREADS"] == "3"


def test_no_project_names_the_command_that_makes_one(tmp_path):
    with pytest.raises(
        NotBuiltError, match=r"no kinema.toml .*; name a project with --project, or run: kinema init NAME"
    ):
        Project.find(start=tmp_path)


def test_an_empty_project_answers_and_says_what_to_do(tmp_path):
    with Project.init(tmp_path / "shop") as project:
        assert project.recommend("u1").notice == "the catalogue is empty; run: kinema ingest"
        assert project.check().facts()["items"].startswith("0 ")
        with pytest.raises(NotBuiltError, match="the catalogue is empty; run: kinema ingest"):
            project.extract()
        with pytest.raises(NotBuiltError, match="the log must hold interactions"):
            project.pretrain()
        with pytest.raises(ConfigError, match="protocol must be one of leave-one-out, temporal, cold, is 'cross'"):
            project.evaluate("cross")


def test_disliked_items_are_left_out(tmp_path):
    (tmp_path / "items.csv").write_text("id,title\na,A\nb,B\nc,C\n")
    (tmp_path / "events.csv").write_text(
        "user,item,timestamp,kind\nu,a,1700000000,click\nu,b,1700000001,dislike\nv,b,1700000002,click\nv,c,1700000003,click\n"
    )
    with Project.init(tmp_path / "shop") as project:
        project.ingest(items=tmp_path / "items.csv", events=tmp_path / "events.csv")
        assert [place.id for place in project.recommend("u").items] == ["c"]
