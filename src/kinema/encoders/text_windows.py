"""Long texts in windows: cut at the ends of sentences or words, so that nothing behind an encoder's length is lost."""

import math
from collections.abc import Sequence
from typing import Any, Final

MAX_WINDOWS: Final = 16
"""Windows that are read of one text; with 256 tokens each about 3,000 words. What follows is left out."""
_FILLED: Final = 0.8
_FULL_WIDTH_ENDS: Final = frozenset("\u3002\uff01\uff1f")
_ENDS: Final = frozenset(".!?\u2026") | _FULL_WIDTH_ENDS


def text_windows(tokenizer: Any, text: str, *, max_tokens: int) -> list[tuple[str, int]]:
    """Cut a text.

    Args:
        tokenizer: Of transformers, with offsets; others cannot cut.
        text: Any length.
        max_tokens: Tokens of a window without special ones, >= 1.

    Returns:
        (window, tokens in it), in order; empty where the text fits into one window.
    """
    # Every token of every tokenizer stands for at least a byte.
    if len(text.encode()) <= max_tokens or not getattr(tokenizer, "is_fast", False):
        return []
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    if len(offsets) <= max_tokens:
        return []
    return [
        (text[offsets[start][0] : offsets[stop - 1][1]], stop - start)
        for start, stop in cut(text, offsets, max_tokens=max_tokens)
    ]


def cut(text: str, offsets: Sequence[tuple[int, int]], *, max_tokens: int) -> list[tuple[int, int]]:
    """Where windows begin and end.

    They are about equally long, since a last one of two words would be read without context, and so many that each has
    some room for ending where a sentence ends.

    Args:
        text: The text.
        offsets: First character of each token, and the one behind its last.
        max_tokens: Tokens of a window, >= 1.

    Returns:
        (first token, token behind the last), at most `MAX_WINDOWS`.

    Example:
        >>> cut("One two. Three four five.", [(0, 3), (4, 7), (7, 8), (9, 14), (15, 19), (20, 24), (24, 25)], max_tokens=5)
        [(0, 3), (3, 7)]
    """
    windows: list[tuple[int, int]] = []
    start, total = 0, len(offsets)
    while start < total and len(windows) < MAX_WINDOWS:
        stop = total
        if total - start > max_tokens:
            left = math.ceil((total - start) / (_FILLED * max_tokens))
            goal = start + math.ceil((total - start) / left)
            # Not so early that the rest would need another window.
            first = max(start + 1, total - (left - 1) * max_tokens)
            stop = _border(text, offsets, range(first, min(start + max_tokens, total - 1) + 1), goal)
        windows.append((start, stop))
        start = stop
    return windows


def _border(text: str, offsets: Sequence[tuple[int, int]], places: range, goal: int) -> int:
    """The place nearest to the goal behind a sentence, else behind a word, else the goal."""
    words = [place for place in places if _gap(text, offsets, place)]
    sentences = [place for place in words if text[offsets[place - 1][1] - 1] in _ENDS]
    for found in (sentences, words):
        if found:
            return min(found, key=lambda place: abs(place - goal))
    return min(max(goal, places[0]), places[-1])


def _gap(text: str, offsets: Sequence[tuple[int, int]], place: int) -> bool:
    """Whether a token begins behind a space, or behind the end of a sentence in a script without spaces."""
    end, begin = offsets[place - 1][1], offsets[place][0]
    return text[end : begin + 1][:1].isspace() or text[end - 1] in _FULL_WIDTH_ENDS
