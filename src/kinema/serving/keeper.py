"""Keeps a world up to date: takes in what is written, here or by other processes, and reads a new one where that is needed.

Two threads: the follower looks several times a second how far the store has come; the reader reads worlds. Events and users go into
the world that answers; items and models take a new one, and the old one answers until it is there.
"""

import gc
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from kinema.errors import KinemaError
from kinema.logs import get_logger
from kinema.schema import EventKind
from kinema.serving.problems import Problem
from kinema.serving.slate_origins import SlateOrigins
from kinema.serving.telemetry import Telemetry
from kinema.serving.world import World, Worlds
from kinema.store.service_protocols import Arrival, ServiceStore, StoreState
from kinema.threads import give_back_freed_memory

_LOG = get_logger("serving")
_MOST_AT_ONCE: Final = 10_000


class Keeper:
    """See the module docstring.

    Args:
        store: Of the project.
        worlds: Where worlds come from.
        telemetry: Told what arrives.
        origins: Of slates that events name.
        documents_changed: Called at the start and when documents have changed.
        prepare: Called with a world before it answers, and with the one that answers when documents have changed.
        follow_seconds: How often what other processes wrote is looked for.
        wait_seconds: How long to wait for a world at most.
        taken: Called when another world answers.
    """

    def __init__(
        self,
        *,
        store: ServiceStore,
        worlds: Worlds,
        telemetry: Telemetry,
        origins: SlateOrigins,
        documents_changed: Callable[[], None],
        prepare: Callable[[World], None],
        follow_seconds: float,
        wait_seconds: float,
        taken: Callable[[], None] = lambda: None,
    ) -> None:
        self._store = store
        self._worlds = worlds
        self._telemetry = telemetry
        self._origins = origins
        self._documents_changed = documents_changed
        self._prepare = prepare
        self._documents_read = -1
        self._seen = (-1, -1)
        self._follow_seconds = follow_seconds
        self._wait_seconds = wait_seconds
        self._taken = taken
        self._world: World | None = None
        self._applying = threading.RLock()
        self._changed = threading.Condition()
        self._wanted = threading.Event()
        self._stopping = threading.Event()
        self._trouble = ""
        self._threads = [
            threading.Thread(target=self._follow, name="kinema-follower", daemon=True),
            threading.Thread(target=self._read_worlds, name="kinema-reader", daemon=True),
        ]

    def start(self) -> None:
        """Read the first world, then follow.

        Raises:
            KinemaError: There is no world to be had.
        """
        self._read_documents(self._store.state())
        self._take(self._worlds.read())
        for thread in self._threads:
            thread.start()

    def begin_to_stop(self) -> None:
        """Let nobody wait any longer."""
        self._stopping.set()
        self._wanted.set()

    def stop(self) -> None:
        """End both threads."""
        self.begin_to_stop()
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

    @contextmanager
    def changing_users(self) -> Iterator[World]:
        """Write users to the store and the world at once; the world then needs no new reading for them."""
        with self._applying:
            world, before = self.world, self._store.state().users
            yield world
            if world.state.users == before:
                world.state = replace(world.state, users=self._store.state().users)

    def want_another(self) -> None:
        """Have a new world read soon."""
        self._wanted.set()

    def wait_for_items(self, *, anew: bool = False) -> bool:
        """Wait for a world that knows every item of the store; False where that takes too long.

        Args:
            anew: Only a world that is read from now on will do: vectors have changed, not items.
        """
        wanted, since_ms = self._store.state().items, time.time_ns() // 1_000_000 if anew else 0
        return self.wait_until(lambda world: world.state.items >= wanted and world.made_ms >= since_ms)

    def wait_until(self, holds: Callable[[World], bool]) -> bool:
        """Wait for a world of which something holds; False where that takes too long, or the service stops."""
        self._wanted.set()
        with self._changed:
            self._changed.wait_for(lambda: self._stopping.is_set() or holds(self.world), timeout=self._wait_seconds)
        return holds(self.world)

    def catch_up(self) -> None:
        """Take in every event that the store has and the world has not."""
        with self._applying:
            if self._world is not None:
                written = self._store.changes.read()[0]
                self._apply(self._world)
                self._seen = (written, self._seen[1])

    def follow(self) -> None:
        """Take in what any process of this machine has written until now; cheap where that is nothing."""
        events, others = self._store.changes.read()
        if (events, others) == self._seen:
            return
        try:
            if events != self._seen[0]:
                self.catch_up()
            if others != self._seen[1]:
                with self._applying:
                    self._look(self._store.state())
                    self._seen = (self._seen[0], others)
        except Exception as error:  # noqa: BLE001  # the world goes on as it is, and the next answer tries again
            _LOG.warning("following the store failed", error=type(error).__name__)

    def _apply(self, world: World) -> None:
        while True:
            events = self._store.events_after(world.seq, limit=_MOST_AT_ONCE)
            if not events:
                return
            if max(event.user for event in events) >= len(world.people):
                for number, user in self._store.user_page(after=len(world.people) - 1, limit=1_000_000):
                    world.people.add(number, user.id, user.attributes)
            world.record(events)
            world.seq = events[-1].seq
            if world is self._world:
                self._tell(events)
            if len(events) < _MOST_AT_ONCE:
                return

    def _tell(self, events: Sequence[Arrival]) -> None:
        """Count what arrived, and what came of which slates."""
        self._telemetry.count_events(accepted=len(events))
        self._telemetry.set_newest_event(max(event.timestamp_ms for event in events))
        for event in events:
            scenario, variant = self._origins.get(event.slate_id) if event.slate_id else ("", "")
            kind = EventKind(event.kind)
            self._telemetry.observe_event(kind, scenario=scenario, variant=variant, watch_ms=event.watch_ms)

    def _follow(self) -> None:
        while not self._stopping.wait(self._follow_seconds):
            try:
                self._look(self._store.state())
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

    def follow_documents(self) -> None:
        """Take up what documents say now, without waiting for the follower."""
        self._read_documents(self._store.state())

    def _read_documents(self, state: StoreState) -> None:
        self._documents_changed()
        self._documents_read = state.documents
        self.prepare_again()

    def prepare_again(self) -> None:
        """Have the world that answers take up what documents say."""
        with self._applying:
            if self._world is not None:
                self._prepare(self._world)

    def _read_worlds(self) -> None:
        self._warm()
        while True:
            self._wanted.wait()
            self._wanted.clear()
            if self._stopping.is_set():
                return
            try:
                self._take(self._worlds.read())
                self._trouble = ""
                self._warm()
            except Exception as error:  # noqa: BLE001  # the old world goes on
                self._trouble = str(error) if isinstance(error, KinemaError) else type(error).__name__
                _LOG.error("a new world could not be read; the old one goes on", error=self._trouble)
                self._stopping.wait(5.0)

    def _warm(self) -> None:
        try:
            self.world.warm()
        except Exception as error:  # noqa: BLE001  # the first question then says what is wrong
            _LOG.warning("searching could not be prepared", error=type(error).__name__)

    def _take(self, world: World) -> None:
        """Answer from another world from now on."""
        self._apply(world)
        with self._applying:
            self._apply(world)  # what came meanwhile
            self._prepare(world)
            self._world = world
        self._telemetry.set_model(world.version, world.trained_ms)
        self._telemetry.set_index(world.made_ms)
        self._telemetry.set_catalogue(len(world.catalogue))
        with self._changed:
            self._changed.notify_all()
        self._taken()


def settle_memory() -> None:
    """Leave what there is now to itself, for a process that does nothing but serve.

    A world is some hundred thousand objects that stay, and the collector of garbage stops all threads for a fifth of a second when it
    looks through them. It does so here, once for each world, and then looks only at what has come since.
    """
    gc.unfreeze()
    gc.collect()
    gc.freeze()
    give_back_freed_memory()
