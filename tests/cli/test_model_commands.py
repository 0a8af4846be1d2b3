"""`kinema model` and `kinema refresh` as a user types them."""

import json
import os
import shutil
import signal
import subprocess
import sys

import pytest
from click.testing import CliRunner

from kinema.cli.main import main
from kinema.project import Project
from small_shop import BROKEN, GOOD, OTHERS, make_shop, rows, set_up, take_in

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A bad model that a better one could take the place of."""
    folder = tmp_path_factory.mktemp("models") / "shop"
    with make_shop(folder, settings=BROKEN + OTHERS) as project:
        project.pretrain(seed=1)
        project.pretrain(seed=2)
        take_in(project, rows(first=300, count=300))
        set_up(project, GOOD + OTHERS)
    return folder


@pytest.fixture
def shop(trained, tmp_path):
    return shutil.copytree(trained, tmp_path / "shop", symlinks=True)


def run(shop, *asked, code=0):
    done = CliRunner().invoke(main, [*asked, "--project", str(shop)])
    assert done.exit_code == code, done.output
    return done.stdout


def told(shop, *asked, code=0):
    return json.loads(run(shop, *asked, "--json", "--quiet", code=code))


def test_versions_are_listed_shown_and_rolled_back(shop):
    newest, oldest = told(shop, "model", "list")
    assert (newest["serving"], oldest["serving"]) == (True, False)
    text = run(shop, "model", "list")
    assert newest["version"]["id"] in text
    assert "kinema pretrain" in text
    assert told(shop, "model", "show")["version"] == newest["version"]
    shown = run(shop, "model", "show", oldest["version"]["id"][-8:])
    assert "interactions" in shown
    assert "validation, fused" in shown
    back = run(shop, "model", "rollback")
    assert (
        f"version {oldest['version']['id']} serves; the way back: kinema model rollback {newest['version']['id']}"
        in back
    )
    assert told(shop, "model", "show")["version"] == oldest["version"]
    forward = told(shop, "model", "rollback", newest["version"]["id"])
    assert forward["before"] == oldest["version"]
    assert forward["version"] == newest["version"]


def test_a_project_without_a_model_says_so(tmp_path):
    make_shop(tmp_path / "new").close()
    assert "no model yet; run: kinema pretrain" in run(tmp_path / "new", "model", "list")
    assert told(tmp_path / "new", "model", "list") == []


def test_a_model_from_elsewhere_is_published(shop, tmp_path):
    with make_shop(tmp_path / "there") as project:
        take_in(project, rows(first=300, count=300))
        project.pretrain(seed=5)
    answer = told(shop, "model", "publish", str(tmp_path / "there"))
    assert answer["version"]["seed"] == 5
    assert told(shop, "model", "show")["version"]["command"] == "kinema model publish"


def test_a_refresh_says_by_its_exit_code_whether_a_new_model_serves(shop):
    before = told(shop, "model", "show")["version"]["id"]
    dry = run(shop, "refresh", "--dry-run", "--quiet")
    assert "it would be published, this was a dry run" in dry
    report = told(shop, "refresh")
    assert (report["decision"], report["serving"]) == ("published", before)
    assert told(shop, "model", "show")["version"]["id"] == report["version"]
    skipped = run(shop, "refresh", "--quiet", code=3)
    assert "skipped: 0 interactions are new" in skipped
    set_up_broken(shop)
    with Project.open(shop) as project:
        take_in(project, rows(first=600, count=300))
    kept = run(shop, "refresh", "--quiet", code=3)
    assert "warm items" in kept
    assert "goes on serving" in kept
    assert told(shop, "refresh", "--dry-run", code=3)["good"] is False
    forced = run(shop, "refresh", "--force", "--quiet")
    assert "the way back: kinema model rollback" in forced


def set_up_broken(shop):
    with Project.open(shop) as project:
        set_up(project, BROKEN + OTHERS)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_a_schedule_goes_on_until_it_is_told_to_end(shop):
    asked = ["refresh", "--every", "1h", "--min-events", "100000", "--json", "--quiet", "-p", str(shop)]
    script = "from kinema.cli.main import run; run()"
    with subprocess.Popen(
        [sys.executable, "-c", script, *asked],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ,
    ) as process:
        line = process.stdout.readline()
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert json.loads(line)["decision"] == "skipped"
    assert process.returncode == 0, errors
    assert not errors


def test_a_time_that_is_none_is_refused(shop):
    done = CliRunner().invoke(main, ["refresh", "--every", "soon", "-p", str(shop)])
    assert "a time must be a positive number with s, m, h or d behind it, is 'soon'" in str(done.exception)
