"""`kinema experiment`: the variants of a scenario compared, from the slates and events of the store."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import polars as pl

from kinema.errors import DataError, NotBuiltError
from kinema.evaluation.experiments import DAY_MS, ExperimentReport, read_experiment
from kinema.scenario_settings import ScenarioSettings, scenarios_of
from kinema.schema import EventKind
from kinema.steps.live_scenarios import scenario_tree, trial_of
from kinema.store.service_protocols import ServiceStore

_KINDS: Final = (EventKind.CLICK, EventKind.LIKE, EventKind.WATCH)
_HOUR_MS: Final = DAY_MS // 24


def experiment_now(
    store: ServiceStore, written: Mapping[str, ScenarioSettings], scenario: str, *, since: str | None = None
) -> ExperimentReport:
    """Compare the variants of a scenario as it is now; of one without, those of the experiment that was stopped last.

    Args:
        store: Slates, events, and what was changed while the service ran.
        written: ``[scenarios]`` of `kinema.toml`.
        scenario: Its name.
        since: See `experiment_on`; None takes all since the experiment was started.

    Raises:
        DataError: See `experiment_on`.
        NotBuiltError: See `experiment_on`.
    """
    tree, trial = scenario_tree(store, written), trial_of(store, scenario)
    is_running = scenario in tree and bool(tree[scenario].variants)
    if trial is None or (is_running and trial.ended_ms is not None):
        return experiment_on(store, tree, scenario, since=since)
    if not is_running:
        tree[scenario] = trial.settings
    return experiment_on(
        store, tree, scenario, since=since, from_ms=trial.started_ms, until_ms=None if is_running else trial.ended_ms
    )


def experiment_on(
    store: ServiceStore,
    settings: Mapping[str, ScenarioSettings],
    scenario: str,
    *,
    since: str | None = None,
    from_ms: int = 0,
    until_ms: int | None = None,
) -> ExperimentReport:
    """Compare the variants of a scenario.

    Args:
        store: Slates and events.
        settings: Of every scenario.
        scenario: Its name.
        since: Slates shown from then on, an ISO date; None takes all.
        from_ms: When it was started, UTC milliseconds; no slate from before counts.
        until_ms: When it was stopped; None while it runs.

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
    slates = store.slates(since_ms=max(since_ms, from_ms), scenario=scenario)
    if until_ms is not None:
        slates = slates.filter(pl.col("timestamp_ms") <= until_ms)
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
