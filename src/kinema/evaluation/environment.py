"""What a run ran on, so that its numbers can be placed: versions, machine, date. Nothing that names a person."""

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Final

import psutil

_PACKAGES: Final = ("kinema", "numpy", "scipy", "polars", "torch", "transformers")


def run_facts(*, command: str, seed: int) -> dict[str, str]:
    """Facts about this run for a report.

    Args:
        command: What was typed, such as ``kinema evaluate``.
        seed: The run's seed.

    Returns:
        Label -> text, in the order of display; packages that are not installed are left out.

    Example:
        >>> facts = run_facts(command="kinema evaluate", seed=7)
        >>> facts["command"], facts["seed"]
        ('kinema evaluate', '7')
    """
    memory_gb = psutil.virtual_memory().total / 2**30
    return {
        "command": command,
        "seed": str(seed),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "versions": ", ".join(
            [f"python {platform.python_version()}", *(f"{name} {found}" for name, found in _installed())]
        ),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, {memory_gb:.0f} GiB of memory",
    }


def _installed() -> list[tuple[str, str]]:
    found = []
    for name in _PACKAGES:
        try:
            found.append((name, metadata.version(name)))
        except metadata.PackageNotFoundError:
            continue
    return found
