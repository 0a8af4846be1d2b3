import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

HADOLINT = Path(sys.executable).with_name("hadolint")
ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "deploy" / "Dockerfile"


def instructions():
    """(word, rest) of each instruction, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", DOCKERFILE.read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [tuple(line.split(" ", 1)) for line in lines]


def last_stage():
    found = instructions()
    start = max(place for place, (word, _) in enumerate(found) if word == "FROM")
    return found[start:]


def test_what_is_copied_is_there_and_nothing_else_enters_the_build():
    copied = [
        one
        for word, rest in instructions()
        if word == "COPY" and not rest.startswith("--from")
        for one in rest.split()[:-1]
    ]
    ignored = (ROOT / "deploy" / "Dockerfile.dockerignore").read_text().splitlines()
    assert all((ROOT / one).exists() for one in copied)
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)


def test_the_last_stage_runs_as_nobody_in_particular():
    words = [word for word, _ in last_stage()]
    told = dict(last_stage())
    assert told["USER"] == "10001:10001"
    assert words.index("USER") > max(place for place, word in enumerate(words) if word in {"RUN", "COPY"})
    assert not [word for word, rest in instructions() if word == "ADD" or "sudo" in rest]


def test_the_image_serves_and_can_be_asked_whether_it_lives():
    told = dict(last_stage())
    assert "/health/live" in told["HEALTHCHECK"]
    assert told["ENTRYPOINT"] == '["kinema"]'
    assert told["CMD"].startswith('["serve", "--project", "/project", "--host", "0.0.0.0"')
    assert told["EXPOSE"] == "8000"


def test_extras_and_the_pinned_torch_are_those_of_the_project():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = DOCKERFILE.read_text()
    asked = re.search(r"'\.\[([^\]]+)\]'", text)[1].split(",")
    assert set(asked) <= set(extras)
    assert "serve" in asked
    assert re.search(r"^torch==[\d.]+$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_no_secret_is_built_in():
    assert not re.search(r"(?i)password|secret|token|api_key", DOCKERFILE.read_text())


@pytest.mark.skipif(not HADOLINT.is_file(), reason="hadolint has no build for this kind of processor")
def test_the_linter_has_nothing_to_say():
    done = subprocess.run([HADOLINT, "--no-color", DOCKERFILE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
