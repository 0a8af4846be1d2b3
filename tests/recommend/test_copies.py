"""Copies of one clip in slates."""

import numpy as np
import pytest
from small_world import NOW, POPULARITY, history, removed_adds_up, world_catalogue, world_scorer

from kinema.errors import StaleArtifactError
from kinema.recommend.pipeline import Recommender
from kinema.schema import Request

COPIES = np.array([-1, 7, -1, 7, -1, 7])


def recommender(copies=COPIES, **parts):
    return Recommender(
        catalogue=world_catalogue(), now_ms=lambda: NOW, copies_V=copies, **(parts or {"scorer": world_scorer()})
    )


def ids(slate):
    return [item.id for item in slate.items]


def step(slate):
    return next(one for one in slate.trace if one.stage == "copies")


def test_a_slate_shows_the_first_ranked_of_each_group():
    plain = ids(recommender(None).recommend(Request("u", 5), history=history(0)))
    slate = recommender().recommend(Request("u", 5), history=history(0))
    assert len(plain) == 5
    assert len(set(ids(slate)) & {"v1", "v3", "v5"}) == 1
    assert set(ids(slate)) >= {"v2", "v4"}
    assert step(slate).detail["removed"] == {"copies of one above": 2}
    assert removed_adds_up(slate.trace)


def test_the_shorter_slate_says_why():
    slate = recommender().recommend(Request("u", 5), history=history(0))
    assert "only 3 of 5 items: of the others 1 seen, 2 copies" in slate.notice


def test_copies_of_what_was_watched_do_not_come_back():
    slate = recommender().recommend(Request("u", 5), history=history(3))
    assert not set(ids(slate)) & {"v1", "v3", "v5"}
    assert step(slate).detail["removed"] == {"copies of what was shown": 2}


def test_an_unknown_user_gets_no_copies_either():
    slate = recommender(popularity_V=POPULARITY).recommend(Request("u", 6))
    assert ids(slate)[0] == "v3"
    assert not set(ids(slate)) & {"v1", "v5"}


def test_similar_items_are_one_of_each_group_and_fill_the_answer():
    slate = recommender().similar("v0", 3)
    assert len(slate.items) == 3
    assert len(set(ids(slate)) & {"v1", "v3", "v5"}) == 1
    assert removed_adds_up(slate.trace)


def test_copies_of_the_item_asked_about_are_left_out():
    slate = recommender().similar("v1", 5)
    assert set(ids(slate)) == {"v0", "v2", "v4"}
    assert step(slate).detail["removed"] == {"copies of what was shown": 2}
    assert slate.notice == "only 3 of 5 items: of the others 2 copies"


@pytest.mark.parametrize("copies", [None, np.full(6, -1)])
def test_without_groups_nothing_changes(copies):
    slate = recommender(copies).recommend(Request("u", 5), history=history(0))
    assert "copies" not in [one.stage for one in slate.trace]
    assert len(slate.items) == 5


def test_groups_of_another_catalogue_are_refused():
    with pytest.raises(
        StaleArtifactError, match=r"groups of copies must have one number per item of the catalogue \(6\)"
    ):
        recommender(np.array([0, 0]))
