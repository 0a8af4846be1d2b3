"""Training texts said a little differently: synonyms in each step anew, translations there and back once before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError
from kinema.training.augmentation import back_translate, replace_synonyms
from kinema.training.text_learning import similar_words
from kinema.training.translation import load_translation

Change = Callable[[str, np.random.Generator], str]


@dataclass(frozen=True)
class TextChanges:
    """How texts are changed in training.

    Attributes:
        synonyms: Share of the words that have synonyms which are replaced, in each step anew; 0 for none.
        table: Word -> synonyms; None takes what the encoder's word vectors hold for similar.
        translate: Share of the texts that are added once more, translated there and back; 0 for none.
        there: Folder of a translation model into another language.
        back: Folder of a model from there.

    Raises:
        ConfigError: A share is out of range, or a translation has not both of its models.
    """

    synonyms: float = 0.0
    table: Mapping[str, Sequence[str]] | None = None
    translate: float = 0.0
    there: Path | None = None
    back: Path | None = None

    def __post_init__(self) -> None:
        for name in ("synonyms", "translate"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"share of changed texts must be in [0, 1], {name} is {getattr(self, name)}")
        if self.translate and (self.there is None or self.back is None):
            raise ConfigError(
                "translating there and back needs two models, --there FOLDER and --back FOLDER; give both, or leave "
                "--back-translate out"
            )


def changer(
    changes: TextChanges, tokenizer: Any, vectors_VD: NDArray[np.float32], texts: Sequence[str]
) -> Change | None:
    """What changes a text in a step; None where nothing does.

    Args:
        changes: How.
        tokenizer: Of the encoder.
        vectors_VD: What the encoder reads tokens as.
        texts: Of the training table.
    """
    if not changes.synonyms:
        return None
    table = similar_words(tokenizer, vectors_VD, texts) if changes.table is None else changes.table
    return partial(replace_synonyms, synonyms=table, share=changes.synonyms)


def translated(changes: TextChanges, texts: Sequence[str], random: np.random.Generator) -> list[str]:
    """All texts, some of them by way of another language.

    Raises:
        ConfigError: A model cannot be loaded.
    """
    assert changes.there is not None
    assert changes.back is not None
    translate = load_translation(changes.there, changes.back)
    return back_translate(texts, random, translate=translate, share=changes.translate)
