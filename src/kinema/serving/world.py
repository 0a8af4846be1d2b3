"""What the service asks of everything below it: a world to answer from, and where worlds come from.

A world is one version of the model bound to one reading of the catalogue, and it takes in what happens afterwards. A request
is answered by one world from its first stage to its last, so that vectors of two versions are never mixed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.recommend.audience import Audience
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.insight import Insight
from kinema.recommend.interests import Interests, Weights
from kinema.recommend.listing import Found, Wanted
from kinema.recommend.people import People
from kinema.recommend.placing import Placement
from kinema.recommend.scenario import Scenario
from kinema.recommend.search import SearchResult
from kinema.schema import EventKind, Slate
from kinema.store.features import MomentShares
from kinema.store.service_protocols import Arrival, StoreState

GUEST: Final = "guest:"
"""Begins the name under which slates of a guest's session are logged."""


@dataclass(frozen=True)
class Asked:
    """A request for a slate.

    Attributes:
        user: User id; empty for a guest.
        num_items: How many, 1..1000.
        scenario: Its placement.
        exclude: Items not to be shown.
        session: Item, kind and moment of what happened beside what is stored, oldest first.
        session_id: Of a guest.
        timestamp_ms: Now, UTC milliseconds.
        draw: What exploration draws by, so that an answer can be made again: the recommendation's id.
        context: Kept with the logged slate.
        reasons: Whether reasons are wanted.
        weights: What the user has set.
    """

    user: str
    num_items: int
    scenario: str
    timestamp_ms: int
    exclude: tuple[str, ...] = ()
    session: tuple[tuple[str, EventKind, int], ...] = ()
    session_id: str = ""
    draw: str = ""
    context: Mapping[str, Any] = field(default_factory=dict)
    weights: Weights = field(default_factory=Weights)
    reasons: bool = True

    @property
    def who(self) -> str:
        """By whom slates and variants are told apart: the user, or a guest's session."""
        return self.user or (f"{GUEST}{self.session_id}" if self.session_id else "")


@dataclass(frozen=True)
class Answered:
    """A slate, and the variant of the scenario that made it."""

    slate: Slate
    variant: str = ""


class World(Protocol):
    """See the module docstring. Safe to ask from several threads; `record` is called by one at a time.

    Attributes:
        version: Of the model, for people.
        key: What this world is made of besides the store, see `Worlds.key`.
        seq: Arrival number of the newest event that it knows.
        state: Of the store when it was read; what came later is in it as far as ``seq`` says.
        made_ms: When reading it began, UTC milliseconds.
        trained_ms: When the model was published, UTC milliseconds; when it was read where there is none.
    """

    version: str
    key: str
    seq: int
    state: StoreState
    made_ms: int
    trained_ms: int

    @property
    def people(self) -> People:
        """Users."""

    @property
    def catalogue(self) -> Catalogue:
        """Items."""

    @property
    def popularity(self) -> NDArray[np.float64]:
        """Interactions with each item, float64 [V]; older ones count less, and it grows with every event."""

    @property
    def vectors(self) -> NDArray[np.float32] | None:
        """What stands for each item, unit rows [V, D]: the model's, or the content's without one; None without either."""

    def num_events(self, item: int) -> int:
        """Interactions with an item that the model has learnt from; 0 for a cold one."""

    def recommend(self, asked: Asked, *, rules: Scenario | None = None) -> Answered:
        """A slate for a user or a guest, by the rules that they get or by others."""

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

    def rules(self, scenario: str, who: str) -> Scenario:
        """The rules that somebody gets in a scenario.

        Raises:
            DataError: There is no such scenario.
        """

    def audience(self, item: str, *, num_users: int) -> Audience:
        """Users who should see an item."""

    def search(self, text: str, **options: Any) -> SearchResult:
        """Items that answer a question; options as in `kinema.steps.searching.search_project`."""

    def listed(self, wanted: Wanted, *, now_ms: int) -> Found:
        """A page of the catalogue."""

    def listed_counts(self, *, now_ms: int) -> tuple[Mapping[str, int], Mapping[str, int], Mapping[str, int]]:
        """Items by category, by language and by state."""

    def insight(self, item: str) -> Insight:
        """What is known of an item."""

    def attention(self, item: str) -> MomentShares | None:
        """How much each moment of an item's clip counts; None where nothing is known of its moments. May take a second."""

    def place(self, placements: Mapping[str, Placement]) -> None:
        """Hold every next answer to what was decided of single items; these are all decisions there are."""

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of those that items have."""

    def interests(self, user: str, *, weights: Weights) -> Interests:
        """What a user is interested in."""

    def record(self, events: Sequence[Arrival]) -> None:
        """Take in events, as `kinema.store.service_protocols.ServiceStore.events_after` returns them."""

    def warm(self) -> None:
        """Build what the first question of a kind would wait for."""

    def hide(self, item: str, *, hidden: bool, gone: bool = False) -> None:
        """Show an item no longer, or again, at once; one that is gone is not listed either."""

    def follow_documents(self) -> None:
        """Take up what the documents of the store say now of scenarios; cheap where nothing has changed."""


class Worlds(Protocol):
    """Where worlds come from."""

    def read(self) -> World:
        """A world as store, vectors and model are now."""

    def key(self) -> str:
        """What a world read now would be made of besides the store: model, ranker, groups of copies; cheap."""
