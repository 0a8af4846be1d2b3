"""Everything a model or a slate needs, read from the store and the feature folder once, in step with each other."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST
from kinema.schema import EventKind
from kinema.store.features import ModalityFeatures, ModalityTokens, Profiles
from kinema.store.histories import Histories, pack_histories
from kinema.store.profiles import ProfileSchema, fit_profiles, transform_profiles
from kinema.store.protocols import Store

PROFILE_SCHEMA: Final = "profile_schema"
"""Name under which a model's report keeps how user attributes became columns."""

ALWAYS: Final = int(np.iinfo(np.int64).min)
"""Published "since ever": the moment of items whose publication time is unknown."""


@dataclass(frozen=True)
class Dataset:
    """One consistent reading of a project's data. Rows are item and user numbers.

    Attributes:
        items: Frame of the store: ``num`` and the columns of `Item`.
        users: Frame of the store: ``num``, ``id``, ``attributes``.
        histories: First interactions per user-item pair, oldest first.
        features: Modality -> vectors; empty before `kinema extract`.
        profiles: User profile features, None where users have no attributes.
        profile_schema: How attributes became columns; None with ``profiles``.
        published_ms_V: int64, `ALWAYS` where unknown.
        hidden_V: bool.
        version: Of the store when it was read.
    """

    items: pl.DataFrame
    users: pl.DataFrame
    histories: Histories
    features: Mapping[str, ModalityFeatures]
    profiles: Profiles | None
    profile_schema: ProfileSchema | None
    published_ms_V: NDArray[np.int64]
    hidden_V: NDArray[np.bool_]
    version: int

    @property
    def item_ids(self) -> list[str]:
        """Ids by item number."""
        return self.items["id"].to_list()

    @property
    def titles(self) -> list[str]:
        """Titles by item number; the id where a title is empty."""
        return [title or name for title, name in zip(self.items["title"], self.items["id"], strict=True)]

    def attributes(self, user: int) -> dict[str, Any]:
        """What is known of a user besides the log."""
        return dict(json.loads(self.users["attributes"][user] or "{}"))

    def profile_schema_dict(self) -> dict[str, Any] | None:
        """How attributes became columns, as JSON values; None without profiles."""
        return None if self.profile_schema is None else self.profile_schema.as_dict()

    def facts(self) -> dict[str, Any]:
        """Counts for a report."""
        lengths = self.histories.lengths
        active_users = int((lengths > 0).sum())
        active_items = int((self.histories.item_counts() > 0).sum())
        pairs = active_users * active_items
        return {
            "items": self.items.height,
            "users": self.users.height,
            "interactions": len(self.histories.items),
            "users with interactions": active_users,
            "items with interactions": active_items,
            "density": len(self.histories.items) / pairs if pairs else 0.0,
            "modalities": {name: int(one.present_V.sum()) for name, one in self.features.items()},
            "profile columns": 0 if self.profiles is None else len(self.profiles.columns),
        }


def read_histories(store: Store, *, kinds: Sequence[EventKind]) -> Histories:
    """Pack the store's events of the given kinds."""
    events = _interactions(store, kinds)
    num_users, num_items = store.size()
    return pack_histories(events, num_users=num_users, num_items=num_items)


def _interactions(store: Store, kinds: Sequence[EventKind]) -> pl.DataFrame:
    """Read before items and users: these only grow, so all that events name is among those read afterwards."""
    return store.events(kinds=kinds, columns=["user", "item", "timestamp_ms"])


def read_dataset(
    store: Store,
    *,
    kinds: Sequence[EventKind],
    features_folder: Path,
    profile_schema: ProfileSchema | None = None,
) -> Dataset:
    """Read everything. Others may write meanwhile: what came first is read with all that it names.

    Args:
        store: The store.
        kinds: Kinds of events that enter histories.
        features_folder: Where `kinema extract` writes; may be absent.
        profile_schema: How attributes became columns when a model was trained; None chooses columns from these users.

    Returns:
        The data set.
    """
    version, events = store.version(), _interactions(store, kinds)
    items, users = store.items(), store.users()
    schema = profile_schema if profile_schema is not None else fit_profiles(users)
    profiles = transform_profiles(users, schema)
    return Dataset(
        items=items,
        users=users,
        histories=pack_histories(events, num_users=users.height, num_items=items.height),
        features=_read_features(features_folder, items),
        profiles=profiles if profiles.columns else None,
        profile_schema=schema if profiles.columns else None,
        published_ms_V=items["published_at"].fill_null(ALWAYS).to_numpy().astype(np.int64),
        hidden_V=items["hidden"].to_numpy().astype(bool),
        version=version,
    )


def _read_features(folder: Path, items: pl.DataFrame) -> dict[str, ModalityFeatures]:
    if not (folder / MANIFEST).is_file() or not items.height:
        return {}
    # A store without features needs no encoder.
    from kinema.encoders.extract import load_features  # noqa: PLC0415

    return load_features(folder, items, with_tokens=True)


def read_tokens(folder: Path, items: pl.DataFrame) -> dict[str, ModalityTokens]:
    """Modality -> tokens of the items' clips, for a pooling that is learnt; empty before `kinema extract`.

    Args:
        folder: Where `kinema extract` writes; may be absent.
        items: Of the store.
    """
    if not (folder / MANIFEST).is_file() or not items.height:
        return {}
    from kinema.encoders.extract import load_tokens  # noqa: PLC0415  # a store without features needs no encoder

    return load_tokens(folder, items)
