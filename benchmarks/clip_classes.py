"""Classes of clips: what frames alone, motion alone and both together get right, on generated and on real clips.

    python benchmarks/clip_classes.py --folder SCRATCH [--demo DEMO] [--data DATA] [--seeds 3]

Sets, three seeds each (division of the clips, first parameters, order):

- ``actions``: a movement that is repeated, in 4 kinds x 2 directions (`kinema.testing.actions`). A clip and its opposite have the same
  frames with the same chance, so frames alone can be right in one of two at best.
- ``looks and directions``: the same with 3 colours x 4 directions as classes: neither input alone can know them.
- ``movements``: each clip moves once, in the 9 ways of `kinema.testing.clips.MOTIONS`; frames in their order tell something here.
- ``town ...``: topic, style and motion of the clips of a generated town, if ``--demo`` names the folder of a ``kinema demo``.
- ``real``: which of 16 real videos a part of a few seconds belongs to, if ``--data`` has the clips. Each video is cut into 8 parts, and the
  n-th parts of all videos stay together. They are few, and it is no action: it shows that real files go through.
  Afterwards whole files are classified, among them seven containers of one of the videos that nothing was learnt from.

Settings were chosen on validation clips of the first seed. Writes ``results/clip_classes.json`` and ``results/clip_classes.md``.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy must come before the numeric libraries

from kinema.evaluation.environment import run_facts  # noqa: E402
from kinema.extras import require  # noqa: E402
from kinema.project import Project  # noqa: E402
from kinema.settings import Settings  # noqa: E402
from kinema.sources.clip_labels import ClipLabels, labels_from_names  # noqa: E402
from kinema.steps.clip_library import file_library, project_library, recipe_of  # noqa: E402
from kinema.steps.finetuning_clips import ClipLibrary, finetune_clips  # noqa: E402
from kinema.steps.finetuning_options import FitPlan  # noqa: E402
from kinema.steps.predicting_clips import predict_clips  # noqa: E402
from kinema.tasks.clip_classes import ClipModel  # noqa: E402
from kinema.testing.actions import ACTIONS, OPPOSITES, render_action  # noqa: E402
from kinema.testing.clips import MOTIONS, render_clip, write_clip  # noqa: E402
from kinema.training.task_settings import TaskSettings  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "clip_classes.json"
DATA: Final = Path(__file__).resolve().parents[2] / "shared" / "data"
INPUTS: Final = ("frames", "motion", "both")
SHOWN: Final = ("accuracy", "macro_f1", "log_loss", "calibration_error")
PARTS: Final = 8
LONGEST_S: Final = 24.0
NUMBERED_PARTS: Final = r"^(?P<label>.+)_(?P<group>\d+)\.avi$"


def render_sets(folder: Path) -> None:
    """Draw the generated sets that are not there yet."""
    for number, action in enumerate(ACTIONS):
        for place in range(60):
            _draw(folder / "actions" / action / f"{place:04d}.mp4", render_action, action, seed=1000 * number + place)
    for number, action in enumerate(("left", "right", "in", "out")):
        for which, (name, hue) in enumerate((("red", 0.0), ("green", 0.33), ("blue", 0.66))):
            for place in range(30):
                path = folder / "looks" / f"{name}_{action}" / f"{place:04d}.mp4"
                seed = 100_000 + 10_000 * number + 1000 * which + place
                _draw(path, render_action, action, seed=seed, hue=hue)
    for number, motion in enumerate(MOTIONS):
        for place in range(60):
            path = folder / "motions" / motion / f"{place:04d}.mp4"
            _draw(path, render_clip, motion=motion, seed=1000 * number + place)


def _draw(path: Path, draw: Any, *what: str, **how: Any) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draw(path, *what, **how)


def real_videos(data: Path) -> list[Path]:
    """Different contents; of the one in eight containers, the mp4."""
    clips = data / "clips"
    found = [*sorted((clips / "real").iterdir()), *sorted((clips / "microvideo").glob("*.mp4"))]
    return [clips / "containers" / "demo.mp4", *found]


def cut_real(data: Path, folder: Path) -> None:
    """Parts of the real videos, of equal length, written anew: small, and without what a container says."""
    av, cv2 = require("av"), require("cv2")
    folder.mkdir(parents=True, exist_ok=True)
    for path in real_videos(data):
        if (folder / f"{path.stem}_{PARTS}.avi").exists():
            continue
        frames = []
        with av.open(str(path)) as container:
            for frame in container.decode(video=0):
                if frame.time is not None and frame.time > LONGEST_S:
                    break
                frames.append(cv2.resize(frame.to_ndarray(format="rgb24"), (176, 144), interpolation=cv2.INTER_AREA))
            rate = container.streams.video[0].average_rate
        for part in range(PARTS):
            some = frames[part * len(frames) // PARTS : (part + 1) * len(frames) // PARTS]
            write_clip(folder / f"{path.stem}_{part + 1}.avi", some, fps=max(1, round(float(rate or 25))))


def measure(library: ClipLibrary, labels: ClipLabels, scratch: Path, seeds: int) -> dict[str, Any]:
    """Inputs -> one report per seed."""
    found: dict[str, Any] = {}
    for inputs in INPUTS:
        reports = []
        for seed in range(seeds):
            plan = FitPlan(TaskSettings(network={"inputs": inputs}), seed=seed)
            report = finetune_clips(library, labels, folder=scratch / inputs, plan=plan)
            rows = [" ".join(map(str, row)) for row in report.confusion]
            kept = asdict(report) | {"confusion": rows, "rejects": len(report.rejects)}
            del kept["folder"], kept["confusion_plot"]
            reports.append(kept)
            print(labels.how, inputs, seed, {name: round(value, 3) for name, value in report.metrics["test"].items()})
        found[inputs] = reports
    return found


def generated(folder: Path) -> Iterator[tuple[str, ClipLibrary, ClipLabels]]:
    """The drawn sets."""
    for name, place in (("actions", "actions"), ("looks and directions", "looks"), ("movements", "motions")):
        library = read(folder / place, folder / f"features_{place}")
        yield name, library, labels_from_names(library.names_N)


def read(place: Path, cache: Path) -> ClipLibrary:
    """Tokens of a folder, with the encoders of a new project."""
    return file_library([place], recipe_of(Settings()), cache=cache)


def town(demo: Path) -> Iterator[tuple[str, ClipLibrary, ClipLabels]]:
    """The right answers of a town."""
    truth = json.loads((demo / "town" / "truth.json").read_text(encoding="utf-8"))["items"]
    with Project.open(demo / "project") as project:
        library = project_library(project.store, project.settings, project.folder)
    for name in ("topic", "style", "motion"):
        labels = tuple(truth[one][name] if one in truth else None for one in library.ids_N)
        yield f"town {name}", library, ClipLabels(labels, ("",) * len(labels), f"{name} of the town")


def whole_files(model: Path, data: Path, folder: Path) -> dict[str, Any]:
    """What a model of parts says of whole files: those it has seen parts of, and other containers of one of them."""
    found = ClipModel.load(model)
    places = [*real_videos(data), *sorted((data / "clips" / "containers").iterdir())]
    table = predict_clips(found, file_library(places, found.recipe, cache=folder / "features_whole")).table
    right = {clip: (Path(clip).stem == label) for clip, label in table.select("clip", "label").iter_rows()}
    others = [clip for clip in right if "containers/" in clip and not clip.endswith(".mp4")]
    return {
        "files": len(right),
        "right": sum(right.values()),
        "other containers": len(others),
        "other containers, right": sum(right[one] for one in others),
        "wrong": sorted(clip for clip, one in right.items() if not one),
    }


def table(runs: dict[str, Any]) -> list[str]:
    """Means over seeds and deviations."""
    lines = [
        "| set | classes | clips: train, valid, test | inputs | accuracy | macro F1 | log loss | calibration error | before calibration |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, by_inputs in runs.items():
        for inputs, reports in by_inputs.items():
            first = reports[0]
            cells = [_cell([one["metrics"]["test"][metric] for one in reports]) for metric in SHOWN]
            plain = _cell([one["metrics"]["test, not calibrated"]["calibration_error"] for one in reports])
            sizes = ", ".join(str(first["num_clips"][part]) for part in ("train", "valid", "test"))
            lines.append(f"| {name} | {len(first['classes'])} | {sizes} | {inputs} | {' | '.join(cells)} | {plain} |")
        commonest = _cell([one["metrics"]["always the commonest class"]["accuracy"] for one in by_inputs["both"]])
        lines.append(f"| {name} | | | always the commonest class | {commonest} | | | | |")
    return lines


def _cell(values: list[float]) -> str:
    return f"{np.mean(values):.3f} ± {np.std(values):.3f}"


def main() -> None:
    """Run all sets that are there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--demo", type=Path)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    render_sets(given.folder)
    sets = list(generated(given.folder))
    sets += [] if given.demo is None else list(town(given.demo))
    runs = {name: measure(library, labels, given.folder / "models", given.seeds) for name, library, labels in sets}
    whole: dict[str, Any] = {}
    if (given.data / "clips").is_dir():
        cut_real(given.data, given.folder / "real")
        library = read(given.folder / "real", given.folder / "features_real")
        labels = labels_from_names(library.names_N, NUMBERED_PARTS)
        runs["real"] = measure(library, labels, given.folder / "models", given.seeds)
        whole = whole_files(given.folder / "models" / "both", given.data, given.folder)
    bounds = {"actions": {"frames at best": 1 / OPPOSITES, "chance": 1 / len(ACTIONS)}}
    facts = run_facts(command="python benchmarks/clip_classes.py", seed=0)
    kept = {"facts": facts, "bounds": bounds, "whole real files": whole, "runs": runs}
    RESULT.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    lines = [
        "# Classes of clips",
        "",
        f"Mean and deviation over {given.seeds} seeds, on test clips, calibrated on validation. {facts['machine']}, {facts['date']}.",
        "",
        *table(runs),
        "",
        f"actions: chance is {1 / len(ACTIONS):.3f}; frames cannot know the direction: {1 / OPPOSITES:.1f} at best.",
    ]
    if whole:
        others = whole["other containers"], whole["other containers, right"]
        lines.append(
            f"Whole real files: {whole['right']} of {whole['files']} right; of containers that nothing was learnt from "
            f"{others[1]} of {others[0]}."
        )
    RESULT.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
