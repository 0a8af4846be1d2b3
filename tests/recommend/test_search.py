"""Questions in words and by vectors on the catalogue of six clips."""

import json
import re

import numpy as np
import pytest
from pydantic_core import to_jsonable_python
from small_world import (
    NOW,
    NUM_ITEMS,
    history,
    removed_adds_up,
    world_catalogue,
    world_content,
    world_items,
    world_scorer,
)

from kinema.errors import DataError
from kinema.recommend.parts import Parts
from kinema.recommend.scenario import Condition
from kinema.recommend.search import PICTURES, WEIGHTS, Question, search
from kinema.recommend.search_reasons import SearchIndex, quotation
from kinema.retrieval.content_search import Bridge, SearchSpace
from kinema.retrieval.popularity import DAY_MS
from kinema.schema import Item

ANIMALS = {"text": np.float32([1, 0, 0])}


def parts(items=None, scorer=None, copies=None):
    return Parts.of(
        catalogue=world_catalogue(items),
        scorer=scorer or world_scorer(),
        content=None,
        memory=None,
        popularity_V=None,
        segments=None,
        fresh_days=14,
        copies_V=copies,
    )


def index(items=None, *, vectors=True, bridges=()):
    items = world_items() if items is None else items
    texts = {"title": [one.title for one in items], "tags": [" ".join(one.categories) for one in items]}
    spaces = {name: SearchSpace.plain(rows) for name, rows in world_content().items()} if vectors else {}
    return SearchIndex.of(texts, [one.id for one in items], spaces=spaces, bridges=bridges)


def ask(text="", *, on=None, at=None, now_ms=NOW, past=None, **question):
    return search(at or parts(), on or index(), Question(text, **question), now_ms=now_ms, history=past)


def test_the_weights_of_a_question_are_used_and_told():
    found = ask("otters", vectors=ANIMALS, weights={**WEIGHTS, "text": 0.5, "words": 2.0})
    assert found.weights == {"words": 2.0, "text": 0.5}
    bridge = Bridge.shared(Sea(), np.float32([[1, 0]] * NUM_ITEMS))
    assert ask("sea", on=index(bridges=[bridge]), weights={**WEIGHTS, PICTURES: 2.0}).weights["look"] == 1.2


class Sea:
    def encode_texts(self, texts):
        return np.float32([[1, 0]] * len(texts))


def test_an_answer_has_one_of_the_copies_of_a_clip_and_names_the_others():
    plain = ask(vectors=ANIMALS, likened="the clip", num_items=3)
    first, second = ids(plain)[:2]
    copies = np.full(NUM_ITEMS, -1)
    copies[[int(first[1:]), int(second[1:])]] = 4
    found = ask(vectors=ANIMALS, likened="the clip", num_items=3, at=parts(copies=copies))
    assert ids(found)[0] == first
    assert second not in ids(found)
    assert len(found.items) == 3
    assert found.items[0].evidence["copies"] == [second]
    assert "copies" not in found.items[1].evidence
    assert removed_adds_up(found.trace)
    short = ask(vectors=ANIMALS, likened="the clip", num_items=NUM_ITEMS, at=parts(copies=copies))
    assert "1 copies" in short.notice
    asked_for = ask(second, at=parts(copies=copies))
    assert ids(asked_for)[0] == second


def test_copies_of_what_was_seen_are_left_out_with_it():
    copies = np.full(NUM_ITEMS, -1)
    copies[[0, 1]] = 4
    found = ask(vectors=ANIMALS, user="u", past=history(0), hide_seen=True, at=parts(copies=copies))
    assert not {"v0", "v1"} & set(ids(found))


def ids(found):
    return [item.id for item in found.items]


def test_words_and_meaning_are_added_and_the_parts_sum_to_the_score():
    found = ask("otters", vectors=ANIMALS)
    assert set(ids(found)[:3]) == {"v0", "v1", "v5"}
    assert found.weights == {"words": 1.0, "text": 1.0}
    for item in found.items:
        assert sum(item.parts.values()) == pytest.approx(item.score)
    assert found.items[0].why.startswith("has 'otters' in its title")
    assert found.items[0].evidence["words"] == {"otters": {"word": "otters", "spelling": "exact", "field": "title"}}
    assert removed_adds_up(found.trace)


def test_a_word_nobody_used_is_answered_by_meaning_and_this_is_said():
    found = ask("beavers", vectors=ANIMALS)
    assert ids(found)[0] == "v0"
    assert "no item has any of these words: nearest by meaning" in found.notice
    assert "words" not in found.weights


def test_without_vectors_only_items_with_the_words_are_found():
    assert set(ids(ask("otters", on=index(vectors=False)))) == {"v0", "v1", "v5"}
    nothing = ask("beavers", on=index(vectors=False))
    assert (nothing.items, nothing.notice) == ((), "nothing matches 'beavers'")
    assert removed_adds_up(nothing.trace)


def test_a_misspelt_and_an_unknown_word_are_told():
    notice = ask("otters oters zzzz").notice
    assert "no item has 'zzzz'" in notice
    assert "'oters' was read as 'otters'" in notice


def test_signs_alone_are_answered_by_meaning():
    assert "no item can be found by signs alone: nearest by meaning" in ask("?!", vectors=ANIMALS).notice


@pytest.mark.parametrize("name", ["Sea waves", "sea WAVES!", "v2"])
def test_who_asks_by_title_or_id_gets_that_item_first_whatever_their_taste(name):
    found = ask(name, vectors=ANIMALS, user="u", user_weight=1.0, past=history(1, 3))
    assert ids(found)[0] == "v2"
    assert found.items[0].why.startswith("is called so")


def test_taste_lifts_what_the_user_likes_among_equal_answers():
    places = {}
    for watched in (2, 3):
        found = ask("otters", user="u", past=history(watched))
        places[watched] = ids(found)
        assert found.user_weight == 0.2
        assert found.items[0].parts.keys() == {"words", "taste"}
    assert places[2].index("v0") < places[2].index("v1")
    assert places[3].index("v1") < places[3].index("v0")


@pytest.mark.parametrize(
    ("past", "notice"),
    [(None, "user 'u' is unknown: taste plays no part"), (history(), "nothing is known about user 'u': taste plays")],
)
def test_a_user_without_a_past_gets_the_answer_of_everybody(past, notice):
    found = ask("otters", user="u", past=past)
    assert notice in found.notice
    assert found.user_weight == 0
    assert ids(found) == ids(ask("otters"))


def test_without_a_model_taste_plays_no_part():
    bare = Parts.of(
        catalogue=world_catalogue(),
        scorer=None,
        content={},
        memory=None,
        popularity_V=None,
        segments=None,
        fresh_days=1,
    )
    assert (
        "no model yet: taste plays no part; run: kinema pretrain"
        in ask("otters", at=bare, user="u", past=history(0)).notice
    )


def test_hidden_and_unpublished_items_never_appear_not_even_by_name():
    items = world_items()
    items[0] = Item("v0", title="Otters swim", hidden=True)
    for text in ("Otters swim", "v0", "v5", "otters"):
        found = ask(text, on=index(items), at=parts(items), vectors=ANIMALS, now_ms=0)
        assert not {"v0", "v5"} & set(ids(found))
        assert removed_adds_up(found.trace)


def test_a_picture_finds_what_looks_like_it_and_text_narrows_it_down():
    blue = {"frames": np.float32([1, 0, 0])}
    found = ask(vectors=blue, likened="the picture")
    assert ids(found)[:2] == ["v0", "v2"]
    assert "looks like the picture" in found.items[0].why
    assert "v4" not in ids(found)
    assert ids(ask("waves", vectors=blue, likened="the picture"))[0] == "v2"


def test_frames_and_motion_of_a_clip_are_weighed():
    found = ask(vectors={"frames": np.float32([1, 0, 0]), "motion": np.float32([1, 0.3, 0])}, likened="the clip")
    assert found.weights == {"frames": 1.0, "motion": 0.5}
    assert ids(found)[0] == "v2"


def bridge(rows):
    return Bridge.class_names(lambda texts: np.float32([[1, 0] for _ in texts]), np.float32(rows))


def test_words_find_a_picture_that_nobody_has_described():
    seen = bridge([[0, 1], [0, 1], [0, 1], [0, 1], [1, 0], [0, 1]])
    found = ask("zebra", on=index(bridges=(seen,)))
    assert ids(found)[0] == "v4"
    assert found.items[0].why == "looks like the words, by the names of what is recognised in the picture"
    assert found.bridges == ("by the names of what is recognised in the picture",)
    assert found.weights == {"class_names": 0.3}


def test_a_picture_counts_more_for_an_item_without_text():
    both = bridge([[1, 0], [0, 1], [0, 1], [0, 1], [1, 0], [0, 1]])
    found = ask("zebra", on=index(bridges=(both,)), vectors={"text": np.float32([0, 1, 0])})
    added = {item.id: item.parts["class_names"] for item in found.items}
    assert added["v4"] == pytest.approx(added["v0"] * 0.7 / 0.3)


def test_filters_leave_out_and_count():
    found = ask("otters", vectors=ANIMALS, only=Condition(categories=("NATURE",), published_since_ms=99 * DAY_MS))
    assert ids(found) == ["v5"]
    assert "only 1 of 10 items: of the others 2 of another category, 3 published before" in found.notice
    assert removed_adds_up(found.trace)
    assert "v0" not in ids(ask("otters", user="u", past=history(0), hide_seen=True))
    assert "v0" in ids(ask("otters", user="u", past=history(0)))


def test_an_answer_may_be_of_one_language_and_length_alone():
    items = [
        Item("w0", title="Otters", language="en-GB", duration_ms=5_000),
        Item("w1", title="Otters", language="en", duration_ms=60_000),
        Item("w2", title="Otters", language="de", duration_ms=5_000),
        Item("w3", title="Otters", language="en"),
        *[Item(f"x{number}", title="Kites") for number in range(NUM_ITEMS - 4)],
    ]
    asked = {"on": index(items, vectors=False), "at": parts(items)}
    assert ids(ask("otters", only=Condition(languages=("en",)), **asked)) == ["w0", "w1", "w3"]
    assert ids(ask("otters", only=Condition(max_duration_ms=5_000), **asked)) == ["w0", "w2"]
    found = ask("otters", only=Condition(languages=("EN",), min_duration_ms=5_001), **asked)
    assert ids(found) == ["w1"]
    assert "of the others 3 in another language, 2 of another length" in found.notice
    assert removed_adds_up(found.trace)


def test_equal_scores_go_to_the_lower_number():
    items = [Item(f"w{number}", title="Same words here") for number in range(NUM_ITEMS)]
    runs = {tuple(ids(ask("same", on=index(items, vectors=False), at=parts(items), num_items=3))) for _ in range(3)}
    assert runs == {("w0", "w1", "w2")}


def test_the_answer_is_json():
    assert json.loads(json.dumps(to_jsonable_python(ask("otters", vectors=ANIMALS))))["items"][0]["parts"]["words"] > 0


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ({"text": "  "}, "a search needs words, a picture or a clip; the text is empty"),
        ({"text": "a" * 1001}, "search text must have at most 1,000 characters, has 1,001; shorten it"),
        ({"text": "a", "num_items": 0}, r"num_items must be a whole number in 1..1000, got 0 in the search for 'a'"),
        ({"text": "a", "user_weight": 1.5}, r"user_weight must be in \[0, 1\], got 1.5 in the search for 'a'"),
        (
            {"text": "a", "only": Condition(categories=("natur",))},
            "unknown category 'natur', did you mean 'nature'[?] known: nature, sport",
        ),
        ({"text": "a", "only": Condition(categories=("zzz",))}, "unknown category 'zzz'; known: nature, sport, water"),
        ({"text": "a", "only": Condition(languages=("xx",))}, "unknown language 'xx'; known: none"),
    ],
)
def test_a_question_without_an_answer_is_refused(question, message):
    with pytest.raises(DataError, match=message):
        ask(**question)


@pytest.mark.parametrize(
    ("text", "words", "quoted"),
    [
        ("short and sweet", ["sweet"], "short and sweet"),
        ("a " * 100 + "Winter, river." + " b" * 100, ["river", "winter"], r"\.\.\. a( a)+ Winter, river\.( b)+ \.\.\."),
        ("nothing of it", ["river", "cold"], "river cold"),
        ("", ["river"], "river"),
        ("x" * 500 + " river", ["river"], r"(\.\.\. )?(x{500} )?river"),
    ],
)
def test_a_quotation_is_where_most_words_stand_together(text, words, quoted):
    assert re.fullmatch(quoted, quotation(text, words))


def test_what_is_said_is_quoted_and_shares_the_scale_of_the_titles():
    said = SearchIndex.of(
        {
            "title": [one.title for one in world_items()],
            "transcript": ["", "The river is cold."] + [""] * (NUM_ITEMS - 2),
        },
        [one.id for one in world_items()],
        spaces={
            "text": SearchSpace.plain(np.float32([[0.1, 1], [0.11, 1], [0.09, 1], [0.1, 1.01], [0.1, 1], [0.12, 1]])),
            "transcript": SearchSpace.plain(np.float32([[0, 0], [1, 0.1], [0.2, 1], [0, 0], [0, 0], [0, 0]])),
        },
    )
    query = np.float32([1, 0])
    found = ask("rivers", on=said, vectors={"text": query, "transcript": query})
    first = found.items[0]
    assert first.id == "v1"
    assert first.why.startswith(("said in the clip: 'The river is cold.'", "what is said in the clip is among"))
    assert "said in the clip: 'The river is cold.'" in first.why
    assert first.evidence["words"]["rivers"] == {"word": "river", "spelling": "ending", "field": "transcript"}
    assert all(abs(one.parts["text"]) < 0.5 for one in found.items)
    assert (
        "among the nearest in meaning"
        in ask("frost", on=said, vectors={"transcript": query, "text": query}).items[0].why
    )
