"""Public data sets by name."""

from pathlib import Path
from typing import Final

from kinema.errors import ConfigError, DataError, did_you_mean
from kinema.sources.blocks import Table
from kinema.sources.movielens import movielens_1m, movielens_100k
from kinema.sources.sequences import s3rec

NAMED: Final = {"movielens-100k": movielens_100k, "movielens-1m": movielens_1m, "s3-rec": s3rec}
"""Name -> what opens its folder."""


def open_named(name: str, folder: Path) -> list[Table]:
    """The tables of a public data set.

    Args:
        name: ``movielens-100k``, ``movielens-1m``, or ``s3-rec`` for any set in that form.
        folder: Where its files are.

    Returns:
        Items, users and events, as far as the set has them, in the order to write them.

    Raises:
        ConfigError: There is no such name.
        DataError: The folder or one of its files is missing.
    """
    if name not in NAMED:
        raise ConfigError(f"unknown source '{name}'{did_you_mean(name, NAMED)} known: {', '.join(NAMED)}")
    if not folder.is_dir():
        raise DataError(f"source {name} must have a folder of files, '{folder}' is none; name the unpacked folder")
    return NAMED[name](folder)
