"""Long texts in windows, and texts that fit exactly as before."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinema.encoders.text import load_text_encoder
from kinema.encoders.text_windows import MAX_WINDOWS, cut, text_windows

SENTENCE = "The cat sleeps on the warm roof of the old house. "


@pytest.fixture(scope="module")
def minilm():
    return load_text_encoder("packaged:minilm", max_tokens=32)


def words_of(text):
    places, start = [], 0
    for word in text.split():
        start = text.index(word, start)
        places.append((start, start + len(word)))
        start += len(word)
    return places


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["a", "bb.", "ccc", "d!", "ee"]), min_size=1, max_size=300), st.integers(1, 40))
def test_windows_follow_each_other_and_none_is_too_long(words, max_tokens):
    text = " ".join(words)
    windows = cut(text, words_of(text), max_tokens=max_tokens)
    assert windows[0][0] == 0
    assert all(before[1] == after[0] for before, after in itertools.pairwise(windows))
    assert all(0 < stop - start <= max_tokens for start, stop in windows)
    assert len(windows) <= MAX_WINDOWS
    assert windows[-1][1] == len(words) or len(windows) == MAX_WINDOWS


def test_windows_end_with_sentences_where_they_can():
    text = SENTENCE * 6
    windows = cut(text, words_of(text), max_tokens=25)
    assert [text[words_of(text)[stop - 1][1] - 1] for _, stop in windows] == ["."] * len(windows)


def test_a_text_that_fits_is_not_cut(minilm):
    assert text_windows(minilm._tokenizer, SENTENCE, max_tokens=30) == []
    pieces = text_windows(minilm._tokenizer, SENTENCE * 5, max_tokens=30)
    assert [window.strip()[-1] for window, _ in pieces] == ["."] * len(pieces)
    assert max(length for _, length in pieces) <= 30
    assert "".join(window for window, _ in pieces).count("cat") == 5


def test_a_text_that_fits_keeps_its_vector_bit_for_bit_beside_long_ones(minilm):
    short = ["a quiet harbour", SENTENCE, "chess"]
    long = SENTENCE * 8
    assert np.array_equal(minilm.encode([*short, long])[:3], minilm._encode([*short, long])[:3])
    assert np.array_equal(minilm.encode(short), minilm._encode(short))


def test_what_stands_at_the_end_of_a_long_text_is_read(minilm):
    end = "A rocket flies to the moon with two astronauts on board."
    cut_off = minilm._encode([SENTENCE * 8 + end])[0]
    whole = minilm.encode([SENTENCE * 8 + end])[0]
    query = minilm.encode_query_text(["space flight"])[0]
    assert np.linalg.norm(whole) == pytest.approx(1.0, abs=1e-5)
    assert query @ whole > query @ cut_off + 0.02


def test_windows_count_by_their_length(minilm):
    text = SENTENCE * 3 + "A rocket flies to the moon."
    pieces = text_windows(minilm._tokenizer, text, max_tokens=30)
    mean = sum(length * minilm.encode([window])[0] for window, length in pieces)
    assert minilm.encode([text])[0] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_a_long_text_does_not_depend_on_its_batch(minilm):
    texts = [SENTENCE * 7, "chess", "The sea. " * 60]
    alone = np.concatenate([minilm.encode([text]) for text in texts])
    assert minilm.encode(texts) == pytest.approx(alone, abs=1e-5)
