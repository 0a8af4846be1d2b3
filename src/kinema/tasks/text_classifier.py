"""A text or a pair of texts gets a label: an encoder of the BERT family, and a head over its first token or over all of them.

Shape suffixes: N examples, B of them in a batch, L tokens, D width of the encoder, C classes.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata
from torch import Tensor, nn
from torch.nn import functional

from kinema.encoders.text import find_text_source
from kinema.encoders.weights import load_pretrained
from kinema.errors import ConfigError, DataError
from kinema.extras import require
from kinema.flm.draws import Draws
from kinema.seeds import derive_seed
from kinema.tasks.text_tokens import LabelledTexts, parts_by_length

HEAD: Final = "head"
"""Name of the head inside of the network, for `kinema.training.parameter_choice.choose`."""
_HIGHEST_SEED: Final = 1 << 31


class FirstTokenHead(nn.Module):
    """The vector of the first token, [CLS]: linear, tanh, dropout, linear; as in ``BertForSequenceClassification``.

    Args:
        width: D.
        num_classes: C.
        dropout: Share that is dropped in training.
    """

    def __init__(self, *, width: int, num_classes: int, dropout: float) -> None:
        super().__init__()
        self.dense, self.dropout, self.out = nn.Linear(width, width), nn.Dropout(dropout), nn.Linear(width, num_classes)
        for one in (self.dense, self.out):
            nn.init.normal_(one.weight, std=0.02)
            nn.init.zeros_(one.bias)

    def forward(self, hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """Logits [B, C]."""
        del mask_BL
        logits_BC: Tensor = self.out(self.dropout(torch.tanh(self.dense(hidden_BLD[:, 0]))))
        return logits_BC


class RecurrentHead(nn.Module):
    """A bidirectional LSTM over the vectors of all tokens; its last states of both directions, dropout, linear.

    Args:
        width: D.
        num_classes: C.
        dropout: Share that is dropped in training.
        inner: Width of one direction.
    """

    def __init__(self, *, width: int, num_classes: int, dropout: float, inner: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(width, inner, batch_first=True, bidirectional=True)
        self.dropout, self.out = nn.Dropout(dropout), nn.Linear(2 * inner, num_classes)

    def forward(self, hidden_BLD: Tensor, mask_BL: Tensor) -> Tensor:
        """Logits [B, C]; padding is not read."""
        packed = nn.utils.rnn.pack_padded_sequence(
            hidden_BLD, mask_BL.sum(dim=1).cpu(), batch_first=True, enforce_sorted=False
        )
        _, (last_2BI, _) = self.lstm(packed)
        logits_BC: Tensor = self.out(self.dropout(torch.cat([last_2BI[0], last_2BI[1]], dim=-1)))
        return logits_BC


class TextClassifier(nn.Module):
    """Encoder and head.

    An encoder of which nothing learns stays in evaluation mode: dropping parts of vectors that cannot adapt only blurs them.

    Args:
        encoder: Of transformers; gives ``last_hidden_state``.
        head: Of the two above.
    """

    def __init__(self, encoder: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def train(self, mode: bool = True) -> "TextClassifier":  # noqa: FBT001, FBT002  # torch's signature
        """See the class."""
        super().train(mode)
        if not any(one.requires_grad for one in self.encoder.parameters()):
            self.encoder.eval()
        return self

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Logits [B, C] of a batch from `LabelledTexts.batch`."""
        logits_BC: Tensor = self.head(self.encoder(**batch).last_hidden_state, batch["attention_mask"])
        return logits_BC


def load_text_classifier(
    name: str,
    *,
    head: Literal["first", "lstm"] = "first",
    num_classes: int = 2,
    dropout: float = 0.1,
    inner: int = 128,
    seed: int = 0,
    cache: Path | None = None,
) -> tuple[TextClassifier, Any]:
    """A pre-trained encoder with a head that has not learnt yet.

    Args:
        name: ``packaged:minilm``, a folder, or a hub name of an encoder of the BERT family.
        head: `FirstTokenHead` or `RecurrentHead`. The former starts from the checkpoint's pooler where it has one.
        num_classes: C, >= 2.
        dropout: In [0, 1), of the head; the encoder has its own.
        inner: Width of one direction of the LSTM.
        seed: Of what starts from random numbers.
        cache: Where hub downloads are kept; the hub's default where None.

    Returns:
        The network, and the checkpoint's tokenizer.

    Raises:
        ConfigError: The checkpoint cannot be loaded or has no first token that stands for the text, or a number is out of range.
        MissingExtraError: transformers is not installed.
    """
    if num_classes < 2 or not 0 <= dropout < 1 or head not in {"first", "lstm"}:
        raise ConfigError(
            "a text classifier needs a head first or lstm, at least 2 classes and dropout in [0, 1), got "
            f"'{head}', {num_classes} and {dropout}"
        )
    sizes: dict[str, Any] = {"num_classes": num_classes, "dropout": dropout}

    def make_head(width: int) -> FirstTokenHead | RecurrentHead:
        if head == "first":
            return FirstTokenHead(width=width, **sizes)
        return RecurrentHead(width=width, inner=inner, **sizes)

    return load_encoder_with_head(name, make_head, seed=seed, cache=cache)


def load_encoder_with_head(
    name: str,
    make_head: Callable[[int], FirstTokenHead | RecurrentHead],
    *,
    seed: int = 0,
    cache: Path | None = None,
) -> tuple[TextClassifier, Any]:
    """A pre-trained encoder with a head of one's own.

    Args:
        name: See `load_text_classifier`.
        make_head: Width of the encoder -> the head; a `FirstTokenHead` starts from the checkpoint's pooler where it has one.
        seed: Of what starts from random numbers.
        cache: Where hub downloads are kept; the hub's default where None.

    Returns:
        The network, and the checkpoint's tokenizer.

    Raises:
        ConfigError: The checkpoint cannot be loaded or has no first token that stands for the text.
        MissingExtraError: transformers is not installed.
    """
    transformers, place = require("transformers"), find_text_source(name).place
    settings: dict[str, Any] = {"role": "text", "cache_dir": cache}
    tokenizer = load_pretrained(transformers.AutoTokenizer.from_pretrained, place, **settings)
    if tokenizer.cls_token_id is None or tokenizer.pad_token_id is None:
        raise ConfigError(
            f"text encoder '{name}' must have [CLS] and padding tokens to classify, its tokenizer has not"
        )
    settings |= {"dtype": torch.float32, "output_loading_info": True}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "text classifier"))
        encoder, info = load_pretrained(transformers.AutoModel.from_pretrained, place, **settings)
        made = make_head(int(encoder.config.hidden_size))
    pooler = getattr(encoder, "pooler", None)
    if pooler is not None:
        known = not any("pooler" in one for one in info["missing_keys"]) and hasattr(pooler, "dense")
        if known and isinstance(made, FirstTokenHead):
            made.dense.load_state_dict(pooler.dense.state_dict())
        encoder.pooler = None
    return TextClassifier(encoder, made), tokenizer


class TextLearner:
    """Texts with labels as a `kinema.tasks.task.Learner`.

    Args:
        network: Changed by training.
        train: Examples.
        valid: Examples that validation looks at.
        part_size: Examples that go through the network together; those of a step are put together by length.
        changed: Numbers of training examples and draws -> the same examples said a little differently, for each step anew; None
            for examples as they are.

    Attributes:
        network: See the class.
        num_examples: Training examples.
        valid: See the class.

    Raises:
        DataError: A label is not one of the network's classes.
    """

    def __init__(
        self,
        network: TextClassifier,
        train: LabelledTexts,
        valid: LabelledTexts,
        *,
        part_size: int = 32,
        changed: Callable[[NDArray[np.int64], Draws], LabelledTexts] | None = None,
    ) -> None:
        self.network = network
        self.num_examples = len(train)
        self._train, self.valid, self._part_size = train, valid, part_size
        self._changed = changed
        num_classes = network.get_parameter("head.out.bias").numel()
        highest = max(int(one.labels_N.max()) for one in (train, valid))
        if highest >= num_classes:
            raise DataError(
                f"labels must be below the {num_classes} classes of the network, one is {highest}; load it with more classes"
            )

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Mean cross entropy."""
        labels_B, texts, places_B = torch.from_numpy(self._train.labels_N[rows_B]), self._train, rows_B
        if self._changed is not None and draws is not None:
            texts, places_B = self._changed(rows_B, draws), np.arange(len(rows_B))
        was_training = self.network.training
        self.network.train(draws is not None)
        total = torch.zeros(())
        with torch.random.fork_rng(devices=[]):
            if draws is not None:
                # The encoder's own dropout draws from torch's global generator.
                torch.manual_seed(int(draws.some(_HIGHEST_SEED, 1)))
            for part in parts_by_length(texts.lengths_N[places_B], self._part_size):
                logits = self.network(texts.batch(places_B[part])).float()
                total = total + functional.cross_entropy(logits, labels_B[torch.from_numpy(part)], reduction="sum")
        self.network.train(was_training)
        return total / len(rows_B)

    def validate(self) -> Mapping[str, float]:
        """``accuracy``, ``log_loss`` and, of two classes, ``auc``."""
        return text_metrics(self.valid.labels_N, self.predict(self.valid))

    def embeddings(self) -> Sequence[nn.Parameter]:
        """Vectors of the tokens, where they learn."""
        encoder: Any = self.network.encoder
        weight: nn.Parameter = encoder.get_input_embeddings().weight
        return [weight] if weight.requires_grad else []

    def predict(self, texts: LabelledTexts) -> NDArray[np.float32]:
        """Probabilities of the classes.

        Returns:
            float32 [N, C], rows sum to 1, in the order given.
        """
        was_training = self.network.training
        self.network.eval()
        probs_NC = np.zeros((len(texts), self.network.get_parameter("head.out.bias").numel()), dtype=np.float32)
        with torch.inference_mode():
            for part in parts_by_length(texts.lengths_N, self._part_size):
                probs_NC[part] = self.network(texts.batch(part)).float().softmax(dim=-1).numpy()
        self.network.train(was_training)
        return probs_NC


def text_metrics(labels_N: NDArray[np.int64], probs_NC: NDArray[np.float32]) -> dict[str, float]:
    """Accuracy, mean log loss, and area under the ROC curve of two classes where both occur.

    Example:
        >>> text_metrics(np.array([0, 1]), np.array([[0.75, 0.25], [0.5, 0.5]], dtype=np.float32))
        {'accuracy': 0.5, 'log_loss': 0.490..., 'auc': 1.0}
    """
    right_N = np.maximum(probs_NC[np.arange(len(labels_N)), labels_N].astype(np.float64), 1e-12)
    found = {
        "accuracy": float((probs_NC.argmax(axis=1) == labels_N).mean()),
        "log_loss": float(-np.log(right_N).mean()),
    }
    positive_N = labels_N == 1
    if probs_NC.shape[1] == 2 and 0 < positive_N.sum() < len(labels_N):
        ranks_N = rankdata(probs_NC[:, 1].astype(np.float64))
        ones = int(positive_N.sum())
        above = float(ranks_N[positive_N].sum()) - ones * (ones + 1) / 2
        found["auc"] = above / (ones * (len(labels_N) - ones))
    return found
