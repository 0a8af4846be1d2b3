"""Sections of `kinema.toml` about reading clips and what is made of them; see `kinema.settings`."""

from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from kinema.errors import ConfigError
from kinema.service_settings import ServiceSection


class MediaSettings(ServiceSection):
    """Reading of video files."""

    root: str = Field(
        default="", description="folder that media paths start from; set by the first ingest with --videos"
    )
    num_frames: int = Field(default=8, ge=1, le=256, description="frames sampled per clip")
    sampling: Literal["even", "key", "shots"] = Field(
        default="even", description="evenly spaced; the key frames nearest to that, for speed; or every shot seen"
    )
    pictures: bool = Field(default=True, description="write a poster and a preview strip of each clip")
    views_mb: int = Field(
        default=4096, ge=1, description="disk for clips as browsers play them; the least used go first"
    )


class LimitSettings(ServiceSection):
    """What one clip may cost; a clip beyond decode_seconds, clip_memory_mb or max_clip_pixels is set aside."""

    max_clip_seconds: float = Field(
        default=600.0, gt=0, description="only so much of each clip's beginning is looked at"
    )
    max_clip_pixels: int = Field(
        default=1 << 25, ge=1 << 10, le=1 << 28, description="largest frame that is decoded, width x height"
    )
    decode_seconds: float = Field(
        default=120.0, gt=0, description="processor time to read one clip; one that hangs, by the clock"
    )
    clip_memory_mb: int = Field(
        default=2048, ge=64, le=1 << 20, description="memory that reading one clip may take, in each decoding process"
    )


class PoolingSettings(ServiceSection):
    """How the moments of a clip become its vector in one modality, instead of the encoder's own way."""

    segments: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        default=(1, 2, 4), description="into how many equal parts a clip is cut, for each time scale"
    )
    statistics: tuple[Literal["mean", "max", "std"], ...] = Field(
        default=("mean", "max"), description="what is taken of each part, side by side"
    )

    @field_validator("segments", "statistics")
    @classmethod
    def _is_something(cls, given: tuple[Any, ...], info: ValidationInfo) -> tuple[Any, ...]:
        if not given:
            raise ConfigError(f"encoders.pooling: {info.field_name} must name at least one, is empty")
        return given


class EncoderSettings(ServiceSection):
    """Pre-trained encoders, by packaged name, hub name or local folder; an empty text switches a modality off."""

    text: str = Field(default="packaged:minilm", description="titles and descriptions: a BERT-family encoder")
    frames: str = Field(default="packaged:efficientnet-lite0", description="what is seen: a CNN or ViT")
    motion: str = Field(default="flow:dis", description="what moves: statistics of dense optical flow")
    sound: str = Field(default="mel:stats", description="what is heard: statistics of the mel spectrum")
    transcripts: Literal["auto", "off"] = Field(
        default="auto", description="what is said, by the text encoder, where there are subtitles or a field transcript"
    )
    transcript_languages: tuple[str, ...] = Field(
        default=("en",), description="of several subtitles of a clip these are read, the best first"
    )
    pooling: dict[Literal["frames", "motion", "sound"], PoolingSettings] = Field(
        default={},
        description='in [encoders.pooling.MODALITY]: segments = [1, 2, 4] and statistics = ["mean", "max"] pool at several time scales',
    )
    batch_size: int = Field(default=32, ge=1, le=4096, description="frames or texts encoded at once")
