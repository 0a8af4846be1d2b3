"""What every store must do, as tests that any implementation can be run through.

A back end's test module subclasses `StoreConformance` and says how a store is opened; pytest collects the rest:

    class TestMyStore(StoreConformance):
        def open_store(self, place):
            return MyStore.open(place / "store")

``open_store`` is called again with the same place where a test reopens its store.
"""

from pathlib import Path
from typing import Any

import polars as pl

from kinema.errors import DataError
from kinema.schema import EVENT_COLUMNS, ITEM_COLUMNS, Event, EventKind, Item, Reject, User
from kinema.store.protocols import SourceMark, Store, WriteCounts


def some_events(**columns: Any) -> pl.DataFrame:
    """Three events of two users and two items, out of time order; ``columns`` replace or add columns.

    Example:
        >>> some_events(kind="like")["kind"].to_list()
        ['like', 'like', 'like']
    """
    frame = pl.DataFrame(
        {"user": ["u1", "u2", "u1"], "item": ["b", "a", "a"], "timestamp_ms": [3000, 1000, 2000], "kind": "click"}
    )
    return frame.with_columns(
        **{name: pl.Series(value) if isinstance(value, list) else pl.lit(value) for name, value in columns.items()}
    )


class StoreConformance:
    """The guarantees of `kinema.store.protocols`, one test each."""

    def open_store(self, place: Path) -> Store:
        """Open the store kept in a folder of the test's own."""
        raise NotImplementedError

    def test_a_new_store_is_empty(self, tmp_path: Path) -> None:
        """No rows, no marks, no facts."""
        store = self.open_store(tmp_path)
        summary = store.summary()
        assert (summary.num_items, summary.num_users, summary.num_events, summary.num_rejects) == (0, 0, 0, 0)
        assert (summary.first_ms, summary.last_ms, summary.kinds) == (None, None, {})
        assert store.items().columns == ["num", *ITEM_COLUMNS]
        assert store.users().columns == ["num", "id", "attributes"]
        assert store.events().columns == list(EVENT_COLUMNS)
        assert store.items().height == store.users().height == store.events().height == 0
        assert store.mark("x") is None
        assert store.meta("x") is None
        assert store.user_events("nobody") == []
        assert store.item("x") is None
        assert store.user("x") is None
        assert store.item_number("x") is None
        store.close()

    def test_every_field_of_an_item_comes_back(self, tmp_path: Path) -> None:
        """Text in any script, lists, numbers, flags and attributes."""
        store = self.open_store(tmp_path)
        item = Item(
            id="ä/1",
            title="Über 'quotes' \" and 影",
            description="line\nbreak",
            categories=("a|b", "c"),
            tags=("x",),
            language="de",
            published_at=-5,
            duration_ms=61_000,
            media_path="a/b.mp4",
            hidden=True,
            attributes={"year": 1999, "cast": ["A", "B"]},
        )
        frame = pl.DataFrame(
            {
                "id": [item.id],
                "title": [item.title],
                "description": [item.description],
                "categories": [list(item.categories)],
                "tags": [list(item.tags)],
                "language": [item.language],
                "published_at": [item.published_at],
                "duration_ms": [item.duration_ms],
                "media_path": [item.media_path],
                "hidden": [item.hidden],
                "attributes": ['{"year": 1999, "cast": ["A", "B"]}'],
            }
        )
        store.write_items(frame)
        assert store.item("ä/1") == item
        row = store.items().row(0, named=True)
        assert row["categories"] == ["a|b", "c"]
        assert row["hidden"] is True
        assert row["num"] == 0
        store.close()

    def test_columns_that_are_missing_take_their_default(self, tmp_path: Path) -> None:
        """An id is enough."""
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["a"]}))
        store.write_users(pl.DataFrame({"id": ["u"]}))
        assert store.item("a") == Item("a")
        assert store.user("u") == User("u")
        assert store.items().row(0, named=True)["tags"] == []
        store.close()

    def test_numbers_are_dense_follow_first_appearance_and_never_change(self, tmp_path: Path) -> None:
        """Also when items are created by events, and after the store was opened again."""
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["c", "a"]}))
        store.write_events(some_events(item=["b", "a", "z"]), create_items=True)
        store.close()
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["d", "a", "b"]}))
        assert store.items()["id"].to_list() == ["c", "a", "b", "z", "d"]
        assert store.items()["num"].to_list() == [0, 1, 2, 3, 4]
        assert store.users()["id"].to_list() == ["u1", "u2"]
        assert [store.item_number(one) for one in ("z", "nothing")] == [3, None]
        assert [store.user_number(one) for one in ("u2", "nobody")] == [1, None]
        store.close()

    def test_ids_that_differ_by_case_accent_or_space_are_different(self, tmp_path: Path) -> None:
        """Whatever the database's order of texts; one that is too long is refused."""
        store = self.open_store(tmp_path)
        ids = ["a", "A", "á", "a\u0301", "a ", " a", "ß", "ss", "\U0001f3ac", "x" * 256, "%", "_", "\\", "'"]
        store.write_items(pl.DataFrame({"id": ids, "title": ids}))
        store.write_events(some_events(user=["u", "U", "ú"], item=["A", "á", "a"], id=["e", "E", "é"]))
        assert [store.item_number(one) for one in ids] == list(range(len(ids)))
        assert [item.title for one in ids if (item := store.item(one))] == ids
        assert store.users()["id"].to_list() == ["u", "U", "ú"]
        assert sorted(store.events(columns=["id"])["id"]) == ["E", "e", "é"]
        for write in (store.write_items, store.write_users):
            try:
                write(pl.DataFrame({"id": ["x" * 257]}))
            except DataError as error:
                assert "id must have 1 to 256 characters, has 257" in str(error)  # noqa: PT017 (runs without pytest too)
            else:
                raise AssertionError("an id that is too long must be refused")
        store.close()

    def test_a_known_item_is_replaced_column_by_column(self, tmp_path: Path) -> None:
        """A column that the frame lacks keeps its value."""
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["a"], "title": ["old"], "media_path": ["a.mp4"]}))
        counts = store.write_items(pl.DataFrame({"id": ["a", "b"], "title": ["new", "b"]}))
        assert counts == WriteCounts(new=1, known=1)
        assert store.item("a") == Item("a", title="new", media_path="a.mp4")
        store.close()

    def test_filling_sets_empty_columns_only(self, tmp_path: Path) -> None:
        """A title from a file name does not replace the owner's."""
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["a", "b"], "title": ["owner's", ""]}))
        guess = pl.DataFrame({"id": ["a", "b"], "title": ["guess", "guess"], "media_path": ["a.mp4", None]})
        store.write_items(guess, fill=True)
        assert store.item("a") == Item("a", title="owner's", media_path="a.mp4")
        assert store.item("b") == Item("b", title="guess")
        store.close()

    def test_an_id_that_occurs_again_in_a_source_is_set_aside(self, tmp_path: Path) -> None:
        """In the same frame and in a later one; in another source it replaces."""
        store = self.open_store(tmp_path)
        frame = pl.DataFrame({"id": ["a", "a"], "title": ["first", "second"], "row": [1, 2]})
        assert store.write_items(frame, mark=SourceMark("k", "items.csv", 2)).rejected == 1
        later = pl.DataFrame({"id": ["a", "b"], "title": ["third", "b"], "row": [3, 4]})
        assert store.write_items(later, mark=SourceMark("k", "items.csv", 4)) == WriteCounts(new=1, rejected=1)
        assert store.item("a") == Item("a", title="first")
        assert [(one.kind, one.file, one.row) for one in store.rejects()] == [
            ("item", "items.csv", 2),
            ("item", "items.csv", 3),
        ]
        assert "must occur once" in store.rejects()[0].reason
        other = pl.DataFrame({"id": ["a"], "title": ["other"], "row": [1]})
        assert store.write_items(other, mark=SourceMark("other", "more.csv", 1)) == WriteCounts(known=1)
        assert store.item("a") == Item("a", title="other")
        store.close()

    def test_users_are_written_like_items(self, tmp_path: Path) -> None:
        """Attributes are replaced as a whole."""
        store = self.open_store(tmp_path)
        store.write_users(pl.DataFrame({"id": ["u"], "attributes": ['{"age": 30}']}))
        assert store.write_users(pl.DataFrame({"id": ["u"], "attributes": ['{"city": "Bonn"}']})).known == 1
        assert store.user("u") == User("u", {"city": "Bonn"})
        assert store.users().row(0) == (0, "u", '{"city": "Bonn"}')
        store.close()

    def test_events_come_by_time_and_ties_by_arrival(self, tmp_path: Path) -> None:
        """Whatever order they were written in, and across writes."""
        store = self.open_store(tmp_path)
        store.write_events(some_events(timestamp_ms=[5, 1, 5]), create_items=True)
        store.write_events(some_events(timestamp_ms=[5, 5, 0], kind="like"), create_items=True)
        events = store.events()
        assert events["timestamp_ms"].to_list() == [0, 1, 5, 5, 5, 5]
        assert events["kind"].to_list() == ["like", "click", "click", "click", "like", "like"]
        assert events["user"].to_list() == [0, 1, 0, 0, 0, 1]
        assert events["item"].to_list() == [1, 1, 0, 1, 0, 1]
        store.close()

    def test_every_field_of_an_event_comes_back(self, tmp_path: Path) -> None:
        """Exactly, floats to the last bit."""
        store = self.open_store(tmp_path)
        event = Event(
            user="u",
            item="a",
            timestamp_ms=1_700_000_000_123,
            kind=EventKind.WATCH,
            id="e-1",
            value=0.1 + 0.2,
            watch_ms=1234,
            session_id="s",
            slate_id="sl",
            position=0,
            propensity=1 / 3,
            context={"device": "tv"},
        )
        row = {name: getattr(event, name) for name in EVENT_COLUMNS} | {"context": '{"device": "tv"}', "kind": "watch"}
        store.write_events(pl.DataFrame([row]), create_items=True)
        store.write_events(some_events(user="other"), create_items=True)
        assert store.user_events("u") == [event]
        read = store.events(kinds=[EventKind.WATCH]).row(0, named=True)
        assert read == row | {"user": 0, "item": 0}
        store.close()

    def test_an_event_that_is_there_already_changes_nothing(self, tmp_path: Path) -> None:
        """The same content, in the same write, a later one, or with columns that say nothing."""
        store = self.open_store(tmp_path)
        twice = pl.concat([some_events(), some_events()])
        assert store.write_events(twice, create_items=True) == WriteCounts(new=3, known=3)
        version = store.version()
        assert store.write_events(some_events().reverse()) == WriteCounts(known=3)
        empty = some_events().with_columns(watch_ms=pl.lit(None, pl.Int64), context=pl.lit("{}"), session_id=pl.lit(""))
        assert store.write_events(empty) == WriteCounts(known=3)
        assert store.version() == version
        assert store.write_events(some_events(watch_ms=5, value=4)) == WriteCounts(new=3)
        assert store.write_events(some_events(watch_ms=5.0, value=4.0)) == WriteCounts(known=3)
        store.close()

    def test_an_event_with_an_id_is_the_same_whatever_else_it_says(self, tmp_path: Path) -> None:
        """And two with different ids are two, even with the same content."""
        store = self.open_store(tmp_path)
        store.write_events(some_events(id=["1", "2", "3"]), create_items=True)
        assert store.write_events(some_events(id=["2", "4", "5"], timestamp_ms=[9, 1000, 2000])).new == 2
        assert sorted(store.events()["id"].to_list()) == ["1", "2", "3", "4", "5"]
        store.close()

    def test_events_of_unknown_items_are_set_aside_or_create_them(self, tmp_path: Path) -> None:
        """A user known from rejected rows only is not created."""
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["a"]}))
        frame = some_events(user=["new", "u2", "u1"]).with_columns(row=pl.Series([1, 2, 3]))
        mark = SourceMark("k", "log.csv", 3, done=True)
        assert store.write_events(frame, mark=mark) == WriteCounts(new=2, rejected=1)
        assert store.users()["id"].to_list() == ["u2", "u1"]
        (reject,) = store.rejects()
        assert (reject.kind, reject.file, reject.row) == ("event", "log.csv", 1)
        assert "item must be in the catalogue, is 'b'" in reject.reason
        assert store.mark("k") == SourceMark("k", "log.csv", 3, done=True, rejected=1, curable=1)
        assert store.write_events(frame, create_items=True) == WriteCounts(new=1, known=2)
        store.close()

    def test_strict_writes_nothing_at_all(self, tmp_path: Path) -> None:
        """Neither rows nor marks nor numbers."""
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["a"]}))
        version = store.version()
        try:
            store.write_events(some_events(), mark=SourceMark("k", "log.csv", 3), strict=True)
        except DataError as error:
            assert "item must be in the catalogue, is 'b'" in str(error)  # noqa: PT017 (runs without pytest too)
        else:
            raise AssertionError("a strict write must refuse an unknown item")
        assert store.summary().num_events == 0
        assert store.users().height == 0
        assert store.mark("k") is None
        assert store.version() == version
        assert store.write_events(some_events(item="a")).new == 3
        store.close()

    def test_marks_and_rejects_are_saved_with_their_rows(self, tmp_path: Path) -> None:
        """And a mark at row 0 starts the source over."""
        store = self.open_store(tmp_path)
        broken = Reject("event", "log.csv", 4, "timestamp_ms must be a time, is 'x'", "u,i,x")
        mark = SourceMark("k", "log.csv", 4, 99)
        counts = store.write_events(some_events(), mark=mark, rejects=[broken], create_items=True)
        assert counts == WriteCounts(new=3, rejected=1)
        store.close()
        store = self.open_store(tmp_path)
        assert store.mark("k") == SourceMark("k", "log.csv", 4, 99, rejected=1)
        assert store.rejects() == [broken]
        store.write_events(some_events(), mark=SourceMark("k", "log.csv", 0), create_items=True)
        assert store.rejects() == []
        assert store.mark("k") == SourceMark("k", "log.csv", 0)
        store.close()

    def test_clips_can_be_set_aside_later(self, tmp_path: Path) -> None:
        """Once each; a new reason replaces the old one."""
        store = self.open_store(tmp_path)
        clips = [Reject("clip", "a.mp4", None, "no frames"), Reject("clip", "b.mp4", None, "no frames")]
        assert store.set_aside(clips) == 2
        assert store.set_aside([Reject("clip", "b.mp4", None, "moov atom not found")]) == 0
        assert store.rejects() == [clips[0], Reject("clip", "b.mp4", None, "moov atom not found")]
        assert store.summary().num_rejects == 2
        row = Reject("event", "log.csv", 1, "bad")
        store.write_events(some_events(), mark=SourceMark("k", "log.csv", 3), rejects=[row], create_items=True)
        assert store.set_aside(clips[1:], all_of="clip") == 0
        assert store.rejects() == [clips[1], row]
        assert store.set_aside([], all_of="clip") == 0
        assert store.rejects() == [row]
        store.close()

    def test_events_can_be_chosen_by_kind_and_column(self, tmp_path: Path) -> None:
        """Columns come in the order asked for."""
        store = self.open_store(tmp_path)
        store.write_events(some_events(kind=["click", "like", "watch"]), create_items=True)
        found = store.events(kinds=[EventKind.CLICK, EventKind.WATCH], columns=["item", "kind"])
        assert found.rows() == [(1, "watch"), (0, "click")]
        assert store.events(kinds=[EventKind.SHARE]).height == 0
        assert store.events(columns=["value"])["value"].to_list() == [None, None, None]
        store.close()

    def test_the_newest_events_of_a_user_come_oldest_first(self, tmp_path: Path) -> None:
        """As many as asked for."""
        store = self.open_store(tmp_path)
        store.write_events(some_events(), create_items=True)
        assert [event.item for event in store.user_events("u1")] == ["a", "b"]
        assert [event.item for event in store.user_events("u1", limit=1)] == ["b"]
        store.close()

    def test_the_version_grows_with_content_and_with_nothing_else(self, tmp_path: Path) -> None:
        """Marks, facts, rejects and equal rows are no content."""
        store = self.open_store(tmp_path)
        versions = [store.version()]
        frame = pl.DataFrame({"id": ["a"], "title": ["A"], "tags": [["x"]]})
        store.write_items(frame)
        versions.append(store.version())
        store.write_users(pl.DataFrame({"id": ["u"]}))
        versions.append(store.version())
        store.write_events(some_events(), create_items=True)
        versions.append(store.version())
        store.write_items(frame.with_columns(title=pl.lit("B")))
        versions.append(store.version())
        assert versions == sorted(set(versions))
        store.write_items(frame.with_columns(title=pl.lit("B")), mark=SourceMark("k", "i.csv", 1, done=True))
        store.write_events(some_events())
        store.set_meta("x", {"y": 1})
        store.set_aside([Reject("clip", "a.mp4", None, "empty")])
        assert store.version() == versions[-1] == store.summary().version
        store.close()

    def test_facts_are_json(self, tmp_path: Path) -> None:
        """Replaced by key, and kept."""
        store = self.open_store(tmp_path)
        store.set_meta("x", 1)
        store.set_meta("x", {"a": [1, None, "ü"]})
        store.close()
        store = self.open_store(tmp_path)
        assert store.meta("x") == {"a": [1, None, "ü"]}
        store.close()

    def test_the_summary_counts(self, tmp_path: Path) -> None:
        """Rows, kinds and the time range."""
        store = self.open_store(tmp_path)
        store.write_events(some_events(kind=["click", "like", "click"]), create_items=True)
        summary = store.summary()
        assert (summary.num_items, summary.num_users, summary.num_events) == (2, 2, 3)
        assert (summary.first_ms, summary.last_ms) == (1000, 3000)
        assert summary.kinds == {"click": 2, "like": 1}
        store.close()

    def test_two_openings_of_one_store_agree_on_numbers(self, tmp_path: Path) -> None:
        """Each sees what the other has added before it adds."""
        one, other = self.open_store(tmp_path), self.open_store(tmp_path)
        one.write_events(some_events(item=["a", "b", "c"]), create_items=True)
        other.write_events(some_events(item=["c", "d", "a"], kind="like"), create_items=True)
        one.write_events(some_events(item=["d", "e", "a"], kind="share"), create_items=True)
        assert one.items()["id"].to_list() == ["a", "b", "c", "d", "e"]
        assert other.events(kinds=[EventKind.SHARE], columns=["item"])["item"].to_list() == [4, 0, 3]
        one.close()
        other.close()
