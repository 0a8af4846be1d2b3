"""What a store must do for a running service, as tests that any implementation can be run through.

Used like `kinema.testing.store_conformance`, beside it:

    class TestMyStore(StoreConformance, ServiceConformance):
        def open_store(self, place):
            return MyStore.open(place / "store")
"""

import json
from dataclasses import replace
from pathlib import Path

import polars as pl

from kinema.errors import ConflictError, DataError
from kinema.schema import Event, EventKind, Item, Reject, User
from kinema.store.protocols import SourceMark, WriteCounts
from kinema.store.service_protocols import Arrival, LoggedSlate, ServiceStore, StoreState
from kinema.testing.served_conformance import ServedConformance, some_slate
from kinema.testing.store_conformance import some_events


class ServiceConformance(ServedConformance):
    """The guarantees of `kinema.store.service_protocols`, one test each."""

    def open_store(self, place: Path) -> ServiceStore:
        """Open the store kept in a folder of the test's own."""
        raise NotImplementedError

    def test_the_state_of_a_new_store(self, tmp_path: Path) -> None:
        """Before the first event."""
        store = self.open_store(tmp_path)
        assert store.state() == StoreState(seq=-1, items=0, users=0, documents=0)
        assert store.events_after(-1) == []
        assert (store.item_page(), store.user_page(), store.documents("keys")) == ([], [], [])
        assert store.slates().height == 0
        store.close()

    def test_each_number_of_the_state_grows_with_its_kind_alone(self, tmp_path: Path) -> None:
        """What changes nothing raises nothing."""
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["a", "b"]}))
        store.write_users(pl.DataFrame({"id": ["u1", "u2"]}))
        made = store.state()
        assert made == StoreState(seq=-1, items=1, users=1, documents=0)
        store.write_events(some_events())
        logged = store.state()
        assert logged == StoreState(seq=2, items=1, users=1, documents=0)
        store.write_events(some_events())
        store.write_items(pl.DataFrame({"id": ["a", "b"]}))
        store.write_slates([some_slate()])
        store.set_meta("x", 1)
        assert store.state() == logged
        store.put_document("keys", "k", {})
        assert store.state() == StoreState(seq=2, items=1, users=1, documents=1)
        store.write_events(some_events(user="new", timestamp_ms=[7, 8, 9]))
        assert store.state() == StoreState(seq=5, items=1, users=1, documents=1)
        store.close()

    def test_events_come_in_the_order_of_their_arrival(self, tmp_path: Path) -> None:
        """Behind a number, as many as asked for; ``seq`` goes on from there."""
        store = self.open_store(tmp_path)
        store.write_events(some_events(slate_id="s1", position=[0, 1, 2]), create_items=True)
        store.write_events(some_events(kind="watch", watch_ms=5, value=0.5))
        every = store.events_after(-1)
        numbers = [event.seq for event in every]
        assert numbers == sorted(numbers)
        assert [event.timestamp_ms for event in every] == [3000, 1000, 2000] * 2
        assert every[1] == Arrival(numbers[1], 1, 1, 1000, "click", slate_id="s1", position=1)
        assert every[3] == Arrival(numbers[3], 0, 0, 3000, "watch", value=0.5, watch_ms=5)
        assert numbers[-1] <= store.state().seq
        assert store.events_after(numbers[1], limit=2) == every[2:4]
        assert store.events_after(store.state().seq) == []
        store.close()

    def test_pages_go_through_all_items_and_users(self, tmp_path: Path) -> None:
        """By number; removed ones are left out."""
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["a", "b", "c", "d"], "title": ["A", "B", "C", "D"]}))
        store.write_users(pl.DataFrame({"id": ["u", "v", "w"]}))
        store.delete_item("b")
        store.erase_user("u")
        assert store.item_page(limit=2) == [(0, Item("a", title="A")), (2, Item("c", title="C"))]
        assert store.item_page(after=2, limit=2) == [(3, Item("d", title="D"))]
        assert store.user_page() == [(1, User("v")), (2, User("w"))]
        assert store.user_page(after=2) == []
        assert (store.user_page(part="W"), store.user_page(part="_")) == ([(2, User("w"))], [])
        store.close()

    def test_a_deleted_item_keeps_its_number_and_nothing_else(self, tmp_path: Path) -> None:
        """Nor is it found by its id."""
        store = self.open_store(tmp_path)
        full = {"id": ["a"], "title": ["A"], "tags": [["x"]], "media_path": ["a.mp4"], "duration_ms": [5]}
        store.write_items(pl.DataFrame(full).with_columns(attributes=pl.lit('{"secret": 1}')))
        store.write_items(pl.DataFrame({"id": ["b"]}))
        before = store.version()
        assert store.delete_item("a") is True
        assert store.delete_item("a") is False
        assert store.delete_item("nothing") is False
        assert (store.item("a"), store.item_number("a"), store.removed_items()) == (None, None, [0])
        row = store.items().row(0, named=True)
        assert (row["num"], row["title"], row["tags"], row["hidden"]) == (0, "", [], True)
        assert (row["media_path"], row["duration_ms"], row["attributes"]) == (None, None, "{}")
        assert store.media()["media_path"].to_list() == [None, None]
        assert store.size() == (0, 2)
        assert store.summary().num_items == 1
        assert store.version() == before + 1
        store.close()

    def test_a_deleted_item_comes_back_under_its_number(self, tmp_path: Path) -> None:
        """With what is written then, and not hidden; new items go on counting."""
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["a", "b"], "title": ["A", "B"]}))
        store.delete_item("a")
        again = pl.DataFrame({"id": ["c", "a"], "description": ["C", "back"]})
        assert store.write_items(again) == WriteCounts(new=2)
        assert store.item("a") == Item("a", description="back")
        assert [store.item_number(one) for one in "abc"] == [0, 1, 2]
        store.delete_item("b")
        store.write_events(some_events(item=["b", "a", "d"]), create_items=True)
        assert store.item("b") == Item("b")
        assert store.items()["id"].to_list() == ["a", "b", "c", "d"]
        assert store.items()["hidden"].to_list() == [False] * 4
        store.close()

    def test_events_of_a_deleted_item_are_set_aside(self, tmp_path: Path) -> None:
        """Those logged before stay."""
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["a", "b"]}))
        store.write_events(some_events())
        store.delete_item("a")
        assert store.write_events(some_events(kind="like")) == WriteCounts(new=1, rejected=2)
        assert store.events()["item"].to_list() == [0, 0, 1, 1]
        assert [event.item for event in store.user_events("u1")] == ["a", "b", "b"]
        store.close()

    def test_an_erased_user_leaves_nothing(self, tmp_path: Path) -> None:
        """No events, slates, attributes or id; the others keep theirs."""
        store = self.open_store(tmp_path)
        store.write_users(pl.DataFrame({"id": ["u1", "u2"], "attributes": ['{"age": 30}', "{}"]}))
        store.write_events(some_events(), create_items=True)
        store.write_slates([some_slate("s1"), some_slate("s2", user="u2"), some_slate("s3", user="")])
        seq = store.state().seq
        assert store.erase_user("u1") == 2
        assert store.erase_user("u1") is None
        assert (store.user("u1"), store.user_number("u1"), store.user_events("u1")) == (None, None, [])
        assert store.events()["user"].to_list() == [1]
        assert (store.slate("s1"), store.user_slates("u1")) == (None, [])
        assert store.slates()["id"].to_list() == ["s2", "s3"]
        row = store.users().row(0, named=True)
        assert (row["num"], row["attributes"]) == (0, "{}")
        assert "u1" not in row["id"]
        assert (store.size(), store.summary().num_users, store.summary().num_events) == ((2, 2), 1, 1)
        assert store.state() == StoreState(seq=seq, items=1, users=store.state().users, documents=0)
        store.close()

    def test_an_erased_user_who_comes_again_is_new(self, tmp_path: Path) -> None:
        """Under a new number."""
        store = self.open_store(tmp_path)
        store.write_events(some_events(), create_items=True)
        store.erase_user("u1")
        store.write_events(some_events())
        assert [store.user_number(one) for one in ("u1", "u2")] == [2, 1]
        assert [event.item for event in store.user_events("u1")] == ["a", "b"]
        store.close()

    def test_rows_of_an_erased_user_that_were_set_aside_are_gone(self, tmp_path: Path) -> None:
        """Whole ids are compared: another user's rows stay."""
        store = self.open_store(tmp_path)
        store.write_events(some_events(user=["u_1", "u_12", "U_1"]), create_items=True)
        rows = [
            Reject("event", "log.csv", 1 + n, "bad time", f"x,{user},9")
            for n, user in enumerate(("u_1", "u_12", "U_1", "ux1"))
        ]
        store.write_users(pl.DataFrame({"id": ["v"]}), mark=SourceMark("k", "log.csv", 9), rejects=rows)
        store.erase_user("u_1")
        assert [one.raw for one in store.rejects()] == ["x,u_12,9", "x,U_1,9", "x,ux1,9"]
        store.close()

    def test_slates_of_an_unknown_user_are_erased_too(self, tmp_path: Path) -> None:
        """Slates are shown to users whom no event has named yet."""
        store = self.open_store(tmp_path)
        store.write_slates([some_slate(user="visitor")])
        assert store.erase_user("visitor") == 0
        assert store.slate("s1") is None
        store.close()

    def test_another_opening_sees_what_was_removed(self, tmp_path: Path) -> None:
        """Also where it has looked up many ids before."""
        one, other = self.open_store(tmp_path), self.open_store(tmp_path)
        size = 1500
        log = pl.DataFrame(
            {
                "user": [f"u{n}" for n in range(size)],
                "item": [f"i{n}" for n in range(size)],
                "timestamp_ms": 1,
                "kind": "like",
            }
        )
        other.write_events(log, create_items=True)
        one.delete_item("i7")
        one.delete_item("i8")
        one.erase_user("u9")
        one.write_items(pl.DataFrame({"id": ["i8"]}))
        assert other.item("i7") is None
        assert other.user("u9") is None
        assert other.write_events(log.with_columns(kind=pl.lit("click"))) == WriteCounts(new=size - 1, rejected=1)
        assert (other.user_number("u9"), one.item_number("i8")) == (size, 8)
        assert other.write_items(log.select(id="item")) == WriteCounts(new=1, known=size - 1)
        assert one.item_number("i7") == 7
        assert one.items()["num"].to_list() == list(range(size))
        assert one.users()["num"].to_list() == list(range(size + 1))
        one.close()
        other.close()

    def test_every_field_of_a_slate_comes_back(self, tmp_path: Path) -> None:
        """Once: the id that is logged already stands."""
        store = self.open_store(tmp_path)
        store.write_slates([some_slate()])
        store.write_slates([some_slate(user="other"), some_slate("guest", user="", timestamp_ms=7)])
        store.write_slates([])
        assert store.slate("s1") == some_slate()
        assert store.slate("guest") == some_slate("guest", user="", timestamp_ms=7)
        assert store.slate("nothing") is None
        plain = LoggedSlate("p", "u1", 2000, "search", "", "", (), ())
        store.write_slates([plain])
        assert store.slate("p") == plain
        assert store.user_slates("u1") == [some_slate(), plain]
        assert store.user_slates("u1", limit=1) == [plain]
        store.close()

    def test_slates_are_read_from_a_moment_on(self, tmp_path: Path) -> None:
        """Oldest first, of all placements or of one."""
        store = self.open_store(tmp_path)
        store.write_slates(
            [some_slate(f"s{n}", timestamp_ms=100 - n, scenario="home" if n % 2 else "related") for n in range(4)]
        )
        assert store.slates()["id"].to_list() == ["s3", "s2", "s1", "s0"]
        assert store.slates(since_ms=99, scenario="home")["id"].to_list() == ["s1"]
        row = store.slates(since_ms=100).row(0, named=True)
        assert (row["user"], row["variant"], row["model_version"]) == ("u1", "b", "flm-7")
        assert (row["items"], row["propensities"]) == (["a", "ü/2"], [1.0, 1 / 3])
        assert store.slates(since_ms=101).columns == store.slates().columns
        store.close()

    def test_documents_come_back_by_room_and_key(self, tmp_path: Path) -> None:
        """Each with its version; keys that differ by case or accent are two."""
        store = self.open_store(tmp_path)
        value = {"a": [1, None, {"b": "ü 影"}], "long": "x" * 100_000}
        assert store.put_document("keys", "k", value) == 1
        assert store.put_document("keys", "K", {}) == 1
        assert store.put_document("keys", "é", {}) == 1
        assert store.put_document("media", "k", {"other": True}) == 1
        assert store.put_document("keys", "k", value | {"more": 1}) == 2
        found = store.document("keys", "k")
        assert found is not None
        assert (found.room, found.key, found.version) == ("keys", "k", 2)
        assert found.value == value | {"more": 1}
        assert found.updated_ms > 1_600_000_000_000
        assert [one.key for one in store.documents("keys")] == ["K", "k", "é"]
        assert store.delete_document("keys", "k") is True
        assert store.delete_document("keys", "k") is False
        assert store.document("keys", "k") is None
        assert store.state().documents == 6
        store.close()

    def test_a_document_that_has_changed_is_not_written_over(self, tmp_path: Path) -> None:
        """Version 0 stands for a new one."""
        store = self.open_store(tmp_path)
        assert store.put_document("keys", "k", {"n": 1}, expected=0) == 1
        assert store.put_document("keys", "k", {"n": 2}, expected=1) == 2
        for expected in (0, 1, 3):
            try:
                store.put_document("keys", "k", {"n": 9}, expected=expected)
            except ConflictError as error:
                wanted = f"document 'keys/k' must be at version {expected}, is at 2; read it again"
                assert str(error) == wanted  # noqa: PT017 (runs without pytest too)
            else:
                raise AssertionError("a document must not be written over a change")
        found = store.document("keys", "k")
        assert found is not None
        assert found.value == {"n": 2}
        store.close()

    def test_a_document_must_have_names_and_be_json(self, tmp_path: Path) -> None:
        """Nothing of a refused one is kept."""
        store = self.open_store(tmp_path)
        wrong = [
            ("", "k", {}),
            ("r" * 33, "k", {}),
            ("r", "", {}),
            ("r", "k" * 201, {}),
            ("r", "k", {"x": float("nan")}),
        ]
        reasons = (
            "room must have 1 to 32",
            "room must have 1 to 32",
            "key must have 1 to 200",
            "key must have 1 to 200",
            "be a JSON object",
        )
        for (room, key, value), reason in zip(wrong, reasons, strict=True):
            try:
                store.put_document(room, key, value)
            except DataError as error:
                assert reason in str(error)  # noqa: PT017 (runs without pytest too)
            else:
                raise AssertionError(f"{room!r}, {key!r} and {json.dumps(value)} must be refused")
        assert store.state().documents == 0
        store.close()

    def test_events_are_paged_one_by_one(self, tmp_path: Path) -> None:
        """By arrival, with the ids of users and items; everybody's, or those of a user, an item, a kind."""
        store = self.open_store(tmp_path)
        store.write_events(some_events(id=["e1", "", ""], watch_ms=[5, None, None]), create_items=True)
        store.write_events(some_events(kind="like", context='{"tv": 1}'))
        pages = [store.event_page(limit=4)]
        pages.append(store.event_page(after=pages[0][-1][0], limit=4))
        assert [len(page) for page in pages] == [4, 2]
        numbers = [seq for page in pages for seq, _ in page]
        assert numbers == [event.seq for event in store.events_after(-1)]
        assert pages[0][0][1] == Event("u1", "b", 3000, EventKind.CLICK, id="e1", watch_ms=5)
        assert pages[1][-1][1] == Event("u1", "a", 2000, EventKind.LIKE, context={"tv": 1})
        chosen = store.event_page(user_id="u1", item_id="a", kinds=[EventKind.CLICK, EventKind.SHARE])
        assert [(seq, event.timestamp_ms) for seq, event in chosen] == [(numbers[2], 2000)]
        assert [event.user for _, event in store.event_page(item_id="a", after=numbers[1])] == ["u1", "u2", "u1"]
        assert store.event_page(user_id="nobody") == store.event_page(item_id="nothing") == []
        store.delete_item("a")
        assert {event.item for _, event in store.event_page()} == {"b"}
        store.close()

    def test_events_of_an_item_are_counted_by_day(self, tmp_path: Path) -> None:
        """By kind, from a moment on; of nothing where nothing is known."""
        store, day = self.open_store(tmp_path), 86_400_000
        store.write_events(some_events(timestamp_ms=[day + 1, 2 * day - 1, 2 * day]), create_items=True)
        store.write_events(some_events(timestamp_ms=[day + 1, 2 * day - 1, 2 * day], kind="like"))
        found = store.item_activity("a")
        assert found.rows() == [(1, "click", 1), (1, "like", 1), (2, "click", 1), (2, "like", 1)]
        assert store.item_activity("a", since_ms=2 * day).rows() == [(2, "click", 1), (2, "like", 1)]
        assert store.item_activity("nothing").rows() == []
        store.close()

    def test_earlier_events_of_a_user_are_read_from_a_moment_back(self, tmp_path: Path) -> None:
        """The newest before it, oldest first."""
        store = self.open_store(tmp_path)
        store.write_events(some_events(), create_items=True)
        moments = [event.timestamp_ms for event in store.user_events("u1")]
        assert [event.timestamp_ms for event in store.user_events("u1", before_ms=moments[-1])] == moments[:-1]
        assert store.user_events("u1", before_ms=moments[0]) == []
        store.close()

    def test_events_can_be_taken_back(self, tmp_path: Path) -> None:
        """Those alone; what was taken back may come again."""
        store = self.open_store(tmp_path)
        store.write_events(some_events(id=["e1", "e2", "e3"]), create_items=True)
        numbers = [event.seq for event in store.events_after(-1)]
        before = store.state()
        assert store.delete_events([numbers[0], numbers[2], 10_000]) == 2
        assert store.state() == replace(before, users=before.users + 1)
        assert [event.id for _, event in store.event_page()] == ["e2"]
        after = store.version()
        assert store.delete_events([numbers[0]]) == store.delete_events([]) == 0
        assert store.version() == after
        assert store.write_events(some_events(id=["e1", "e2", "e3"])).new == 2
        assert store.event_page()[-1][0] > numbers[2]
        store.close()
