"""Options of `kinema finetune` that make a model hold: changed histories, ensembles, a clean test."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from kinema.steps.click_calibration import SliceError

_ALL: Final = "all"
_MOST_SLICES: Final = 8

augment_option: Callable[..., Any] = click.option(
    "--augment",
    metavar="CHANGES",
    help="On a log: change histories in training, as in crop=0.2,mask=0.1,reorder=0.2,substitute=0.1,chance=0.5.",
)


def ensemble_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what only the click model of a log knows; see `kinema.training.task_extras.ClickExtras`."""
    for option in (
        click.option(
            "--clean",
            is_flag=True,
            default=None,
            help="On a log: also measure with item vectors that know nothing of the test.",
        ),
        click.option(
            "--distil",
            is_flag=True,
            default=None,
            help="With --ensemble: serve one network that has learnt from them.",
        ),
        click.option(
            "--ensemble",
            type=click.IntRange(1),
            help="On a log: networks whose mean probability is served. Default: 1.",
        ),
        augment_option,
    ):
        command = option(command)
    return command


def show_slices(console: "Console", slices: "Mapping[str, Mapping[str, SliceError]]", *, report: "Path") -> None:
    """A table of how far off a model is as a whole and on the slices where it is furthest off beyond chance.

    Args:
        console: Where to.
        slices: Slicing -> slice -> its error.
        report: File that has all of them.
    """
    from kinema.cli.output import table  # noqa: PLC0415  # as the commands have it
    from kinema.tasks.click_slices import shown_slice  # noqa: PLC0415  # brings torch

    told = {(name, key): one for name, found in slices.items() for key, one in found.items()}
    worst = sorted((pair for pair in told if pair[0] != _ALL), key=lambda pair: -told[pair].beyond_chance)
    shown = [pair for pair in told if pair[0] == _ALL] + worst[:_MOST_SLICES]
    rows = [
        [shown_slice(*pair), one.rows, one.rate, one.before, one.after, one.chance, one.beyond_chance]
        for pair, one in ((pair, told[pair]) for pair in shown)
    ]
    heads = ["slice", "examples", "rate", "error before", "after calibration", "by chance alone", "beyond chance"]
    console.print(table("calibration on the newest tenth", heads, rows))
    if len(told) > len(shown):
        console.print(
            f"furthest off beyond chance first; {len(told) - len(shown)} more in the report: {report}", markup=False
        )
