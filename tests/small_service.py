"""A project without a model, small enough to be served in a test."""

from contextlib import contextmanager

import polars as pl
from fastapi.testclient import TestClient

from kinema.project import Project
from kinema.steps.serving import make_app

ITEMS = {
    "a": ("Otters dive under the ice", ["nature"]),
    "b": ("Otters play in the snow", ["nature"]),
    "c": ("A goal in extra time", ["sports"]),
    "d": ("The goalkeeper saves a penalty", ["sports"]),
    "e": ("Soup for a cold evening", ["food"]),
    "f": ("Bread with three ingredients", ["food"]),
}


def small_project(folder):
    """Six items, three users, seven events; answers come from transitions and popularity."""
    project = Project.init(folder / "shop")
    project.store.write_items(
        pl.DataFrame(
            {
                "id": list(ITEMS),
                "title": [title for title, _ in ITEMS.values()],
                "categories": [names for _, names in ITEMS.values()],
            }
        )
    )
    project.store.write_users(pl.DataFrame({"id": ["ann", "bob"], "attributes": ['{"country": "de"}', "{}"]}))
    log = [("ann", "a"), ("ann", "b"), ("ann", "c"), ("bob", "c"), ("bob", "d"), ("cem", "c"), ("cem", "d")]
    project.store.write_events(
        pl.DataFrame(
            {
                "user": [user for user, _ in log],
                "item": [item for _, item in log],
                "timestamp_ms": [1_700_000_000_000 + 1000 * place for place in range(len(log))],
                "kind": ["watch"] * len(log),
            }
        )
    )
    return project


@contextmanager
def small_client(folder, *, is_open=True):
    """The small project, served; ``project`` is at hand."""
    with small_project(folder) as project:
        app = make_app(project, is_open=is_open)
        with TestClient(app, base_url="http://127.0.0.1") as client:
            client.project = project
            yield client
