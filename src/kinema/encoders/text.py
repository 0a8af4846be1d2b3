"""Text: an encoder of the BERT or GPT family turns titles and descriptions, and search queries, into vectors.

A text longer than the encoder takes is read in windows; their vectors, weighted by length, make that of the text.

Shape suffixes: N texts, L tokens, D width.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.checkpoint_files import checkpoint_json
from kinema.encoders.devices import check_device
from kinema.encoders.languages import readable
from kinema.encoders.text_pooling import Pooling, declared_pooling, pool_tokens, prepare_tokenizer, usual_pooling
from kinema.encoders.text_windows import text_windows
from kinema.encoders.weights import PACKAGED, find_checkpoint, load_pretrained, packaged_file, weights_digest
from kinema.errors import ConfigError
from kinema.extras import require
from kinema.threads import set_thread_policy

POOLING_FILE: Final = "1_Pooling/config.json"
PROMPTS_FILE: Final = "config_sentence_transformers.json"
"""Where a sentence-transformers folder says how it is used."""
_VERSION = 1


def item_text(row: Mapping[str, Any]) -> str:
    """What the text encoder reads of an item: title, description, categories, tags.

    Args:
        row: A row of the store's items; fields may be absent or None.

    Returns:
        One line; empty when the item has no text at all.

    Example:
        >>> item_text({"title": "Alien", "description": None, "categories": ["Horror", "Sci-Fi"], "tags": []})
        'Alien. Horror, Sci-Fi'
    """
    parts = [
        row.get("title"),
        row.get("description"),
        ", ".join(_words(row, "categories")),
        ", ".join(_words(row, "tags")),
    ]
    texts = [" ".join(str(part).split()) for part in parts if part]
    return ". ".join(text.rstrip(".") for text in texts if text)


def _words(row: Mapping[str, Any], field: str) -> Iterable[str]:
    """A list field without empty entries."""
    return (str(word) for word in row.get(field) or () if word)


class TextEncoder:
    """A loaded text encoder; get one from `load_text_encoder`.

    Attributes:
        name: As in the configuration.
        width: D.
        fingerprint: Equal for equal vectors: weights, pooling, length.
    """

    def __init__(
        self,
        *,
        name: str,
        model: Any,
        tokenizer: Any,
        pooling: Pooling,
        max_tokens: int,
        batch_size: int,
        device: str,
        query_prefix: str = "",
        passage_prefix: str = "",
    ) -> None:
        self.name = name
        self.width = int(model.config.hidden_size)
        self._model = model.eval().to(device)
        self._tokenizer = prepare_tokenizer(tokenizer)
        self._nothing = "" if tokenizer("")["input_ids"] else str(tokenizer.pad_token)
        self._pooling = pooling
        self._max_tokens = max_tokens
        self._batch_size = batch_size
        self._device = device
        self._query_prefix = query_prefix
        self._passage_prefix = passage_prefix
        self.fingerprint = fingerprint(
            {
                "text": _VERSION,
                "weights": weights_digest(model.state_dict()),
                "pooling": pooling,
                "max_tokens": max_tokens,
                "prefix": passage_prefix,
            }
        )

    def change(self, changes: Mapping[str, NDArray[np.float32]]) -> None:
        """Put on what a task has changed of the weights; see `kinema.encoders.text_changes`. The fingerprint stays.

        Raises:
            StaleArtifactError: The changes belong to another encoder.
        """
        from kinema.encoders.text_changes import with_changes  # noqa: PLC0415  # torch only where it is used

        self._model = with_changes(self._model, changes).eval().to(self._device)

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode item texts.

        Args:
            texts: N texts; of longer ones than the encoder takes up to 16 windows are read.

        Returns:
            float32 [N, D], unit rows, in the order given. A row does not depend on the other texts (to 1e-5).
        """
        return self._encode_long(texts, self._passage_prefix)

    def encode_query_text(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode search queries; some encoders were trained to see them marked as such.

        Args:
            texts: N queries.

        Returns:
            float32 [N, D], unit rows, comparable with `encode` by their dot product.
        """
        return self._encode_long(texts, self._query_prefix)

    def readable(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [N] in [0, 1], how far texts are in letters the encoder knows; see `kinema.encoders.languages`."""
        return readable(self._tokenizer, texts)

    def _encode_long(self, texts: Sequence[str], prefix: str) -> NDArray[np.float32]:
        """Texts of any length. Those that fit are encoded as if there were no others, so that they stay equal bit for bit."""
        vectors_ND = self._encode([prefix + text for text in texts])
        taken = self._tokenizer.num_special_tokens_to_add()
        taken += len(self._tokenizer(prefix, add_special_tokens=False)["input_ids"]) if prefix else 0
        room = max(1, self._max_tokens - taken)
        cuts = {place: text_windows(self._tokenizer, text, max_tokens=room) for place, text in enumerate(texts)}
        windows = [(place, *one) for place, some in cuts.items() for one in some]
        if windows:
            parts_WD = self._encode([prefix + window for _, window, _ in windows])
            parts_WD *= np.array([[length] for *_, length in windows], dtype=np.float32)
            places = [place for place, some in cuts.items() if some]
            vectors_ND[places] = 0.0
            np.add.at(vectors_ND, [place for place, *_ in windows], parts_WD)
            vectors_ND[places] /= np.linalg.norm(vectors_ND[places], axis=1, keepdims=True)
        return vectors_ND

    def _encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Batches of similar length waste little on padding. An empty text of a tokenizer without marks is one end mark."""
        torch = require("torch")
        vectors_ND = np.zeros((len(texts), self.width), dtype=np.float32)
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        with torch.inference_mode():
            for start in range(0, len(order), self._batch_size):
                places = order[start : start + self._batch_size]
                batch = self._tokenizer(
                    [texts[place] or self._nothing for place in places],
                    padding=True,
                    truncation=True,
                    max_length=self._max_tokens,
                    return_tensors="pt",
                ).to(self._device)
                hidden_NLD = self._model(**batch).last_hidden_state.float()
                pooled_ND = pool_tokens(hidden_NLD, batch["attention_mask"], self._pooling)
                vectors_ND[places] = torch.nn.functional.normalize(pooled_ND, dim=-1).cpu().numpy()
        return vectors_ND


def load_text_encoder(
    name: str,
    *,
    pooling: Pooling | None = None,
    max_tokens: int = 256,
    batch_size: int = 32,
    device: str = "cpu",
    cache: Path | None = None,
) -> TextEncoder:
    """Load a text encoder.

    Args:
        name: ``packaged:minilm``, a folder, or a hub name of any encoder of the BERT family or decoder of the GPT family.
        pooling: How token vectors become one; None asks the checkpoint's sentence-transformers settings, and where it has
            none takes ``mean`` for encoders and ``weighted`` for decoders.
        max_tokens: Longer texts are read in windows of this length, >= 8; the model's own limit counts too.
        batch_size: Texts per forward pass, >= 1.
        device: A torch device.
        cache: Where hub downloads are kept; the hub's default where None.

    Returns:
        The encoder.

    Raises:
        ConfigError: The name leads to no checkpoint, a number is out of range, or there is no such device.
        MissingExtraError: torch, the package of a packaged name, or transformers for any other, is not installed.
        StaleArtifactError: The packaged file is damaged.
    """
    if max_tokens < 8 or batch_size < 1:
        raise ConfigError(
            f"the text encoder needs max_tokens >= 8 and batch_size >= 1, got {max_tokens} and {batch_size}"
        )
    set_thread_policy()
    check_device(device)
    tokenizer, model = read_text_network(name, cache=cache)
    source = _source(name, _place(name), cache)
    if pooling is None:
        pooling = source.pooling if source.pooling_is_given else usual_pooling(model.config)
    return TextEncoder(
        name=name,
        model=model,
        tokenizer=tokenizer,
        pooling=pooling,
        max_tokens=length_limit(tokenizer, model, max_tokens=max_tokens),
        batch_size=batch_size,
        device=device,
        query_prefix=source.query_prefix,
        passage_prefix=source.passage_prefix,
    )


def read_text_network(name: str, *, cache: Path | None = None) -> tuple[Any, Any]:
    """Tokenizer and network of a text encoder, as its vectors are made with them; arguments and errors as `load_text_encoder`."""
    place = _place(name)
    return _read_packaged(place) if name.startswith(PACKAGED) else _read_any(place, cache)


def _read_packaged(place: str) -> tuple[Any, Any]:
    """Tokenizer and network of a packaged checkpoint. Their layout is known, so transformers need not be imported for them."""
    require("torch")
    from kinema.encoders.small_bert import SmallBert, WordPieces  # noqa: PLC0415  # torch only where it is used

    return WordPieces(Path(place)), SmallBert.load(Path(place))


def _read_any(place: str, cache: Path | None) -> tuple[Any, Any]:
    """Tokenizer and network of a folder or hub name."""
    torch, transformers = require("torch"), require("transformers")
    settings: dict[str, Any] = {"role": "text", "cache_dir": cache}
    tokenizer = load_pretrained(transformers.AutoTokenizer.from_pretrained, place, **settings)
    return tokenizer, load_pretrained(transformers.AutoModel.from_pretrained, place, dtype=torch.float32, **settings)


@dataclass(frozen=True)
class TextSource:
    """How a checkpoint is found and used.

    Attributes:
        place: Folder or hub name that transformers understands.
        pooling: How token vectors become one.
        query_prefix: Put before search queries.
        passage_prefix: Put before item texts.
        pooling_is_given: Whether our table or the checkpoint's settings ask for the pooling; else it is ``mean``.
    """

    place: str
    pooling: Pooling
    query_prefix: str
    passage_prefix: str
    pooling_is_given: bool = True


def find_text_source(name: str) -> TextSource:
    """Find a checkpoint without loading it.

    Args:
        name: As for `load_text_encoder`.

    Returns:
        The place with pooling and prefixes: our table's for names in it, else what the folder's sentence-transformers
        settings say.

    Raises:
        ConfigError: See `kinema.encoders.weights.packaged_file`.
        MissingExtraError: The same.
        StaleArtifactError: The same.
    """
    return _source(name, _place(name), None)


def _place(name: str) -> str:
    """Folder or hub name that transformers understands."""
    return str(packaged_file(name, role="text").parent) if name.startswith(PACKAGED) else name


def _source(name: str, place: str, cache: Path | None) -> TextSource:
    """How a checkpoint is used."""
    known = find_checkpoint(name)
    if known is not None:
        return TextSource(place, known.pooling, known.query_prefix, known.passage_prefix)
    pooling = declared_pooling(checkpoint_json(place, POOLING_FILE, role="text", cache=cache))
    prompts = checkpoint_json(place, PROMPTS_FILE, role="text", cache=cache).get("prompts") or {}
    passage = prompts.get("passage") or prompts.get("document") or ""
    return TextSource(place, pooling or "mean", prompts.get("query") or "", passage, pooling is not None)


def length_limit(tokenizer: Any, model: Any, *, max_tokens: int = 256) -> int:
    """Tokens that are read of a text: ``max_tokens``, or less where tokenizer or model cannot take as many."""
    limit = min(tokenizer.model_max_length, getattr(model.config, "max_position_embeddings", max_tokens))
    return min(max_tokens, int(limit))
