"""What a store must do with events and slates that a service writes together; part of `kinema.testing.service_conformance`."""

from dataclasses import replace
from pathlib import Path

import polars as pl

from kinema.errors import DataError
from kinema.schema import Event, EventKind
from kinema.store.protocols import WriteCounts
from kinema.store.service_protocols import LoggedSlate, ServiceStore
from kinema.testing.store_conformance import some_events


def some_slate(
    its_id: str = "s1", *, user: str = "u1", timestamp_ms: int = 1000, scenario: str = "home"
) -> LoggedSlate:
    """A slate of two items.

    Example:
        >>> some_slate().items
        ('a', 'ü/2')
    """
    return LoggedSlate(
        id=its_id,
        user=user,
        timestamp_ms=timestamp_ms,
        scenario=scenario,
        variant="b",
        model_version="flm-7",
        items=("a", "ü/2"),
        propensities=(1.0, 1 / 3),
        context={"device": "tv"},
    )


class ServedConformance:
    """See the module docstring."""

    def open_store(self, place: Path) -> ServiceStore:
        """Open the store kept in a folder of the test's own."""
        raise NotImplementedError

    def test_events_and_slates_are_written_together(self, tmp_path: Path) -> None:
        """As one by one: new users are made, what is known changes nothing, an event of an unknown item is set aside."""
        store = self.open_store(tmp_path)
        store.write_items(pl.DataFrame({"id": ["a", "b"]}))
        click = Event("u1", "a", 1000, EventKind.CLICK, id="e1", slate_id="s1", position=0, context={"tv": 1})
        watch = Event("ü", "b", 2000, EventKind.WATCH, value=0.5, watch_ms=7, session_id="s")
        before = store.changes.read()
        assert store.write_served([click, watch], [some_slate()]) == WriteCounts(new=2)
        assert store.changes.read()[0] > before[0]
        assert store.write_served([click, replace(watch, user="u1")], [some_slate()]) == WriteCounts(new=1, known=1)
        store.write_served([], [some_slate("s2")])
        assert store.user_events("u1") == [click, replace(watch, user="u1")]
        assert store.slates()["id"].to_list() == ["s1", "s2"]
        unknown, other = replace(click, item="z", id="e2"), replace(click, id="e3")
        assert store.write_served([unknown, other], [some_slate("s3")]) == WriteCounts(new=1, rejected=1)
        assert store.write_served([unknown], [], create_items=True) == WriteCounts(new=1)
        assert store.slate("s3") == some_slate("s3")
        assert store.write_events(some_events(user=["u1", "x", "ü"], item=["a", "b", "z"])).new == 3
        assert [user.id for _, user in store.user_page()] == ["u1", "ü", "x"]
        store.erase_user("ü")
        store.delete_item("b")
        assert store.write_served([watch], []) == WriteCounts(rejected=1)
        assert store.write_served([replace(watch, item="a")], []) == WriteCounts(new=1)
        assert [user.id for _, user in store.user_page()] == ["u1", "x", "ü"]
        for wrong in (replace(click, id="e" * 257), replace(click, user="u" * 257, id="")):
            try:
                store.write_served([wrong], [some_slate("s4")])
            except DataError as error:
                assert "id must have 1 to 256 characters, has 257" in str(error)  # noqa: PT017 (runs without pytest too)
            else:
                raise AssertionError("an id that is too long was kept")
        store.close()
