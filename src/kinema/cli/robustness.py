"""Options of `kinema finetune` that make a model hold: changed histories, ensembles, a clean test."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from rich.console import Console

    from kinema.steps.click_calibration import SliceError

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


def show_slices(console: "Console", slices: "Mapping[str, Mapping[str, SliceError]]") -> None:
    """A table of how far off each slice is."""
    from kinema.cli.output import table  # noqa: PLC0415  # as the commands have it
    from kinema.steps.click_calibration import largest  # noqa: PLC0415  # brings torch

    rows = [
        [
            f"{name}={key}" if name != "all" else "all",
            one.rows,
            one.rate,
            one.before,
            one.after,
            one.chance,
            one.beyond_chance,
        ]
        for name, found in slices.items()
        for key, one in found.items()
    ]
    heads = ["slice", "examples", "rate", "error before", "after calibration", "by chance alone", "beyond chance"]
    console.print(table("calibration on the newest tenth", heads, rows))
    if len(rows) > 1:
        name, worst = largest(slices)
        console.print(f"furthest off beyond chance: {name}, {worst.beyond_chance:.3f}", markup=False)
