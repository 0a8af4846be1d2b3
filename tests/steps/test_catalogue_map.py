import numpy as np
import pytest

from kinema.steps import catalogue_map
from kinema.steps.catalogue_map import MOST_ITEMS, MapDesk
from kinema.steps.map_worker import draw


def clusters(num, *, groups=3, width=16, seed=0):
    """Unit rows in groups that lie far apart, and the group of each."""
    noise = np.random.default_rng(seed)
    group_V = np.arange(num) % groups
    rows_VD = noise.normal(size=(groups, width))[group_V] + 0.1 * noise.normal(size=(num, width))
    return (rows_VD / np.linalg.norm(rows_VD, axis=1, keepdims=True)).astype(np.float32), group_V


def names(num):
    return [f"v{number}" for number in range(num)]


def plain(vectors_SD, seed):
    return vectors_SD[:, :2].copy()


def read(desk, *given):
    """The map once it is there."""
    first = desk.read(*given)
    desk.wait(60)
    return first.state, desk.read(*given)


def test_what_is_alike_lies_together():
    vectors, group = clusters(60)
    plane = draw(vectors, seed=0)
    apart = np.linalg.norm(plane[:, None] - plane[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    assert (group[apart.argmin(axis=1)] == group).all()
    assert np.abs(plane).max() == pytest.approx(1.0)


def test_the_same_seed_draws_the_same_map():
    vectors, _ = clusters(40)
    assert np.array_equal(draw(vectors, seed=3), draw(vectors, seed=3))


@pytest.mark.parametrize("num", [0, 1, 2, 7, 8])
def test_few_items_have_a_map_too(num):
    plane = draw(clusters(num)[0], seed=0)
    assert plane.shape == (num, 2)
    assert np.isfinite(plane).all()


def test_a_map_is_drawn_once_in_a_process_of_its_own_and_kept(tmp_path):
    vectors, _ = clusters(12)
    state, found = read(MapDesk(tmp_path, seed=0), "one", names(12), vectors)
    assert (state, found.state, found.numbers.tolist()) == ("computing", "ready", list(range(12)))
    assert np.array_equal(found.plane_S2, draw(vectors, seed=0))

    def never(*_):
        raise AssertionError("it is there")

    again = MapDesk(tmp_path, seed=0, draw=never).read("one", names(12), vectors)
    assert np.array_equal(again.plane_S2, found.plane_S2)


def test_a_large_catalogue_is_mapped_by_a_sample(tmp_path):
    vectors, _ = clusters(100_000, width=4)
    vectors[7] = 0
    _, found = read(MapDesk(tmp_path, seed=0, draw=plain), "one", names(100_000), vectors)
    assert len(found.numbers) == MOST_ITEMS
    assert 7 not in found.numbers
    assert (np.diff(found.numbers) > 0).all()
    _, other = read(MapDesk(tmp_path / "other", seed=0, draw=plain), "one", names(100_000), vectors)
    assert np.array_equal(found.numbers, other.numbers)


def test_items_that_came_later_lie_beside_those_they_are_like(tmp_path):
    vectors, group = clusters(33)
    desk = MapDesk(tmp_path, seed=0)
    read(desk, "one", names(30), vectors[:30])
    found = desk.read("one", names(33), vectors)
    assert found.numbers.tolist() == list(range(33))
    apart = np.linalg.norm(found.plane_S2[30:, None] - found.plane_S2[None, :30], axis=2)
    assert (group[:30][apart.argmin(axis=1)] == group[30:]).all()
    gone = desk.read("one", ["v0", "w", *names(33)[2:]], vectors)
    assert gone.numbers.tolist() == [0, *range(2, 33)]


def test_a_map_that_cannot_be_drawn_says_why_and_is_not_tried_at_once_again(tmp_path):
    tried = []

    def broken(*_):
        tried.append(1)
        raise ValueError("no")

    desk = MapDesk(tmp_path, seed=0, draw=broken)
    _, found = read(desk, "one", names(9), clusters(9)[0])
    assert (found.state, found.trouble, len(tried)) == ("failed", "ValueError", 1)
    assert desk.read("two", names(9), clusters(9)[0]).state == "computing"
    desk.wait(60)


def test_a_damaged_map_is_drawn_again(tmp_path):
    vectors, _ = clusters(9)
    read(MapDesk(tmp_path, seed=0, draw=plain), "one", names(9), vectors)
    (tmp_path / "map" / "one" / "items.json").write_text("[")
    state, found = read(MapDesk(tmp_path, seed=0, draw=plain), "one", names(9), vectors)
    assert (state, found.state) == ("computing", "ready")


def test_only_the_newest_maps_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(catalogue_map, "MOST_MAPS", 2)
    desk = MapDesk(tmp_path, seed=0, draw=plain)
    for version in ("one", "two", "three"):
        read(desk, version, names(9), clusters(9)[0])
    assert sorted(path.name for path in (tmp_path / "map").iterdir() if path.is_dir()) == ["three", "two"]
