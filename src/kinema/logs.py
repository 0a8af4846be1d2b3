"""Structured logging to standard error: `key=value` for people, JSON for machines."""

import logging
import sys
from typing import Any

import structlog


def configure(*, level: str = "warning", as_json: bool = False) -> None:
    """Set level and form of every log line.

    Args:
        level: debug, info, warning or error.
        as_json: One JSON object a line instead of readable text.
    """
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=_to_standard_error,
        cache_logger_on_first_use=False,
    )


def get_logger(name: str) -> Any:
    """A logger that carries the name of its room."""
    return structlog.get_logger(room=name)


def _to_standard_error(*name: str) -> structlog.PrintLogger:
    """Look the stream up at each line: who redirects standard error later is heard, who has closed it is not asked."""
    del name
    return structlog.PrintLogger(sys.stderr)
