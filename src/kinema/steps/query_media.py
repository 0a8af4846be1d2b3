"""A picture or a clip that someone searches with becomes the vectors that the catalogue's clips have.

Shape suffixes: D width, H height, W width of a picture, 3 red-green-blue.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.encoders.clip_modality import ClipModality
from kinema.encoders.extract import extract, load_features
from kinema.encoders.frames import FrameTokens
from kinema.encoders.modality import ClipEncoder, Tokens
from kinema.encoders.pooling import Pooling
from kinema.errors import DataError, NotBuiltError, StaleArtifactError
from kinema.extras import require
from kinema.media.sampling import Mode
from kinema.settings import Settings
from kinema.steps.extracting import CLIP_MODALITIES, EncoderOptions, encoder_place, poolings_of
from kinema.store.features import ModalityFeatures

PICTURES: Final = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
"""Kinds of picture files that are opened."""

_TAIL: Final = "; the item keeps its text features"
_OTHER_ENCODER: Final = (
    "vectors come from another encoder or other media settings than kinema.toml names; run: kinema extract"
)


def picture_vectors(
    path: Path, features: Mapping[str, ModalityFeatures], *, settings: Settings, folder: Path
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
    """The frame vector of a picture.

    Args:
        path: A file of one of the kinds in `PICTURES`.
        features: Of the catalogue.
        settings: Of the project.
        folder: Of the project.

    Returns:
        ``frames`` -> float32 [D]; and the same as the only moment there is, [1, D].

    Raises:
        DataError: It is no picture, or a larger one than the settings allow.
        NotBuiltError: The catalogue has no frame vectors.
        StaleArtifactError: They come from another encoder.
    """
    picture_HW3 = read_picture(path, max_pixels=settings.limits.max_clip_pixels)
    if "frames" not in features:
        raise NotBuiltError("a picture is compared with frames, and no clip has any yet; run: kinema extract")
    encoder = clip_encoder("frames", settings, folder)
    limit, mode = settings.limits.max_clip_seconds, settings.media.sampling
    pooling = poolings_of(settings.encoders).get("frames")
    if frames_fingerprint(encoder, max_seconds=limit, sampling=mode, pooling=pooling) != features["frames"].encoder:
        raise StaleArtifactError(f"the frames {_OTHER_ENCODER}")
    assert isinstance(encoder, FrameTokens)
    cv2, side = require("cv2"), encoder.pictures.frame_side
    squeezed = cv2.resize(picture_HW3, (side, side), interpolation=cv2.INTER_AREA)
    moments_1D = encoder.pictures.encode(squeezed[None])
    if pooling is None:
        return {"frames": moments_1D[0]}, moments_1D
    return {"frames": pooling.pool(Tokens(moments_1D, np.zeros(1, dtype=np.int64)))}, moments_1D


def frames_fingerprint(
    encoder: ClipEncoder, *, max_seconds: float, sampling: Mode, pooling: Pooling | None = None
) -> str:
    """What the catalogue's frame vectors are marked with where this encoder has made them.

    Args:
        encoder: Of frames.
        max_seconds: How much of each clip is looked at.
        sampling: Which frames are taken.
        pooling: Another way to the vector of a clip than the encoder's own.
    """
    with TemporaryDirectory(prefix="kinema-query-") as scratch:
        place = Path(scratch)
        here = ClipModality(place, "frames", encoder, pooling=pooling, max_seconds=max_seconds, sampling=sampling)
        return here.fingerprint


def read_picture(path: Path, *, max_pixels: int) -> NDArray[np.uint8]:
    """uint8 [H, W, 3], upright.

    Raises:
        DataError: It is no picture, or too large.
        MissingExtraError: Pillow is not installed.
    """
    image, ops = require("PIL.Image"), require("PIL.ImageOps")
    if not path.is_file():
        raise DataError(f"cannot read picture '{path.name}': there is no such file")
    limit = f"picture '{path.name}' must have at most {max_pixels:,} pixels"
    try:
        with image.open(path, formats=PICTURES) as opened:
            has = f"{opened.width:,} x {opened.height:,}"
            if opened.width * opened.height <= max_pixels:
                return np.asarray(ops.exif_transpose(opened).convert("RGB"), dtype=np.uint8)
    except (image.DecompressionBombError, image.DecompressionBombWarning):
        has = "many times more"
    except Exception as error:  # a damaged file breaks its reader in whatever way
        kinds = ", ".join(PICTURES)
        raise DataError(
            f"cannot read picture '{path.name}': not a whole {kinds} file; a video is given as a clip"
        ) from error
    raise DataError(f"{limit}, has {has}; max_clip_pixels in [limits] sets the limit")


def clip_vectors(
    path: Path, features: Mapping[str, ModalityFeatures], *, settings: Settings, folder: Path
) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32] | None]:
    """The vectors of a clip in every modality of what is seen and heard that the catalogue has; read and encoded as `kinema extract` does.

    Args:
        path: A video file, anywhere.
        features: Of the catalogue.
        settings: Of the project.
        folder: Of the project.

    Returns:
        Modality -> float32 [D]; and float32 [T, D], the vectors of its frames one by one, None where it has none.

    Raises:
        DataError: The clip cannot be read, or has nothing that the catalogue's clips have.
        NotBuiltError: The catalogue has no vectors of clips.
        StaleArtifactError: They come from other encoders.
    """
    path = path.resolve()
    if not path.is_file():
        raise DataError(f"cannot decode '{path.name}': there is no such file")
    if not features.keys() - {"text", "transcript"}:
        raise NotBuiltError("a clip is compared with frames and motion, and no clip has any yet; run: kinema extract")
    found, moments_TD = _extract_one(path, features, settings=settings, folder=folder)
    others = [name for name, one in found.items() if one.encoder != features[name].encoder]
    if others:
        raise StaleArtifactError(f"the {' and '.join(others)} {_OTHER_ENCODER}")
    vectors = {name: one.vectors_VD[0] for name, one in found.items() if one.present_V[0]}
    if not vectors:
        raise DataError(f"clip '{path.name}' must have {' or '.join(found)} to be compared by, has none")
    return vectors, moments_TD


def _extract_one(
    path: Path, features: Mapping[str, ModalityFeatures], *, settings: Settings, folder: Path
) -> tuple[dict[str, ModalityFeatures], NDArray[np.float32] | None]:
    """A catalogue of one clip, extracted to a folder that does not stay, and the vectors of its frames."""
    items = pl.DataFrame({"num": [0], "id": ["query"], "media_path": [path.name]})
    asked = [name for name in CLIP_MODALITIES if name in features and getattr(settings.encoders, name)]
    with TemporaryDirectory(prefix="kinema-query-") as scratch:
        report = extract(
            items=items,
            media_root=path.parent,
            folder=Path(scratch),
            clips={name: clip_encoder(name, settings, folder) for name in asked},
            poolings={name: one for name, one in poolings_of(settings.encoders).items() if name in asked},
            workers=1,
            max_seconds=settings.limits.max_clip_seconds,
            max_pixels=settings.limits.max_clip_pixels,
            clip_timeout_s=settings.limits.decode_seconds,
            clip_memory_mb=settings.limits.clip_memory_mb,
            sampling=settings.media.sampling,
        )
        if report.rejects:
            raise DataError(report.rejects[0].reason.removesuffix(_TAIL))
        found = load_features(Path(scratch), items, with_tokens=True)
        tokens = found["frames"].tokens if "frames" in found and found["frames"].present_V[0] else None
        moments_TD = None if tokens is None else tokens.get([0]).tokens_MD.astype(np.float32)
        return found, moments_TD


def clip_encoder(modality: str, settings: Settings, folder: Path) -> ClipEncoder:
    """The encoder that the settings name, loaded once per process."""
    place = encoder_place(getattr(settings.encoders, modality), folder)
    options = EncoderOptions(settings.media.num_frames, settings.encoders.batch_size, settings.runtime.device)
    return _loaded(modality, place, options)


@lru_cache(maxsize=8)
def _loaded(modality: str, place: str, options: EncoderOptions) -> ClipEncoder:
    """Loaded once per process."""
    return CLIP_MODALITIES[modality](place, options)
