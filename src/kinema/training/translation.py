"""Texts into another language and back, by two translation models that the user has."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import torch

from kinema.encoders.weights import load_pretrained
from kinema.errors import ConfigError
from kinema.extras import require

_MOST_TOKENS: Final = 256


def load_translation(there: Path, back: Path, *, batch_size: int = 16) -> Callable[[list[str]], list[str]]:
    """Two models, one after the other.

    Args:
        there: Folder of a sequence-to-sequence model of transformers with its tokenizer, such as Marian's en-de.
        back: The same from that language.
        batch_size: Texts translated together, >= 1.

    Returns:
        Texts -> the same texts there and back, for `kinema.training.augmentation.back_translate`.

    Raises:
        ConfigError: A folder holds no such model.
        MissingExtraError: transformers is not installed.
    """
    steps = [_load(folder, name) for folder, name in ((there, "--there"), (back, "--back"))]

    def translate(texts: list[str]) -> list[str]:
        for tokenizer, network in steps:
            found: list[str] = []
            for start in range(0, len(texts), batch_size):
                found += _translate(tokenizer, network, texts[start : start + batch_size])
            texts = found
        return texts

    return translate


def _load(folder: Path, name: str) -> tuple[Any, Any]:
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{name} must be a folder with a translation model of transformers, '{folder}' holds none")
    transformers = require("transformers")
    tokenizer = load_pretrained(transformers.AutoTokenizer.from_pretrained, str(folder), role="text")
    network = load_pretrained(transformers.AutoModelForSeq2SeqLM.from_pretrained, str(folder), role="text")
    return tokenizer, network.eval()


def _translate(tokenizer: Any, network: Any, texts: list[str]) -> list[str]:
    batch = tokenizer(texts, padding=True, truncation=True, max_length=_MOST_TOKENS, return_tensors="pt")
    asked = {name: batch[name] for name in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        told = network.generate(**asked, max_new_tokens=_MOST_TOKENS, num_beams=1, do_sample=False)
    found: list[str] = tokenizer.batch_decode(told, skip_special_tokens=True)
    return found
