"""What changed clips to learn from are worth: classes of clips that are darker, or closer, than all that was learnt from.

    python benchmarks/clip_augmentation.py --folder SCRATCH [--demo DEMO] [--seeds 3] [--sets looks town]

Two sets: ``looks and directions`` of `benchmarks/clip_classes.py` with 16 clips of each of the 12 classes, and ``town topic`` if ``--demo``
names the folder of a ``kinema demo``. Models learn from clips as they are, with and without ``--augment``. The same test clips are then
asked as they are, ``darker`` (all numbers times .35) and ``closer`` (the .6 of both sides in a corner, which another one is by turns,
enlarged); they are written as files by the code below, which shares nothing with the augmentation. Validation, early stopping and the
temperature see clips as they are only. Nothing was chosen here: the ways are named by what they do, strengths stand in
`kinema.training.clip_changes`. A set that is not asked for keeps its older rows.

Writes ``results/clip_augmentation.json`` and ``results/clip_augmentation.md``.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy must come before the numeric libraries
from numpy.typing import NDArray  # noqa: E402

from kinema.evaluation.environment import run_facts  # noqa: E402
from kinema.extras import require  # noqa: E402
from kinema.project import Project  # noqa: E402
from kinema.settings import Settings  # noqa: E402
from kinema.sources.clip_labels import ClipLabels, labels_from_names  # noqa: E402
from kinema.steps.clip_library import file_library, project_library, recipe_of  # noqa: E402
from kinema.steps.finetuning_clips import ClipLibrary, divide_clips, finetune_clips  # noqa: E402
from kinema.steps.finetuning_options import FitPlan  # noqa: E402
from kinema.tasks.clip_classes import ClipModel  # noqa: E402
from kinema.tasks.clip_measures import clip_metrics  # noqa: E402
from kinema.testing.actions import render_action  # noqa: E402
from kinema.testing.clips import write_clip  # noqa: E402
from kinema.training.task_settings import TaskSettings  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "clip_augmentation.json"
WAYS: Final[dict[str, tuple[str, ...]]] = {
    "none": (),
    "moments": ("drop", "span", "jitter"),
    "crop, light": ("crop", "light"),
    "crop, light, colour, moments": ("crop", "light", "colour", "drop", "span", "jitter"),
}
EACH: Final = 16
DARK: Final = 0.35
CLOSE: Final = 0.6
Pictures = NDArray[np.uint8]


def darker(frames_THW3: Pictures, number: int) -> Pictures:
    """As at night."""
    del number
    return np.rint(frames_THW3 * DARK).astype(np.uint8)


def closer(frames_THW3: Pictures, number: int) -> Pictures:
    """A corner of the picture, as large as the whole."""
    cv2 = require("cv2")
    height, width = frames_THW3.shape[1:3]
    high, wide = round(CLOSE * height), round(CLOSE * width)
    top, left = (number % 2) * (height - high), (number // 2 % 2) * (width - wide)
    window = frames_THW3[:, top : top + high, left : left + wide]
    return np.stack([cv2.resize(np.ascontiguousarray(one), (width, height)) for one in window])


SHIFTS: Final[dict[str, Callable[[Pictures, int], Pictures]]] = {"darker": darker, "closer": closer}


def write_shifted(source: Path, target: Path, shift: Callable[[Pictures, int], Pictures], number: int) -> None:
    """A clip once more, changed."""
    if target.exists():
        return
    av = require("av")
    with av.open(str(source)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        rate = round(float(stream.average_rate or 12))
        frames = np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(stream)])
    target.parent.mkdir(parents=True, exist_ok=True)
    write_clip(target, list(shift(frames, number)), fps=rate)


def looks(folder: Path) -> tuple[ClipLibrary, ClipLabels]:
    """Colour and direction."""
    for number, action in enumerate(("left", "right", "in", "out")):
        for which, (name, hue) in enumerate((("red", 0.0), ("green", 0.33), ("blue", 0.66))):
            for place in range(EACH):
                path = folder / "few looks" / f"{name}_{action}" / f"{place:04d}.mp4"
                path.parent.mkdir(parents=True, exist_ok=True)
                if not path.exists():
                    render_action(path, action, seed=100_000 + 10_000 * number + 1000 * which + place, hue=hue)
    library = file_library([folder / "few looks"], recipe_of(Settings()), cache=folder / "features few looks")
    return library, labels_from_names(library.names_N)


def topics(demo: Path) -> tuple[ClipLibrary, ClipLabels]:
    """The right answers of a town."""
    truth = json.loads((demo / "town" / "truth.json").read_text(encoding="utf-8"))["items"]
    with Project.open(demo / "project") as project:
        library = project_library(project.store, project.settings, project.folder)
    labels = tuple(truth[one]["topic"] if one in truth else None for one in library.ids_N)
    prints = {name: one.encoder for name, one in library.tokens.items()}
    library = replace(library, recipe=replace(library.recipe, fingerprints=prints))
    return library, ClipLabels(labels, ("",) * len(labels), "topic of the town")


def measure(
    name: str, library: ClipLibrary, labels: ClipLabels, folder: Path, seeds: int
) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Way, seed -> test -> numbers."""
    for seed in range(seeds):
        test = divide_clips(library, labels, inputs="both", seed=seed).parts["test"]
        asked = {"as they are": (library.tokens, test.rows_N)}
        for shift, change in SHIFTS.items():
            asked[shift] = shifted(library, test.rows_N, change, folder / name / shift)
        for way, ways in WAYS.items():
            plan = FitPlan(TaskSettings(network={"augment": list(ways)}), seed=seed)
            report = finetune_clips(library, labels, folder=folder / "models" / name, plan=plan)
            model = ClipModel.load(report.folder)
            found = {kind: clip_metrics(model.predict(*clips), test.labels_N) for kind, clips in asked.items()}
            told = {kind: {one: round(value, 4) for one, value in some.items()} for kind, some in found.items()}
            print(name, way, seed, {kind: one["accuracy"] for kind, one in told.items()}, flush=True)
            yield way, seed, {**told, "seconds": round(report.seconds, 1), "notices": list(report.notices)}


def shifted(library: ClipLibrary, rows: NDArray[np.int64], change: Any, place: Path) -> tuple[Any, NDArray[np.int64]]:
    """Tokens of changed clips, and their rows there, in the order given."""
    assert library.files is not None
    names = [library.names_N[row] for row in rows.tolist()]
    for row, name in zip(rows.tolist(), names, strict=True):
        write_shifted(library.files.root / name, (place / "clips" / name).with_suffix(".mp4"), change, row)
    made = file_library([place / "clips"], library.recipe, cache=place / "features")
    numbers = {name: number for number, name in enumerate(made.names_N)}
    return made.tokens, np.array([numbers[Path(name).with_suffix(".mp4").as_posix()] for name in names])


def table(runs: dict[str, dict[str, list[dict[str, Any]]]]) -> list[str]:
    """Means over seeds and deviations."""
    kinds = ("as they are", *SHIFTS)
    heads = [f"{kind}: {one}" for kind in kinds for one in ("accuracy", "log loss")]
    lines = [f"| set | augment | {' | '.join(heads)} |", "|---|---|" + "---|" * len(heads)]
    for name, ways in runs.items():
        for way, found in ways.items():
            cells = [_cell([run[kind][one] for run in found]) for kind in kinds for one in ("accuracy", "log_loss")]
            lines.append(f"| {name} | {way} | {' | '.join(cells)} |")
    return lines


def _cell(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def main() -> None:
    """Run both sets."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--demo", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--sets", nargs="+", choices=("looks", "town"), default=("looks", "town"))
    given = parser.parse_args()
    sets = {} if "looks" not in given.sets else {"looks and directions": looks(given.folder)}
    sets |= {"town topic": topics(given.demo)} if "town" in given.sets and given.demo is not None else {}
    results: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {"runs": {}}
    for name, (library, labels) in sets.items():
        runs: dict[str, list[dict[str, Any]]] = {}
        for way, _, found in measure(name, library, labels, given.folder, given.seeds):
            runs.setdefault(way, []).append(found)
        results["runs"][name] = runs
        results["facts"] = facts = run_facts(command="python benchmarks/clip_augmentation.py", seed=0)
        RESULT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        lines = [
            "# Classes of clips that look otherwise than those learnt from",
            "",
            f"Mean and deviation over seeds, frames and motion, on test clips. {facts['machine']}, {facts['date']}.",
            "",
            *table(results["runs"]),
        ]
        RESULT.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(table(results["runs"])))


if __name__ == "__main__":
    main()
