"""The click model of a project's log: attention against the mean of the history.

    python benchmarks/history_click.py PROJECT [--seeds 3]

PROJECT is one that has been pre-trained, such as ``demo/project`` after ``make demo``; it is read only. Parts of the log and examples are
those of ``kinema finetune click``; the test tenth is looked at once per model. FLM has seen the whole log, so both numbers are a
little high.
"""

import argparse
import json
import os
import platform
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kinema.project import Project
from kinema.steps.finetuning_log import finetune_click_on_log
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.slates import trained_profile_schema
from kinema.tasks.target_attention import Pooling
from kinema.training.task_settings import TaskSettings

RESULT = Path(__file__).parent / "results" / "history_click.json"


def compared(folder: Path, num_seeds: int) -> dict[str, list[dict[str, float]]]:
    """Pooling -> what each seed came to on the newest tenth."""
    poolings: tuple[Pooling, ...] = ("target", "mean")
    with Project.open(folder) as project, tempfile.TemporaryDirectory() as place:
        dataset = project.dataset(profile_schema=trained_profile_schema(project.artifacts / "flm"))
        copy = Path(place)
        (copy / "flm").symlink_to(project.artifacts / "flm")
        return {
            pooling: [
                dict(
                    finetune_click_on_log(
                        project.store,
                        dataset,
                        artifacts=copy,
                        plan=FitPlan(TaskSettings(network={"pooling": pooling}), seed=seed),
                    ).metrics["test"]
                )
                for seed in range(num_seeds)
            ]
            for pooling in poolings
        }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    result: dict[str, Any] = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "test": compared(given.project, given.seeds),
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
