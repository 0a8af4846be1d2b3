"""A project as the service asks it: one reading, one version of the model, and what has happened since.

Counts grow with every event without a gradient step: the user's history, which item follows which, how popular an item is.
"""

import hashlib
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST, sha256_file
from kinema.recommend.audience import Audience
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.people import People
from kinema.recommend.search import SearchResult
from kinema.schema import EventKind, Request, Slate
from kinema.serving.world import Answered, Asked
from kinema.settings import Settings
from kinema.steps.dataset import read_dataset
from kinema.steps.searching import search_project
from kinema.steps.slates import SlateMaker, make_slates, model_folder, served_profile_schema
from kinema.steps.understanding import understand_texts
from kinema.store.histories import Histories
from kinema.store.service_protocols import ServiceStore, StoreState

NO_MODEL: Final = "none"
"""Version of a world that answers without a model."""
_DISLIKES: Final = (EventKind.DISLIKE, EventKind.LIKE)


class LiveWorld:
    """A `kinema.serving.world.World` over one reading of a project.

    Args:
        maker: Of slates.
        folder: The project's.
        settings: The project's.
        version: Of the model.
        state: Of the store before it was read.
        made_ms: When reading began, UTC milliseconds.
    """

    def __init__(
        self, maker: SlateMaker, *, folder: Path, settings: Settings, version: str, state: StoreState, made_ms: int
    ) -> None:
        self.maker = maker
        self.version = version
        self.state = state
        self.seq = state.seq
        self.made_ms = made_ms
        self._folder = folder
        self._settings = settings
        self._kinds = frozenset(settings.histories.kinds)
        counts_V = maker.dataset.histories.item_counts()
        scorer = maker.recommender.parts.scorer
        self._counts_V = getattr(scorer, "counts_V", counts_V)

    @property
    def people(self) -> People:
        """Users."""
        return self.maker.people

    @property
    def catalogue(self) -> Catalogue:
        """Items."""
        return self.maker.recommender.parts.catalogue

    @property
    def popularity(self) -> NDArray[np.float64]:
        """Interactions with each item, older ones counting less."""
        return self.maker.recommender.parts.popularity_V

    def num_events(self, item: int) -> int:
        """Interactions the model has learnt from; without a model, those of the reading."""
        return int(self._counts_V[item])

    def recommend(self, asked: Asked) -> Answered:
        """A slate for a user or a guest."""
        people = self.people
        exclude = tuple(dict.fromkeys((*asked.exclude, *people.disliked(asked.user), *self._refused(asked))))
        request = Request(asked.user, asked.num_items, asked.scenario, exclude, asked.timestamp_ms)
        return Answered(self.maker.recommend(request, past=self._past(asked)))

    def similar(self, item: str, *, num_items: int, modality: str | None, exclude: Sequence[str]) -> Slate:
        """Items like one item."""
        return self.maker.similar(item, num_items=num_items, modality=modality, exclude=exclude)

    def audience(self, item: str, *, num_users: int) -> Audience:
        """Users who should see an item."""
        return self.maker.audience(item, num_users=num_users)

    def search(self, text: str, **options: Any) -> SearchResult:
        """Items that answer a question."""
        return search_project(self.maker, text, folder=self._folder, settings=self._settings, **options)

    def record(self, events: pl.DataFrame) -> None:
        """Take in events; those of items that this reading does not know wait for the next."""
        columns = events.select("user", "item", "timestamp_ms", "kind").iter_rows()
        for user, item, timestamp_ms, kind in columns:
            if item >= len(self.catalogue):
                continue
            if kind == EventKind.DISLIKE:
                self.people.dislike(user, self.catalogue.ids[item])
            elif kind == EventKind.LIKE:
                self.people.like_again(user, self.catalogue.ids[item])
            if kind in self._kinds:
                self._count(user, item, timestamp_ms)

    def _count(self, user: int, item: int, timestamp_ms: int) -> None:
        before = self.people.record(user, item, timestamp_ms=timestamp_ms)
        if before is None:
            return
        parts = self.maker.recommender.parts
        parts.popularity_V[item] += 1
        if parts.memory is not None:
            parts.memory.update(before, item)

    def hide(self, item: str, *, hidden: bool) -> None:
        """Show an item no longer, or again, at once."""
        number = self.catalogue.numbers.get(item)
        if number is not None:
            self.catalogue.hidden_V[number] = hidden

    def _past(self, asked: Asked) -> Histories | None:
        """What is stored and what happened in the session, one row; None where there is only what is stored."""
        spoke = [
            (self.catalogue.numbers[item], moment)
            for item, kind, moment in asked.session
            if kind in self._kinds and item in self.catalogue.numbers
        ]
        if not spoke:
            return None
        row = self.people.history(asked.user)
        items = [] if row is None else row.items.tolist()
        times = [] if row is None else row.timestamps_ms.tolist()
        for item, moment in spoke:
            if item not in items:
                items.append(item)
                times.append(moment)
        return Histories(
            np.array([0, len(items)]),
            np.array(items, dtype=np.int32),
            np.array(times, dtype=np.int64),
            len(self.catalogue),
        )

    def _refused(self, asked: Asked) -> list[str]:
        return [item for item, kind, _ in asked.session if kind in (EventKind.DISLIKE, EventKind.SKIP)]


class ServedProject(Protocol):
    """The part of `kinema.project.Project` that the service needs."""

    @property
    def store(self) -> ServiceStore:
        """Its data."""

    @property
    def folder(self) -> Path:
        """Where it is."""

    @property
    def artifacts(self) -> Path:
        """Where its models are."""

    @property
    def settings(self) -> Settings:
        """Of its `kinema.toml`."""


class ProjectWorlds:
    """`kinema.serving.world.Worlds` of a project.

    Args:
        project: Open.
    """

    def __init__(self, project: ServedProject) -> None:
        self._project = project
        self._known: tuple[tuple[int, ...], str] = ((), NO_MODEL)
        self._lock = threading.Lock()

    def version(self) -> str:
        """A digest of what answers are made of: the model and what was fine-tuned beside it; read again where a file has changed."""
        artifacts = self._project.artifacts
        names = ("click", "engagement", "several", "match/items", "duplicates")
        folders = [model_folder(artifacts, self._project.settings.recommend.model), *(artifacts / one for one in names)]
        manifests = [folder / MANIFEST for folder in folders]
        times = tuple(path.stat().st_mtime_ns if path.is_file() else 0 for path in manifests)
        with self._lock:
            if self._known[0] != times:
                self._known = (times, _version_of(manifests))
            return self._known[1]

    def read(self) -> LiveWorld:
        """A world as store, vectors and model are now."""
        project, settings = self._project, self._project.settings
        made_of: dict[str, Any] = {"artifacts": project.artifacts, "settings": settings.recommend}
        made_ms, version, state = time.time_ns() // 1_000_000, self.version(), project.store.state()
        how: dict[str, Any] = {
            "kinds": settings.histories.kinds,
            "features_folder": project.artifacts / "features",
            "profile_schema": served_profile_schema(**made_of),
        }
        dataset = read_dataset(project.store, **how)
        if understand_texts(dataset.items, dataset.features, folder=project.folder, settings=settings):
            dataset = read_dataset(project.store, **how)
        maker = make_slates(dataset, store=project.store, **made_of)
        dislikes = project.store.events(kinds=_DISLIKES, columns=["user", "item", "kind"])
        ids = dataset.item_ids
        for user, item, kind in dislikes.iter_rows():
            if kind == EventKind.DISLIKE:
                maker.people.dislike(user, ids[item])
            else:
                maker.people.like_again(user, ids[item])
        how = {"folder": project.folder, "settings": settings, "version": version, "state": state, "made_ms": made_ms}
        return LiveWorld(maker, **how)


def _version_of(manifests: Sequence[Path]) -> str:
    found = [sha256_file(path) if path.is_file() else "" for path in manifests]
    if not any(found):
        return NO_MODEL
    return (found[0][:12] or NO_MODEL) + hashlib.sha256("".join(found[1:]).encode()).hexdigest()[:4]
