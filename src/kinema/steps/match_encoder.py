"""The text encoder as something that learns, for queries alone: items keep the vectors that `kinema extract` has made."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kinema.encoders.text import find_text_source
from kinema.encoders.text_changes import DOWN, UP
from kinema.encoders.text_pooling import Pooling, prepare_tokenizer, usual_pooling
from kinema.encoders.weights import load_pretrained
from kinema.errors import ConfigError
from kinema.extras import require
from kinema.tasks.text_tokens import LabelledTexts, label_texts
from kinema.training.parameter_choice import Choice, Chosen, choose

METHODS = ("frozen", "top", "lora")
"""What can learn and be served by the packaged reader, which has no room beside its weights."""
_INSIDE = "encoder."
_LORA_SCALE = 2.0
"""What peft multiplies by: its alpha over the rank."""


@dataclass(frozen=True)
class QueryEncoder:
    """A text encoder of transformers with its tokenizer.

    Attributes:
        network: Without a pooler.
        tokenizer: Of the checkpoint.
        pooling: How tokens become one vector.
        prefix: Put before queries.
    """

    network: nn.Module
    tokenizer: Any
    pooling: Pooling
    prefix: str

    def tokens(self, texts: Sequence[str]) -> LabelledTexts:
        """Tokens of queries; what is longer than 128 is cut."""
        return label_texts(
            self.tokenizer, [self.prefix + one for one in texts], None, np.zeros(len(texts), dtype=np.int64)
        )

    @staticmethod
    def choose(network: nn.Module, choice: Choice, *, seed: int) -> Chosen:
        """Let a part of the encoder learn inside of a matcher, whose maps always do.

        Raises:
            ConfigError: The choice is one that cannot be served.
        """
        if choice.method not in METHODS:
            raise ConfigError(
                f"what learns of a matcher's text encoder must be one of {', '.join(METHODS)}, is '{choice.method}'"
            )
        return choose(network, choice, heads=("ask", "answer"), seed=seed)


def load_query_encoder(name: str) -> QueryEncoder:
    """Load a text encoder to learn.

    Args:
        name: ``packaged:minilm``, a folder, or a hub name of the BERT family.

    Raises:
        ConfigError: The checkpoint cannot be loaded.
        MissingExtraError: transformers is not installed.
    """
    transformers, source = require("transformers"), find_text_source(name)
    tokenizer = load_pretrained(transformers.AutoTokenizer.from_pretrained, source.place, role="text")
    network: Any = load_pretrained(
        transformers.AutoModel.from_pretrained, source.place, role="text", dtype=torch.float32
    )
    if getattr(network, "pooler", None) is not None:
        network.pooler = None
    pooling = source.pooling if source.pooling_is_given else usual_pooling(network.config)
    return QueryEncoder(network, prepare_tokenizer(tokenizer), pooling, source.query_prefix)


def learnt_changes(chosen: Chosen) -> dict[str, NDArray[np.float32]]:
    """What a training has changed of an encoder, in the form of `kinema.encoders.text_changes`."""
    found = {
        name.removeprefix(_INSIDE): now.detach().float().numpy().copy() for name, (_, now) in chosen.changed().items()
    }
    for name, value in chosen.added().items():
        weight, _, kind = name.removeprefix(_INSIDE).replace(".base_layer.", ".").partition(".lora_")
        if kind.startswith("A."):
            found[f"{weight}.weight{DOWN}"] = value.detach().float().numpy().copy()
        else:
            found[f"{weight}.weight{UP}"] = _LORA_SCALE * value.detach().float().numpy()
    return found
