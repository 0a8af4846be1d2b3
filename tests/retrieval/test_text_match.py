"""Words of a query against titles, tags and descriptions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.retrieval.text_match import WordIndex, is_one_edit, words_of

TITLES = ["Otters in the river", "The river bank", "The bank of 2021", "Café Zürich", "The kitchen"]


def shares(query, **fields):
    return WordIndex.of(fields or {"title": TITLES}).find(query).shares_V


def test_a_rare_word_finds_its_item_and_no_other():
    assert np.flatnonzero(shares("otters")).tolist() == [0]


def test_a_word_that_many_items_have_counts_less_than_a_rare_one():
    assert np.argsort(-shares("the otters"))[0] == 0


def test_a_longer_match_of_the_query_counts_more():
    found = shares("river bank")
    assert found[1] > max(found[0], found[2]) > found[4] == 0


def test_the_title_says_more_than_tags_and_these_more_than_the_description():
    blank = ["", "", ""]
    found = shares("otter", title=["otter", *blank[:2]], tags=["", "otter", ""], description=["", "", "otter"])
    assert found[0] > found[1] > found[2] > 0


def test_case_accents_and_punctuation_do_not_matter():
    assert shares("CAFE, zurich!")[3] == pytest.approx(shares("Café Zürich")[3])


@pytest.mark.parametrize(
    ("query", "spelling"), [("otters", "exact"), ("otter", "ending"), ("kitch", "beginning"), ("ktichen", "typo")]
)
def test_spellings_are_forgiven_and_told(query, spelling):
    found = WordIndex.of({"title": TITLES}).find(query)
    assert list(found.variants[query].values()) == [spelling]
    assert found.misspelt == ({"ktichen": "kitchen"} if spelling == "typo" else {})
    assert found.shares_V.max() > 0


def test_numbers_are_taken_as_they_are():
    assert not shares("2022").any()
    assert np.flatnonzero(shares("2021")).tolist() == [2]


def test_a_word_that_is_known_is_not_taken_for_another():
    index = WordIndex.of({"title": ["a house", "a mouse"]})
    assert np.flatnonzero(index.find("house").shares_V).tolist() == [0]


def test_unknown_words_are_named_and_lower_the_share():
    index = WordIndex.of({"title": TITLES})
    found = index.find("otters xylophone")
    assert found.unknown == ["xylophone"]
    assert found.shares_V[0] < index.find("otters").shares_V[0]


def test_chinese_is_found_without_spaces():
    assert np.flatnonzero(shares("西湖", title=["夏天的西湖很美", "湖西路"])).tolist() == [0]


def test_signs_alone_and_an_empty_catalogue_find_nothing():
    assert not shares("?! ...").any()
    assert WordIndex.of({"title": []}).find("otter").shares_V.shape == (0,)
    assert not WordIndex.of({"title": ["", ""]}).find("otter").shares_V.any()


WORD = st.text("abc", min_size=4, max_size=7)


@settings(deadline=None)
@given(WORD, st.lists(WORD, min_size=1, max_size=12))
def test_comparing_halves_misses_no_word_one_edit_away(word, others):
    index = WordIndex.of({"title": others})
    assert index._one_letter_off(word) == sorted(one for one in set(others) if is_one_edit(word, one))


@settings(deadline=None)
@given(WORD, WORD)
def test_being_one_edit_away_goes_both_ways(left, right):
    assert is_one_edit(left, right) == is_one_edit(right, left)


def test_letters_of_other_shapes_are_read_as_plain_ones():
    assert words_of("\U0001d56c\U0001d51f \uff21") == ["ab", "a"]


@settings(deadline=None)
@given(st.text(max_size=30))
def test_words_are_the_same_when_read_again(text):
    plain = [word for word in words_of(text) if word.isascii()]
    assert words_of(" ".join(plain)) == plain
