"""What came in while the service runs is understood without a whole extraction: texts of new items become vectors at once."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from kinema.errors import KinemaError
from kinema.logs import get_logger
from kinema.settings import Settings
from kinema.steps.bridges import load_query_encoder
from kinema.steps.extracting import encoder_place
from kinema.store.features import ModalityFeatures

if TYPE_CHECKING:
    from kinema.encoders.text import TextEncoder

_LOG = get_logger("serving")
TEXT = "text"


def understand_texts(
    items: pl.DataFrame, features: Mapping[str, ModalityFeatures], *, folder: Path, settings: Settings
) -> int:
    """Encode the texts of items that have none of the vectors others have.

    Args:
        items: Of the store.
        features: As the last extraction left them.
        folder: Of the project.
        settings: Of the project.

    Returns:
        Texts encoded; 0 where nothing is missing, no extraction has been run yet, or it was run with another encoder.
    """
    if TEXT not in features or not settings.encoders.text:
        return 0
    from kinema.encoders.extract import extract  # noqa: PLC0415  # brings the encoders
    from kinema.encoders.text import item_text  # noqa: PLC0415  # the same

    without = items.filter(~pl.Series(features[TEXT].present_V) & ~pl.col("hidden"))
    has_text = [bool(item_text(row)) for row in without.iter_rows(named=True)]
    missing = without.filter(pl.Series(has_text, dtype=pl.Boolean))
    if not missing.height:
        return 0
    try:
        encoder: TextEncoder = load_query_encoder(
            encoder_place(settings.encoders.text, folder), settings.runtime.device
        )
    except KinemaError as error:
        _LOG.warning("texts of new items are not understood", reason=str(error), items=missing.height)
        return 0
    if encoder.fingerprint != features[TEXT].encoder:
        _LOG.warning(
            "texts of new items are not understood",
            reason="the vectors come from another encoder than kinema.toml names; run: kinema extract",
            items=missing.height,
        )
        return 0
    extract(items=missing, media_root=None, folder=folder / "artifacts" / "features", text=encoder, partial=True)
    return missing.height
