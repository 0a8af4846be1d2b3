"""`kinema experiment`: the variants of a scenario compared, from the slates and events of the store."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import polars as pl

from kinema.errors import DataError, NotBuiltError
from kinema.evaluation.experiments import DAY_MS, ExperimentReport, read_experiment
from kinema.scenario_settings import ScenarioSettings, scenarios_of
from kinema.schema import EventKind
from kinema.store.service_protocols import ServiceStore

_KINDS: Final = (EventKind.CLICK, EventKind.LIKE, EventKind.WATCH)
_HOUR_MS: Final = DAY_MS // 24


def experiment_on(
    store: ServiceStore, settings: Mapping[str, ScenarioSettings], scenario: str, *, since: str | None = None
) -> ExperimentReport:
    """Compare the variants of a scenario.

    Args:
        store: Slates and events.
        settings: ``[scenarios]`` of the project.
        scenario: Its name.
        since: Slates shown from then on, an ISO date; None takes all.

    Raises:
        DataError: There is no such scenario, or the date cannot be read.
        NotBuiltError: It has no variants, or none of its slates was logged.
    """
    placement = scenarios_of(settings).placement(scenario)
    if not placement.shares:
        raise NotBuiltError(
            f"scenario '{scenario}' has no variants to compare; add [scenarios.{scenario}.variants.b] with a share"
        )
    since_ms = 0 if since is None else _moment_ms(since)
    slates = store.slates(since_ms=since_ms, scenario=scenario)
    if not slates.filter(pl.col("variant") != "").height:
        raise NotBuiltError(f"no slate of scenario '{scenario}' was logged with a variant yet; run: kinema serve")
    events = store.events(kinds=_KINDS, columns=["item", "timestamp_ms", "kind", "watch_ms", "slate_id"])
    ids = store.items().select("id", item=pl.col("num").cast(pl.Int64))
    events = events.filter(pl.col("slate_id").is_not_null()).with_columns(pl.col("item").cast(pl.Int64))
    named = events.join(ids, on="item").drop("item").rename({"id": "item"})
    hours = settings[scenario].attribution_hours
    return read_experiment(scenario, slates, named, shares=placement.shares, window_ms=round(hours * _HOUR_MS))


def _moment_ms(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise DataError(f"--since must be an ISO date such as 2026-01-31, is '{text}'") from error
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
