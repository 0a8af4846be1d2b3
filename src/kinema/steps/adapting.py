"""`kinema adapt`: an encoder learns on, is asked about items it has not learnt from, and is kept only if it got better."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic_core import to_jsonable_python

import kinema
from kinema.artifacts import fingerprint, read_manifest, write_artifact
from kinema.errors import DataError, NotBuiltError, StaleArtifactError
from kinema.evaluation.probes import Comparison, compare
from kinema.progress import Progress, silent
from kinema.store.histories import Histories
from kinema.store.splits import leave_one_out
from kinema.training.adaptation.lessons import Lesson, Schedule, fit

KIND: Final = "encoder"
FORMAT_VERSION: Final = 1
_REPORT: Final = "report.json"
_RATES: Final = {"lora": 3e-4, "full": 3e-5}


@dataclass(frozen=True)
class AdaptOptions:
    """How an encoder is adapted.

    Attributes:
        method: ``lora`` trains small adapters, ``full`` all weights.
        rank: Of the adapters.
        epochs: Passes over the items.
        batch_size: Items per step.
        learning_rate: Peak step size; None takes 3e-4 for LoRA and 3e-5 for all weights.
        max_seconds: Training stops after this time; None for no limit.
        seed: Every random draw follows from it.
    """

    method: Literal["lora", "full"] = "lora"
    rank: int = 8
    epochs: int = 3
    batch_size: int = 16
    learning_rate: float | None = None
    max_seconds: float | None = None
    seed: int = 0

    def schedule(self) -> Schedule:
        """What the training loop needs of it.

        Raises:
            ConfigError: A number is out of range.
        """
        rate = _RATES[self.method] if self.learning_rate is None else self.learning_rate
        return Schedule(self.epochs, self.batch_size, rate, self.max_seconds, self.seed)


@dataclass(frozen=True)
class AdaptReport:
    """What an adaptation gave.

    Attributes:
        modality: ``text`` or ``frames``.
        encoder: The one that was adapted.
        kept: The adapted one is better and was saved.
        probe: What both were asked.
        num_cases: Held-out items asked about.
        before: Mean over them, of the encoder as it was.
        after: The same, adapted.
        gain: Mean paired difference.
        gain_low: Lower end of its 95 % interval; above 0 where kept.
        gain_high: Upper end.
        folder: The adapted encoder; None where it was not kept.
        setting: Line for `kinema.toml` that uses it; empty where not kept.
        reused: The same adaptation was kept before, so nothing was trained.
        in_use: The line stands in `kinema.toml`.
        facts: Label -> value: what was learnt from, heads, sizes.
        curve: Mean losses per epoch.
        seconds: Wall time.
    """

    modality: str
    encoder: str
    kept: bool
    probe: str
    num_cases: int
    before: float
    after: float
    gain: float
    gain_low: float
    gain_high: float
    folder: Path | None
    setting: str
    reused: bool = False
    in_use: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    curve: tuple[Mapping[str, Any], ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Probe:
    """A question to encoders.

    Attributes:
        name: What is measured, in words.
        measure: Folder or name of an encoder -> float64, one number per held-out item, higher is better.
    """

    name: str
    measure: Callable[[str], NDArray[np.float64]]


class SavedLesson(Lesson, Protocol):
    """A lesson whose result can be saved."""

    @property
    def num_trained(self) -> int:
        """Numbers that are trained."""

    def save(self, folder: Path, *, base: str) -> int:
        """Write the encoder and its delta; the delta's size in bytes."""


@dataclass(frozen=True)
class Adaptation:
    """One adaptation, prepared.

    Attributes:
        modality: ``text`` or ``frames``.
        encoder: Name as configured.
        place: Where it is loaded from.
        folder: Where the adapted one goes.
        options: See there.
        run: Fingerprint of everything the result follows from.
        load: Loads what is trained, with facts about it.
        probe: By which it is judged.
    """

    modality: str
    encoder: str
    place: str
    folder: Path
    options: AdaptOptions
    run: str
    load: Callable[[], tuple[SavedLesson, dict[str, Any]]]
    probe: Probe

    @property
    def work(self) -> Path:
        """Folder of a run that is under way."""
        return work_folder(self.folder, self.run)


def work_folder(folder: Path, run: str) -> Path:
    """Where a run keeps its checkpoints until it is decided."""
    return folder.with_name(f"{folder.name}.checkpoint-{run}")


def adapt_and_judge(adaptation: Adaptation, *, progress: Progress = silent) -> AdaptReport:
    """Train, measure before and after, and keep the result only if it is better.

    Args:
        adaptation: What is adapted; a run of it that was killed goes on.
        progress: Told steps.

    Returns:
        The report. Where the gain's interval reaches down to 0, nothing in the project has changed.

    Raises:
        ConfigError: An option is out of range, or the loss does not stay finite.
        DataError: Too few held-out items to decide.
    """
    started = time.perf_counter()
    schedule = adaptation.options.schedule()
    for stale in adaptation.folder.parent.glob(f"{adaptation.folder.name}.checkpoint-*"):
        if stale != adaptation.work:
            shutil.rmtree(stale)
    lesson, facts = adaptation.load()
    place = fit(lesson, schedule=schedule, run=adaptation.run, folder=adaptation.work, progress=progress)
    candidate = adaptation.work / "candidate"
    shutil.rmtree(candidate, ignore_errors=True)
    delta_bytes = lesson.save(candidate, base=adaptation.encoder)
    facts = {
        **facts,
        "trained numbers": lesson.num_trained,
        "epochs": place.epoch,
        "steps": place.total_steps,
        "training seconds": round(place.elapsed_seconds, 1),
        "delta bytes": delta_bytes,
    }
    del lesson
    progress(place.total_steps, place.total_steps, "asking before")
    before_C = adaptation.probe.measure(adaptation.place)
    progress(place.total_steps, place.total_steps, "asking after")
    after_C = adaptation.probe.measure(str(candidate))
    result = compare(before_C, after_C, seed=schedule.seed)
    report = _report(adaptation, result, facts=facts, curve=tuple(place.curve))
    report = replace(report, seconds=round(time.perf_counter() - started, 1))
    if result.better:
        _keep(adaptation, candidate, report)
    shutil.rmtree(adaptation.work)
    return report


def run_name(adaptation_of: Mapping[str, Any], options: AdaptOptions) -> str:
    """Fingerprint of an adaptation: encoder, data, probe and options."""
    return fingerprint([kinema.__version__, torch.__version__, asdict(options), dict(adaptation_of)])


def adapted_folder(root: Path, modality: str, place: str) -> Path:
    """Where an adapted encoder goes: beside the one it was made from, never over it.

    Args:
        root: Folder of the project's encoders.
        modality: ``text`` or ``frames``.
        place: The encoder that is adapted.

    Example:
        >>> adapted_folder(Path("encoders"), "text", "packaged:minilm").name
        'text-adapted'
        >>> adapted_folder(Path("encoders"), "text", "encoders/text-adapted").name
        'text-adapted-2'
    """
    stem = f"{modality}-adapted"
    source = Path(place)
    if source.parent != root or not source.name.startswith(stem):
        return root / stem
    number = source.name.removeprefix(stem).removeprefix("-")
    return root / f"{stem}-{int(number or 1) + 1}"


def kept_before(folder: Path, run: str) -> AdaptReport | None:
    """The report of the same adaptation, where it was made before and kept: it need not be repeated."""
    try:
        manifest = read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy="kinema adapt", verify=True)
    except (NotBuiltError, StaleArtifactError):
        return None
    if manifest.parents["run"] != run:
        return None
    report = AdaptReport(**json.loads((folder / _REPORT).read_text(encoding="utf-8")))
    return replace(report, folder=folder, curve=tuple(report.curve), reused=True)


def log_for_probe(histories: Histories) -> Histories | None:
    """The part of the log that every user's last two interactions are not in, which evaluations ask about.

    Returns:
        Histories, or None where no user has three interactions.
    """
    try:
        return leave_one_out(histories).train
    except DataError:
        return None


def _report(
    adaptation: Adaptation, result: Comparison, *, facts: Mapping[str, Any], curve: tuple[Mapping[str, Any], ...]
) -> AdaptReport:
    kept = result.better
    name = f"artifacts/{adaptation.folder.parent.name}/{adaptation.folder.name}"
    return AdaptReport(
        modality=adaptation.modality,
        encoder=adaptation.encoder,
        kept=kept,
        probe=adaptation.probe.name,
        num_cases=result.num_cases,
        before=result.before,
        after=result.after,
        gain=result.gain.mean,
        gain_low=result.gain.low,
        gain_high=result.gain.high,
        folder=adaptation.folder if kept else None,
        setting=f'{adaptation.modality} = "{name}"' if kept else "",
        facts=facts,
        curve=curve,
    )


def _keep(adaptation: Adaptation, candidate: Path, report: AdaptReport) -> None:
    with write_artifact(
        adaptation.folder,
        kind=KIND,
        format_version=FORMAT_VERSION,
        config={"encoder": adaptation.encoder, **asdict(adaptation.options)},
        seed=adaptation.options.seed,
        parents={"run": adaptation.run},
    ) as draft:
        shutil.copytree(candidate, draft, dirs_exist_ok=True)
        text = json.dumps(to_jsonable_python(replace(report, folder=None)), indent=2)
        (draft / _REPORT).write_text(text + "\n", encoding="utf-8")
