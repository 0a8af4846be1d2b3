"""A project as the service asks it: one reading, one version of the model, and what has happened since.

Counts grow with every event without a gradient step: the user's history, which item follows which, how popular an item is.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST
from kinema.flm.memory import ItemMemory
from kinema.recommend.audience import Audience
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.insight import Insight, insight_of
from kinema.recommend.interests import Interests, Weights, interests_of, with_weights
from kinema.recommend.listing import Found, Listing, Standing, Wanted
from kinema.recommend.people import People
from kinema.recommend.placing import Placement, Placing
from kinema.recommend.scenario import Scenario
from kinema.recommend.search import SearchResult
from kinema.recommend.variants import Scenarios
from kinema.retrieval.popularity import DAY_MS
from kinema.schema import EventKind, Request
from kinema.serving.world import Answered, Asked
from kinema.settings import Settings
from kinema.steps.dataset import Dataset, read_dataset
from kinema.steps.live_scenarios import current_scenarios
from kinema.steps.model_watch import load_serving, serving_version
from kinema.steps.searching import search_project
from kinema.steps.slates import SlateMaker, get_ready, load_model
from kinema.steps.understanding import understand_texts
from kinema.store.features import MomentShares
from kinema.store.histories import Histories
from kinema.store.profiles import ProfileSchema
from kinema.store.service_protocols import Arrival, ServiceStore, StoreState

if TYPE_CHECKING:
    from kinema.flm.model import FLM

_SEEN: Final = "frames"
"""The modality whose moments are shown."""
NO_MODEL: Final = "none"
"""Version of a world that answers without a model."""
_BESIDE: Final = ("features", "click", "engagement", "several", "match/items", "duplicates")
_DISLIKES: Final = (EventKind.DISLIKE, EventKind.LIKE)


class LiveWorld:
    """A `kinema.serving.world.World` over one reading of a project.

    Args:
        maker: Of slates.
        folder: The project's.
        settings: The project's.
        version: Of the model.
        key: What it is made of besides the store.
        state: Of the store before it was read.
        made_ms: When reading began, UTC milliseconds.
        trained_ms: When the model was published, UTC milliseconds; the same without one.
        scenarios: Reads them as they are now.
        removed: Numbers of the items that are deleted.
        model_folder: Where the model lies; None without one.
    """

    def __init__(
        self,
        maker: SlateMaker,
        *,
        folder: Path,
        settings: Settings,
        version: str,
        key: str,
        state: StoreState,
        made_ms: int,
        trained_ms: int,
        scenarios: Callable[[], Scenarios],
        removed: Sequence[int],
        model_folder: Path | None = None,
    ) -> None:
        self._model_folder, self._removed = model_folder, removed
        self.maker = maker
        self.version = version
        self.key = key
        self.state = state
        self.seq = state.seq
        self.made_ms = made_ms
        self.trained_ms = trained_ms
        self._folder = folder
        self._settings = settings
        self._scenarios = scenarios
        self._newest_ms = int(maker.dataset.histories.timestamps_ms.max(initial=0))
        self._kinds = frozenset(settings.histories.kinds)
        counts_V = maker.dataset.histories.item_counts()
        scorer, memory = maker.recommender.parts.scorer, maker.recommender.parts.memory
        if isinstance(memory, ItemMemory):
            memory.folds_aside = True
        self._counts_V = getattr(scorer, "counts_V", counts_V)
        self._hidden_V = self.catalogue.hidden_V.copy()  # by the items themselves
        self._placing = Placing()
        self._placed_V = np.zeros(len(self.catalogue), dtype=np.bool_)

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

    @property
    def vectors(self) -> NDArray[np.float32] | None:
        """The model's vectors, or those of the content without one."""
        parts = self.maker.recommender.parts
        return parts.joint_VD if parts.item_vectors_VD is None else parts.item_vectors_VD

    def num_events(self, item: int) -> int:
        """Interactions the model has learnt from; without a model, those of the reading."""
        return int(self._counts_V[item])

    def recommend(self, asked: Asked, *, rules: Scenario | None = None) -> Answered:
        """A slate for a user or a guest, by the rules that they get or by others."""
        people = self.people
        exclude = tuple(dict.fromkeys((*asked.exclude, *people.disliked(asked.user), *self._refused(asked))))
        request = Request(asked.user, asked.num_items, asked.scenario, exclude, asked.timestamp_ms)
        own = self.rules(asked.scenario, asked.who) if rules is None else rules
        rules = self._placing.over(with_weights(own, asked.weights))
        how: dict[str, Any] = {"rules": rules, "draw": asked.draw, "reasons": asked.reasons}
        slate = self.maker.recommend(request, past=self._past(asked), **how)
        return Answered(slate, rules.variant)

    def similar(
        self,
        item: str,
        *,
        num_items: int,
        modality: str | None = None,
        exclude: Sequence[str] = (),
        user: str = "",
        draw: str = "",
        rules: Scenario | None = None,
    ) -> Answered:
        """Items like one item, by the rules that a user gets or by others."""
        rules = self._placing.over(self.rules("related", user) if rules is None else rules)
        how: dict[str, Any] = {"modality": modality, "exclude": exclude, "rules": rules, "draw": draw}
        return Answered(self.maker.similar(item, num_items=num_items, **how), rules.variant)

    def rules(self, scenario: str, who: str) -> Scenario:
        """The rules that somebody gets in a scenario."""
        return self.maker.scenarios.rules(scenario, who)

    def audience(self, item: str, *, num_users: int) -> Audience:
        """Users who should see an item."""
        return self.maker.audience(item, num_users=num_users)

    def search(self, text: str, **options: Any) -> SearchResult:
        """Items that answer a question."""
        return search_project(self.maker, text, folder=self._folder, settings=self._settings, **options)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of those that items have."""
        return tuple(self.maker.recommender.parts.content)

    def interests(self, user: str, *, weights: Weights) -> Interests:
        """What a user is interested in."""
        content = self.maker.recommender.parts.content
        return interests_of(self.people.history(user), self.catalogue, content, weights=weights)

    def listed(self, wanted: Wanted, *, now_ms: int) -> Found:
        """A page of the catalogue."""
        return self._listing.find(wanted, self._standing(now_ms))

    def listed_counts(self, *, now_ms: int) -> tuple[Mapping[str, int], Mapping[str, int], Mapping[str, int]]:
        """Items by category, by language and by state."""
        return self._listing.counts(self._standing(now_ms))

    @cached_property
    def _listing(self) -> Listing:
        return Listing.of(self.catalogue, self.maker.dataset.items, self._removed)

    def _standing(self, now_ms: int) -> Standing:
        return Standing(self._counts_V, self.popularity, self._placed_V, now_ms)

    def insight(self, item: str) -> Insight:
        """What is known of an item."""
        number = self.catalogue.number(item)
        return insight_of(self.maker.recommender.parts, number, num_events=self.num_events(number))

    def attention(self, item: str) -> MomentShares | None:
        """How much each moment of an item's clip counts."""
        features = self.maker.dataset.features.get(_SEEN)
        if features is None or features.tokens is None:
            return None
        from kinema.flm.looking import moment_shares  # noqa: PLC0415  # brings torch

        return moment_shares(self._model, features.tokens, _SEEN, self.catalogue.number(item))

    @cached_property
    def _model(self) -> "FLM | None":
        """The whole model again: what serves keeps no more of it than requests need."""
        if self._model_folder is None or self.maker.recommender.parts.scorer is None:
            return None
        return load_model(self._model_folder)

    def place(self, placements: Mapping[str, Placement]) -> None:
        """Hold every next answer to what was decided of single items."""
        numbers = self.catalogue.numbers
        placed_V = np.zeros(len(self.catalogue), dtype=np.bool_)
        placed_V[[numbers[item] for item in placements if item in numbers]] = True
        self._placed_V, self._placing = placed_V, Placing.of(placements)
        hidden_V = self._hidden_V.copy()
        hidden_V[[numbers[item] for item in self._placing.hidden if item in numbers]] = True
        self.catalogue.hidden_V[:] = hidden_V

    def record(self, events: Sequence[Arrival]) -> None:
        """Take in events; those of items that this reading does not know wait for the next."""
        for _, user, item, timestamp_ms, kind, *_ in events:
            if item >= len(self.catalogue):
                continue
            if self.maker.ranking is not None:
                self.maker.ranking.trails.add(user, item, kind=kind, timestamp_ms=timestamp_ms)
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
        parts.count(item, self._weight(timestamp_ms))
        if parts.memory is not None:
            parts.memory.update(before, item)

    def _weight(self, timestamp_ms: int) -> float:
        """What an interaction counts among those of the reading, whose newest counts 1; a backlog of old ones makes nothing popular."""
        self._newest_ms = max(self._newest_ms, timestamp_ms)
        days = (self._newest_ms - timestamp_ms) / DAY_MS
        return float(0.5 ** (days / self._settings.recommend.popularity_half_life_days))

    def answer_once(self) -> None:
        """Answer for somebody with a history and nobody else's eyes: what is compiled, or filled at the first answer, is ready then."""
        watched = self.maker.dataset.histories.lengths
        if len(self.catalogue) and len(watched):
            self.maker.recommender.recommend(
                Request("", 1, timestamp_ms=self.made_ms), history=self.people.row(int(watched.argmax()))
            )

    def warm(self) -> None:
        """Build what the first search would wait for."""
        if self.maker.dataset.features:
            self.search("first")

    def hide(self, item: str, *, hidden: bool, gone: bool = False) -> None:
        """Show an item no longer, or again, at once."""
        number = self.catalogue.numbers.get(item)
        if number is not None:
            self._hidden_V[number] = hidden
            self._listing.gone_V[number] |= gone
            self.catalogue.hidden_V[number] = hidden or item in self._placing.hidden

    def follow_documents(self) -> None:
        """Take up what the documents of the store say now of scenarios."""
        scenarios = self._scenarios()
        if scenarios != self.maker.scenarios:
            get_ready(scenarios, self.catalogue)
            self.maker = replace(self.maker, scenarios=scenarios)

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

    def key(self) -> str:
        """The model's version, and when what stands beside it was written."""
        artifacts = self._project.artifacts
        version = serving_version(artifacts, model=self._project.settings.recommend.model)
        manifests = [artifacts / name / MANIFEST for name in _BESIDE]
        times = [path.stat().st_mtime_ns if path.is_file() else 0 for path in manifests]
        return f"{NO_MODEL if version is None else version.id} {times}"

    def read(self) -> LiveWorld:
        """A world as store, vectors and model are now."""
        project, settings = self._project, self._project.settings
        made_ms, key, state = time.time_ns() // 1_000_000, self.key(), project.store.state()
        found = load_serving(
            artifacts=project.artifacts,
            settings=settings.recommend,
            store=project.store,
            read=self._read_dataset,
            scenarios=self._scenarios(),
        )
        dislikes = project.store.events(kinds=_DISLIKES, columns=["user", "item", "kind"])
        people, ids = found.maker.people, found.maker.dataset.item_ids
        for user, item, kind in dislikes.iter_rows():
            (people.dislike if kind == EventKind.DISLIKE else people.like_again)(user, ids[item])
        world = LiveWorld(
            found.maker,
            folder=project.folder,
            settings=settings,
            version=NO_MODEL if found.version is None else found.version.id,
            key=key,
            state=state,
            made_ms=made_ms,
            model_folder=None if found.version is None else found.version.folder,
            trained_ms=made_ms if found.version is None else _moment(found.version.folder),
            scenarios=self._scenarios,
            removed=project.store.removed_items(),
        )
        world.answer_once()
        return world

    def _scenarios(self) -> Scenarios:
        return current_scenarios(self._project.store, self._project.settings.scenarios)

    def _read_dataset(self, schema: ProfileSchema | None) -> Dataset:
        project, settings = self._project, self._project.settings
        how: dict[str, Any] = {
            "kinds": settings.histories.kinds,
            "features_folder": project.artifacts / "features",
            "profile_schema": schema,
        }
        dataset = read_dataset(project.store, **how)
        if understand_texts(dataset.items, dataset.features, folder=project.folder, settings=settings):
            dataset = read_dataset(project.store, **how)
        return dataset


def _moment(folder: Path) -> int:
    return (folder / MANIFEST).stat().st_mtime_ns // 1_000_000
