"""`kinema tune TASK`: a line per task in `kinema.steps.tuning_tasks`, one command for all."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from kinema.cli.learning import nearby_settings, parsed_settings
from kinema.cli.output import Output, common_options, project_option, table
from kinema.errors import ConfigError

if TYPE_CHECKING:
    from kinema.tuning.task_report import TaskTuning

_FILE: Any = click.Path(path_type=Path, dir_okay=False)
_FOLDER: Any = click.Path(path_type=Path, file_okay=False)


@click.command()
@click.argument("task")
@click.option(
    "--trials", type=click.IntRange(1), metavar="N", help="End after N trials. Default: 20, without --seconds."
)
@click.option(
    "--seconds", type=click.FloatRange(0, min_open=True), help="End after so long; none is begun that would not fit."
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
@click.option(
    "--label",
    help="click: column of a table, default label; in a log the kind of event, default click. clips: column of the catalogue, default names of files.",
)
@click.option("--train", type=_FILE, help="click: table to learn from. Default: the project's log.")
@click.option("--valid", type=_FILE, help="click: rows that decide. Default: a tenth of --train, at random.")
@click.option("--to", type=_FOLDER, help="click: folder of the model of a table; the search is kept beside it.")
@click.option("--field", "fields", multiple=True, metavar="NAME=KIND", help="click: what a column of a table is.")
@click.option("--min-count", type=click.IntRange(1), default=2, show_default=True, help="click: as in finetune.")
@click.option("--seed", type=click.IntRange(0, 2**32 - 1), help="Overrides [runtime] seed.")
@project_option
@common_options
def tune(output: Output, *, task: str, folder: Path | None, write: bool, train: Path | None, **asked: Any) -> None:
    """Search for the settings with which a task learns best, on validation only.

    Tasks: click, engagement, rating, clips. What is searched stands in [tune.TASK] of kinema.toml, or is the task's own choice:

    \b
      [tune.click]
      learning_rate = {low = 1e-4, high = 1e-2, log = true}
      batch_size = [256, 1024]
      network.width = [16, 32, 64]

    Trial 0 has the task's own settings. A search that was killed goes on; with more --trials it goes on as well. Found settings are
    printed, or written into [finetune.TASK], which kinema finetune TASK then uses.

    \b
    Examples:
      kinema tune click --trials 30 --workers 2
      kinema tune engagement --seconds 3600 --write
      kinema tune clips --label category --trials 30
      kinema tune click --train train.csv.gz --valid valid.csv.gz --label clicked --to models/click
    """  # noqa: D301  # \b tells click to keep the lines
    from kinema.extras import require  # noqa: PLC0415  # keeps the start of other commands light

    require("torch")
    require("optuna")
    trials = 20 if asked["trials"] is None and asked["seconds"] is None else asked["trials"]
    how: dict[str, Any] = {"trials": trials, "seconds": asked["seconds"], "workers": asked["workers"]}
    given = {name: asked[name] for name in ("label", "valid", "to", "fields", "min_count")}
    if train is None:
        job = _of_project(task, folder, given, write=write)
    else:
        job = _of_table(task, folder, train, given, write=write)
    from kinema.steps.finetuning_options import Asked  # noqa: PLC0415  # as above
    from kinema.steps.tuning_task import TuneJob, tune_task  # noqa: PLC0415  # as above

    seed = job.pop("seed") if asked["seed"] is None else asked["seed"]
    job.pop("seed", None)
    wanted = Asked(parsed_settings(asked["settings"]), seed, restart=asked["restart"])
    with output.progress(f"tune {task}") as progress:
        found = tune_task(TuneJob(**job, **how, asked=wanted, progress=progress))
    output.show(found, lambda console: _people(console, found))


def _of_project(task: str, folder: Path | None, given: dict[str, Any], *, write: bool) -> dict[str, Any]:
    """A search on a project's log."""
    from kinema.project import Project  # noqa: PLC0415  # as above

    if given["valid"] is not None or given["to"] is not None or given["fields"]:
        raise ConfigError("--valid, --to and --field must come with --train, the table they belong to; give it")
    if given["label"] is not None and task not in {"click", "clips"}:
        raise ConfigError(f"--label must come with the task click or clips, is given with {task}; leave it out")
    label = given["label"] if task == "clips" else given["label"] or "click"
    with Project.find(folder) as project:
        return {
            "task": task,
            "place": {"project": str(project.folder), "label": label},
            "folder": project.folder / "tune" / task,
            **_settings(project.settings, project.folder, write=write),
        }


def _of_table(task: str, folder: Path | None, train: Path, given: dict[str, Any], *, write: bool) -> dict[str, Any]:
    """A search on a table of examples."""
    if task != "click" or given["to"] is None:
        raise ConfigError(f"--train must come with the task click and with --to, the folder of its model; got {task}")
    settings, found = nearby_settings(folder)
    if write and found is None:
        raise ConfigError(
            "--write must have a kinema.toml to write into, there is none here; give --project, or leave it out"
        )
    valid = given["valid"]
    return {
        "task": "click_table",
        "place": {
            "train": str(train.resolve()),
            "valid": None if valid is None else str(valid.resolve()),
            "label": given["label"] or "label",
            "fields": list(given["fields"]),
            "min_count": given["min_count"],
        },
        "folder": given["to"].with_name(f"{given['to'].name}-tune"),
        **_settings(settings, found, write=write),
    }


def _settings(settings: Any, folder: Path | None, *, write: bool) -> dict[str, Any]:
    from kinema.settings import FILE_NAME  # noqa: PLC0415  # as above

    return {
        "finetune": settings.finetune,
        "tune": settings.tune,
        "seed": settings.runtime.seed,
        "write_to": folder / FILE_NAME if write and folder is not None else None,
    }


def _people(console: Console, found: "TaskTuning") -> None:
    roles = {"default": found.default, "best": found.best, "chosen": found.chosen}
    default = next(one for one in found.trials if one.number == found.default)
    rows = [
        [
            " ".join([str(one.number), *(role for role, number in roles.items() if number == one.number)]),
            "" if found.shown(one) is None else found.shown(one),
            one.state,
            f"{one.seconds:.1f}",
            one.reason
            or ", ".join(
                f"{name} {value}"
                for name, value in one.settings.items()
                if one is default or value != default.settings[name]
            ),
        ]
        for one in found.trials
    ]
    title = f"{len(rows)} trials on {found.num_valid:,} validation examples, {found.workers} at once"
    console.print(table(title, ["trial", found.metric, "end", "s", "settings, where they are not the default"], rows))
    if found.importances:
        console.print("importance: " + ", ".join(f"{name} {one:.2f}" for name, one in found.importances.items()))
    console.print(found.verdict, markup=False)
    for notice in found.notices:
        console.print(f"note: {notice}", markup=False)
    console.print(f"report: {found.report}", markup=False)
    console.print("written into kinema.toml:" if found.written else "for kinema.toml, or use --write:", markup=False)
    console.print(found.snippet, markup=False)
