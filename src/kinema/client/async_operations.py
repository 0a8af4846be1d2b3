"""What those ask who run a service, for asyncio: models, scenarios, experiments, health. Reached as ``client.operations``."""

from collections.abc import Awaitable, Mapping
from typing import Protocol

from kinema.client import operation_calls as calls
from kinema.client.calls import Answered, Call
from kinema.client.operation_calls import Rules
from kinema.serving.admin_wire import ExperimentOut, ModelsOut, RollbackOut, ScenarioOut, ScenariosOut
from kinema.serving.health_wire import AlertsOut, HealthSeriesOut
from kinema.serving.model_wire import MapOut, ModelCurveOut, ModelReportOut
from kinema.serving.scenario_wire import PreviewOut, ScenarioWithVersionsOut
from kinema.serving.session_wire import SessionOut


class Send(Protocol):
    """Sends a request and returns its answer."""

    def __call__(self, call: Call[Answered]) -> Awaitable[Answered]:
        """Send."""


class AsyncOperations:
    """Models, scenarios, experiments and health; most of it needs a key with the scope ``admin``.

    Args:
        send: Of a client.
    """

    def __init__(self, send: Send) -> None:
        self._send = send

    async def session(self) -> SessionOut:
        """Whether the service is open, and what the client's key may do."""
        return await self._send(calls.session())

    async def models(self) -> ModelsOut:
        """The versions of the model that are kept."""
        return await self._send(calls.models())

    async def roll_back(self, version: str | None = None) -> RollbackOut:
        """Answer with another version; None for the one before."""
        return await self._send(calls.roll_back(version))

    async def model_report(self, version: str) -> ModelReportOut:
        """A version beside the baselines, on warm and cold items."""
        return await self._send(calls.model_report(version))

    async def model_curve(self, version: str) -> ModelCurveOut:
        """Losses and validation of a version, epoch by epoch."""
        return await self._send(calls.model_curve(version))

    async def model_map(self) -> MapOut:
        """The catalogue in two dimensions; ask again while its state is ``computing``."""
        return await self._send(calls.model_map())

    async def scenarios(self) -> ScenariosOut:
        """All scenarios with their rules."""
        return await self._send(calls.scenarios())

    async def scenario(self, name: str) -> ScenarioWithVersionsOut:
        """One scenario, with what its rules were, by whom and when."""
        return await self._send(calls.scenario(name))

    async def put_scenario(
        self, name: str, rules: Rules, *, expected_version: int | None = None
    ) -> ScenarioWithVersionsOut:
        """Let other rules hold; `kinema.client.errors.ChangedMeanwhileError` where it is not at the expected version."""
        return await self._send(calls.put_scenario(name, rules, expected_version))

    async def delete_scenario(self, name: str, *, expected_version: int | None = None) -> ScenariosOut:
        """Let the rules of `kinema.toml` hold again."""
        return await self._send(calls.delete_scenario(name, expected_version))

    async def preview_scenario(
        self, name: str, rules: Rules, *, user_id: str = "", item_id: str = "", n: int = 10
    ) -> PreviewOut:
        """The slate by other rules beside the one of now; nothing is logged."""
        return await self._send(calls.preview_scenario(name, rules, user_id=user_id, item_id=item_id, n=n))

    async def experiment(self, scenario: str, *, since: str | None = None) -> ExperimentOut:
        """The variants of a scenario compared, with what may be concluded."""
        return await self._send(calls.experiment(scenario, since))

    async def start_experiment(
        self, scenario: str, variants: Mapping[str, Rules], *, name: str = "", attribution_hours: float = 24.0
    ) -> ScenarioOut:
        """Give shares of the users other rules: name -> ``share`` and what is different."""
        return await self._send(
            calls.start_experiment(scenario, variants, name=name, attribution_hours=attribution_hours)
        )

    async def stop_experiment(self, scenario: str) -> ScenarioOut:
        """Give everybody the scenario as it stands."""
        return await self._send(calls.stop_experiment(scenario))

    async def health_series(self, since_ms: int = 0) -> HealthSeriesOut:
        """What one process has counted in the last hour, later than a moment."""
        return await self._send(calls.health_series(since_ms))

    async def alerts(self) -> AlertsOut:
        """The alert rules, asked of one process."""
        return await self._send(calls.alerts())
