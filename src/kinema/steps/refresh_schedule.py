"""`kinema refresh --every 6h`: one refresh after the other, whatever becomes of each."""

import random
import re
import time
from collections.abc import Callable
from typing import Final

from kinema import logs
from kinema.errors import ConfigError, KinemaError
from kinema.steps.refresh_report import RefreshReport

JITTER: Final = 0.1
"""How far a wait may be off, up or down: services that were started together do not train together for ever."""
_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def seconds_of(text: str) -> float:
    """A time such as ``30m`` or ``6h`` in seconds.

    Raises:
        ConfigError: It is none, or not more than nothing.

    Example:
        >>> seconds_of("6h"), seconds_of("1.5m")
        (21600.0, 90.0)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd])", text.strip())
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not seconds > 0:
        raise ConfigError(f"a time must be a positive number with s, m, h or d behind it, is '{text}'; such as 6h")
    return seconds


def refresh_every(
    seconds: float,
    refresh: Callable[[], RefreshReport],
    *,
    told: Callable[[RefreshReport], None],
    sleep: Callable[[float], None] = time.sleep,
    draw: Callable[[float, float], float] | None = None,
) -> None:
    """Refresh for ever: at once, and then again and again. An error is logged with its reason, and the next round comes as if there was none.

    It ends by what ends a process: `SystemExit`, which the command raises on a signal, or Ctrl-C.

    Args:
        seconds: From the end of one round to the beginning of the next, give or take a tenth.
        refresh: One round.
        told: Told each report.
        sleep: Waits.
        draw: Draws the length of a wait between two bounds; None for at random.
    """
    log, draw = logs.get_logger("refresh"), draw or random.SystemRandom().uniform
    while True:
        refused = ""
        try:
            told(refresh())
        except KinemaError as error:
            refused = str(error)
        except Exception:  # what ends one round must not end the schedule
            log.exception("refresh failed")
        if refused:
            log.error("refresh failed", reason=refused)
        wait = draw(seconds * (1 - JITTER), seconds * (1 + JITTER))
        log.info("next refresh", seconds=round(wait))
        sleep(wait)
