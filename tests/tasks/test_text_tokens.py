"""Tokens are made once; every example is in one part of a batch, beside others of its length."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given
from hypothesis import strategies as st

from kinema.errors import ConfigError, DataError
from kinema.tasks.text_tokens import label_texts, parts_by_length
from tiny_encoders import save_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(folder)
    return transformers.BertTokenizer.from_pretrained(folder)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=40), st.integers(1, 9))
def test_every_place_is_in_one_part_and_parts_do_not_overlap_in_length(lengths, size):
    lengths_B = np.array(lengths)
    parts = parts_by_length(lengths_B, size)
    assert sorted(np.concatenate(parts).tolist()) == list(range(len(lengths)))
    assert max(len(part) for part in parts) <= size
    for one, other in pairwise(parts):
        assert lengths_B[one].max() <= lengths_B[other].min()


def test_a_batch_is_what_the_tokenizer_pads(tokenizer):
    firsts, seconds = ["ak al", "ak", "bk bl bm"], ["bk", "ck cl cm", "xa"]
    texts = label_texts(tokenizer, firsts, seconds, [0, 1, 2])
    rows = [2, 0]
    expected = tokenizer(
        [firsts[row] for row in rows], [seconds[row] for row in rows], padding=True, return_tensors="pt"
    )
    assert all(torch.equal(one, expected[name]) for name, one in texts.batch(np.array(rows)).items())
    assert texts.lengths_N.tolist() == [6, 7, 7]
    assert len(texts) == 3


def test_single_texts_have_no_second_kind_and_long_ones_are_cut(tokenizer):
    texts = label_texts(tokenizer, ["ak " * 50, ""], None, [0, 0], max_tokens=10)
    assert texts.lengths_N.tolist() == [10, 2]
    assert texts.kinds_T is None or not texts.kinds_T.any()


def test_tables_that_do_not_fit_are_refused(tokenizer):
    with pytest.raises(DataError, match="as many of each and at least one, are 2 firsts, 1 seconds, 2 labels"):
        label_texts(tokenizer, ["ak", "al"], ["am"], [0, 1])
    with pytest.raises(DataError, match="are 0 firsts, 0 seconds, 0 labels; check the table"):
        label_texts(tokenizer, [], None, [])
    with pytest.raises(DataError, match="label must be >= 0, is -1 at text 1; number the classes from 0"):
        label_texts(tokenizer, ["ak", "al"], None, [0, -1])
    with pytest.raises(ConfigError, match="max_tokens of texts must be >= 8, is 3; raise it"):
        label_texts(tokenizer, ["ak"], None, [0], max_tokens=3)
