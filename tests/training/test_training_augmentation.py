"""Augmentation: what may change changes, and nothing else does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse

from kinema.errors import ConfigError, DataError
from kinema.flm.memory import ItemMemory
from kinema.store.histories import Histories
from kinema.training.augmentation import (
    back_translate,
    crop_frames,
    crop_history,
    drop_words,
    flip_frames,
    light_frames,
    mask_history,
    neighbour_table,
    reorder_history,
    replace_synonyms,
    substitute_history,
    swap_words,
)

SEEDS = st.integers(0, 2**32)
SHARES = st.floats(0, 1)
TEXTS = st.lists(st.text("abcd,.", min_size=1, max_size=4), max_size=12).map(" ".join)
LENGTHS = st.integers(0, 40)
FRAMES = arrays(np.uint8, st.tuples(st.integers(1, 3), st.integers(2, 8), st.integers(2, 8), st.just(3)))


def rng(seed):
    return np.random.default_rng(seed)


def is_part(words, whole):
    rest = iter(whole)
    return all(word in rest for word in words)


@given(TEXTS, SEEDS, SHARES)
def test_words_that_are_left_keep_their_order_and_some_are_left(text, seed, share):
    words = drop_words(text, rng(seed), share=share).split()
    assert is_part(words, text.split())
    assert bool(words) == bool(text.split())
    assert drop_words(text, rng(seed), share=0.0).split() == text.split()
    assert len(drop_words(text, rng(seed), share=1.0).split()) == min(1, len(text.split()))


@given(TEXTS, SEEDS, SHARES)
def test_swapping_keeps_every_word(text, seed, share):
    assert sorted(swap_words(text, rng(seed), share=share).split()) == sorted(text.split())
    assert swap_words(text, rng(seed), share=0.0).split() == text.split()


@given(TEXTS, SEEDS, SHARES)
def test_only_words_with_synonyms_are_replaced(text, seed, share):
    table = {"a": ["x", "y"], "b": []}
    new = replace_synonyms(text, rng(seed), synonyms=table, share=share).split()
    for old, now in zip(text.split(), new, strict=True):
        assert now == old or (old.strip(",.") == "a" and now.strip(",.") in table["a"])


def test_marks_and_capitals_stay_around_a_synonym():
    table = {"whale": ["orca"], "good": ["fine"]}
    assert replace_synonyms('A (Whale)! "good', rng(0), synonyms=table, share=1.0) == 'A (Orca)! "fine'


@given(st.lists(TEXTS, max_size=8), SEEDS, SHARES)
def test_only_drawn_texts_are_translated_and_empty_translations_are_not_taken(texts, seed, share):
    asked = []

    def translate(some):
        asked.append(some)
        return ["" if text.startswith("a") else f"<{text}>" for text in some]

    found = back_translate(texts, rng(seed), translate=translate, share=share)
    assert len(found) == len(texts)
    assert len(asked) <= 1
    assert all(
        now == old or (now == f"<{old}>" and not old.startswith("a")) for old, now in zip(texts, found, strict=True)
    )
    assert sum(now != old for old, now in zip(texts, found, strict=True)) <= sum(map(len, asked))


def test_a_translation_of_another_length_is_refused():
    with pytest.raises(
        DataError, match="translation must give as many texts as it gets, gave 1 of 2; mend the callable"
    ):
        back_translate(["a", "b"], rng(0), translate=lambda some: some[:1], share=1.0)


@given(LENGTHS, SEEDS, st.floats(0.01, 1))
def test_a_crop_is_a_stretch_of_the_wanted_length(length, seed, share):
    places = crop_history(length, rng(seed), share=share)
    assert len(places) == min(length, int(np.ceil(share * length)))
    assert np.array_equal(places, np.arange(length)[places])
    assert (np.diff(places) == 1).all()


@given(LENGTHS, SEEDS, SHARES)
def test_so_many_events_are_hidden_and_not_all_below_one(length, seed, share):
    hidden = mask_history(length, rng(seed), share=share)
    assert len(hidden) == length
    assert hidden.sum() == int(share * length)
    assert share == 1 or not length or not hidden.all()


@given(LENGTHS, SEEDS, SHARES)
def test_reordering_permutes_one_stretch(length, seed, share):
    places = reorder_history(length, rng(seed), share=share)
    assert sorted(places.tolist()) == list(range(length))
    moved = np.flatnonzero(places != np.arange(length))
    assert not len(moved) or moved[-1] - moved[0] < int(share * length)


@given(st.lists(st.integers(0, 5), max_size=20), SEEDS, SHARES)
def test_substitutes_are_neighbours(items, seed, share):
    table = np.array([[1, 2, 3], [0, -1, -1], [-1, -1, -1], [4, 5, -1], [3, -1, -1], [-1, -1, -1]])
    items_L = np.array(items, dtype=np.int64)
    before = items_L.copy()
    found = substitute_history(items_L, rng(seed), neighbours_VK=table, share=share)
    assert np.array_equal(items_L, before)
    assert found.dtype == np.int64
    for old, now in zip(items, found.tolist(), strict=True):
        assert now == old or (now in table[old] and now >= 0)
    everywhere = substitute_history(items_L, rng(seed), neighbours_VK=table, share=1.0)
    assert all(now != old or table[old][0] < 0 for old, now in zip(items, everywhere.tolist(), strict=True))


def test_the_memory_of_a_log_gives_the_table():
    memory = ItemMemory.fit(Histories.from_lists([[0, 1, 2], [0, 1], [0, 1]], num_items=4), decay=0.5, echo=0.0)
    assert neighbour_table(memory.counts, num_neighbours=2).tolist() == [[1, 2], [2, -1], [-1, -1], [-1, -1]]


@given(FRAMES, SEEDS)
def test_frames_keep_their_shape_and_the_input_stays(frames, seed):
    before = frames.copy()
    for change in (flip_frames, crop_frames, light_frames):
        found = change(frames, rng(seed))
        assert (found.shape, found.dtype) == (frames.shape, np.uint8)
        assert not np.shares_memory(found, frames)
    assert np.array_equal(frames, before)


@given(FRAMES, SEEDS)
def test_frames_are_not_changed_where_nothing_is_asked_and_two_flips_are_none(frames, seed):
    assert np.array_equal(flip_frames(frames, rng(seed), chance=0.0), frames)
    assert np.array_equal(crop_frames(frames, rng(seed), smallest=1.0), frames)
    assert np.array_equal(light_frames(frames, rng(seed), strength=0.0), frames)
    once = flip_frames(frames, rng(seed), chance=1.0)
    assert np.array_equal(flip_frames(once, rng(seed), chance=1.0), frames)


@given(SEEDS)
def test_light_scales_all_frames_alike_and_stays_in_range(seed):
    frames = np.full((3, 4, 4, 3), 100, dtype=np.uint8)
    found = light_frames(frames, rng(seed), strength=0.3)
    assert len(np.unique(found)) == 1
    assert 70 <= found[0, 0, 0, 0] <= 130
    assert light_frames(np.full_like(frames, 255), rng(seed), strength=1.0).max() <= 255


def test_a_crop_shows_a_window_of_the_picture():
    ramp = np.broadcast_to(np.arange(0, 200, 10, dtype=np.uint8)[None, None, :, None], (2, 20, 20, 3)).copy()
    found = crop_frames(ramp, rng(3), smallest=0.5)
    assert np.array_equal(found[0], found[1])
    assert found.min() >= ramp.min()
    assert found.max() <= ramp.max()
    assert int(found[0, 0, -1, 0]) - int(found[0, 0, 0, 0]) < 190


def test_the_same_generator_gives_the_same_everything():
    frames = rng(0).integers(0, 256, (2, 8, 8, 3), dtype=np.uint8)
    assert drop_words("a b c d e f", rng(4), share=0.5) == drop_words("a b c d e f", rng(4), share=0.5)
    assert np.array_equal(crop_frames(frames, rng(4)), crop_frames(frames, rng(4)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: drop_words("a", rng(0), share=2), r"share of dropped words must be in \[0, 1\], is 2"),
        (lambda: swap_words("a", rng(0), share=-1), r"share of swapped words must be in \[0, 1\], is -1"),
        (
            lambda: replace_synonyms("a", rng(0), synonyms={}, share=2),
            r"share of replaced words must be in \[0, 1\], is 2",
        ),
        (
            lambda: back_translate([], rng(0), translate=list, share=2),
            r"share of translated texts must be in \[0, 1\], is 2",
        ),
        (lambda: crop_history(3, rng(0), share=0), r"share of a history that is kept must be in \(0, 1\], is 0"),
        (lambda: mask_history(3, rng(0), share=2), r"share of hidden events must be in \[0, 1\], is 2"),
        (lambda: reorder_history(3, rng(0), share=2), r"share of shuffled events must be in \[0, 1\], is 2"),
        (
            lambda: substitute_history(np.array([0]), rng(0), neighbours_VK=np.array([[0]]), share=2),
            r"share of substituted items must be in \[0, 1\], is 2",
        ),
        (lambda: neighbour_table(sparse.csr_matrix((1, 1)), num_neighbours=0), "must be >= 1, is 0; raise it"),
        (
            lambda: flip_frames(np.zeros((1, 2, 2, 3), np.uint8), rng(0), chance=2),
            r"chance of a flip must be in \[0, 1\]",
        ),
        (lambda: crop_frames(np.zeros((1, 2, 2, 3), np.uint8), rng(0), smallest=0), r"must be in \(0, 1\], is 0"),
        (lambda: light_frames(np.zeros((1, 2, 2, 3), np.uint8), rng(0), strength=2), r"must be in \[0, 1\], is 2"),
    ],
)
def test_shares_out_of_range_are_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call()


def test_items_without_a_row_and_pictures_that_are_no_frames_are_refused():
    with pytest.raises(DataError, match="must have a row in the table of 1 neighbours, item 4 has none"):
        substitute_history(np.array([0, 4]), rng(0), neighbours_VK=np.array([[-1]]), share=0.5)
    with pytest.raises(DataError, match=r"frames must be uint8 \[frames, height, width, 3\], are float64 \[2, 2, 3\]"):
        light_frames(np.zeros((2, 2, 3)), rng(0))
