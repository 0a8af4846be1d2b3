import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.errors import ConfigError, DataError
from kinema.project import Project
from kinema.serving.keys import KeyRing


@pytest.fixture
def run(tmp_path):
    Project.init(tmp_path / "shop").close()

    def command(*words):
        done = CliRunner().invoke(main, ["keys", *words, "-p", str(tmp_path / "shop")], catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.stdout

    command.folder = tmp_path / "shop"
    return command


def verified(folder, text):
    with Project.open(folder) as project:
        return KeyRing(project.store).verify(text)


def test_a_key_is_made_listed_and_revoked(run):
    text = run("create", "--name", "shop", "--scope", "read", "--scope", "write").splitlines()[-1]
    key = verified(run.folder, text)
    assert sorted(key.scopes) == ["read", "write"]
    assert text not in run("list")
    row = json.loads(run("list", "--json"))[0]
    assert (row["id"], row["name"], row["scopes"], row["state"]) == (key.id, "shop", ["read", "write"], "active")
    assert row["last_used"].endswith("+00:00")
    assert "key" not in row
    assert run("revoke", key.id) == f"key {key.id} (shop) is revoked\n"
    assert verified(run.folder, text) is None
    assert "revoked" in run("list")


def test_json_has_the_key_once_and_when_it_expires(run):
    made = json.loads(run("create", "--name", "n", "--scope", "admin", "--expires-days", "1.5", "--json"))
    assert made["key"].startswith(f"kin_{made['id']}_")
    assert made["expires"] > made["created"]
    assert f"until {made['expires']}"[:20] in run("create", "--name", "n", "--scope", "read", "--expires-days", "1.5")


def test_a_project_without_keys_says_how_to_make_one(run):
    assert run("list") == "no keys; make one: kinema keys create --name NAME --scope read\n"
    assert json.loads(run("list", "--json")) == []


def test_what_is_wrong_is_said(run):
    with pytest.raises(ConfigError, match="unknown scope 'root'; known: read, write, admin, personal"):
        run("create", "--name", "n", "--scope", "root")
    with pytest.raises(DataError, match="unknown key 'nobody'"):
        run("revoke", "nobody")


def test_keys_start_without_the_web_framework(run):
    code = (
        "import sys; from kinema.cli.main import main; main(['keys', 'list', '-p', sys.argv[1]], standalone_mode=False);"
        "print([one for one in ('fastapi', 'starlette', 'torch', 'jwt') if one in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code, run.folder], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
