import numpy as np

from kinema.recommend.people import People
from kinema.store.histories import Histories


def people(**more):
    return People(["ann", "bob"], Histories.from_lists([[2, 0], [1]], num_items=4), **more)


def test_a_user_of_the_reading_has_the_history_of_the_reading():
    assert people().history("ann").items.tolist() == [2, 0]


def test_a_user_nobody_knows_has_no_number_and_no_history():
    assert people().number("eve") is None
    assert people().history("eve") is None
    assert people().profile("eve") is None


def test_an_event_is_at_the_end_of_the_history_at_once():
    known = people()
    assert known.record(0, 3, timestamp_ms=9).tolist() == [2, 0]
    assert known.history("ann").items.tolist() == [2, 0, 3]


def test_an_item_that_was_watched_before_changes_nothing():
    known = people()
    assert known.record(0, 2, timestamp_ms=9) is None
    assert known.history("ann").items.tolist() == [2, 0]


def test_an_event_that_arrives_late_takes_its_place_by_time():
    known = people()
    known.record(0, 3, timestamp_ms=100)
    assert known.record(0, 1, timestamp_ms=50).tolist() == [2, 0]
    assert known.history("ann").items.tolist() == [2, 0, 1, 3]


def test_who_comes_later_is_known_by_number_and_profile():
    known = people(profiles_UP=np.eye(2, dtype=np.float32), read_profile=lambda given: np.float32([given["age"], 0]))
    known.add(3, "eve", {"age": 7})
    assert known.number("eve") == 3
    assert len(known) == 4
    assert known.profile("eve").tolist() == [7, 0]
    assert known.profiles().tolist() == [[1, 0], [0, 1], [0, 0], [7, 0]]
    assert known.history("eve").items.tolist() == []
    known.record(3, 1, timestamp_ms=1)
    assert known.history("eve").items.tolist() == [1]


def test_the_snapshot_has_everyone_as_they_are_now():
    known = people()
    known.record(0, 3, timestamp_ms=9)
    known.add(2, "eve")
    known.record(2, 1, timestamp_ms=5)
    ids, histories = known.snapshot()
    assert ids == ["ann", "bob", "eve"]
    assert [histories.of(row).tolist() for row in range(3)] == [[2, 0, 3], [1], [1]]
    assert histories.timestamps_ms.tolist() == [0, 1, 9, 0, 5]


def test_the_snapshot_without_changes_is_the_reading_itself():
    known = people()
    assert known.snapshot()[1] is known._base


def test_who_is_forgotten_leaves_nothing_behind():
    known = people(disliked={0: ["v1"]})
    known.record(0, 3, timestamp_ms=9)
    known.forget("ann")
    assert known.number("ann") is None
    assert known.disliked("ann") == ()
    assert known.snapshot()[1].of(0).tolist() == []


def test_a_dislike_holds_until_it_is_taken_back():
    known = people(disliked={0: ["v1"]})
    known.dislike(0, "v2")
    assert known.disliked("ann") == ("v1", "v2")
    known.like_again(0, "v1")
    assert known.disliked("ann") == ("v2",)
