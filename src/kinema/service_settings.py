"""Sections of `kinema.toml` that only a running service and what feeds it read; see `kinema.settings`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServingSettings(_Section):
    """The running service."""

    keep_versions: int = Field(
        default=5, ge=1, le=1000, description="models that are kept to roll back to, the one that serves among them"
    )


class RefreshSettings(_Section):
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
