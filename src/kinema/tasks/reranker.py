"""A re-ranker as it is served: an encoder with what was learnt merged in, under a head of one number. Nothing here trains.

The artefact holds the delta alone; the encoder comes from where it came from when the delta was learnt.

Shape suffixes: K candidates, L tokens, D width of the encoder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray

from kinema.artifacts import read_manifest
from kinema.encoders.small_bert import BertShape, SmallBert
from kinema.encoders.text import read_text_network
from kinema.encoders.weights import weights_digest
from kinema.errors import ConfigError, StaleArtifactError
from kinema.tasks.cross_encoder import PairForm, text_tokens
from kinema.tasks.delta_reading import DELTA_FOLDER, SavedDelta, read_delta
from kinema.tasks.text_classifier import FirstTokenHead
from kinema.tasks.text_tokens import parts_by_length

KIND: Final = "reranker"
FORMAT_VERSION: Final = 1
FOLDER: Final = "rerank"
"""In the artefacts of a project."""
REMEDY: Final = "kinema finetune rerank"
_PART: Final = 32


@dataclass(frozen=True)
class RerankerConfig:
    """What defines a re-ranker.

    Attributes:
        encoder: Packaged name, folder or hub name.
        max_tokens: Of a query with an item.
        weight: What its opinion counts against the search's, in [0, 1]; chosen on validation.
        top: Candidates it was validated with.
        method: What learnt.
        loss: ``listwise`` or ``pointwise``.
        learnt_from: In words.
    """

    encoder: str
    max_tokens: int
    weight: float
    top: int
    method: str
    loss: str
    learnt_from: str

    @property
    def told(self) -> str:
        """What the answer to a search says it was re-ranked by."""
        return f"cross-encoder on {self.encoder} ({self.method}, {self.learnt_from}), counting {self.weight:.0%}"

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


class Reranker:
    """Reads a query with the texts of items.

    Args:
        config: What it is.
        network: Encoder with what was learnt; called as `SmallBert` is.
        head: One number from the first token's vector.
        tokenizer: Of the encoder.

    Attributes:
        config: See above.
    """

    def __init__(self, config: RerankerConfig, network: Any, head: FirstTokenHead, tokenizer: Any) -> None:
        self.config = config
        self._network, self._head, self._tokenizer = network.eval(), head.eval(), tokenizer
        self._form = PairForm.of(tokenizer, network.config, max_tokens=config.max_tokens)
        self._tokens = lru_cache(maxsize=20_000)(self._split)

    @classmethod
    def load(cls, folder: Path, *, project: Path | None = None) -> "Reranker":
        """Read an artefact of `kinema finetune rerank`.

        Args:
            folder: The artefact.
            project: Folder that the name of an encoder of the project's own starts from.

        Raises:
            NotBuiltError: There is none.
            StaleArtifactError: It is of another version or damaged, or the encoder is not the one it was learnt on.
            ConfigError: The encoder cannot be loaded.
        """
        config = read_config(folder)
        tokenizer, theta = read_text_network(encoder_of(config, project))
        here = weights_digest(theta.state_dict())
        learnt_on = read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy=REMEDY).parents["encoder"]
        if here != learnt_on:
            raise StaleArtifactError(
                f"the re-ranker in '{folder.name}' must be put on encoder '{config.encoder}' of weights "
                f"{learnt_on}, they are {here} now; run: {REMEDY}"
            )
        delta = read_delta(folder / DELTA_FOLDER, remedy=REMEDY)
        width = int(theta.config.hidden_size)
        with torch.random.fork_rng(devices=[]):
            head = FirstTokenHead(width=width, num_classes=1, dropout=0.0)
        head.load_state_dict(dict(delta.head))
        return cls(config, put_together(theta, delta), head, tokenizer)

    def read(self, query: str, texts: Sequence[str]) -> NDArray[np.float32]:
        """Scores of items for a query; only their order and distances mean anything.

        Args:
            query: Its words.
            texts: Of `kinema.tasks.cross_encoder.candidate_text`.

        Returns:
            float32 [K], in the order given.
        """
        asked, told = text_tokens(self._tokenizer, query), [list(self._tokens(text)) for text in texts]
        scores_K = np.zeros(len(texts), dtype=np.float32)
        lengths_K = np.array([len(one) for one in told], dtype=np.int64)
        with torch.inference_mode():
            for part in parts_by_length(lengths_K, _PART):
                batch = self._form.batch([asked] * len(part), [told[place] for place in part])
                hidden_KLD = self._network(**batch).last_hidden_state
                scores_K[part] = self._head(hidden_KLD, batch["attention_mask"])[:, 0].float().numpy()
        return scores_K

    def _split(self, text: str) -> tuple[int, ...]:
        return tuple(text_tokens(self._tokenizer, text))


def read_config(folder: Path) -> RerankerConfig:
    """What a re-ranker is, without its numbers.

    Raises:
        NotBuiltError: There is none.
        StaleArtifactError: It is of another version.
    """
    manifest = read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy=REMEDY)
    return RerankerConfig(**manifest.config)


def encoder_of(config: RerankerConfig, project: Path | None) -> str:
    """Where the encoder lies: in a folder of the project, or wherever its name leads.

    Args:
        config: Of the re-ranker.
        project: Folder of the project; None for a re-ranker without.
    """
    inside = None if project is None else project / config.encoder
    return str(inside) if inside is not None and inside.is_dir() else config.encoder


def put_together(theta: Any, delta: SavedDelta) -> Any:
    """The network that is asked.

    Args:
        theta: `SmallBert`, or an encoder of transformers, which is changed in place unless it is a BERT.
        delta: What was learnt.

    Returns:
        A `SmallBert` where the encoder is a BERT, else theta itself with other numbers.

    Raises:
        ConfigError: Something lies beside the weights of an encoder that is no BERT.
    """
    state: Mapping[str, Any] = theta.state_dict()
    phi = delta.phi(state)
    shape = theta.config if isinstance(theta, SmallBert) else bert_shape(theta.config)
    if shape is not None:
        wanted = shape.tensors()
        return SmallBert(shape, {name: phi[name] for name in wanted} | delta.beside)
    if delta.beside:
        raise unserved(type(theta).__name__)
    theta.load_state_dict(phi)
    return theta


def bert_shape(config: Any) -> BertShape | None:
    """Sizes of a BERT that `SmallBert` reads as transformers does; None for other families."""
    plain = getattr(config, "model_type", "") == "bert" and config.hidden_act == "gelu"
    if not plain or getattr(config, "position_embedding_type", "absolute") != "absolute":
        return None
    return BertShape(**{name: getattr(config, name) for name in BertShape.__dataclass_fields__})


def unserved(family: str) -> ConfigError:
    """The error for adapters and prefixes that nobody could read while serving."""
    return ConfigError(
        f"adapters and prefixes of a re-ranker need an encoder of BERT itself, this is a {family}; use lora, top, full or frozen"
    )
