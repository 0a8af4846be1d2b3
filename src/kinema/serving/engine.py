"""The service without HTTP: a world that answers, a store that keeps, and what brings them together.

An answer takes no lock. What keeps the world up to date is in `kinema.serving.keeper`, what writes in `kinema.serving.writer`.
"""

import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

import polars as pl

from kinema.logs import get_logger
from kinema.recommend.audience import Audience
from kinema.recommend.placing import Placement
from kinema.recommend.search import SearchResult
from kinema.schema import Event, Slate
from kinema.serving.item_placements import ItemPlacements
from kinema.serving.keeper import Keeper
from kinema.serving.problems import not_found
from kinema.serving.profiles import ChosenWeights
from kinema.serving.slate_origins import SlateOrigins
from kinema.serving.telemetry import Telemetry
from kinema.serving.world import Answered, Asked, World, Worlds
from kinema.serving.writer import Writer, item_frame
from kinema.store.service_protocols import LoggedSlate, ServiceStore

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
        taken: Called when another world answers.
    """

    def __init__(
        self,
        *,
        store: ServiceStore,
        worlds: Worlds,
        telemetry: Telemetry | None = None,
        follow_seconds: float = 0.25,
        wait_seconds: float = 20.0,
        taken: Callable[[], None] = lambda: None,
    ) -> None:
        self.store = store
        self.telemetry = telemetry or Telemetry()
        self._origins = SlateOrigins(store)
        self.weights = ChosenWeights(store)
        self.item_placements = ItemPlacements(store)
        self.keeper = Keeper(
            store=store,
            worlds=worlds,
            telemetry=self.telemetry,
            origins=self._origins,
            documents_changed=self._read_documents,
            prepare=self._prepare,
            follow_seconds=follow_seconds,
            wait_seconds=wait_seconds,
            taken=taken,
        )
        self.writer = Writer(store, applied=self.keeper.catch_up)

    def _prepare(self, world: World) -> None:
        """Tell a world what the documents say."""
        world.follow_documents()
        world.place(self.item_placements.all())

    def _read_documents(self) -> None:
        self.weights.read()
        self.item_placements.read()

    def start(self) -> None:
        """Read the first world, then follow.

        Raises:
            KinemaError: There is no world to be had.
        """
        self.keeper.start()
        self.writer.start()

    def stop(self) -> None:
        """Write what waits, then stop; what was acknowledged is in the store already."""
        self.keeper.begin_to_stop()
        self.writer.close()
        self.keeper.stop()

    @property
    def world(self) -> World:
        """What answers now; keep it for the whole of a request.

        Raises:
            Problem: 503, nothing has been read yet.
        """
        return self.keeper.world

    def newest_world(self) -> World:
        """The same, with everything that a process of this machine has acknowledged until now."""
        self.keeper.follow()
        return self.world

    # Answers

    def recommend(self, asked: Asked) -> tuple[str, Answered, World, "Future[None]"]:
        """A slate: its id, the answer, the world it came from, and when it is logged."""
        world = self.newest_world()
        its_id = new_id(asked.timestamp_ms)
        answered = world.recommend(replace(asked, draw=its_id, weights=self.weights.of(asked.user)))
        logged = self.log(its_id, answered.slate, world, asked, variant=answered.variant)
        return its_id, answered, world, logged

    def similar(
        self, item: str, *, num_items: int, modality: str | None, exclude: Sequence[str], user: str = ""
    ) -> tuple[str, Answered, World, "Future[None]"]:
        """Items like an item; see `recommend`."""
        world, moment = self.newest_world(), now_ms()
        self.known_item(item)
        its_id = new_id(moment)
        how: dict[str, Any] = {"num_items": num_items, "modality": modality, "exclude": exclude}
        answered = world.similar(item, user=user, draw=its_id, **how)
        asked = Asked(user, num_items, "related", moment, context={"item_id": item})
        return its_id, answered, world, self.log(its_id, answered.slate, world, asked, variant=answered.variant)

    def audience(self, item: str, *, num_users: int) -> tuple[Audience, World]:
        """Users who should see an item."""
        world = self.newest_world()
        self.known_item(item)
        return world.audience(item, num_users=num_users), world

    def search(self, text: str, *, user: str, **options: Any) -> tuple[str, SearchResult, World, "Future[None]"]:
        """Items that answer a question; see `recommend`."""
        world, moment = self.newest_world(), now_ms()
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
            {"query": text} | {name: True for name in ("image", "clip") if name in options},
        )
        return its_id, found, world, self.writer.slate(logged)

    def log(self, its_id: str, slate: Slate, world: World, asked: Asked, *, variant: str = "") -> "Future[None]":
        """Log a slate with positions and propensities."""
        cold = sum(not world.num_events(world.catalogue.numbers[one.id]) for one in slate.items)
        self.telemetry.observe_slate(slate, scenario=asked.scenario, variant=variant, num_cold=cold)
        self.telemetry.set_queue("events", self.writer.num_waiting)
        self._origins.put(its_id, (asked.scenario, variant))
        return self.writer.slate(
            LoggedSlate(
                its_id,
                asked.who,
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
        return self.keeper.wait_for_items()

    def write_items(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write items without waiting: what is hidden now is in no next answer, what is new will be recommendable soon.

        Args:
            rows: See `kinema.serving.writer.item_frame`; with ``hidden``.
        """
        self.store.write_items(item_frame(rows))
        for row in rows:
            self.world.hide(row["id"], hidden=row["hidden"])
        self.keeper.want_another()

    def place_item(self, item_id: str, placement: Placement) -> Placement:
        """Decide where an item stands; every next answer keeps to it.

        Raises:
            Problem: 404, the item is unknown; 409, another one has that place, or too many have been decided.
        """
        if self.store.item(item_id) is None:
            raise not_found("item", item_id, field="item_id")
        decided = self.item_placements.put(item_id, placement)
        self.keeper.prepare_again()
        return decided

    def delete_item(self, item_id: str) -> None:
        """Delete an item; no next answer shows it.

        Raises:
            Problem: 404.
        """
        if not self.store.delete_item(item_id):
            raise not_found("item", item_id, field="item_id")
        self.world.hide(item_id, hidden=True, gone=True)
        self.item_placements.forget(item_id)
        self.keeper.prepare_again()
        self.keeper.want_another()

    def put_user(self, user_id: str, attributes_json: str, attributes: Mapping[str, Any]) -> None:
        """Write a user; the next answer knows their attributes."""
        self.put_users([(user_id, attributes_json, attributes)])

    def put_users(self, users: Sequence[tuple[str, str, Mapping[str, Any]]]) -> None:
        """Write users, each an id, attributes as JSON, and the attributes; the next answers know them."""
        ids, texts = [user[0] for user in users], [user[1] for user in users]
        with self.keeper.changing_users() as world:
            self.store.write_users(pl.DataFrame({"id": ids, "attributes": texts}))
            for user_id, _, attributes in users:
                number = self.store.user_number(user_id)
                assert number is not None
                world.people.add(number, user_id, attributes)

    def erase_user(self, user_id: str) -> int:
        """Erase a user with everything known of them.

        Returns:
            Events that are gone.

        Raises:
            Problem: 404.
        """
        with self.keeper.changing_users() as world:
            gone = self.store.erase_user(user_id)
            if gone is None:
                raise not_found("user", user_id, field="user_id")
            world.people.forget(user_id)
            self.weights.forget(user_id)
        return gone

    def take_back(self, seqs: Sequence[int], *, forget: bool = True) -> int:
        """Take events back.

        Args:
            seqs: Their arrival numbers.
            forget: Wait until answers no longer know them; False where others take their place.

        Returns:
            How many there were.
        """
        if not forget:
            with self.keeper.changing_users():
                return self.store.delete_events(seqs)
        gone = self.store.delete_events(seqs)
        if gone:
            self.keeper.wait_for_items(anew=True)
        return gone
