"""Options of commands that let a text encoder learn."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

FILE: Any = click.Path(path_type=Path, dir_okay=False)
FOLDER: Any = click.Path(path_type=Path, file_okay=False)


def learning_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what learns, how fast and how long; the names are those of the function that is called."""
    for option in reversed(
        (
            click.option(
                "--learn",
                type=click.Choice(["full", "frozen", "top", "lora", "adapters", "prefix"]),
                default="lora",
                show_default=True,
                help="What learns besides the head.",
            ),
            click.option("--layers", type=click.IntRange(1), default=2, show_default=True, help="Of top."),
            click.option("--rank", type=click.IntRange(1, 512), default=8, show_default=True, help="Of lora."),
            click.option(
                "--max-tokens", type=click.IntRange(16), default=128, show_default=True, help="Read of a text."
            ),
            click.option("--epochs", type=click.IntRange(1), default=3, show_default=True, help="At most."),
            click.option(
                "--patience", type=click.IntRange(1), default=2, show_default=True, help="Epochs without gain."
            ),
            click.option(
                "--learning-rate",
                type=click.FloatRange(0, min_open=True),
                help="Largest step size. Default: what is usual for --learn.",
            ),
            click.option("--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Of the run."),
        )
    ):
        command = option(command)
    return command
