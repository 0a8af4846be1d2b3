"""What the processes behind one port count, told as one by any of them.

A scrape of one port reaches any of its processes. Each leaves its numbers in a folder every few seconds, and whoever is asked adds them
up with its own, which are of now. What a process has counted stays when it has ended, or its counters would seem to fall.
"""

import json
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from kinema.logs import get_logger

STEP_SECONDS: Final = 5.0
_ALIVE_SECONDS: Final = 4 * STEP_SECONDS
_ENDING: Final = ".prom"
_BEFORE: Final = ".before"
_ADDED: Final = frozenset(
    (
        "kinema_queue_length",
        "process_open_fds",
        "process_resident_memory_bytes",
        "process_virtual_memory_bytes",
    )
)
_AVERAGED: Final = frozenset(("kinema_catalogue_coverage_ratio", "kinema_cold_share_ratio", "kinema_click_rate_ratio"))
_SEEN_BY_ALL: Final = frozenset(("kinema_impressions", "kinema_clicks", "kinema_watch_seconds"))
"""Every process takes in every event, whoever received it."""
_LOG = get_logger("serving")

Series = tuple[str, tuple[tuple[str, str], ...]]


class SharedCounts:
    """Leaves a process's numbers beside those of the others; a feed of the application.

    Args:
        folder: Of all processes behind a port.
        text: The process's own numbers, in the form that Prometheus reads.
        process: Names the process.
    """

    def __init__(self, folder: Path, text: Callable[[], bytes], *, process: int | None = None) -> None:
        self._folder, self._text = folder, text
        self._file = folder / f"{os.getpid() if process is None else process}{_ENDING}"
        self._before: Mapping[Series, float] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._leave, name="kinema-counts", daemon=True)

    def start(self) -> None:
        """Leave them from now on. What every process sees goes on from what the others have seen until now."""
        self._before = {
            (sample.name, tuple(sample.labels.items())): sample.value
            for family in self.all()
            for sample in family.samples
            if _is_seen_by_all(family.name, tuple(sample.labels.items())) and not sample.name.endswith("_created")
        }
        kept = [[name, labels, value] for (name, labels), value in self._before.items()]
        self._leave_file(_BEFORE, json.dumps(kept).encode())
        self.put()
        self._thread.start()

    def stop(self) -> None:
        """Leave them for the last time."""
        self._stopping.set()
        self._thread.join()
        self.put()

    def put(self) -> None:
        """Leave them once."""
        self._leave_file(_ENDING, self._text())

    def _leave_file(self, ending: str, content: bytes) -> None:
        made = self._file.with_suffix(".new")
        try:
            made.write_bytes(content)
            made.replace(self._file.with_suffix(ending))
        except OSError as error:  # the folder is gone, or full: this process tells its own all the same
            _LOG.warning("what is counted could not be shared", error=type(error).__name__)

    def all(self) -> Sequence[Metric]:
        """What all processes have counted, this one's until now."""
        told = [_families(self._text().decode(), self._before)]
        ended: list[Mapping[str, Metric]] = []
        for file in sorted(self._folder.glob(f"*{_ENDING}")):
            if file != self._file:
                is_alive = time.time() - file.stat().st_mtime < _ALIVE_SECONDS
                (told if is_alive else ended).append(_families(file.read_text(), _before(file)))
        return added_up(told, ended)

    def _leave(self) -> None:
        while not self._stopping.wait(STEP_SECONDS):
            self.put()


def added_up(told: Sequence[Mapping[str, Metric]], ended: Sequence[Mapping[str, Metric]] = ()) -> Sequence[Metric]:
    """The numbers of several processes as those of one.

    Args:
        told: By name, of each process that runs.
        ended: Of those that do not: of these, counters alone.

    Returns:
        Counters and histograms added up, except of what every process sees; of gauges the largest, the sum or the mean.
    """
    families: dict[str, Metric] = {}
    values: dict[str, dict[Series, list[float]]] = {}
    for place, one in enumerate((*told, *ended)):
        for family in one.values():
            if place >= len(told) and family.type == "gauge":
                continue
            families.setdefault(family.name, Metric(family.name, family.documentation, family.type))
            found = values.setdefault(family.name, {})
            for sample in family.samples:
                found.setdefault((sample.name, tuple(sample.labels.items())), []).append(sample.value)
    for name, family in families.items():
        for series, numbers in values[name].items():
            family.add_sample(series[0], dict(series[1]), _one(family, series, numbers))
    return list(families.values())


def _one(family: Metric, series: Series, numbers: Iterable[float]) -> float:
    known = [number for number in numbers if not math.isnan(number)]
    name, labels = series
    if not known:
        return math.nan
    if name.endswith("_created") or name == "process_start_time_seconds":
        return min(known)
    if family.type == "gauge" and name not in _ADDED:
        return sum(known) / len(known) if name in _AVERAGED else max(known)
    return max(known) if _is_seen_by_all(family.name, labels) else sum(known)


def _is_seen_by_all(family: str, labels: Iterable[tuple[str, str]]) -> bool:
    return family in _SEEN_BY_ALL or (family == "kinema_events" and ("outcome", "accepted") in labels)


def _before(file: Path) -> Mapping[Series, float]:
    """What every process had seen when the one of a file began."""
    try:
        kept = json.loads(file.with_suffix(_BEFORE).read_text())
    except FileNotFoundError:
        return {}
    return {(name, tuple((key, value) for key, value in labels)): number for name, labels, number in kept}


def _families(text: str, before: Mapping[Series, float]) -> dict[str, Metric]:
    """The numbers of a process, those of what every process sees with what came before it."""
    families = {family.name: family for family in text_string_to_metric_families(text)}
    for family in families.values():
        seen = {(one.name, tuple(one.labels.items())): one for one in family.samples}
        for key, number in before.items():
            if key in seen:
                one = seen[key]
                family.samples[family.samples.index(one)] = one._replace(value=one.value + number)
            elif key[0].removesuffix("_total") == family.name:
                family.add_sample(key[0], dict(key[1]), number)
    return families
