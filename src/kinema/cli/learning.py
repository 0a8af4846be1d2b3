"""The options that all finetune commands share: one decorator."""

import functools
import tomllib
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from kinema.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from kinema.progress import Progress
    from kinema.settings import Settings
    from kinema.steps.finetuning_options import Asked, FitPlan

_SHORT = {"epochs": "max_epochs", "patience": "patience", "batch_size": "batch_size", "learning_rate": "learning_rate"}


def learning_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what every finetune command knows; the command receives ``asked``, an `Asked`.

    Where an option is not given, `kinema.toml` counts, and then what the task takes by itself.
    """

    @click.option("--epochs", type=click.IntRange(1), help="At most.")
    @click.option("--patience", type=click.IntRange(1), help="Epochs without gain before it ends.")
    @click.option("--batch-size", type=click.IntRange(1), help="Examples per step. Default: by their number.")
    @click.option("--learning-rate", type=click.FloatRange(0, min_open=True), help="Step size.")
    @click.option("--find-rate", is_flag=True, help="Look for the step size first, in a short sweep.")
    @click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="Any setting of [finetune], over kinema.toml; of what is learnt network.NAME. Repeatable.",
    )
    @click.option("--restart", is_flag=True, help="Begin anew where a run was interrupted, or is finished.")
    @click.option("--tensorboard", is_flag=True, help="Also write what TensorBoard shows.")
    @click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Overrides [runtime] seed.")
    @functools.wraps(command)
    def wrapped(
        *args: Any,
        settings: tuple[str, ...],
        seed: int | None,
        restart: bool,
        tensorboard: bool,
        find_rate: bool,
        **kwargs: Any,
    ) -> Any:
        from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

        require("torch")
        from kinema.steps.finetuning_options import Asked  # noqa: PLC0415  # as above

        short = {name: kwargs.pop(option) for option, name in _SHORT.items()}
        changes = {name: one for name, one in short.items() if one is not None} | parsed_settings(settings)
        asked = Asked(changes, seed, restart, tensorboard, find_rate)
        return command(*args, asked=asked, **kwargs)

    return wrapped


def table_plan(task: str, folder: "Path | None", *, to: "Path", asked: "Asked", progress: "Progress") -> "FitPlan":
    """The plan of a task that learns from a table; the run is kept beside the model, settings count where a project is near.

    Args:
        task: Its section under ``[finetune]``.
        folder: The project that was named, or None.
        to: Where the model goes.
        asked: From the options.
        progress: Told epochs.
    """
    from kinema.steps.finetuning_options import plan_for  # noqa: PLC0415  # as above

    settings, _ = nearby_settings(folder)
    run = to.with_name(f"{to.name}-run")
    return plan_for(
        task, finetune=settings.finetune, folder=run, seed=settings.runtime.seed, asked=asked, progress=progress
    )


def nearby_settings(folder: "Path | None") -> "tuple[Settings, Path | None]":
    """Settings of the project that was named or that one stands in, and its folder; the usual ones where there is none.

    Args:
        folder: The project; None looks here and above.
    """
    from pathlib import Path  # noqa: PLC0415  # as above

    from kinema.settings import FILE_NAME, check_settings, load_settings  # noqa: PLC0415  # as above

    if folder is not None:
        return load_settings(folder / FILE_NAME), folder
    found = project_around(Path.cwd())
    return (check_settings({}) if found is None else load_settings(found / FILE_NAME)), found


def project_around(place: "Path") -> "Path | None":
    """The innermost project that a place lies in; None for none."""
    from kinema.settings import FILE_NAME  # noqa: PLC0415  # as above

    inside = place.resolve()
    return next((one for one in (inside, *inside.parents) if (one / FILE_NAME).is_file()), None)


def parsed_settings(settings: tuple[str, ...]) -> dict[str, Any]:
    """``NAME=VALUE`` as TOML would read it; a bare word is a text.

    Raises:
        ConfigError: There is no ``=``.

    Example:
        >>> parsed_settings(("patience=3", "optimizer=sgd", "rate_factors={ids = 0.1}"))
        {'patience': 3, 'optimizer': 'sgd', 'rate_factors': {'ids': 0.1}}
    """
    found: dict[str, Any] = {}
    for one in settings:
        name, equals, text = one.partition("=")
        if not equals or not name.strip():
            raise ConfigError(f"--set must be NAME=VALUE, is '{one}'; write --set learning_rate=0.001, for example")
        try:
            found[name.strip()] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            found[name.strip()] = text.strip()
    return found
