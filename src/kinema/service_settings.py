"""Sections of `kinema.toml` about the live service, what feeds it and what it stands on; see `kinema.settings`."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from kinema.schema import EventKind


class ServiceSection(BaseModel):
    """A section: unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StoreSettings(ServiceSection):
    """Where the data lives."""

    path: str = Field(default="store.db", min_length=1, description="SQLite file, relative to the project folder")
    url: SecretStr = Field(
        default=SecretStr(""), description="instead of path, such as postgresql://kinema@localhost/kinema"
    )

    def place(self, folder: Path) -> str | Path:
        """What a store is opened by, for the project in a folder."""
        return self.url.get_secret_value() or folder / self.path


class ServingSettings(ServiceSection):
    """How `kinema serve` listens and what it allows."""

    host: str = Field(default="127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    workers: int = Field(
        default=1, ge=1, le=64, description="processes that share the port, each with the model and the catalogue"
    )
    threads: int = Field(
        default=1, ge=1, le=64, description="answers computed at once in a process; for more cores take more workers"
    )
    max_batch: int = Field(default=1000, ge=1, le=100_000, description="events in one request")
    max_upload_mb: int = Field(default=512, ge=1, le=100_000, description="largest clip that may be uploaded")
    max_image_mb: int = Field(default=20, ge=1, le=1000, description="largest picture that may be searched with")
    follow_seconds: float = Field(
        default=0.25, gt=0, le=60, description="how often what other processes wrote is looked for"
    )
    wait_seconds: float = Field(
        default=20.0,
        gt=0,
        le=300,
        description="how long a written item may wait to be recommendable before it is answered",
    )
    answer_seconds: float = Field(
        default=30.0, gt=0, le=3600, description="after which an answer that is not there is given up"
    )
    max_body_kb: int = Field(default=2048, ge=1, le=1 << 20, description="largest body of a request but a clip's")
    tls: bool = Field(
        default=False, description="TLS ends in front of the service: browsers are told to use nothing else"
    )
    cors_origins: tuple[str, ...] = Field(
        default=(), description="sites whose pages may ask, such as https://shop.example; empty: none"
    )
    personal_fields: tuple[str, ...] = Field(
        default=("email", "name", "phone", "address", "birthday"),
        description="attributes of users that are masked in logs, and in answers to keys without the scope personal",
    )
    metrics_scope: Literal["read", "admin", "public"] = Field(
        default="read", description="who may read /metrics; public where the network alone guards it"
    )
    log: Literal["json", "text", "off"] = Field(default="json", description="form of the log of requests")
    keep_versions: int = Field(
        default=5, ge=1, le=1000, description="models that are kept to roll back to, the one that serves among them"
    )


class AuthSettings(ServiceSection):
    """Tokens of an issuer, beside the keys of `kinema keys` (all three of jwt_ are needed), and sessions of the console."""

    jwt_issuer: str = Field(default="", description="what the claim iss must be")
    jwt_audience: str = Field(default="", description="what the claim aud must be or contain")
    jwt_public_key: str = Field(default="", description="file of the issuer's public key (PEM) or keys (JWKS)")
    session_hours: float = Field(
        default=12.0, gt=0, le=720, description="how long somebody who signs in to the console stays so"
    )


class StreamSettings(ServiceSection):
    """Events over a Redis stream, beside those over HTTP."""

    redis_url: str = Field(default="", description="redis://... of the stream; empty: none")
    name: str = Field(default="kinema:events", min_length=1, description="of the stream")
    group: str = Field(default="kinema", min_length=1, description="consumer group; services of one store share one")


class RateSettings(ServiceSection):
    """How often a key may ask, by what it asks for; 0 sets no limit."""

    read_per_second: float = Field(default=500.0, ge=0, description="answers")
    write_per_second: float = Field(default=500.0, ge=0, description="events, items, users, clips")
    admin_per_second: float = Field(default=20.0, ge=0, description="keys, models, people's data")
    burst_seconds: float = Field(default=2.0, ge=1, le=60, description="so much of it may come at once")
    redis_url: str = Field(default="", description="redis://... where several processes count together")


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
