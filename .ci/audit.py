"""Part of `make check`: known vulnerabilities of the pinned packages, and what bandit sees that ruff does not.

pip-audit asks an advisory service. Where that does not answer, or knows nothing of a package, this says so and lets the check
pass: without a network nothing can be said. A vulnerability that is known fails it.

ruff's S rules are bandit's own in a faster program, and each exception in the code names its reason; only three of bandit's
tests are not among them: hidden control characters (B613), torch.load of foreign pickles (B614), downloads from a model hub
without a revision (B615).
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
PIP_AUDIT = (
    *(sys.executable, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip"),
    *("--progress-spinner", "off", "--format", "json", "--timeout", "5"),
)
BANDIT = (sys.executable, "-m", "bandit", "--quiet", "--recursive", "src", "--tests", "B613,B614,B615")


def verdict(report: str) -> tuple[str, bool]:
    """What a report of pip-audit says, and whether the check may pass.

    Args:
        report: Its JSON; anything else where it could not ask.
    """
    try:
        rows: list[dict[str, Any]] = json.loads(report)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return "packages: not audited, the advisory service does not answer", True
    known = [row for row in rows if "vulns" in row]
    found = [
        f"{row['name']} {row['version']}: {one['id']}, fixed in {', '.join(one['fix_versions']) or 'no version yet'}"
        for row in known
        for one in row["vulns"]
    ]
    if found:
        return "\n".join(["packages with known vulnerabilities:", *found]), False
    if not known:
        return f"packages: not audited, the advisory service knows none of the {len(rows)}", True
    unknown = len(rows) - len(known)
    left = f"; {unknown} could not be looked up" if unknown else ""
    return f"packages: no known vulnerability in {len(known)}{left}", True


def main() -> int:
    """Run both; 1 where something is wrong."""
    bandit = subprocess.run(BANDIT, cwd=ROOT, check=False)
    try:
        asked = subprocess.run(PIP_AUDIT, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        report = asked.stdout
    except subprocess.TimeoutExpired:
        report = ""
    text, passes = verdict(report)
    print(text)
    return 0 if passes and bandit.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
