"""A project of two dozen items without content, trained in a second: for tests of what becomes of models."""

import json

import numpy as np

from kinema.project import Project

ITEMS, USERS = 24, 60
START = 1_700_000_000
GOOD = """
[flm]
d_model = 8
num_blocks = 1
num_heads = 1
max_length = 6
max_epochs = 3
"""
"""The memory sees at once what follows what."""
BROKEN = GOOD + "use_memory = false\nlearning_rate = 1e-9\n"
"""What somebody has done to `kinema.toml` who did not mean to: nothing is learnt."""
OTHERS = "[refresh]\nmin_events = 20\n[runtime]\nworkers = 1\nthreads = 1\n"


def rows(*, first, count):
    """Interactions, one a minute: each user goes on from item to item, one at a time, from a place of their own."""
    starts = np.random.default_rng(0).integers(ITEMS, size=USERS)
    return [
        {
            "user": f"u{n % USERS}",
            "item": f"v{(starts[n % USERS] + n // USERS) % ITEMS}",
            "timestamp": START + 60 * n,
            "kind": "click",
        }
        for n in range(first, first + count)
    ]


def take_in(project, events):
    path = project.folder / "more.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    project.ingest(events=path)


def set_up(project, text):
    """Write other settings and read them."""
    (project.folder / "kinema.toml").write_text(text)
    project.reload()


def make_shop(folder, *, settings=GOOD + OTHERS):
    """An open project with a log of 300 interactions and no model yet."""
    Project.init(folder).close()
    (folder / "kinema.toml").write_text(settings)
    items = folder / "items.jsonl"
    items.write_text("".join(json.dumps({"id": f"v{n}", "title": f"clip {n}"}) + "\n" for n in range(ITEMS)))
    project = Project.open(folder)
    project.ingest(items=items)
    take_in(project, rows(first=0, count=300))
    return project


def forget_versions(project):
    """The same model as it would lie there from before there were versions: a folder, and nothing beside it."""
    place = project.artifacts / "flm"
    model = place.resolve()
    place.unlink()
    model.rename(place)
    (place / "version.json").unlink()
    (place / "bound.safetensors").unlink()
