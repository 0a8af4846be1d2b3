"""Minutes of requests that schemathesis makes from the OpenAPI document, valid and not, to a service in a process of its own.

    python benchmarks/fuzz.py --project FOLDER [--minutes M] [--seed N] [--dry]

The project is copied and served twice: in the open mode, and with keys, where requests carry one with every scope. Checked is that
no answer is a 5xx, that statuses, headers, types of content and answers are as the document says, that what was deleted is gone,
that a path names the methods it has, and with keys that nothing is answered without one. What the run cannot know is not checked:
that values which fit their schema are accepted (an item may be unknown, a file no clip), and that lenient readings are refused (``"5"``
for 5). A 503 that names the command to be run first is no failure: the project lacks an artefact. Nor is a scenario that is there after its
DELETE, which takes back what was changed of it, nor a 429 in place of a 401 to an address that has sent many wrong keys.

What must hold: no failure, no line of an error in the service's log, the process alive, and its memory where it was, give or take what
the written items take.
"""

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil

RESULT = Path(__file__).parent / "results" / "fuzz.json"
UNCHECKED = "positive_data_acceptance,negative_data_rejection,missing_required_header"
SCOPES = ("read", "write", "admin", "personal")


def kinema(*arguments: str) -> list[str]:
    """The command line."""
    return [sys.executable, "-m", "kinema.cli.main", *arguments]


def make_key(project: Path) -> str:
    """A key with every scope."""
    scopes = [word for scope in SCOPES for word in ("--scope", scope)]
    command = kinema("keys", "create", "--name", "fuzz", *scopes, "--project", str(project), "--json")
    found: str = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["key"]
    return found


def started(project: Path, log: Path, *, is_open: bool) -> tuple[subprocess.Popen[bytes], str]:
    """The service, and its address once it answers."""
    command = kinema(
        "serve", "--project", str(project), "--port", "0", "--log", "off", *(["--open"] if is_open else [])
    )
    no_limits = {f"KINEMA_RATES__{scope}_PER_SECOND": "0" for scope in ("READ", "WRITE", "ADMIN")}
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=errors, stderr=errors, env=os.environ | no_limits)
    for _ in range(600):
        found = re.search(r"at (http://[^;\s]+)", log.read_text())
        if found or process.poll() is not None:
            break
        time.sleep(0.1)
    else:
        found = None
    if found is None:
        process.kill()
        raise SystemExit(log.read_text())
    return process, found[1]


def errors(log: Path) -> dict[str, int]:
    """What the service has logged as an error, and how often."""
    rows = [json.loads(line) for line in log.read_text().splitlines() if '"level":"error"' in line]
    return dict(Counter(f"{row.get('event')}: {row.get('error', '')}" for row in rows))


def run(project: Path, *, seconds: int, seed: int, is_open: bool) -> dict[str, Any]:
    """One run on a copy of the project."""
    with tempfile.TemporaryDirectory(prefix="kinema-fuzz-") as place:
        copy = Path(place) / "project"
        shutil.copytree(project, copy)
        key = "" if is_open else make_key(copy)
        log = Path(place) / "log"
        process, address = started(copy, log, is_open=is_open)
        try:
            return measured(process, address, Path(place), key=key, seconds=seconds, seed=seed) | {
                "errors in the log": errors(log)
            }
        finally:
            process.terminate()
            process.wait(60)


def measured(
    process: subprocess.Popen[bytes], address: str, place: Path, *, key: str, seconds: int, seed: int
) -> dict[str, Any]:
    """What comes of the requests; without a key those of the open mode."""
    memory, report = psutil.Process(process.pid), place / "report.ndjson"
    before = memory.memory_info().rss
    # Both ways to send a key, or the other one would be made up; its own key is not for the run to revoke.
    ways = ("-H", f"X-API-Key: {key}", "-H", f"Authorization: Bearer {key}")
    keyed = [*ways, "--exclude-operation-id", "delete_key"] if key else []
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json"),
        *("--max-time", str(seconds), "--seed", str(seed), "--checks", "all", "--exclude-checks", UNCHECKED),
        *("--continue-on-failure", "--suppress-health-check", "all", "--no-color", "--warnings", "off"),
        *(
            "--max-examples",
            "40",
            "--request-timeout",
            "60",
            "--report",
            "ndjson",
            "--report-ndjson-path",
            str(report),
            *keyed,
        ),
    ]
    begun = time.monotonic()
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=place)
    found = read_report(report) if report.is_file() else {"requests": 0}
    if not found["requests"]:
        sys.exit(f"schemathesis made no request:\n{done.stdout}{done.stderr}")
    if found["failures"]:
        print(done.stdout, file=sys.stderr)
    alive = process.poll() is None
    after = memory.memory_info().rss if alive else 0
    return {
        "mode": "keys" if key else "open",
        "seconds": round(time.monotonic() - begun),
        **found,
        "alive": alive,
        "memory_mb": {"before": before >> 20, "after": after >> 20},
    }


def read_report(path: Path) -> dict[str, Any]:
    """What was asked and answered."""
    statuses: Counter[str] = Counter()
    operations: set[str] = set()
    failures: Counter[str] = Counter()
    with path.open() as lines:
        for line in lines:
            event = json.loads(line)
            scenario = event.get("ScenarioFinished")
            if scenario is None:
                continue
            recorder = scenario["recorder"]
            operations.add(recorder["label"])
            for interaction in recorder.get("interactions", {}).values():
                answer = interaction.get("response")
                statuses[str(answer["status_code"]) if answer else "no answer"] += 1
            for checks in recorder.get("checks", {}).values():
                for check in checks:
                    if check["status"] == "failure" and not any(is_meant(check) for is_meant in _MEANT):
                        failures[check["name"]] += 1
    return {
        "requests": sum(statuses.values()),
        "operations": len(operations),
        "statuses": dict(sorted(statuses.items())),
        "failures": dict(failures),
    }


def _is_not_built(check: dict[str, Any]) -> bool:
    """A 503 that names the command to be run first."""
    return check["name"] == "not_a_server_error" and "run: kinema" in json.dumps(check)


def _is_reset(check: dict[str, Any]) -> bool:
    """What is still there after a DELETE that, as the document says, goes back to the rules of kinema.toml."""
    return check["name"] == "use_after_free" and "DELETE /v1/scenarios/" in json.dumps(check)


def _is_told_to_wait(check: dict[str, Any]) -> bool:
    """A 429 to the wrong keys of an address that has sent many."""
    return check["name"] == "ignored_auth" and "got `429 Too Many Requests`" in json.dumps(check)


_MEANT = (_is_not_built, _is_reset, _is_told_to_wait)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=Path, required=True, help="a trained one; it is copied")
    parser.add_argument("--minutes", type=float, default=10.0, help="of each of the two runs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--dry", action="store_true", help="print, do not write the result")
    given = parser.parse_args()
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "seed": given.seed,
        "runs": [
            run(given.project, seconds=round(given.minutes * 60), seed=given.seed, is_open=is_open)
            for is_open in (True, False)
        ],
    }
    print(json.dumps(result, indent=2))
    if not given.dry:
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
