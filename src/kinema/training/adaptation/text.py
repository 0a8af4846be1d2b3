"""A BERT-family encoder reads on in the catalogue's own texts: masked tokens, and next sentence where it has that head.

Shape suffixes: N texts, L tokens, M items that are learnt from.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kinema.encoders.text import POOLING_FILE, PROMPTS_FILE, find_text_source, item_text, length_limit
from kinema.encoders.weights import load_pretrained, quiet
from kinema.errors import ConfigError
from kinema.extras import require
from kinema.seeds import derive_seed
from kinema.training.adaptation.lessons import NEW_HEAD_FACTOR
from kinema.training.adaptation.masking import IGNORED, mask_tokens, pair_halves, segments_of
from kinema.training.adapters import Change

Method = Literal["full", "lora"]
DELTA_FOLDER: Final = "delta"
_PAIR_TYPES: Final = frozenset({"bert", "ernie", "megatron-bert"})
"""Families whose pre-training class carries a next-sentence head named ``cls.seq_relationship``."""


class TextLesson:
    """A text encoder with its heads, and the texts it learns from.

    Attributes:
        network: Encoder and heads.
        groups: Trained parameters with their factor on the step size.
        lengths_M: Characters per text.
        max_tokens: Longer texts are cut here.
        has_token_head: The checkpoint brought its masked-token head; else it was made here, tied to the token vectors.
        has_pair_head: The checkpoint brought its next-sentence head; else next sentences are not asked.
        num_trained: Numbers that are trained.
    """

    def __init__(
        self,
        name: str,
        items: Sequence[Mapping[str, Any]],
        *,
        method: Method = "lora",
        rank: int = 8,
        seed: int = 0,
        device: str = "cpu",
    ) -> None:
        """Load a checkpoint with the heads it has.

        Args:
            name: As for `kinema.encoders.text.load_text_encoder`.
            items: Rows of the store's items, each with some text.
            method: ``lora`` trains adapters and heads, ``full`` all weights.
            rank: Of the adapters.
            seed: Of weights that are made new.
            device: A torch device.

        Raises:
            ConfigError: The checkpoint cannot be loaded, or has no mask token.
            MissingExtraError: transformers or peft is not installed.
        """
        self._source = find_text_source(name)
        transformers = require("transformers")
        self._tokenizer = load_pretrained(transformers.AutoTokenizer.from_pretrained, self._source.place, role="text")
        if self._tokenizer.mask_token_id is None:
            raise ConfigError(f"text encoder '{name}' must have a mask token to be adapted, its tokenizer has none")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(derive_seed(seed, "adaptation/heads"))
            self.network, self.has_token_head, self.has_pair_head = _load_with_heads(self._source.place)
            encoder = self._encoder()
            self.network.to(device)
            self._change = Change(encoder, method, rank=rank)
        self._device = device
        self.max_tokens = length_limit(self._tokenizer, self.network)
        self._texts = [self._source.passage_prefix + item_text(row) for row in items]
        self._segments = [segments_of(row) for row in items]
        self.lengths_M = np.array([len(text) for text in self._texts], dtype=np.int64)
        self.groups = self._groups()
        self.num_trained = sum(one.numel() for parameters, _ in self.groups for one in parameters)

    def losses(self, rows_N: NDArray[np.int64]) -> dict[str, Tensor]:
        """Masked tokens, and next sentences where the checkpoint has the head."""
        if not self.has_pair_head:
            return {"masked tokens": self._token_losses([self._texts[row] for row in rows_N.tolist()])[0].mean()}
        firsts, seconds, pairs_N = pair_halves(self._segments, rows_N.tolist())
        pairs_N = pairs_N.to(self._device)
        each_K, _, output = self._token_losses(firsts, seconds)
        asked = pairs_N != IGNORED
        follows_N2 = self.network.cls.seq_relationship(output.pooler_output)
        pair_loss = functional.cross_entropy(follows_N2[asked], pairs_N[asked]) if asked.any() else follows_N2.sum() * 0
        return {"masked tokens": each_K.mean(), "next sentence": pair_loss}

    def surprise(self, *, seed: int, batch_size: int = 32) -> NDArray[np.float64]:
        """Mean loss on hidden tokens, text by text; the same tokens are hidden whenever the seed is the same.

        Returns:
            float64 [M].
        """
        self.network.eval()
        losses_M = np.zeros(len(self._texts))
        with torch.inference_mode():
            for start in range(0, len(losses_M), batch_size):
                rows = range(start, min(start + batch_size, len(losses_M)))
                draws = torch.Generator().manual_seed(derive_seed(seed, f"surprise/{start}"))
                each_K, text_K, _ = self._token_losses([self._texts[row] for row in rows], generator=draws)
                sums = np.bincount(text_K.cpu().numpy(), weights=each_K.cpu().numpy(), minlength=len(rows))
                losses_M[rows] = sums / np.bincount(text_K.cpu().numpy(), minlength=len(rows)).clip(1)
        return losses_M

    def save(self, folder: Path, *, base: str) -> int:
        """Write the adapted encoder as a folder that `load_text_encoder` reads, and the delta alone beside it.

        Adapters are merged first, so this ends the lesson. Heads are saved as well: they can be trained on.

        Args:
            folder: Made if it is not there.
            base: Name of the encoder that was adapted, noted with the delta.

        Returns:
            Size of the delta, bytes.
        """
        size = self._change.save(folder / DELTA_FOLDER, base=base)
        with quiet():
            self.network.save_pretrained(folder)
            self._tokenizer.save_pretrained(folder)
        source = self._source
        _write(folder / POOLING_FILE, {f"pooling_mode_{one}": source.pooling == part for one, part in _POOLINGS})
        _write(folder / PROMPTS_FILE, {"prompts": {"query": source.query_prefix, "passage": source.passage_prefix}})
        return size

    def _encoder(self) -> Any:
        return getattr(self.network, self.network.base_model_prefix)

    def _groups(self) -> list[tuple[list[nn.Parameter], float]]:
        """Encoder and heads. The matrix that turns vectors into tokens belongs to the token vectors, tied or not."""
        encoder = [one for one in self._encoder().parameters() if one.requires_grad]
        known = {id(one) for one in self._encoder().parameters()}
        if self._change.by_lora:
            known.add(id(self.network.get_output_embeddings().weight))
        heads = [one for one in self.network.parameters() if id(one) not in known]
        return [(encoder, 1.0), (heads, 1.0 if self.has_token_head else NEW_HEAD_FACTOR)]

    def _token_losses(
        self, firsts: list[str], seconds: list[str] | None = None, *, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor, Any]:
        """Hide tokens and ask for them; logits are made for the hidden ones only, a sixth of the cost.

        Returns:
            Loss per hidden token, float32 [K]; the text each is from, int64 [K]; what the encoder gave.
        """
        batch = self._tokenizer(
            firsts,
            seconds,
            padding=True,
            truncation=True,
            max_length=self.max_tokens,
            return_special_tokens_mask=True,
            return_tensors="pt",
        )
        special_NL = batch.pop("special_tokens_mask").bool()
        batch["input_ids"], labels_NL = mask_tokens(
            batch["input_ids"],
            special_NL=special_NL,
            mask_token=self._tokenizer.mask_token_id,
            num_tokens=int(self.network.config.vocab_size),
            generator=generator,
        )
        labels_NL = labels_NL.to(self._device)
        hidden_NL = labels_NL != IGNORED
        batch = {name: one.to(self._device) for name, one in batch.items()}
        head = _token_head(self.network)
        if head is None:
            output = self.network(**batch)
            logits_KV = output.logits[hidden_NL]
        else:
            output = self._encoder()(**batch)
            logits_KV = head(output.last_hidden_state[hidden_NL])
        each_K = functional.cross_entropy(logits_KV, labels_NL[hidden_NL], reduction="none")
        return each_K, hidden_NL.nonzero()[:, 0], output


_POOLINGS: Final = (("cls_token", "cls"), ("mean_tokens", "mean"))


def _load_with_heads(place: str) -> tuple[Any, bool, bool]:
    """The network with its heads, and which of them the checkpoint's own tensors fill.

    A head that the checkpoint lacks would be made up at random. For next sentences such a head is not trained at all;
    the masked-token head is small next to the token vectors it is tied to, and is made new.
    """
    transformers = require("transformers")
    family = load_pretrained(transformers.AutoConfig.from_pretrained, place, role="text").model_type
    settings: dict[str, Any] = {"dtype": torch.float32, "role": "text", "output_loading_info": True}
    if family in _PAIR_TYPES:
        network, info = load_pretrained(transformers.AutoModelForPreTraining.from_pretrained, place, **settings)
        if not any("seq_relationship" in name or "pooler" in name for name in info["missing_keys"]):
            return network, _brought_token_head(network, info), True
    network, info = load_pretrained(transformers.AutoModelForMaskedLM.from_pretrained, place, **settings)
    brought = _brought_token_head(network, info)
    if not brought:
        network.get_output_embeddings().weight = network.get_input_embeddings().weight
    return network, brought, False


def _brought_token_head(network: Any, info: Mapping[str, Any]) -> bool:
    return all(name.startswith(f"{network.base_model_prefix}.") for name in info["missing_keys"])


def _token_head(network: Any) -> nn.Module | None:
    """The part that turns vectors into tokens, where the family has one that can be called by itself."""
    head = getattr(network, "lm_head", None) or getattr(getattr(network, "cls", None), "predictions", None)
    return head if isinstance(head, nn.Module) else None


def _write(path: Path, settings: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
