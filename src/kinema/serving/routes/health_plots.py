"""``/v1/health``: what one process has counted in the last hour, and the alerts that follow from it."""

import os
from typing import Annotated

from fastapi import APIRouter, Query, Request

from kinema.serving.health_series import HealthRecorder
from kinema.serving.health_wire import AlertOut, AlertsOut, HealthSeriesOut
from kinema.serving.routes.parts import Parts
from kinema.serving.wire import LAST_MS

router = APIRouter(prefix="/v1/health", tags=["health"])
Since = Annotated[int, Query(ge=0, le=LAST_MS, description="later moments alone, UTC milliseconds")]


@router.get("/series", summary="What was counted in the last hour")
async def get_health_series(parts: Parts, request: Request, since_ms: Since = 0) -> HealthSeriesOut:
    """Requests, how long they and each stage took, events, freshness and coverage, every ten seconds. Of this process alone."""
    return await parts.run(_of(request).series, since_ms=since_ms)


@router.get("/alerts", summary="Alerts of this process")
async def get_alerts(request: Request) -> AlertsOut:
    """The alert rules that `deploy/` has for Prometheus, asked of this process's own numbers."""
    return AlertsOut(
        process=os.getpid(),
        alerts=[
            AlertOut.model_validate(
                {
                    "name": one.rule.name,
                    "severity": one.rule.severity,
                    "state": one.state,
                    "summary": one.rule.summary,
                    "description": one.description,
                    "labels": one.labels,
                    "value": one.value,
                    "since_ms": None if one.since is None else round(one.since * 1000),
                    "hold_seconds": one.rule.hold_seconds,
                }
            )
            for one in _of(request).alerts()
        ],
    )


def _of(request: Request) -> HealthRecorder:
    found: HealthRecorder = request.app.state.health
    return found
