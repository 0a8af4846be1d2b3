import pytest
from click.testing import CliRunner

from database_places import DATABASES, store_url
from kinema.cli.main import main
from kinema.errors import ConfigError, DataError
from kinema.project import Project


@pytest.mark.parametrize("database", DATABASES)
def test_a_project_lives_in_the_database_that_its_url_names(request, database, tmp_path, monkeypatch):
    url = store_url(request, database, tmp_path)
    (tmp_path / "items.csv").write_text("id,title\na,A\nb,B\n")
    (tmp_path / "events.csv").write_text("user,item,timestamp,kind\nu,a,1700000000,click\nv,b,1700000001,like\n")
    Project.init(tmp_path / "shop").close()
    monkeypatch.setenv("KINEMA_STORE__URL", url)
    with Project.open(tmp_path / "shop") as project:
        project.ingest(items=tmp_path / "items.csv", events=tmp_path / "events.csv")
    with Project.open(tmp_path / "shop") as project:
        assert project.store.summary().kinds == {"click": 1, "like": 1}
        assert [one.title for one in project.recommend("u", num_items=1).items] == ["B"]
    assert not (tmp_path / "shop" / "store.db").exists()


def test_a_stores_url_is_never_shown(tmp_path, monkeypatch):
    Project.init(tmp_path / "shop").close()
    toml = tmp_path / "shop" / "kinema.toml"
    toml.write_text('[store]\nurl = ["postgresql://u:topsecret@127.0.0.1:1/shop"]\n')
    with pytest.raises(ConfigError, match=r"store.url must be a string, is something else \(kinema.toml"):
        Project.open(tmp_path / "shop")
    toml.write_text('[store]\nurl = "postgresql://u:topsecret@127.0.0.1:1/shop"\n')
    with Project.open(tmp_path / "shop") as project:
        assert "topsecret" not in repr(project.settings) + project.settings.model_dump_json()
        with pytest.raises(DataError, match=r"cannot open the store 'postgresql://u:\*\*\*@127.0.0.1:1/shop'"):
            _ = project.store
    told = CliRunner().invoke(main, ["check", "--project", str(tmp_path / "shop")])
    assert told.exit_code != 0
    assert "topsecret" not in told.output + repr(told.exception)
