"""A query and an item's text are read together and get one score: an encoder of the BERT family under a head of one number.

Shape suffixes: N pairs, B groups of one step, K candidates of one group, L tokens, D width of the encoder.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kinema.encoders.text import find_text_source, item_text
from kinema.encoders.weights import load_pretrained
from kinema.errors import ConfigError, DataError
from kinema.extras import require
from kinema.flm.draws import Draws
from kinema.tasks.rerank_cases import RerankCase, best_weight, judge
from kinema.tasks.text_classifier import FirstTokenHead, TextClassifier, load_encoder_with_head
from kinema.tasks.text_tokens import parts_by_length

Loss = Literal["listwise", "pointwise"]
_HIGHEST_SEED: Final = 1 << 31
_MARKS: Final = 3
"""[CLS] and two [SEP]."""


def candidate_text(row: Mapping[str, Any]) -> str:
    """What is read of an item: title and description.

    Example:
        >>> candidate_text({"title": "Alien", "description": "A crew meets  it.", "tags": ["space"]})
        'Alien. A crew meets it'
    """
    return item_text({name: row.get(name) for name in ("title", "description")})


@dataclass(frozen=True)
class PairForm:
    """How two texts become one row of tokens: [CLS] query [SEP] item [SEP].

    Attributes:
        first: Number of the mark in front.
        last: Number of the mark behind each text.
        padding: What fills up a row.
        with_kinds: The encoder tells first texts from second ones.
        max_tokens: Of a row; the item's text is cut.
        max_query: Of the query; what is longer is cut.
    """

    first: int
    last: int
    padding: int
    with_kinds: bool
    max_tokens: int
    max_query: int

    @classmethod
    def of(cls, tokenizer: Any, config: Any, *, max_tokens: int) -> "PairForm":
        """The form that tokenizer and encoder ask for.

        Args:
            tokenizer: Of transformers, or `kinema.encoders.small_bert.WordPieces`.
            config: Of the encoder.
            max_tokens: >= 16; the encoder's own limit counts too.

        Raises:
            ConfigError: The number is too small, or the tokenizer has no such marks.
        """
        if max_tokens < 16:
            raise ConfigError(f"max_tokens of a query with an item must be >= 16, is {max_tokens}; raise it")
        marks = [tokenizer.cls_token_id, tokenizer.sep_token_id, tokenizer.pad_token_id]
        if any(one is None for one in marks):
            raise ConfigError(
                "a text encoder must have [CLS], [SEP] and padding tokens to read pairs, its tokenizer has not; "
                "choose one of the BERT family"
            )
        limit = min(max_tokens, int(config.max_position_embeddings), int(tokenizer.model_max_length))
        with_kinds = getattr(config, "type_vocab_size", 0) >= 2
        first, last, padding = (int(one) for one in marks)
        return cls(first, last, padding, with_kinds, limit, max_query=(limit - _MARKS) // 2)

    def batch(self, queries: Sequence[Sequence[int]], texts: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        """Pairs as encoders take them, as long as the longest; int64 [N, L] each.

        Args:
            queries: Tokens without marks.
            texts: The same, as many.
        """
        rows, seconds = [], []
        for query, text in zip(queries, texts, strict=True):
            front = [self.first, *query[: self.max_query], self.last]
            rows.append([*front, *text[: self.max_tokens - len(front) - 1], self.last])
            seconds.append(len(front))
        width = max(len(row) for row in rows)
        ids_NL = torch.tensor([row + [self.padding] * (width - len(row)) for row in rows])
        lengths_N1 = torch.tensor([[len(row)] for row in rows])
        places_L = torch.arange(width)
        found = {"input_ids": ids_NL, "attention_mask": (places_L < lengths_N1).long()}
        if self.with_kinds:
            second_NL = (places_L >= torch.tensor(seconds)[:, None]) & (places_L < lengths_N1)
            found["token_type_ids"] = second_NL.long()
        return found


def text_tokens(tokenizer: Any, text: str) -> list[int]:
    """Tokens of a text, without marks."""
    return [int(one) for one in tokenizer(text, add_special_tokens=False)["input_ids"]]


def load_cross_encoder(
    name: str, *, dropout: float = 0.1, seed: int = 0, cache: Path | None = None
) -> tuple[TextClassifier, Any]:
    """A pre-trained encoder with a head of one number.

    A checkpoint of a ``BertForSequenceClassification`` with one label, such as public cross-encoders are, brings its head along.

    Args:
        name: ``packaged:minilm``, a folder, or a hub name of an encoder of the BERT family.
        dropout: Of the head.
        seed: Of what starts from random numbers.
        cache: Where hub downloads are kept.

    Returns:
        The network and its tokenizer.

    Raises:
        ConfigError: The checkpoint cannot be loaded, or has no mark in front of a text.
        MissingExtraError: transformers is not installed.
    """
    network, tokenizer = load_encoder_with_head(
        name, lambda width: FirstTokenHead(width=width, num_classes=1, dropout=dropout), seed=seed, cache=cache
    )
    config: Any = network.encoder.config
    if config.architectures == ["BertForSequenceClassification"] and config.num_labels == 1:
        whole = load_pretrained(
            require("transformers").AutoModelForSequenceClassification.from_pretrained,
            find_text_source(name).place,
            role="text",
            cache_dir=cache,
            dtype=torch.float32,
        )
        network.get_submodule("head.out").load_state_dict(whole.classifier.state_dict())
    return network, tokenizer


class RerankLearner:
    """Queries with candidates as a `kinema.tasks.task.Learner`; an example is a query with all of its candidates.

    Args:
        network: Of `load_cross_encoder`; changed by training.
        tokenizer: Of the same.
        form: How pairs are written.
        train: Cases to learn from.
        valid: Cases that validation looks at, with all candidates.
        loss: ``listwise``: softmax over a query's candidates against their grades; ``pointwise``: cross entropy of each pair.
        part_size: Pairs that go through the network together.

    Attributes:
        network: See the class.
        num_examples: Queries to learn from.

    Raises:
        DataError: A list of cases is empty.

    Source: Nogueira and Cho 2019, "Passage Re-ranking with BERT" (pointwise); Cao et al. 2007, "Learning to Rank: From
        Pairwise Approach to Listwise Approach" (top one).
    """

    def __init__(
        self,
        network: TextClassifier,
        tokenizer: Any,
        form: PairForm,
        *,
        train: Sequence[RerankCase],
        valid: Sequence[RerankCase],
        loss: Loss = "listwise",
        part_size: int = 32,
    ) -> None:
        if not train or not valid:
            raise DataError(
                f"a re-ranker needs queries to learn from and others to validate on, got {len(train)} and {len(valid)}; "
                "give it more pairs or more items with texts"
            )
        self.network, self.num_examples = network, len(train)
        self._tokenizer, self._form = tokenizer, form
        self._train, self._valid = train, valid
        self._loss, self._part_size = loss, part_size
        self._tokens: dict[str, list[int]] = {}

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Mean over queries, or over pairs."""
        cases = [self._train[row] for row in rows_B.tolist()]
        was_training = self.network.training
        self.network.train(draws is not None)
        with torch.random.fork_rng(devices=[]):
            if draws is not None:
                # The encoder's own dropout draws from torch's global generator.
                torch.manual_seed(int(draws.some(_HIGHEST_SEED, 1)))
            scores_N = self._scores(cases)
        self.network.train(was_training)
        grades_N = torch.from_numpy(np.concatenate([case.grades_K for case in cases]))
        if self._loss == "pointwise":
            return functional.binary_cross_entropy_with_logits(scores_N, grades_N)
        sizes = [len(case.items_K) for case in cases]
        total = torch.zeros(())
        for scores_K, grades_K in zip(torch.split(scores_N, sizes), torch.split(grades_N, sizes), strict=True):
            total = total - (scores_K.log_softmax(dim=0) * grades_K).sum() / grades_K.sum().clamp(min=1e-9)
        return total / len(cases)

    def validate(self) -> Mapping[str, float]:
        """``ndcg`` of the best mixture with the search, its ``weight``, and ``ndcg_alone`` and ``mrr_alone``."""
        reads = self.read(self._valid)
        weight, value = best_weight(self._valid, reads)
        alone = {f"{name}_alone": float(one.mean()) for name, one in judge(self._valid, reads, weight=1.0).items()}
        return {"ndcg": value, "weight": weight, **alone}

    def embeddings(self) -> Sequence[nn.Parameter]:
        """Vectors of the tokens, where they learn."""
        encoder: Any = self.network.encoder
        weight: nn.Parameter = encoder.get_input_embeddings().weight
        return [weight] if weight.requires_grad else []

    def read(self, cases: Sequence[RerankCase]) -> list[NDArray[np.float32]]:
        """Scores of the candidates of each case, float32 [K]."""
        was_training = self.network.training
        self.network.eval()
        with torch.inference_mode():
            scores_N = self._scores(cases).numpy()
        self.network.train(was_training)
        edges = np.cumsum([len(case.items_K) for case in cases])[:-1]
        return [np.asarray(one, dtype=np.float32) for one in np.split(scores_N, edges)]

    def _scores(self, cases: Sequence[RerankCase]) -> Tensor:
        """float32 [N], all pairs of all cases, in order; those of similar length go through the network together."""
        queries = [self._tokens_of(case.query) for case in cases for _ in case.items_K]
        texts = [self._tokens_of(text) for case in cases for text in case.texts_K]
        lengths_N = np.array([len(one) + len(other) for one, other in zip(queries, texts, strict=True)])
        places, found = [], []
        for part in parts_by_length(lengths_N, self._part_size):
            batch = self._form.batch([queries[one] for one in part], [texts[one] for one in part])
            places.append(part)
            found.append(self.network(batch)[:, 0].float())
        back_N = np.argsort(np.concatenate(places), kind="stable")
        return torch.cat(found)[torch.from_numpy(back_N)]

    def _tokens_of(self, text: str) -> list[int]:
        if text not in self._tokens:
            self._tokens[text] = text_tokens(self._tokenizer, text)
        return self._tokens[text]
