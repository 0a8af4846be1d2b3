"""A task that is stopped in the middle of an epoch and started again ends with the same weights and the same numbers."""

import shutil

import pytest

from every_task import LEARN
from kinema.project import Project

EPOCHS = 2
OPTIONS = {"seed": 3, "max_epochs": EPOCHS, "patience": EPOCHS}
SIZES = {"rating": 256, "several": 256, "visual": 32}
"""Examples per step; 8 where there are few."""


class _StoppedError(Exception):
    """In the middle of training."""


def learn(home, name, shop_name, *, progress):
    """One task on a project of its own; the report, and every array of its artefact."""
    with Project.open(home / shop_name) as project:
        report = LEARN[name](project, **OPTIONS, batch_size=SIZES.get(name, 8), progress=progress)
    arrays = {one.relative_to(report.folder): one.read_bytes() for one in report.folder.rglob("*.safetensors")}
    return report, arrays


@pytest.mark.parametrize(
    "name", ["click_table", "rating", "match", "match_items", "visual", "rerank", "text", "next", "several"]
)
def test_what_was_stopped_ends_as_what_was_not(task_project, tmp_path, name):
    homes = [shutil.copytree(task_project.parent, tmp_path / one) for one in ("whole", "cut")]
    steps, went_on = [], []
    whole, expected = learn(
        homes[0],
        name,
        task_project.name,
        progress=lambda done, total, note="": steps.append((done, total)) if note.startswith("loss") else None,
    )
    per_epoch = steps[0][1] // EPOCHS
    assert per_epoch > 1, "an epoch must have a middle to stop in"

    def stop(done, total, note=""):
        if note.startswith("loss") and done == per_epoch + 1:
            raise _StoppedError

    with pytest.raises(_StoppedError):
        learn(homes[1], name, task_project.name, progress=stop)
    resumed, found = learn(
        homes[1],
        name,
        task_project.name,
        progress=lambda done, total, note="": went_on.append(done) if note.startswith("loss") else None,
    )
    assert steps[0][0] == 1
    assert went_on[0] == per_epoch + 1, "the first epoch is not trained again"
    assert any(one.startswith(f"went on after step {per_epoch} of ") for one in resumed.notices)
    assert (resumed.metrics, resumed.best_epoch, resumed.epochs) == (whole.metrics, whole.best_epoch, whole.epochs)
    assert expected
    assert found == expected
