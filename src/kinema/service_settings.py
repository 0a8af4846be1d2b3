"""Sections of `kinema.toml` about the live service and what it stands on; see `kinema.settings` for how they are checked."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


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
