"""A run on disk that people and programs read: one line per epoch, and what came of it."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from kinema.training.fit_options import FitOptions
from kinema.training.fit_report import FitReport

CURVE_NAME: Final = "epochs.csv"
REPORT_NAME: Final = "report.json"


class CsvLog:
    """Writes ``epochs.csv`` after each epoch and ``report.json`` at the end; a `FitWatcher`.

    The table is written anew each time, so that a run that was killed leaves no line twice.

    Args:
        folder: Where; created if absent.
        options: Written into the report.
        seed: The same.
    """

    def __init__(self, folder: Path, options: FitOptions, *, seed: int) -> None:
        self._folder, self._options, self._seed = folder, options, seed

    def updated(self, update: int, numbers: Mapping[str, float]) -> None:
        """Nothing: a line per update would be the largest file of a run."""

    def looked(self, curve: Sequence[Mapping[str, Any]]) -> None:
        """Write the table."""
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(dict.fromkeys(name for entry in curve for name in entry)))
        writer.writeheader()
        writer.writerows(curve)
        _replace(self._folder / CURVE_NAME, stream.getvalue())

    def finished(self, report: FitReport) -> None:
        """Write the report."""
        self.looked(report.curve)
        values = asdict(report) | {"options": asdict(self._options), "seed": self._seed}
        _replace(self._folder / REPORT_NAME, json.dumps(values, indent=2) + "\n")


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.write_text(text, encoding="utf-8", newline="")
    draft.replace(path)
