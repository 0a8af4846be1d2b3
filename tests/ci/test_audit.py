import json
import sys
from pathlib import Path

import pytest

sys.path += [str(Path(__file__).parents[2] / ".ci")]

import audit

FINE = {"name": "a", "version": "1", "vulns": []}
BAD = {
    "name": "b",
    "version": "2",
    "vulns": [{"id": "CVE-1", "fix_versions": ["2.1", "3"]}, {"id": "X", "fix_versions": []}],
}
UNKNOWN = {"name": "c", "skip_reason": "Dependency not found"}


@pytest.mark.parametrize(
    ("rows", "text", "passes"),
    [
        ([FINE], "packages: no known vulnerability in 1", True),
        ([FINE, UNKNOWN], "packages: no known vulnerability in 1; 1 could not be looked up", True),
        ([UNKNOWN], "packages: not audited, the advisory service knows none of the 1", True),
        (
            [FINE, BAD, UNKNOWN],
            "packages with known vulnerabilities:\nb 2: CVE-1, fixed in 2.1, 3\nb 2: X, fixed in no version yet",
            False,
        ),
    ],
)
def test_a_known_vulnerability_fails_and_nothing_else_does(rows, text, passes):
    assert audit.verdict(json.dumps({"dependencies": rows, "fixes": []})) == (text, passes)


@pytest.mark.parametrize("report", ["", "no route to host", "[]", "{}"])
def test_a_service_that_does_not_answer_is_said_and_passes(report):
    assert audit.verdict(report) == ("packages: not audited, the advisory service does not answer", True)


def run_with(monkeypatch, tmp_path, *, bandit, pip_audit):
    for name, code in (("BANDIT", bandit), ("PIP_AUDIT", pip_audit)):
        monkeypatch.setattr(audit, name, (sys.executable, "-c", code))
    return audit.main()


def test_what_either_finds_fails_the_check(monkeypatch, tmp_path, capsys):
    fine, bad = (f"print({json.dumps(json.dumps({'dependencies': rows}))})" for rows in ([FINE], [BAD]))
    assert run_with(monkeypatch, tmp_path, bandit="", pip_audit=fine) == 0
    assert run_with(monkeypatch, tmp_path, bandit="", pip_audit=bad) == 1
    assert run_with(monkeypatch, tmp_path, bandit="raise SystemExit(1)", pip_audit=fine) == 1
    assert run_with(monkeypatch, tmp_path, bandit="", pip_audit="raise SystemExit('offline')") == 0
    assert "b 2: CVE-1" in capsys.readouterr().out
