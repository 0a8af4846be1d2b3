"""What all commands of `kinema tune` share: options, whose project it is, and what is said at the end."""

import functools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.learning import nearby_settings, parsed_settings
from kinema.cli.output import Output, print_notices, table

if TYPE_CHECKING:
    from kinema.steps.project_tune import Tune
    from kinema.tuning.report import TuningReport
    from kinema.tuning.study import TrialRecord
    from kinema.tuning.task_report import TaskTuning


def search_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what every search knows; the command receives ``how``, keyword arguments of every method of ``project.tune``."""

    @click.option(
        "--trials", type=click.IntRange(1), metavar="N", help="End after N trials. Default: 20, without --seconds."
    )
    @click.option(
        "--seconds",
        type=click.FloatRange(0, min_open=True),
        help="End after so long; none is begun that would not fit.",
    )
    @click.option(
        "--workers", type=click.IntRange(1), default=1, show_default=True, help="Trials at once, each in a process."
    )
    @click.option("--write", is_flag=True, help="Put the chosen settings into kinema.toml; its comments stay.")
    @click.option("--restart", is_flag=True, help="Begin anew; the search before is put aside.")
    @click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="NAME=VALUE",
        help="Fix a setting of [finetune] for this search; of what is learnt network.NAME. Repeatable.",
    )
    @click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Overrides [runtime] seed.")
    @functools.wraps(command)
    def wrapped(*args: Any, settings: tuple[str, ...], **kwargs: Any) -> Any:
        from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

        require("torch")
        require("optuna")
        names = ("trials", "seconds", "workers", "write", "restart", "seed")
        how = {name: kwargs.pop(name) for name in names} | {"settings": parsed_settings(settings)}
        return command(*args, how=how, **kwargs)

    return wrapped


def with_options_of(source: click.Command, names: Collection[str]) -> Callable[[click.Command], click.Command]:
    """Give a command options that another has, so that both are always the same.

    Args:
        source: That has them.
        names: Of its parameters.
    """

    def add(command: click.Command) -> click.Command:
        command.params = [*(one for one in source.params if one.name in names), *command.params]
        return command

    return add


@contextmanager
def project_search(folder: Path | None) -> "Iterator[Tune]":
    """The searches of a project."""
    from kinema.project import Project  # noqa: PLC0415  # keeps the start of other commands light

    with Project.find(folder) as project:
        yield project.tune


def nearby_search(folder: Path | None) -> "Tune":
    """Searches that need no project; the settings of one count where it is near."""
    from kinema.steps.project_tune import Tune  # noqa: PLC0415  # as above

    settings, found = nearby_settings(folder)
    return Tune(settings, found)


def tell(output: Output, found: "TaskTuning") -> None:
    """Show what a search came to."""
    output.show(found, lambda console: show_search(console, found))


def trial_rows(search: "TuningReport | TaskTuning", shown: "Callable[[TrialRecord], float | None]") -> list[list[Any]]:
    """Cells of the trials: which, value, end, seconds, and why it failed or what is not the default."""
    roles = {"default": search.default, "best": search.best, "chosen": search.chosen}
    default = next(one for one in search.trials if one.number == search.default)

    def settings(one: "TrialRecord") -> str:
        known = one.settings.items()
        return ", ".join(
            f"{name} {value}" for name, value in known if one is default or value != default.settings[name]
        )

    return [
        [
            " ".join([str(one.number), *(role for role, number in roles.items() if number == one.number)]),
            "" if shown(one) is None else shown(one),
            one.state,
            f"{one.seconds:.1f}",
            one.reason or settings(one),
        ]
        for one in search.trials
    ]


def show_search(console: Console, found: "TaskTuning") -> None:
    """A table of the trials, what was chosen and what mattered."""
    rows = trial_rows(found, found.shown)
    title = f"{len(rows)} trials on {found.num_valid:,} validation examples, {found.workers} at once"
    console.print(table(title, ["trial", found.metric, "end", "s", "settings, where they are not the default"], rows))
    if found.importances:
        console.print("importance: " + ", ".join(f"{name} {one:.2f}" for name, one in found.importances.items()))
    console.print(found.verdict, markup=False)
    print_notices(console, found.notices)
    console.print(f"report: {found.report}", markup=False)
    console.print("written into kinema.toml:" if found.written else "for kinema.toml, or use --write:", markup=False)
    console.print(found.snippet, markup=False)
