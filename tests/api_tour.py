"""The tour of docs/api.md: its commands with their answers, and the service that they are run against."""

import json
import re
import subprocess
from pathlib import Path

from kinema.project import Project
from kinema.testing.clips import render_clip

PAGE = Path(__file__).resolve().parents[1] / "docs" / "api.md"
ADDRESS = "http://127.0.0.1:8000"
VARYING = {
    "recommendation_id",
    "job_id",
    "score",
    "popularity",
    "cold",
    "warm",
    "created_ms",
    "updated_ms",
    "changed_ms",
    "at_ms",
    "timestamp_ms",
    "words",
    "text",
    "strength",
    "similarity",
}
"""Members of answers whose values are not the same in every run."""


def tour(page):
    """Each command of the page, and the answer that is printed below it."""
    steps = []
    for block in re.findall(r"```console\n(.*?)```", page, re.DOTALL):
        for step in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            end = re.search(r"(?<!\\)\n", step).start()
            steps.append((step[:end], step[end:].strip()))
    return steps


def tour_project(folder):
    """The shop of the page, with its texts understood."""
    (folder / "items.csv").write_text(re.search(r"```csv\n(.*?)```", PAGE.read_text(), re.DOTALL)[1])
    render_clip(folder / "kites.mp4", seconds=1.0)
    project = Project.init(folder / "shop")
    project.ingest(items=folder / "items.csv")
    project.extract()
    return project


def ran(command, url, folder):
    """What a command prints when it is run for a service elsewhere."""
    done = subprocess.run(
        ["bash", "-c", command.replace(ADDRESS, url)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(done.stdout)


def alike(value):
    """An answer without what differs between runs."""
    if isinstance(value, dict):
        return {name: type(one).__name__ if name in VARYING else alike(one) for name, one in value.items()}
    return [alike(one) for one in value] if isinstance(value, list) else value
