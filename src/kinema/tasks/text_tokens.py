"""Texts of a task, split into tokens once and padded batch by batch.

Shape suffixes: N texts or pairs, B of them in a batch, L tokens, T tokens of all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kinema.errors import ConfigError, DataError


@dataclass(frozen=True)
class LabelledTexts:
    """Tokens of texts with their labels.

    Attributes:
        tokens_T: int32, tokens of all texts, one after the other.
        kinds_T: uint8, 0 in the first and 1 in the second text of a pair; None where the encoder does not ask.
        offsets_N1: int64 [N + 1], where each text begins.
        labels_N: int64, number of the class.
        pad_token: What fills up a row.
    """

    tokens_T: NDArray[np.int32]
    kinds_T: NDArray[np.uint8] | None
    offsets_N1: NDArray[np.int64]
    labels_N: NDArray[np.int64]
    pad_token: int

    def __len__(self) -> int:
        return len(self.labels_N)

    @property
    def lengths_N(self) -> NDArray[np.int64]:  # noqa: N802  # a shape suffix
        """Tokens of each."""
        return np.diff(self.offsets_N1)

    def batch(self, rows_B: NDArray[np.int64]) -> dict[str, Tensor]:
        """Some of them as encoders of transformers take them, as long as the longest.

        Args:
            rows_B: Their numbers.

        Returns:
            ``input_ids``, ``attention_mask`` and, where the encoder asks, ``token_type_ids``; int64 [B, L].
        """
        lengths_B = self.lengths_N[rows_B]
        places_BL = np.arange(int(lengths_B.max(initial=1)))
        seen_BL = places_BL < lengths_B[:, None]
        at_BL = np.where(seen_BL, self.offsets_N1[rows_B][:, None] + places_BL, 0)
        tokens_BL = np.where(seen_BL, self.tokens_T[at_BL], self.pad_token).astype(np.int64)
        found = {"input_ids": torch.from_numpy(tokens_BL), "attention_mask": torch.from_numpy(seen_BL.astype(np.int64))}
        if self.kinds_T is not None:
            found["token_type_ids"] = torch.from_numpy(np.where(seen_BL, self.kinds_T[at_BL], 0).astype(np.int64))
        return found


def label_texts(
    tokenizer: Any,
    firsts: Sequence[str],
    seconds: Sequence[str] | None,
    labels: Sequence[int] | NDArray[np.integer],
    *,
    max_tokens: int = 128,
) -> LabelledTexts:
    """Split texts into tokens.

    Args:
        tokenizer: Of transformers.
        firsts: N texts, or the first ones of pairs.
        seconds: The second ones; None for single texts.
        labels: N numbers of classes, from 0.
        max_tokens: Longer ones are cut, the longer text of a pair first; >= 8.

    Returns:
        The tokens.

    Raises:
        DataError: There are no texts, or not as many of one as of the others, or a label is negative.
        ConfigError: ``max_tokens`` is too small.

    Source: pairs as in Devlin et al. 2019, "BERT": [CLS] first [SEP] second [SEP], told apart by their kind.
    """
    labels_N = np.asarray(labels, dtype=np.int64)
    counts = {"firsts": len(firsts), "seconds": len(firsts if seconds is None else seconds), "labels": len(labels_N)}
    if not len(firsts) or len(set(counts.values())) > 1:
        told = ", ".join(f"{count} {name}" for name, count in counts.items())
        raise DataError(f"texts and labels must be as many of each and at least one, are {told}; check the table")
    if labels_N.min() < 0:
        place = int(labels_N.argmin())
        raise DataError(f"label must be >= 0, is {labels_N[place]} at text {place}; number the classes from 0")
    if max_tokens < 8:
        raise ConfigError(f"max_tokens of texts must be >= 8, is {max_tokens}; raise it")
    coded = tokenizer(
        list(firsts), None if seconds is None else list(seconds), truncation=True, max_length=max_tokens, padding=False
    )
    rows = coded["input_ids"]
    kinds = coded.get("token_type_ids")
    return LabelledTexts(
        tokens_T=np.concatenate([np.asarray(row, dtype=np.int32) for row in rows]),
        kinds_T=None if kinds is None else np.concatenate([np.asarray(row, dtype=np.uint8) for row in kinds]),
        offsets_N1=np.concatenate([[0], np.cumsum([len(row) for row in rows])]).astype(np.int64),
        labels_N=labels_N,
        pad_token=int(tokenizer.pad_token_id or 0),
    )


def parts_by_length(lengths_B: NDArray[np.int64], part_size: int) -> list[NDArray[np.int64]]:
    """Places of a batch in parts of similar length, so that little is padded; every place is in one part.

    Example:
        >>> [part.tolist() for part in parts_by_length(np.array([9, 2, 8, 3]), 2)]
        [[1, 3], [2, 0]]
    """
    order_B = np.argsort(lengths_B, kind="stable")
    return [order_B[start : start + part_size] for start in range(0, len(order_B), part_size)]
