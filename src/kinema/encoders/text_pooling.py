"""From the vectors of a text's tokens to one, for encoders (BERT) and for decoders (the GPT family).

Shape suffixes: N texts, L tokens, D width.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Literal

from kinema.extras import require

if TYPE_CHECKING:
    from torch import Tensor

Pooling = Literal["mean", "cls", "weighted", "last"]
"""``mean`` of the tokens; the ``cls`` token, the first; mean ``weighted`` by position; the ``last`` token."""

_DECLARED: Final[tuple[tuple[str, str, Pooling], ...]] = (
    ("pooling_mode_cls_token", "cls", "cls"),
    ("pooling_mode_lasttoken", "lasttoken", "last"),
    ("pooling_mode_weightedmean_tokens", "weightedmean", "weighted"),
    ("pooling_mode_mean_tokens", "mean", "mean"),
)


def declared_pooling(settings: Mapping[str, Any]) -> Pooling | None:
    """What a checkpoint's sentence-transformers settings ask for; None where they ask for nothing we know.

    Args:
        settings: Content of ``1_Pooling/config.json``; may be empty.

    Example:
        >>> declared_pooling({"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False})
        'last'
    """
    for flag, word, pooling in _DECLARED:
        if settings.get(flag) or settings.get("pooling_mode") == word:
            return pooling
    return None


def is_decoder(config: Any) -> bool:
    """Whether a token sees only what stands before it, as in GPT-2, Llama or Qwen.

    Args:
        config: A transformers configuration.
    """
    auto = require("transformers").models.auto.modeling_auto
    kind = config.model_type
    return kind in auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES


def usual_pooling(config: Any) -> Pooling:
    """How the tokens of a checkpoint are pooled that asks for nothing.

    An encoder's tokens all see the whole text: mean. A decoder's last token knows most but was trained to name the next one,
    and its first is the same for all texts; weighting by position keeps all and trusts the later ones more. Decoders that
    were trained for their last token say so in their settings.

    Args:
        config: A transformers configuration.

    Source:
        Muennighoff, SGPT: GPT Sentence Embeddings for Semantic Search, 2022, section 3.1.
    """
    return "weighted" if is_decoder(config) else "mean"


def prepare_tokenizer(tokenizer: Any) -> Any:
    """Make batches possible: a padding token where there is none, and padding behind the text.

    What stands for padding is masked, so any token serves.

    Args:
        tokenizer: Changed in place.

    Returns:
        The tokenizer.
    """
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = (
            tokenizer.eos_token or tokenizer.bos_token or tokenizer.unk_token or tokenizer.convert_ids_to_tokens(0)
        )
    tokenizer.padding_side = "right"
    tokenizer.truncation_side = "right"
    return tokenizer


def pool_tokens(hidden_NLD: "Tensor", mask_NL: "Tensor", pooling: Pooling) -> "Tensor":
    """One vector per text; padding never counts.

    Args:
        hidden_NLD: float32 [N, L, D], padding behind the text.
        mask_NL: 1 for tokens, 0 for padding.
        pooling: How.

    Returns:
        float32 [N, D].

    Example:
        >>> import torch
        >>> hidden = torch.tensor([[[1.0], [4.0], [9.0]]])
        >>> mask = torch.tensor([[1, 1, 0]])
        >>> [pool_tokens(hidden, mask, one).item() for one in ("mean", "cls", "weighted", "last")]
        [2.5, 1.0, 3.0, 4.0]
    """
    if pooling == "cls":
        return hidden_NLD[:, 0]
    if pooling == "last":
        last_N = (mask_NL.sum(1) - 1).clamp(min=0)
        return hidden_NLD[range(len(hidden_NLD)), last_N]
    weights_NL1 = mask_NL[..., None].float()
    if pooling == "weighted":
        weights_NL1 = weights_NL1 * weights_NL1.cumsum(1)
    return (hidden_NLD * weights_NL1).sum(1) / weights_NL1.sum(1).clamp(min=1.0)
