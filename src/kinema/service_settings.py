"""Sections of `kinema.toml` that only a running service and what feeds it read; see `kinema.settings`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from kinema.schema import EventKind


class ServiceSection(BaseModel):
    """A section: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ServingSettings(ServiceSection):
    """How `kinema serve` listens and what it allows."""

    host: str = Field(default="127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    threads: int = Field(default=2, ge=1, le=64, description="answers computed at once in a process")
    max_batch: int = Field(default=1000, ge=1, le=100_000, description="events in one request")
    max_upload_mb: int = Field(default=512, ge=1, le=100_000, description="largest clip that may be uploaded")
    follow_seconds: float = Field(
        default=0.25, gt=0, le=60, description="how often what other processes wrote is looked for"
    )
    wait_seconds: float = Field(
        default=20.0,
        gt=0,
        le=300,
        description="how long a written item may wait to be recommendable before it is answered",
    )
    keep_versions: int = Field(
        default=5, ge=1, le=1000, description="models that are kept to roll back to, the one that serves among them"
    )


class RefreshSettings(ServiceSection):
    """When `kinema refresh` trains a new model, and when that may serve; see docs/models.md."""

    min_events: int = Field(
        default=200, ge=2, description="interactions since the last training below which nothing is done"
    )
    holdout: float = Field(
        default=0.3, gt=0, lt=0.9, description="newest share of those that is asked about instead of learnt from"
    )
    tolerance: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="share of what the serving model is better than popularity that may be lost; 0: must be clearly better",
    )
    start: Literal["nothing", "serving"] = Field(
        default="nothing", description="what training begins with: nothing, or the parameters of the model that serves"
    )
    final: bool = Field(default=True, description="learn from the held-out events too before it serves")


class GorseSettings(ServiceSection):
    """What the clients of gorse mean, see docs/gorse.md."""

    feedback_kinds: dict[str, EventKind] = Field(
        default={},
        description='FeedbackType -> kind of event, such as {read = "watch"}; wins over the table of the docs',
    )
