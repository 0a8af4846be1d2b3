"""The demo: a generated streaming service, the whole road, a report. Everything in it is what a user could type."""

import shutil
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from kinema.progress import Progress, silent
from kinema.project import Project
from kinema.recommend.audience import Audience
from kinema.schema import Slate
from kinema.settings import FILE_NAME
from kinema.sources.town.write import generate

if TYPE_CHECKING:
    from kinema.steps.evaluating import EvaluationReport

NUM_SAMPLE_USERS: Final = 2


@dataclass(frozen=True)
class DemoReport:
    """What the demo made.

    Attributes:
        folder: Of everything.
        evaluation: The temporal protocol on the town.
        slates: Sample recommendations with reasons.
        audience: Who should see one of the clips that nobody has watched.
        html: The report.
        commands: What to type next.
        seconds: Wall time per step, and ``total``.
    """

    folder: Path
    evaluation: "EvaluationReport"
    slates: tuple[Slate, ...]
    audience: Audience
    html: Path
    commands: tuple[str, ...]
    seconds: dict[str, float]


class _Silent(AbstractContextManager[Progress]):
    def __enter__(self) -> Progress:
        return silent

    def __exit__(self, *error: object) -> None:
        return None


def _no_step(title: str) -> AbstractContextManager[Progress]:
    del title
    return _Silent()


def run_demo(
    folder: str | Path,
    *,
    seed: int = 7,
    num_clips: int = 440,
    num_users: int = 2000,
    num_events: int = 60_000,
    step: Callable[[str], AbstractContextManager[Progress]] = _no_step,
) -> DemoReport:
    """Generate a town and walk the whole road with it; what was done before is found and kept.

    Args:
        folder: Made if it is not there.
        seed: Of the town and of every step.
        num_clips: Of the town.
        num_users: Of the town.
        num_events: Of the town.
        step: Opens the progress of a step by its title.

    Returns:
        The evaluation, sample slates and where the report is.
    """
    folder = Path(folder)
    town, home = folder / "town", folder / "project"
    seconds: dict[str, float] = {}
    clock = time.perf_counter()

    def took(name: str) -> None:
        nonlocal clock
        seconds[name] = round(time.perf_counter() - clock, 1)
        clock = time.perf_counter()

    with step("1/6 town") as progress:
        generate(town, seed=seed, num_clips=num_clips, num_users=num_users, num_events=num_events, progress=progress)
    took("town")
    with Project.open(home) if (home / FILE_NAME).is_file() else Project.init(home) as project:
        with step("2/6 ingest") as progress:
            project.ingest(
                videos=town / "videos",
                items=town / "items.csv",
                users=town / "users.csv",
                events=town / "events.parquet",
                progress=progress,
            )
        took("ingest")
        with step("3/6 extract") as progress:
            project.extract(progress=progress)
        took("extract")
        with step("4/6 pretrain") as progress:
            project.pretrain(seed=seed, progress=progress)
        took("pretrain")
        with step("5/6 evaluate") as progress:
            evaluation = project.evaluate("temporal", seed=seed, command="kinema demo", progress=progress)
        took("evaluate")
        with step("6/6 recommend") as progress:
            users, cold_item = _samples(project)
            slates = tuple(project.recommend(user, num_items=5) for user in users)
            audience = project.audience(cold_item, num_users=5)
            progress(1, 1)
        took("recommend")
    shutil.copyfile(evaluation.html, folder / "report.html")
    seconds["total"] = round(sum(seconds.values()), 1)
    commands = (
        f"kinema recommend {users[0]} -n 10 --explain --project {home}",
        f"kinema similar {cold_item} -n 5 --project {home}",
        f"kinema audience {cold_item} -n 5 --project {home}",
        f"kinema check --project {home}",
        f"kinema evaluate --protocol leave-one-out --quick --project {home}",
        f"kinema serve --open --project {home}",
    )
    return DemoReport(folder, evaluation, slates, audience, folder / "report.html", commands, seconds)


def _samples(project: Project) -> tuple[list[str], str]:
    """Users with a history of middle length, and the newest item."""
    dataset = project.dataset()
    lengths = dataset.histories.lengths
    order = sorted(range(len(lengths)), key=lambda user: (abs(int(lengths[user]) - 8), user))
    newest = max(range(dataset.items.height), key=lambda item: int(dataset.published_ms_V[item]))
    return [dataset.users["id"][user] for user in order[:NUM_SAMPLE_USERS]], dataset.item_ids[newest]
