"""A reading of the store is whole even where users, items and events arrive between its parts."""

import polars as pl

from kinema.schema import EventKind
from kinema.steps.dataset import read_dataset
from kinema.store.opening import open_store


class Busy:
    """A store to which somebody else writes before each question."""

    def __init__(self, store):
        self._store, self._num = store, 0

    def __getattr__(self, name):
        self._num += 1
        new = str(self._num)
        self._store.write_items(pl.DataFrame({"id": [f"v{new}"], "title": ["New"]}))
        self._store.write_users(pl.DataFrame({"id": [f"u{new}"], "attributes": ['{"country": "de"}']}))
        event = {"user": [f"u{new}"], "item": [f"v{new}"], "timestamp_ms": [self._num], "kind": ["watch"]}
        self._store.write_events(pl.DataFrame(event))
        return getattr(self._store, name)


def test_users_items_and_histories_fit_each_other(tmp_path):
    store = open_store(tmp_path / "store.db")
    found = read_dataset(Busy(store), kinds=[EventKind.WATCH], features_folder=tmp_path / "none")
    assert found.histories.num_users == found.users.height == len(found.profiles.values_UP)
    assert found.histories.num_items == found.items.height == len(found.hidden_V)
    assert found.version < store.version()
    store.close()
