"""What is known of a version of the model: its numbers against the baselines, and how it was learnt."""

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from kinema.artifacts import MANIFEST
from kinema.serving.administration import Evaluated, Learnt, ModelNumbers, TaskRun
from kinema.steps.versions import find_version, folder_of
from kinema.training.fit_log import CURVE_NAME

_EVALUATION: Final = "evaluation"
_RUNS: Final = "runs"
_MOST_RUNS: Final = 100


def numbers_of(artifacts: Path, version: str) -> ModelNumbers:
    """What `kinema evaluate` found, protocol by protocol.

    It trains models of its own on a part of the log, so that there is something left to ask: what it says of a version is what it
    says of a model made in the same way.

    Args:
        artifacts: Of the project.
        version: Its id, or a beginning or an end of it.

    Raises:
        DataError: There is no such version.
    """
    found = find_version(artifacts, version)
    manifest = _json(folder_of(artifacts, found) / MANIFEST) or {}
    places = sorted((artifacts / _EVALUATION).glob("*/results.json"))
    read = [(place.parent.name, _json(place)) for place in places]
    evaluations = [_evaluated(name, told, manifest) for name, told in read if told is not None]
    return ModelNumbers(found.id, found.validation, dict(found.notes), tuple(evaluations))


def curve_of(artifacts: Path, folder: Path, version: str) -> Learnt:
    """How a version was learnt, and the last runs of tasks that stand on it.

    Args:
        artifacts: Of the project.
        folder: Of the project.
        version: Its id, or a beginning or an end of it.

    Raises:
        DataError: There is no such version.
    """
    found = find_version(artifacts, version)
    facts = _json(folder_of(artifacts, found) / "facts.json") or {}
    report = facts.get("report", {})
    return Learnt(found.id, report.get("best_epoch"), tuple(report.get("curve", ())), tuple(_runs(folder / _RUNS)))


def _evaluated(protocol: str, told: Mapping[str, Any], manifest: Mapping[str, Any]) -> Evaluated:
    run = told.get("run", {})
    return Evaluated(
        protocol=protocol,
        title=str(told.get("title", protocol)),
        date=str(run.get("date", "")),
        command=str(run.get("command", "")),
        same_recipe=told.get("config") == manifest.get("config") and str(run.get("seed")) == str(manifest.get("seed")),
        reference=str(told.get("reference", "")),
        ceiling=str(told.get("ceiling", "")),
        split=told.get("split", {}),
        rankers=tuple(told.get("results", ())),
        differences=tuple(told.get("differences", ())),
        notes=tuple(told.get("notes", ())),
    )


def _runs(folder: Path) -> Iterator[TaskRun]:
    for path in sorted(folder.rglob(CURVE_NAME))[:_MOST_RUNS]:
        with path.open(encoding="utf-8", newline="") as stream:
            rows = [_numbers(row) for row in csv.DictReader(stream)]
        yield TaskRun(path.parent.relative_to(folder).as_posix(), tuple(rows))


def _numbers(row: Mapping[str, str | None]) -> dict[str, float]:
    """The cells of a row that are numbers."""
    found: dict[str, float] = {}
    for name, text in row.items():
        try:
            value = float(text or "nan")
        except ValueError:
            continue
        if math.isfinite(value):
            found[name] = value
    return found


def _json(path: Path) -> dict[str, Any] | None:
    """A JSON object; None where it is not there or is none, as while it is written."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return value if isinstance(value, dict) else None
