"""Whether the service lives, whether it can answer, and what it counts: for orchestrators and Prometheus."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.responses import JSONResponse, Response

from kinema.serving.telemetry import CONTENT_TYPE, Telemetry


@dataclass(frozen=True)
class Readiness:
    """Whether requests can be answered.

    Attributes:
        ready: Send requests.
        checks: What was looked at -> ``ok`` or what is wrong, in words that give nothing away.
    """

    ready: bool
    checks: Mapping[str, str] = field(default_factory=dict)


def health_routes(ready: Callable[[], Readiness], telemetry: Telemetry | None = None) -> APIRouter:
    """Routes ``/health/live``, ``/health/ready`` and, with telemetry, ``/metrics``.

    Liveness looks at nothing: a process that can say so need not be restarted because its database is away.

    Args:
        ready: Asked at each probe, in a thread: it may read the store.
        telemetry: What ``/metrics`` tells.
    """
    router = APIRouter(tags=["operation"])

    @router.get("/health/live", summary="Whether the process answers")
    async def live() -> dict[str, str]:
        return {"status": "live"}

    @router.get("/health/ready", summary="Whether requests can be answered", responses={503: {}})
    async def is_ready() -> JSONResponse:
        try:
            found = await run_sync(ready)
        except Exception as error:  # noqa: BLE001  # whatever stops the check, requests would stop at it too
            found = Readiness(ready=False, checks={"check": type(error).__name__})
        body = {"status": "ready" if found.ready else "not ready", "checks": dict(found.checks)}
        return JSONResponse(body, 200 if found.ready else 503)

    if telemetry is not None:
        counted = telemetry

        @router.get("/metrics", summary="What the service counts, for Prometheus", include_in_schema=False)
        async def metrics() -> Response:
            return Response(await run_sync(counted.text), media_type=CONTENT_TYPE)

    return router
