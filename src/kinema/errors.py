"""Error classes. Each says who acts: the one who configures, the owner of the data, or the one who runs the steps."""

from collections.abc import Iterable
from difflib import get_close_matches


class KinemaError(Exception):
    """Root of every error Kinema raises on purpose; its text is meant for a person and names a remedy."""


class ConfigError(KinemaError):
    """A setting is unknown or out of range: the author of the configuration acts."""


class DataError(KinemaError):
    """A record, file or request is not what it must be: the owner of the data acts."""


class BusyError(DataError):
    """Another one is writing: nothing was taken, and the same again may succeed in a moment."""


class NotBuiltError(KinemaError):
    """An earlier step has not been run yet: run it."""


class MissingExtraError(KinemaError):
    """An optional dependency is absent: install it."""


class StaleArtifactError(KinemaError):
    """An artefact no longer fits what it was built from, or is damaged: rebuild it."""


class ConflictError(KinemaError):
    """What was to be changed has changed meanwhile: read it again, then decide."""


def did_you_mean(given: str, known: Iterable[str]) -> str:
    """What stands between an unknown name and those that are known: the nearest of them, where there is one.

    Example:
        >>> did_you_mean("frame", ["frames", "motion"]), did_you_mean("x", ["frames", "motion"])
        (", did you mean 'frames'?", ';')
    """
    close = get_close_matches(given, list(known), n=1)
    return f", did you mean '{close[0]}'?" if close else ";"
