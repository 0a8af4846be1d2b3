"""Texts become questions: tokens are hidden, and second halves are exchanged.

Shape suffixes: N texts, L tokens.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor

MASKED_PERCENT: Final = 15
IGNORED: Final = -100
"""Label of tokens and pairs that are not asked."""
_SENTENCE_END: Final = re.compile(r"(?<=[.!?\u2026\u3002\uff01\uff1f])\s+")


def segments_of(row: Mapping[str, Any]) -> list[str]:
    """The title, the sentences of the description, and categories with tags: what may be cut apart into a pair.

    Args:
        row: A row of the store's items; fields may be absent or None.

    Example:
        >>> segments_of({"title": "Alien", "description": "A ship. No one hears.", "tags": ["space"]})
        ['Alien', 'A ship.', 'No one hears.', 'space']
    """
    title, description = (" ".join(str(row.get(name) or "").split()) for name in ("title", "description"))
    words = ", ".join(str(word) for name in ("categories", "tags") for word in row.get(name) or () if word)
    return [one for one in (title, *_SENTENCE_END.split(description), words) if one]


def mask_tokens(
    tokens_NL: Tensor, *, special_NL: Tensor, mask_token: int, num_tokens: int, generator: torch.Generator | None = None
) -> tuple[Tensor, Tensor]:
    """Hide 15 % of the tokens, at least one of each text that has any.

    Of the hidden ones 80 % become the mask token, 10 % a random token, 10 % stay, so that every token has to be
    understood and not only masks.

    Args:
        tokens_NL: int64.
        special_NL: bool, padding and tokens that frame a text; never hidden.
        mask_token: Number of the mask token.
        num_tokens: Size of the vocabulary.
        generator: Of the draws; torch's global one where None.

    Returns:
        Tokens with some hidden, and labels: the true token where hidden, else `IGNORED`. Both int64 [N, L].

    Source: Devlin et al. 2019, "BERT". We differ by the one token at least: short titles would often ask nothing.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> special = torch.tensor([[True, False, False, True]])
        >>> masked, labels = mask_tokens(torch.tensor([[2, 7, 8, 3]]), special_NL=special, mask_token=4, num_tokens=9)
        >>> int((labels != IGNORED).sum())
        1
    """
    draws_NL = torch.rand(tokens_NL.shape, generator=generator).masked_fill(special_NL, 2.0)
    wanted_N1 = (((~special_NL).sum(1, keepdim=True) * MASKED_PERCENT + 49) // 100).clamp(min=1)
    hidden_NL = (draws_NL.argsort(1).argsort(1) < wanted_N1) & ~special_NL
    labels_NL = tokens_NL.masked_fill(~hidden_NL, IGNORED)
    fate_NL = torch.rand(tokens_NL.shape, generator=generator)
    random_NL = torch.randint(num_tokens, tokens_NL.shape, generator=generator)
    masked_NL = torch.where(hidden_NL & (fate_NL < 0.8), torch.full_like(tokens_NL, mask_token), tokens_NL)
    return torch.where(hidden_NL & (fate_NL >= 0.9), random_NL, masked_NL), labels_NL


def pair_halves(
    segments: Sequence[Sequence[str]], rows: Sequence[int], *, generator: torch.Generator | None = None
) -> tuple[list[str], list[str], Tensor]:
    """Cut each text in two at one of its seams; half of the second parts come from another text.

    A seam behind the title asks whether a description belongs to a title, one inside the description whether a sentence
    follows another.

    Args:
        segments: By item, from `segments_of`.
        rows: N items that are asked.
        generator: Of the draws; torch's global one where None.

    Returns:
        First parts, second parts, and int64 [N] labels as BERT has them: 0 follows, 1 is from another item. A text
        without a seam stays whole, with an empty second part and the label `IGNORED`.
    """
    firsts, seconds, labels = [], [], []
    for row in rows:
        if len(segments[row]) < 2:
            firsts.append(" ".join(segments[row]))
            seconds.append("")
            labels.append(IGNORED)
            continue
        cut = 1 + _draw(len(segments[row]) - 1, generator)
        source, other = segments[row][cut:], _draw(len(segments), generator)
        swapped = _draw(2, generator) == 1 and other != row and len(segments[other]) > 1
        if swapped:
            source = segments[other][1 + _draw(len(segments[other]) - 1, generator) :]
        firsts.append(" ".join(segments[row][:cut]))
        seconds.append(" ".join(source))
        labels.append(int(swapped))
    return firsts, seconds, torch.tensor(labels)


def _draw(below: int, generator: torch.Generator | None) -> int:
    return int(torch.randint(below, (1,), generator=generator))
