"""Items like one item."""

import numpy as np
import pytest
from small_world import (
    NOW,
    POPULARITY,
    removed_adds_up,
    world_catalogue,
    world_content,
    world_items,
    world_scorer,
)

from kinema.errors import DataError
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.pipeline import Recommender
from kinema.schema import Item


def ids(slate):
    return [item.id for item in slate.items]


def with_model():
    return Recommender(catalogue=world_catalogue(), scorer=world_scorer(), now_ms=lambda: NOW)


def without_model(content=None):
    return Recommender(catalogue=world_catalogue(), content=content, popularity_V=POPULARITY, now_ms=lambda: NOW)


@pytest.mark.parametrize(("modality", "nearest"), [("text", "v1"), ("frames", "v2"), ("motion", "v2")])
def test_each_modality_has_its_own_nearest_item(modality, nearest):
    slate = with_model().similar("v0", 2, modality=modality)
    assert ids(slate)[0] == nearest
    assert slate.items[0].sources == (modality,)


def test_content_and_behaviour_count_half_each():
    scorer = world_scorer()
    slate = with_model().similar("v0", 5)
    behaviour = scorer.item_vectors_VD @ scorer.item_vectors_VD[0]
    content = scorer.content_joint_VD @ scorer.content_joint_VD[0]
    assert [item.score for item in slate.items] == pytest.approx(sorted(((behaviour + content) / 2)[1:], reverse=True))
    assert slate.items[0].sources == ("content+flm",)


def test_the_item_itself_and_excluded_items_stay_out():
    assert set(ids(with_model().similar("v0", 10, exclude=["v1"]))) == {"v2", "v3", "v4", "v5"}


def test_hidden_and_unpublished_items_stay_out_but_may_be_asked_about():
    items = world_items()
    items[0] = Item("v0", title="Otters swim", hidden=True)
    recommender = Recommender(catalogue=world_catalogue(items), scorer=world_scorer(), now_ms=lambda: 0)
    assert set(ids(recommender.similar("v0", 10))) == {"v1", "v2", "v3", "v4"}
    assert "v0" not in ids(recommender.similar("v1", 10))


def test_the_reason_names_the_item_asked_about():
    first = with_model().similar("v0", 1, modality="frames").items[0]
    assert first.reason == "looks like 'Otters swim'"
    assert first.evidence["item"] == "v0"


def test_the_trace_adds_up_and_a_short_answer_is_told():
    slate = with_model().similar("v0", 7)
    assert removed_adds_up(slate.trace)
    assert (slate.user, slate.notice) == ("", "only 5 of 7 items: there are no more")


def test_without_a_model_content_answers():
    slate = without_model(world_content()).similar("v0", 1)
    assert ids(slate) == ["v5"]
    assert "run: kinema pretrain" in slate.notice


def test_copies_of_one_clip_come_first_and_look_alike():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(12, 6)).astype(np.float32)
    rows[:8] = rows[0] + 0.02 * rng.normal(size=(8, 6))
    catalogue = Catalogue.of([Item(f"c{n}") for n in range(12)])
    recommender = Recommender(catalogue=catalogue, content={"frames": rows})
    for number in range(8):
        slate = recommender.similar(f"c{number}", 7)
        assert set(ids(slate)) == {f"c{n}" for n in range(8)} - {f"c{number}"}
        assert all(item.reason == f"looks like 'c{number}'" for item in slate.items)


def test_an_item_of_which_nothing_is_known_gets_its_category_and_says_so():
    slate = without_model({"text": np.zeros((6, 2), dtype=np.float32)}).similar("v0", 3)
    assert ids(slate) == ["v2", "v1", "v5"]
    assert "nothing is known about 'v0': popular items of its category first" in slate.notice


def test_without_a_category_what_is_popular_answers():
    assert ids(without_model().similar("v4", 2)) == ["v3", "v0"]


def test_an_unknown_item_is_answered_with_close_ones():
    with pytest.raises(DataError, match=r"unknown item 'v55', did you mean 'v5' \(Otters new\)\?"):
        with_model().similar("v55")


@pytest.mark.parametrize(
    ("modality", "message"),
    [
        ("frame", r"unknown modality 'frame', did you mean 'frames'\? known: text, frames, motion"),
        ("zzz", "unknown modality 'zzz'; known: text, frames, motion"),
        ("motion", "item 'v5' must have motion to be compared by it; it has: text, frames; run: kinema extract"),
    ],
)
def test_a_modality_that_cannot_be_compared_is_refused(modality, message):
    with pytest.raises(DataError, match=message):
        with_model().similar("v5", modality=modality)


def test_the_length_is_checked():
    with pytest.raises(DataError, match=r"num_items must be a whole number in 1..1000, got 0 in the question what is"):
        with_model().similar("v0", 0)
