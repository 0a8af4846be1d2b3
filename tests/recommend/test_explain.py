"""Reasons: the words, and that they are true."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_world import NOW, NUM_ITEMS, POPULARITY, history, world_catalogue, world_content, world_memory

from kinema.recommend.evidence import ContentSpace
from kinema.recommend.explain import Explainer, likeness
from kinema.retrieval.popularity import DAY_MS


def explainer(content=None, memory=None, popularity=POPULARITY):
    chosen = world_content() if content is None else content
    spaces = [ContentSpace.of(name, rows) for name, rows in chosen.items()]
    return Explainer(world_catalogue(), spaces, memory, popularity, fresh_ms=14 * DAY_MS)


def only(name):
    return {name: world_content()[name]}


def reason(item, *watched, **parts):
    return explainer(**parts).reasons(np.array([item]), history=history(*watched), now_ms=NOW)[0]


@pytest.mark.parametrize(
    ("modality", "item", "watched", "text"),
    [
        ("text", 1, 0, "about the same subject as 'Otters swim', which you watched"),
        ("frames", 2, 0, "looks like 'Otters swim', which you watched"),
        ("motion", 3, 1, "moves like 'Otters play', which you watched"),
    ],
)
def test_likeness_is_told_by_the_modality_that_carries_it(modality, item, watched, text):
    found = reason(item, watched, content=only(modality), popularity=np.zeros(NUM_ITEMS))
    assert found.text == text
    assert found.evidence["modality"] == modality
    assert found.evidence["item"] == f"v{watched}"
    assert found.evidence["cosine"] > 0.9


def test_a_modality_without_words_of_its_own_is_named():
    assert likeness("depth", "'X'") == "close to 'X' in depth"
    assert likeness("sound", "'X'") == "sounds like 'X'"


def test_what_people_also_watched_is_told_with_the_count():
    found = reason(4, 0, memory=world_memory())
    assert found.text == "people who watched 'Otters swim' also watched this"
    assert found.evidence["kind"] == "memory"
    assert found.evidence["weight"] == 8.0


def test_without_history_the_most_watched_item_is_popular_now():
    found = reason(3)
    assert found.text == "popular now"
    assert (found.evidence["rank"], found.evidence["out_of"]) == (1, NUM_ITEMS)


def test_a_new_item_is_called_new_with_its_age():
    found = reason(5, 0, content=only("text"))
    assert found.text == "new: about the same subject as 'Otters swim', which you watched"
    assert found.evidence["days_old"] == 1.0


def test_a_new_item_with_no_other_reason_is_just_new():
    found = reason(5)
    assert (found.text, found.evidence["kind"]) == ("new here", "fresh")


def test_an_item_that_nothing_speaks_for_is_not_given_a_reason_it_does_not_have():
    found = reason(4, 3, popularity=np.zeros(NUM_ITEMS))
    assert found.text == "from the rest of the catalogue"
    assert found.evidence == {"kind": "rest"}


def test_popularity_among_people_alike_names_their_segments():
    shares = np.array([5.0, 1, 2, 10, 30, 0]) / POPULARITY.sum()
    found = explainer(content={}).reasons(
        np.array([4, 3]), history=history(), now_ms=NOW, segment=(shares, ["country=de"])
    )
    assert found[0].text == "popular with people like you"
    assert found[0].evidence["segments"] == ["country=de"]
    assert found[0].evidence["lift"] == pytest.approx(6.0)
    assert found[1].text == "popular now"


@pytest.mark.parametrize(
    ("kind", "text"), [("model", "fits what you watched lately"), ("profile", "suits your profile")]
)
def test_the_model_is_named_only_where_nothing_plainer_speaks(kind, text):
    values = np.array([0, 0, 0, 0, 9.0, 0])
    model = kind, values.__getitem__
    plain = explainer(content={}, popularity=np.zeros(NUM_ITEMS))
    assert plain.reasons(np.array([4]), history=history(3), now_ms=NOW, model=model)[0].text == text
    popular = explainer(content={}, popularity=values)
    assert popular.reasons(np.array([4]), history=history(3), now_ms=NOW, model=model)[0].text == "popular now"


def test_the_other_kinds_are_listed_with_their_strengths():
    found = reason(1, 0, 3, memory=world_memory())
    others = found.evidence["also"]
    assert others
    assert all(strength <= found.evidence["strength"] + 0.01 for strength in others.values())


@given(st.lists(st.integers(0, NUM_ITEMS - 1), max_size=4, unique=True))
def test_no_reason_ever_claims_what_the_numbers_do_not_say(watched):
    content = world_content()
    items = np.arange(NUM_ITEMS)
    found = explainer(memory=world_memory()).reasons(items, history=history(*watched), now_ms=NOW)
    for item, one in zip(items.tolist(), found, strict=True):
        kind = one.evidence["kind"]
        if kind == "content":
            rows, other = content[one.evidence["modality"]], int(one.evidence["item"][1:])
            assert rows[item].any()
            assert other in watched
            assert one.evidence["cosine"] == pytest.approx(float(rows[item] @ rows[other]), abs=1e-3)
            assert one.evidence["cosine"] == pytest.approx(max(float(rows[item] @ rows[w]) for w in watched), abs=1e-3)
            assert one.evidence["title"] in one.text
        elif kind == "memory":
            assert world_memory().counts[int(one.evidence["item"][1:]), item] == one.evidence["weight"] > 0
        elif kind == "popularity":
            assert one.evidence["rank"] == 1 + (POPULARITY[item] < POPULARITY).sum()
        assert ("days_old" in one.evidence) == (item == 5)
