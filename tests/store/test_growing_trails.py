import numpy as np
import polars as pl

from kinema.schema import EventKind
from kinema.store.growing_trails import GrowingTrails
from kinema.store.trails import pack_trails

KINDS = [EventKind.CLICK, EventKind.LIKE]


def log(rows):
    columns = {"user": pl.Int32, "item": pl.Int32, "timestamp_ms": pl.Int64, "kind": pl.String}
    return pl.DataFrame(rows, schema=columns, orient="row")


def asked(trails, users, moments):
    users_N, moments_N = np.array(users), np.array(moments, dtype=np.int64)
    ends_N = trails.ends_before(users_N, moments_N)
    places_NL, there_NL = trails.newest(users_N, ends_N, length=4)
    read = [
        [(int(trails.items_E[place]), trails.kinds[trails.kinds_E[place]]) for place in places[there]]
        for places, there in zip(places_NL, there_NL, strict=True)
    ]
    return read, (ends_N - trails.starts(users_N)).tolist()


def test_trails_that_grew_answer_like_trails_that_were_packed_with_everything():
    random = np.random.default_rng(0)
    rows = [
        (
            int(random.integers(6)),
            int(random.integers(40)),
            int(random.integers(1000)),
            str(random.choice(["click", "like"])),
        )
        for _ in range(300)
    ]
    grown = GrowingTrails(pack_trails(log(rows[:120]), kinds=KINDS, num_users=5))
    for user, item, moment, kind in rows[120:]:
        grown.add(user, item, kind=kind, timestamp_ms=moment)
    packed = pack_trails(log(rows), kinds=KINDS, num_users=6)
    users = list(range(6)) * 3
    moments = [0] * 6 + [500] * 6 + [2000] * 6
    assert asked(grown, users, moments) == asked(packed, users, moments)


def test_an_event_that_arrives_late_takes_its_place_by_time():
    trails = GrowingTrails(pack_trails(log([(0, 1, 10, "click"), (0, 2, 30, "click")]), kinds=KINDS, num_users=1))
    trails.add(0, 3, kind="like", timestamp_ms=20)
    assert asked(trails, [0], [99])[0] == [[(1, "click"), (3, "like"), (2, "click")]]


def test_kinds_that_trails_are_not_of_are_passed_over():
    trails = GrowingTrails(pack_trails(log([]), kinds=KINDS, num_users=1))
    trails.add(0, 3, kind="impression", timestamp_ms=20)
    assert asked(trails, [0], [99]) == ([[]], [0])


def test_users_who_were_not_there_are_known_from_their_first_event():
    trails = GrowingTrails(pack_trails(log([(0, 1, 10, "click")]), kinds=KINDS, num_users=1))
    assert asked(trails, [7], [99]) == ([[]], [0])
    trails.add(7, 4, kind="click", timestamp_ms=5)
    assert asked(trails, [7, 0], [99, 99])[0] == [[(4, "click")], [(1, "click")]]
    assert trails.num_users >= 8
