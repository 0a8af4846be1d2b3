"""A BERT encoder that is read without transformers, whose import takes longer than encoding a query or a few titles.

Only for checkpoints whose layout is known beforehand: the packaged ones. Parameters have the names that transformers gives them, so
that an encoder has one fingerprint and one cache whichever way it was loaded.

Shape suffixes: N texts, L tokens, D width, H heads.

Source:
    Devlin et al., BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding, 2019.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional

from kinema.errors import StaleArtifactError
from kinema.extras import require

_FIXED: Final = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
_UNUSED: Final = ("pooler.", "embeddings.position_ids")
"""Tensors of a checkpoint that no token vector depends on."""


@dataclass(frozen=True)
class BertShape:
    """The part of a checkpoint's ``config.json`` that its vectors depend on."""

    vocab_size: int
    hidden_size: int
    intermediate_size: int
    num_hidden_layers: int
    num_attention_heads: int
    max_position_embeddings: int
    type_vocab_size: int
    layer_norm_eps: float

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a ``config.json``.

        Raises:
            StaleArtifactError: It is of another kind of network.
        """
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        others = {name: config.get(name, value) for name, value in _FIXED.items() if config.get(name, value) != value}
        if others or not cls.__dataclass_fields__.keys() <= config.keys():
            raise StaleArtifactError(
                f"'{folder.name}/config.json' must describe a BERT encoder with {_FIXED}, says {others or 'too little'}; "
                "install the package that ships it again"
            )
        return cls(**{name: config[name] for name in cls.__dataclass_fields__})

    def tensors(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every parameter that token vectors depend on."""
        width, wide = self.hidden_size, self.intermediate_size
        linear = {f"attention.self.{name}": (width, width) for name in ("query", "key", "value")}
        linear |= {"attention.output.dense": (width, width), "intermediate.dense": (wide, width)}
        linear |= {"output.dense": (width, wide)}
        rows = {"word": self.vocab_size, "position": self.max_position_embeddings, "token_type": self.type_vocab_size}
        found: dict[str, tuple[int, ...]] = {
            f"embeddings.{name}_embeddings.weight": (count, width) for name, count in rows.items()
        }
        norms = ["embeddings."]
        for layer in range(self.num_hidden_layers):
            place = f"encoder.layer.{layer}."
            norms += [f"{place}attention.output.", f"{place}output."]
            for name, shape in linear.items():
                found |= {f"{place}{name}.weight": shape, f"{place}{name}.bias": shape[:1]}
        return found | {f"{place}LayerNorm.{name}": (width,) for place in norms for name in ("weight", "bias")}


@dataclass(frozen=True)
class BertOutput:
    """What the network says, named as transformers names it.

    Attributes:
        last_hidden_state: float32 [N, L, D].
    """

    last_hidden_state: Tensor


class SmallBert:
    """The network, without dropout and heads.

    What `kinema.training.inserts` puts beside the weights of such a network is read as well, under the names it has there:
    bottlenecks behind linear maps, prefixes before the keys of attention.

    Args:
        shape: Its sizes.
        state: Its parameters, by the names of transformers.

    Attributes:
        config: Its sizes.
    """

    def __init__(self, shape: BertShape, state: Mapping[str, Tensor]) -> None:
        self.config = shape
        self._state = dict(state)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read ``config.json`` and ``model.safetensors``; the weights stay mapped until they are used.

        Raises:
            StaleArtifactError: The weights are not those of the configuration.
        """
        shape = BertShape.read(folder)
        found = load_file(folder / "model.safetensors")
        state = {name: value for name, value in found.items() if not name.startswith(_UNUSED)}
        wanted = shape.tensors()
        if {name: tuple(value.shape) for name, value in state.items()} != wanted:
            odd = sorted({*state} ^ {*wanted}) or [name for name in wanted if tuple(state[name].shape) != wanted[name]]
            raise StaleArtifactError(
                f"weights in '{folder.name}' must be those of its config.json, are others, such as '{odd[0]}'; install the "
                "package that ships them again"
            )
        return cls(shape, state)

    def eval(self) -> Self:
        """Itself: it cannot be trained."""
        return self

    def to(self, device: str) -> Self:
        """Move the parameters to a device."""
        self._state = {name: value.to(device) for name, value in self._state.items()}
        return self

    def state_dict(self) -> Mapping[str, Tensor]:
        """Parameters by the names of transformers."""
        return self._state

    def __call__(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor | None = None) -> BertOutput:
        """Vectors of tokens.

        Args:
            input_ids: int64 [N, L].
            attention_mask: int64 [N, L], 1 for tokens, 0 for padding.
            token_type_ids: int64 [N, L], 0 in the first and 1 in the second text of a pair; None where all are first texts.
        """
        hidden_NLD = self._embed(input_ids, token_type_ids)
        shown_N11L = None if bool(attention_mask.all()) else attention_mask[:, None, None, :].bool()
        for layer in range(self.config.num_hidden_layers):
            place = f"encoder.layer.{layer}."
            seen_NLD = self._attend(f"{place}attention.self.", hidden_NLD, shown_N11L)
            hidden_NLD = self._add(f"{place}attention.output.", seen_NLD, hidden_NLD)
            wide_NLD = functional.gelu(self._linear(f"{place}intermediate.dense.", hidden_NLD))
            hidden_NLD = self._add(f"{place}output.", wide_NLD, hidden_NLD)
        return BertOutput(hidden_NLD)

    def _embed(self, tokens_NL: Tensor, kinds_NL: Tensor | None) -> Tensor:
        """Word, place and sentence."""
        words, places, kinds = (
            self._state[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        )
        told = kinds[0] if kinds_NL is None else functional.embedding(kinds_NL, kinds)
        summed_NLD = functional.embedding(tokens_NL, words) + told + places[: tokens_NL.shape[1]]
        return self._normalise("embeddings.", summed_NLD)

    def _attend(self, place: str, hidden_NLD: Tensor, shown_N11L: Tensor | None) -> Tensor:
        """What the tokens take from each other, float32 [N, L, D]."""
        query, key, value = (
            self._linear(f"{place}{name}.", hidden_NLD)
            .view(*hidden_NLD.shape[:2], self.config.num_attention_heads, -1)
            .transpose(1, 2)
            for name in ("query", "key", "value")
        )
        if f"{place}prefix.keys_HPE" in self._state:
            ahead = (self._state[f"{place}prefix.{name}_HPE"] for name in ("keys", "values"))
            before = [one.expand(len(key), -1, -1, -1) for one in ahead]
            key, value = (torch.cat(pair, dim=2) for pair in zip(before, (key, value), strict=True))
            if shown_N11L is not None:
                shown_N11L = functional.pad(shown_N11L, (before[0].shape[2], 0), value=True)
        seen_NHLD = functional.scaled_dot_product_attention(query, key, value, attn_mask=shown_N11L)
        return seen_NHLD.transpose(1, 2).flatten(2)

    def _add(self, place: str, new_NLE: Tensor, old_NLD: Tensor) -> Tensor:
        """The new part through its linear map, added to the old and normalised."""
        return self._normalise(place, self._linear(f"{place}dense.", new_NLE) + old_NLD)

    def _linear(self, place: str, x: Tensor) -> Tensor:
        out = functional.linear(x, self._state[f"{place}weight"], self._state[f"{place}bias"])
        narrow = f"{place}bottleneck."
        if f"{narrow}down.weight" not in self._state:
            return out
        return out + self._linear(f"{narrow}up.", functional.gelu(self._linear(f"{narrow}down.", out)))

    def _normalise(self, place: str, x: Tensor) -> Tensor:
        weight, bias = (self._state[f"{place}LayerNorm.{name}"] for name in ("weight", "bias"))
        return functional.layer_norm(x, (self.config.hidden_size,), weight, bias, self.config.layer_norm_eps)


class TokenBatch(dict[str, Tensor]):
    """Tokens and mask of several texts, ready for the network."""

    def to(self, device: str) -> "TokenBatch":
        """The same on a device."""
        return TokenBatch({name: one.to(device) for name, one in self.items()})


class WordPieces:
    """A BERT tokenizer that answers as one of transformers does, as far as text encoders ask.

    Args:
        folder: With ``tokenizer.json`` and ``tokenizer_config.json``.

    Attributes:
        is_fast: It knows the place of each token in the text.
        model_max_length: Tokens that the network takes.
        pad_token: What fills up a row.
        pad_token_id: Its number.
        unk_token_id: Number of what stands for an unknown word.
        cls_token_id: Number of the mark before a text.
        sep_token_id: Number of the mark behind one.
        eos_token_id: None: BERT has no end mark.
        padding_side: Always behind the text.
        truncation_side: Always at its end.
    """

    def __init__(self, folder: Path) -> None:
        self._pieces = require("tokenizers").Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._pieces.no_truncation()
        self._pieces.no_padding()
        config = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
        self.is_fast = True
        self.model_max_length = int(config["model_max_length"])
        self.pad_token = str(config["pad_token"])
        self.pad_token_id = int(self._pieces.token_to_id(self.pad_token))
        self.unk_token_id = int(self._pieces.token_to_id(config["unk_token"]))
        self.eos_token_id: int | None = None
        self.padding_side = self.truncation_side = "right"
        self.cls_token_id, self.sep_token_id = (
            int(self._pieces.token_to_id(config[name])) for name in ("cls_token", "sep_token")
        )

    def num_special_tokens_to_add(self) -> int:
        """Tokens that every text gets besides its own."""
        return 2

    def __call__(
        self,
        text: str | Sequence[str],
        *,
        add_special_tokens: bool = True,
        truncation: bool = False,
        max_length: int | None = None,
        return_tensors: str | None = None,
        **settings: Any,
    ) -> Mapping[str, Any]:
        """Split one text into tokens, or several into a padded batch.

        Args:
            text: One or several.
            add_special_tokens: Put marks before and behind.
            truncation: Cut at ``max_length``, the marks included; batches only.
            max_length: See ``truncation``.
            return_tensors: ``pt`` for a `TokenBatch`.
            **settings: Of transformers, without effect here: a batch is always padded, places are always known.

        Returns:
            ``input_ids`` and ``offset_mapping`` of one text; a `TokenBatch` of several.
        """
        del settings
        if isinstance(text, str):
            coded = self._pieces.encode(text, add_special_tokens=add_special_tokens)
            return {"input_ids": coded.ids, "offset_mapping": coded.offsets}
        assert return_tensors == "pt"
        room = (max_length or self.model_max_length) - self.num_special_tokens_to_add() if truncation else None
        coded = self._pieces.encode_batch(list(text), add_special_tokens=False)
        rows = [[self.cls_token_id, *one.ids[:room], self.sep_token_id] for one in coded]
        width = max(len(row) for row in rows)
        tokens = [row + [self.pad_token_id] * (width - len(row)) for row in rows]
        shown = [[1] * len(row) + [0] * (width - len(row)) for row in rows]
        return TokenBatch(input_ids=torch.tensor(tokens), attention_mask=torch.tensor(shown))
