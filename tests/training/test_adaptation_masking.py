"""Hidden tokens and exchanged halves."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kinema.training.adaptation.masking import IGNORED, mask_tokens, pair_halves, segments_of

SEGMENTS = [["a", "b", "c"], ["d", "e"], ["f"], ["g", "h"]]


@given(st.lists(st.integers(1, 60), min_size=1, max_size=5), st.integers(0, 2**31))
def test_of_every_text_15_percent_are_asked_and_nothing_else_is_touched(lengths, seed):
    width = max(lengths) + 2
    places = torch.arange(width)[None]
    special = (places == 0) | (places > torch.tensor(lengths)[:, None])
    tokens = torch.full((len(lengths), width), 50).masked_fill(special, 2)
    draws = torch.Generator().manual_seed(seed)
    masked, labels = mask_tokens(tokens, special_NL=special, mask_token=4, num_tokens=99, generator=draws)
    asked = labels != IGNORED
    assert asked.sum(1).tolist() == [max(1, (15 * one + 49) // 100) for one in lengths]
    assert not (asked & special).any()
    assert torch.equal(labels[asked], tokens[asked])
    assert torch.equal(masked[~asked], tokens[~asked])


def test_hidden_tokens_are_mostly_masks_some_random_some_left():
    tokens = torch.full((200, 100), 50)
    draws = torch.Generator().manual_seed(0)
    masked, labels = mask_tokens(
        tokens, special_NL=torch.zeros_like(tokens, dtype=torch.bool), mask_token=4, num_tokens=10_000, generator=draws
    )
    asked = masked[labels != IGNORED]
    assert (asked == 4).float().mean() == pytest.approx(0.8, abs=0.03)
    assert (asked == 50).float().mean() == pytest.approx(0.1, abs=0.03)


def test_half_of_the_second_parts_come_from_another_item():
    torch.manual_seed(0)
    firsts, seconds, labels = pair_halves(SEGMENTS, [0] * 400)
    seams = {("a", "b c"), ("a b", "c")}
    for first, second, label in zip(firsts, seconds, labels.tolist(), strict=True):
        assert ((first, second) in seams) == (label == 0)
        assert label == 0 or second in {"e", "h"}
    # Half of the draws, less those that met the item itself or one without a seam.
    assert labels.float().mean() == pytest.approx(0.25, abs=0.06)


def test_a_text_without_a_seam_is_not_asked():
    assert [part[0] for part in pair_halves(SEGMENTS, [2])] == ["f", "", IGNORED]


@pytest.mark.parametrize(
    ("row", "segments"),
    [
        (
            {"title": " A  b ", "description": "One. Two!\nThree", "categories": ["c"], "tags": ["d", None]},
            ["A b", "One.", "Two!", "Three", "c, d"],
        ),
        ({"title": "t", "description": None, "categories": None}, ["t"]),
        ({}, []),
    ],
)
def test_texts_are_cut_at_sentences(row, segments):
    assert segments_of(row) == segments
