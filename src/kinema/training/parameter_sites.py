"""Where in a Transformer something can be changed by little: its layers, and what closes attention and feed-forward in each.

Families are told apart by the names of their parts, so that no library has to be imported to look.
"""

from dataclasses import dataclass
from typing import Final

from torch import nn

from kinema.flm.blocks import Attention
from kinema.training.adapters import lora_layers

_LISTS: Final = ("layer", "layers", "blocks")
"""What families call the list of their layers."""
_PARTS: Final = (
    ("attention.output.dense", "output.dense", "attention.self"),
    ("attention.out_lin", "ffn.lin2", ""),
    ("attention.attn.o", "output.dense", ""),
    ("attention.out", "feed_out", "attention"),
)
"""Inside a layer of BERT, RoBERTa and ELECTRA; DistilBERT; MPNet; FLM: the linear map that closes attention, the one that
closes feed-forward, and the module that a prefix can be put into, empty where the family has none that takes one."""


@dataclass(frozen=True)
class Sites:
    """Names of modules in a network, first layer first.

    Attributes:
        layers: Transformer layers.
        attention_outs: The linear maps that close attention.
        feed_outs: The linear maps that close feed-forward.
        attentions: What a prefix goes into; empty where the family takes none.
        linears: All linear maps inside of the layers.
    """

    layers: tuple[str, ...]
    attention_outs: tuple[str, ...]
    feed_outs: tuple[str, ...]
    attentions: tuple[str, ...]
    linears: tuple[str, ...]


def find_sites(network: nn.Module) -> Sites | None:
    """The Transformer of a network.

    Args:
        network: An encoder, FLM's network or its history encoder, or anything that holds one of them.

    Returns:
        Names, or None where there is no Transformer of a known family. Of several the one with most layers counts.

    Example:
        >>> from kinema.flm.sequence import HistoryEncoder
        >>> encoder = HistoryEncoder(d_model=8, num_blocks=2, num_heads=2, max_length=4, dropout=0.0)
        >>> find_sites(encoder).feed_outs
        ('blocks.0.feed_out', 'blocks.1.feed_out')
    """
    found = [
        (name, one, parts)
        for name, one in network.named_modules()
        if isinstance(one, nn.ModuleList) and name.rpartition(".")[2] in _LISTS and len(one)
        for parts in _PARTS
        if all(_part(layer, parts[0]) and _part(layer, parts[1]) for layer in one)
    ]
    if not found:
        return None
    name, layers, (attention_out, feed_out, attention) = max(found, key=lambda one: len(one[1]))
    names = tuple(f"{name}.{number}" for number in range(len(layers)))
    takes_prefix = bool(attention) and all(_takes_prefix(_part(layer, attention)) for layer in layers)
    return Sites(
        layers=names,
        attention_outs=tuple(f"{one}.{attention_out}" for one in names),
        feed_outs=tuple(f"{one}.{feed_out}" for one in names),
        attentions=tuple(f"{one}.{attention}" for one in names) if takes_prefix else (),
        linears=tuple(one for one in lora_layers(network) if one.startswith(tuple(f"{layer}." for layer in names))),
    )


def _part(layer: nn.Module, name: str) -> nn.Module | None:
    """A module inside of a layer."""
    for step in name.split("."):
        child = getattr(layer, step, None)
        if not isinstance(child, nn.Module):
            return None
        layer = child
    return layer


def _takes_prefix(attention: nn.Module | None) -> bool:
    """FLM's own attention, and self-attention of transformers, which asks a cache for earlier keys and values."""
    return isinstance(attention, Attention) or all(hasattr(attention, one) for one in ("key", "num_attention_heads"))
