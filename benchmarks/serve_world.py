"""A trained project of many items for `benchmarks/serve.py`, in seconds: a real store and a real model over generated vectors.

Items fall into `NUM_TOPICS` topics; their vectors are the topic's plus noise, in place of what encoders would make of clips. Each of
`NUM_USERS` users has `LENGTH` interactions, most of them within a few topics. FLM is trained on them for one epoch, or `SECONDS`.
What the encoders make is not stored but made again from the seed: `GeneratedWorlds` adds it to each reading of the project.
"""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from kinema.project import Project
from kinema.steps.dataset import Dataset
from kinema.steps.live_world import ProjectWorlds
from kinema.steps.pretraining import PretrainJob
from kinema.steps.transferring import pretrain_as_asked
from kinema.steps.tuning import Search
from kinema.store.features import ModalityFeatures
from kinema.store.profiles import ProfileSchema

CACHE: Final = Path(__file__).resolve().parents[1] / "build" / "bench" / "serve"
SEED: Final = 11
NUM_TOPICS, NUM_USERS, LENGTH, CONTENT_WIDTH, SECONDS = 50, 2_000, 50, 64, 60.0
NOW_MS: Final = 1_790_000_000_000


class GeneratedWorlds(ProjectWorlds):
    """Worlds of a project whose items' vectors are generated."""

    def _read_dataset(self, schema: ProfileSchema | None) -> Dataset:
        return with_vectors(super()._read_dataset(schema))


def with_vectors(dataset: Dataset) -> Dataset:
    """A reading with the vectors that encoders would have made."""
    num_items = dataset.items.height
    topics_V = topics(num_items)
    random = np.random.default_rng(SEED)
    centres_TD = random.normal(size=(NUM_TOPICS, CONTENT_WIDTH))
    noise_VD = random.standard_normal((num_items, CONTENT_WIDTH), dtype=np.float32)
    rows_VD = (centres_TD[topics_V] + 0.7 * noise_VD).astype(np.float32)
    rows_VD /= np.linalg.norm(rows_VD, axis=1, keepdims=True)
    everywhere_V = np.ones(num_items, dtype=bool)
    features = ModalityFeatures("frames", rows_VD, everywhere_V, everywhere_V.astype(np.float32), "generated")
    return replace(dataset, features={"frames": features})


def topics(num_items: int) -> np.ndarray[Any, Any]:
    """int64, topic of each item."""
    return np.random.default_rng(SEED + 1).integers(0, NUM_TOPICS, num_items)


def built_project(num_items: int) -> Path:
    """Folder of the project; built once."""
    folder = CACHE / f"{num_items}"
    if (folder / "done").is_file():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    with Project.init(folder) as project:
        _write(project, num_items)
        dataset = with_vectors(project.dataset())
        changes = project.settings.flm.model_dump() | {"max_epochs": 1, "max_seconds": SECONDS, "size": "tiny"}
        job = PretrainJob(dataset, changes, project.artifacts, seed=SEED)
        pretrain_as_asked(
            job, catalogue_only=False, source=None, zero_shot=False, wanted=Search(None, None, use_tuned=False)
        )
    (folder / "done").touch()
    return folder


def _write(project: Project, num_items: int) -> None:
    topics_V = topics(num_items)
    ids = [f"v{number:07d}" for number in range(num_items)]
    project.store.write_items(
        pl.DataFrame(
            {
                "id": ids,
                "title": [f"Clip {number}" for number in range(num_items)],
                "categories": [[f"topic {topic}"] for topic in topics_V.tolist()],
            }
        )
    )
    users_N, items_N, times_N = interactions(num_items)
    project.store.write_events(
        pl.DataFrame(
            {
                "user": [f"u{user:05d}" for user in users_N.tolist()],
                "item": [ids[item] for item in items_N.tolist()],
                "timestamp_ms": times_N,
                "kind": ["watch"] * len(users_N),
            }
        )
    )


def interactions(num_items: int) -> tuple[np.ndarray[Any, Any], ...]:
    """Users, items and moments of the log, int64, each user's together."""
    random, topics_V = np.random.default_rng(SEED + 2), topics(num_items)
    by_topic = [np.flatnonzero(topics_V == topic) for topic in range(NUM_TOPICS)]
    users, items, times = [], [], []
    for user in range(NUM_USERS):
        liked = random.choice(NUM_TOPICS, 3, replace=False)
        pool = np.concatenate([by_topic[topic] for topic in liked])
        # A few items are watched by many, most by few.
        places = np.unique((len(pool) * random.random(4 * LENGTH) ** 2).astype(int))
        chosen = random.permutation(pool[places])[:LENGTH]
        users.append(np.full(len(chosen), user))
        items.append(chosen)
        times.append(NOW_MS - 60_000 * random.permutation(NUM_USERS * LENGTH)[: len(chosen)])
    return np.concatenate(users), np.concatenate(items), np.concatenate(times)
