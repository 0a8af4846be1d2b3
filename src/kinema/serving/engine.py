"""The service without HTTP: a world that answers, a store that keeps, and what brings them together.

Four threads besides those that answer: the writer, the follower, which looks several times a second for what other processes
wrote, the reader of new worlds, and the one who understands uploaded clips. An answer takes no lock.
"""

import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import polars as pl

from kinema.errors import KinemaError
from kinema.logs import get_logger
from kinema.recommend.audience import Audience
from kinema.recommend.search import SearchResult
from kinema.schema import Event, EventKind, Slate
from kinema.serving.placements import Placements
from kinema.serving.problems import Problem, not_found
from kinema.serving.profiles import ChosenWeights
from kinema.serving.telemetry import Telemetry
from kinema.serving.world import Answered, Asked, World, Worlds
from kinema.serving.writer import Writer, item_frame
from kinema.store.service_protocols import LoggedSlate, ServiceStore, StoreState

_LOG = get_logger("serving")


def now_ms() -> int:
    """UTC milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def new_id(moment_ms: int) -> str:
    """An id that sorts by time and cannot be guessed.

    Example:
        >>> len(new_id(0)), new_id(1) > new_id(0)
        (28, True)
    """
    return f"{moment_ms:012x}{secrets.token_hex(8)}"


class Engine:
    """What the routes ask.

    Args:
        store: Of the project.
        worlds: Where worlds come from.
        telemetry: Told what is served and what arrives.
        follow_seconds: How often what other processes wrote is looked for.
        wait_seconds: How long a written item may wait for the world that knows it.
    """

    def __init__(
        self,
        *,
        store: ServiceStore,
        worlds: Worlds,
        telemetry: Telemetry | None = None,
        follow_seconds: float = 0.25,
        wait_seconds: float = 20.0,
    ) -> None:
        self.store = store
        self.telemetry = telemetry or Telemetry()
        self.wait_seconds = wait_seconds
        self._worlds = worlds
        self._follow_seconds = follow_seconds
        self._world: World | None = None
        self._applying = threading.RLock()
        self._changed = threading.Condition()
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._trouble: str = ""
        self._placements = Placements(store)
        self.weights = ChosenWeights(store)
        self._documents_read = -1
        self.writer = Writer(store, applied=self.catch_up)
        self._threads = [
            threading.Thread(target=self._follow, name="kinema-follower", daemon=True),
            threading.Thread(target=self._read_worlds, name="kinema-reader", daemon=True),
        ]

    def start(self) -> None:
        """Read the first world, then follow.

        Raises:
            KinemaError: There is no world to be had.
        """
        self._read_documents(self.store.state())
        self._take(self._worlds.read())
        self.writer.start()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Write what waits, then stop; what was acknowledged is in the store already."""
        self._stopping.set()
        self._wanted.set()
        self.writer.close()
        for thread in self._threads:
            thread.join()

    @property
    def world(self) -> World:
        """What answers now; keep it for the whole of a request.

        Raises:
            Problem: 503, nothing has been read yet.
        """
        if self._world is None:
            raise Problem(503, "the service is starting; try again in a few seconds", headers={"Retry-After": "2"})
        return self._world

    @property
    def trouble(self) -> str:
        """Why the newest world could not be read; empty where all is well."""
        return self._trouble

    @property
    def is_ready(self) -> bool:
        """Whether it answers."""
        return self._world is not None and not self._stopping.is_set()

    # Answers

    def recommend(self, asked: Asked) -> tuple[str, Answered, World, "Future[None]"]:
        """A slate: its id, the answer, the world it came from, and when it is logged."""
        world = self.world
        its_id = new_id(asked.timestamp_ms)
        answered = world.recommend(replace(asked, draw=its_id, weights=self.weights.of(asked.user)))
        logged = self.log(its_id, answered.slate, world, asked, variant=answered.variant)
        return its_id, answered, world, logged

    def similar(
        self, item: str, *, num_items: int, modality: str | None, exclude: Sequence[str], user: str = ""
    ) -> tuple[str, Slate, World, "Future[None]"]:
        """Items like an item; see `recommend`."""
        world = self.world
        self.known_item(item)
        slate = world.similar(item, num_items=num_items, modality=modality, exclude=exclude, user=user)
        moment = now_ms()
        asked = Asked(user, num_items, "related", moment, context={"item_id": item})
        its_id = new_id(moment)
        return its_id, slate, world, self.log(its_id, slate, world, asked)

    def audience(self, item: str, *, num_users: int) -> tuple[Audience, World]:
        """Users who should see an item."""
        world = self.world
        self.known_item(item)
        return world.audience(item, num_users=num_users), world

    def search(self, text: str, *, user: str, **options: Any) -> tuple[str, SearchResult, World, "Future[None]"]:
        """Items that answer a question; see `recommend`."""
        world, moment = self.world, now_ms()
        found = world.search(text, user=user, **options)
        its_id = new_id(moment)
        logged = LoggedSlate(
            its_id,
            user,
            moment,
            "search",
            "",
            world.version,
            tuple(one.id for one in found.items),
            (1.0,) * len(found.items),
            {"query": text},
        )
        return its_id, found, world, self.writer.slate(logged)

    def log(self, its_id: str, slate: Slate, world: World, asked: Asked, *, variant: str = "") -> "Future[None]":
        """Log a slate with positions and propensities."""
        cold = sum(not world.num_events(world.catalogue.numbers[one.id]) for one in slate.items)
        self.telemetry.observe_slate(slate, scenario=asked.scenario, variant=variant, num_cold=cold)
        self.telemetry.set_queue("events", self.writer.num_waiting)
        self._placements.put(its_id, (asked.scenario, variant))
        return self.writer.slate(
            LoggedSlate(
                its_id,
                asked.user,
                asked.timestamp_ms,
                asked.scenario,
                variant,
                world.version,
                tuple(one.id for one in slate.items),
                tuple(one.propensity for one in slate.items),
                asked.context,
            )
        )

    def known_item(self, item: str) -> int:
        """Number of an item in the world that answers.

        Raises:
            Problem: 404.
        """
        number = self.world.catalogue.numbers.get(item)
        if number is None or self.store.item(item) is None:
            raise not_found("item", item, field="item_id")
        return number

    # Writes

    def write(self, events: Sequence[Event], *, create_items: bool = False) -> "Future[None]":
        """Append events; done when they are durable and every next answer knows them."""
        return self.writer.events(events, create_items=create_items)

    def put_item(self, item_id: str, columns: Mapping[str, Any]) -> bool:
        """Write an item and wait until it is recommendable.

        Returns:
            Whether it is now; otherwise it will be.
        """
        self.store.write_items(item_frame([{"id": item_id, **columns}]))
        return self.wait_for_items()

    def write_items(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write items without waiting: what is hidden now is in no next answer, what is new will be recommendable soon.

        Args:
            rows: See `kinema.serving.writer.item_frame`; with ``hidden``.
        """
        self.store.write_items(item_frame(rows))
        for row in rows:
            self.world.hide(row["id"], hidden=row["hidden"])
        self._wanted.set()

    def delete_item(self, item_id: str) -> None:
        """Delete an item; no next answer shows it.

        Raises:
            Problem: 404.
        """
        if not self.store.delete_item(item_id):
            raise not_found("item", item_id, field="item_id")
        self.world.hide(item_id, hidden=True)
        self._wanted.set()

    def put_user(self, user_id: str, attributes_json: str, attributes: Mapping[str, Any]) -> None:
        """Write a user; the next answer knows their attributes."""
        self.put_users([(user_id, attributes_json, attributes)])

    def put_users(self, users: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Write users, each an id, attributes as JSON, and the attributes; the next answers know them."""
        with self._applying:
            before = self.store.state().users
            ids, texts = [user[0] for user in users], [user[1] for user in users]
            self.store.write_users(pl.DataFrame({"id": ids, "attributes": texts}))
            for user_id, _, attributes in users:
                number = self.store.user_number(user_id)
                assert number is not None
                self.world.people.add(number, user_id, attributes)
            self._own_users_change(before)

    def erase_user(self, user_id: str) -> int:
        """Erase a user with everything known of them.

        Returns:
            Events that are gone.

        Raises:
            Problem: 404.
        """
        with self._applying:
            before = self.store.state().users
            gone = self.store.erase_user(user_id)
            if gone is None:
                raise not_found("user", user_id, field="user_id")
            self.world.people.forget(user_id)
            self.weights.forget(user_id)
            self._own_users_change(before)
        return gone

    def _own_users_change(self, before: int) -> None:
        """A change of users that the world knows already needs no new one."""
        world = self.world
        if world.state.users == before:
            world.state = replace(world.state, users=self.store.state().users)

    def wait_for_items(self, *, anew: bool = False) -> bool:
        """Wait for a world that knows every item of the store; False where that takes too long.

        Args:
            anew: Only a world that is read from now on will do: vectors have changed, not items.
        """
        wanted, since_ms = self.store.state().items, now_ms() if anew else 0
        self._wanted.set()
        with self._changed:
            return self._changed.wait_for(
                lambda: self._stopping.is_set() or self._knows(wanted, since_ms), timeout=self.wait_seconds
            )

    def _knows(self, items: int, since_ms: int) -> bool:
        world = self._world
        return world is not None and world.state.items >= items and world.made_ms >= since_ms

    def take_back(self, seqs: Sequence[int], *, forget: bool = True) -> int:
        """Take events back.

        Args:
            seqs: Their arrival numbers.
            forget: Wait until answers no longer know them; False where others take their place.

        Returns:
            How many there were.
        """
        with self._applying:
            before = self.store.state().users
            gone = self.store.delete_events(seqs)
            if gone and not forget:
                self._own_users_change(before)
        if gone and forget:
            self.wait_for_items(anew=True)
        return gone

    # What keeps the world up to date

    def catch_up(self) -> None:
        """Take in every event that the store has and the world has not."""
        with self._applying:
            if self._world is not None:
                self._apply(self._world)

    def _apply(self, world: World) -> None:
        while True:
            events = self.store.events_after(world.seq)
            if not events.height:
                return
            newest_user = int(events["user"].max())  # type: ignore[arg-type]  # a column of integers
            if newest_user >= len(world.people):
                for number, user in self.store.user_page(after=len(world.people) - 1, limit=1_000_000):
                    world.people.add(number, user.id, user.attributes)
            world.record(events)
            world.seq = int(events["seq"][-1])
            if world is self._world:
                self._tell(events)

    def _tell(self, events: pl.DataFrame) -> None:
        """Count what arrived, and what came of which slates."""
        self.telemetry.count_events(accepted=events.height)
        self.telemetry.set_newest_event(int(events["timestamp_ms"].max()))  # type: ignore[arg-type]  # a column of integers
        for kind, watch_ms, slate_id in zip(events["kind"], events["watch_ms"], events["slate_id"], strict=True):
            scenario, variant = self._placements.get(slate_id) if slate_id else ("", "")
            self.telemetry.observe_event(EventKind(kind), scenario=scenario, variant=variant, watch_ms=watch_ms)

    def _follow(self) -> None:
        while not self._stopping.wait(self._follow_seconds):
            try:
                self._look(self.store.state())
            except Exception as error:  # noqa: BLE001  # a store that is away for a moment ends no service
                _LOG.warning("following the store failed", error=type(error).__name__)

    def _look(self, state: StoreState) -> None:
        world = self.world
        if state.documents != self._documents_read:
            self._read_documents(state)
        if state.seq > world.seq:
            self.catch_up()
        if (state.items, state.users) != (world.state.items, world.state.users):
            self._wanted.set()
        if self._worlds.key() != world.key:
            self._wanted.set()

    def _read_documents(self, state: StoreState) -> None:
        self.weights.read()
        self._documents_read = state.documents

    def _read_worlds(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._stopping.is_set():
                return
            try:
                self._take(self._worlds.read())
                self._trouble = ""
            except Exception as error:  # noqa: BLE001  # the old world goes on
                self._trouble = str(error) if isinstance(error, KinemaError) else type(error).__name__
                _LOG.error("a new world could not be read; the old one goes on", error=self._trouble)
                self._stopping.wait(5.0)

    def _take(self, world: World) -> None:
        """Answer from another world from now on."""
        self._apply(world)
        with self._applying:
            self._apply(world)  # what came meanwhile
            self._world = world
        self.telemetry.set_model(world.version, world.trained_ms)
        self.telemetry.set_index(world.made_ms)
        self.telemetry.set_catalogue(len(world.catalogue))
        with self._changed:
            self._changed.notify_all()
