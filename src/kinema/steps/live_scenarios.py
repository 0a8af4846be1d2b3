"""Scenarios as they are now: those of `kinema.toml`, and over them what was changed while the service ran.

A change is a document of the store, so every process sees it and it outlives a restart. It replaces the scenario of its name as a whole.
Each version is kept beside it with the moment and who it was, so that it can be put back.

    scenarios/NAME              the rules that hold, or null where those of `kinema.toml` hold again
    scenario_log/NAME/NUMBER    each version of them, the newest `MOST_KEPT`
"""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import ValidationError

from kinema.errors import ConfigError, ConflictError, DataError
from kinema.logs import get_logger
from kinema.recommend.scenario import BUILT_IN
from kinema.recommend.variants import Scenarios
from kinema.scenario_settings import ScenarioSettings, check_scenarios, scenarios_of
from kinema.serving.administration import RulesVersion
from kinema.store.service_protocols import Document, Documents

ROOM: Final = "scenarios"
LOG_ROOM: Final = "scenario_log"
MOST_KEPT: Final = 50
MOST_SCENARIOS: Final = 200
MOST_BYTES: Final = 1 << 16
_LOG = get_logger("scenarios")
Origin = Literal["built-in", "file", "store"]


@dataclass(frozen=True)
class Trial:
    """An experiment that was started here.

    Attributes:
        settings: Of the scenario while it ran.
        started_ms: UTC milliseconds.
        ended_ms: None while it runs.
    """

    settings: ScenarioSettings
    started_ms: int
    ended_ms: int | None = None


def scenario_tree(documents: Documents, written: Mapping[str, ScenarioSettings]) -> dict[str, ScenarioSettings]:
    """Every scenario that has rules, as they are now.

    A kept one that this version of Kinema cannot read is left out with a warning: the service goes on by the file.

    Args:
        documents: Of the store.
        written: ``[scenarios]`` of `kinema.toml`.
    """
    found = dict(written)
    for one in documents.documents(ROOM):
        try:
            kept = _settings(one.value.get("rules"))
            if kept is not None:
                kept.placement(one.key)
                found[one.key] = kept
        except (ValidationError, ConfigError):
            _LOG.warning("kept rules of a scenario cannot be read; those of kinema.toml hold", scenario=one.key)
    return found


def current_scenarios(documents: Documents, written: Mapping[str, ScenarioSettings]) -> Scenarios:
    """The same, as the pipeline takes them."""
    return scenarios_of(scenario_tree(documents, written))


def rule_versions(documents: Documents) -> tuple[int, ...]:
    """Numbers that change when kept rules do."""
    return tuple(one.version for one in documents.documents(ROOM))


def trial_of(documents: Documents, name: str) -> Trial | None:
    """The experiment that was started last on a scenario; None where none was, or it cannot be read."""
    document = documents.document(ROOM, name)
    told = None if document is None else document.value.get("trial")
    if told is None:
        return None
    try:
        return Trial(ScenarioSettings.model_validate(told["rules"]), told["started_ms"], told["ended_ms"])
    except ValidationError:
        return None


class ScenarioDesk:
    """Where scenarios are changed.

    Args:
        documents: Of the store.
        written: ``[scenarios]`` of `kinema.toml`.
        weighted: Scenarios that ``[recommend.scenario_weights]`` names: none of them may vanish.
    """

    def __init__(
        self, documents: Documents, written: Mapping[str, ScenarioSettings], weighted: Mapping[str, Any]
    ) -> None:
        self._documents, self._written, self._weighted = documents, written, weighted

    def tree(self) -> dict[str, ScenarioSettings]:
        """See `scenario_tree`."""
        return scenario_tree(self._documents, self._written)

    def origin(self, name: str) -> Origin:
        """Where the rules come from that hold."""
        document = self._documents.document(ROOM, name)
        if document is not None and document.value.get("rules") is not None:
            return "store"
        return "file" if name in self._written else "built-in"

    def newest(self, name: str) -> RulesVersion | None:
        """The last change; None where there was none."""
        document = self._documents.document(ROOM, name)
        return None if document is None else _change(document)

    def history(self, name: str) -> list[RulesVersion]:
        """Every version that is kept, newest first."""
        kept = [one for one in self._documents.documents(LOG_ROOM) if one.key.rpartition("/")[0] == name]
        return [_change(one) for one in sorted(kept, key=lambda one: one.key, reverse=True)]

    def trial(self, name: str) -> Trial | None:
        """See `trial_of`."""
        return trial_of(self._documents, name)

    def check(self, name: str, rules: ScenarioSettings) -> None:
        """Refuse rules that cannot be.

        Raises:
            ConfigError: See `kinema.scenario_settings.check_scenarios`; or there are too many scenarios.
        """
        size = len(json.dumps(_plain(rules)))
        if size > MOST_BYTES:
            raise ConfigError(f"rules of scenario '{name}' must have at most {MOST_BYTES:,} bytes, have {size:,}")
        tree = self.tree() | {name: rules}
        if len(tree) > MOST_SCENARIOS:
            raise ConfigError(f"there may be {MOST_SCENARIOS} scenarios, with '{name}' there are {len(tree)}")
        check_scenarios(tree, self._weighted)

    def write(self, name: str, rules: ScenarioSettings, *, by: str, expected: int | None = None) -> None:
        """Let other rules hold; a running experiment goes on unless they say something of it.

        Args:
            name: Of the scenario, which may be a new one.
            rules: All of them.
            by: Who does it.
            expected: The version that is to be replaced, 0 for the first; None replaces whichever there is.

        Raises:
            ConfigError: They cannot be.
            ConflictError: Somebody has changed them meanwhile.
        """
        before = self.tree().get(name)
        if before is not None and not {"variants", "experiment"} & rules.model_fields_set:
            kept: dict[str, Any] = {"variants": before.variants, "experiment": before.experiment}
            if before.variants and "attribution_hours" not in rules.model_fields_set:
                kept["attribution_hours"] = before.attribution_hours
            rules = rules.model_copy(update=kept)
        self._put(name, rules, by=by, what="rules changed", expected=expected)

    def remove(self, name: str, *, by: str, expected: int | None = None) -> None:
        """Let the rules of `kinema.toml` hold again; a scenario that is not there vanishes.

        Raises:
            DataError: Nothing was changed here.
            ConfigError: Something else needs the scenario.
            ConflictError: Somebody has changed it meanwhile.
        """
        if self.origin(name) != "store":
            raise DataError(f"scenario '{name}' has no rules of its own here; change those of kinema.toml there")
        rest = {key: one for key, one in self.tree().items() if key != name}
        check_scenarios(rest | {key: one for key, one in self._written.items() if key == name}, self._weighted)
        self._put(name, None, by=by, what="back to kinema.toml", expected=expected)

    def start(self, name: str, changed: ScenarioSettings, *, by: str) -> None:
        """Start an experiment.

        Args:
            name: Of a scenario that is there.
            changed: Its variants, their name and how long an event counts; the rest of it is not looked at.
            by: Who does it.

        Raises:
            DataError: There is no such scenario, or an experiment runs on it.
            ConfigError: Shares or names that cannot be.
        """
        tree = self.tree()
        if name not in tree and name not in BUILT_IN:
            raise DataError(f"unknown scenario '{name}'; known: {', '.join(sorted({*tree, *BUILT_IN}))}")
        before = tree.get(name, ScenarioSettings())
        if before.variants:
            raise DataError(f"an experiment runs on scenario '{name}' ({', '.join(before.variants)}); stop it first")
        told = {key: getattr(changed, key) for key in ("variants", "experiment", "attribution_hours")}
        rules = before.model_copy(update=told)
        self._put(name, rules, by=by, what="experiment started", trial=Trial(rules, _now_ms()))

    def stop(self, name: str, *, by: str) -> None:
        """Stop an experiment: all users get the scenario as it stands. What it found can still be read.

        Raises:
            DataError: None runs.
        """
        before = self.tree().get(name)
        if before is None or not before.variants:
            raise DataError(f"no experiment runs on scenario '{name}'")
        running = self.trial(name)
        started_ms = running.started_ms if running is not None and running.ended_ms is None else 0
        rules = before.model_copy(update={"variants": {}, "experiment": ""})
        self._put(name, rules, by=by, what="experiment stopped", trial=Trial(before, started_ms, _now_ms()))

    def _put(
        self,
        name: str,
        rules: ScenarioSettings | None,
        *,
        by: str,
        what: str,
        expected: int | None = None,
        trial: Trial | None = None,
    ) -> None:
        if rules is not None:
            self.check(name, rules)
        document = self._documents.document(ROOM, name)
        version = 0 if document is None else document.version
        if expected is not None and expected != version:
            raise ConflictError(f"scenario '{name}' must be at version {expected}, is at {version}; read it again")
        value = {
            "rules": None if rules is None else _plain(rules),
            "by": by,
            "what": what,
            "at_ms": _now_ms(),
            "trial": _told(trial) if trial is not None else None if document is None else document.value.get("trial"),
        }
        if document is None and name in self._written:
            self._note(name, 0, {"rules": _plain(self._written[name]), "by": "kinema.toml", "what": "as written"})
        self._documents.put_document(ROOM, name, value, expected=version)
        self._note(name, version + 1, value)

    def _note(self, name: str, version: int, value: Mapping[str, Any]) -> None:
        """Keep a version, and forget the one that is too old."""
        kept = {key: value.get(key) for key in ("rules", "by", "what", "at_ms")}
        self._documents.put_document(LOG_ROOM, f"{name}/{version:08d}", kept)
        self._documents.delete_document(LOG_ROOM, f"{name}/{version - MOST_KEPT:08d}")


def plain_rules(rules: ScenarioSettings, *, without: tuple[str, ...] = ()) -> dict[str, Any]:
    """The keys of a scenario that are not as usual, as JSON."""
    return rules.model_dump(mode="json", exclude_defaults=True, exclude=set(without))


def _plain(rules: ScenarioSettings) -> dict[str, Any]:
    """As it is kept: what a variant sets to the usual value is a difference from its scenario, too."""
    told = plain_rules(rules, without=("variants",))
    if rules.variants:
        told["variants"] = {
            name: one.model_dump(mode="json", exclude_unset=True) for name, one in rules.variants.items()
        }
    return told


def _settings(value: Any) -> ScenarioSettings | None:
    return None if value is None else ScenarioSettings.model_validate(value)


def _change(document: Document) -> RulesVersion:
    value = document.value
    in_log = document.room == LOG_ROOM
    version = int(document.key.rpartition("/")[2]) if in_log else document.version
    return RulesVersion(version, value["at_ms"] or document.updated_ms, value["by"], value["what"], value["rules"])


def _told(trial: Trial) -> dict[str, Any]:
    return {"rules": _plain(trial.settings), "started_ms": trial.started_ms, "ended_ms": trial.ended_ms}


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
