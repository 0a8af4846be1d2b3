"""Small modules put into a Transformer that stays as it is: bottlenecks behind its linear maps, prefixes before its keys.

They are registered on the modules they work beside, so that the parameters of the Transformer keep their names, and taking
them away leaves it bit for bit as it was.

Shape suffixes: B rows, L positions, P positions of the prefix, H heads, E width of a head, D width, W width of a bottleneck.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from kinema.flm.blocks import Attention

_BOTTLENECK: Final = "bottleneck"
_PREFIX: Final = "prefix"
_START: Final = 0.02
"""Deviation of what starts from random numbers."""

Undo = Callable[[], None]


class Bottleneck(nn.Module):
    """Down to few numbers, GELU, up again, added to what came in; does nothing until it is trained.

    Args:
        width: D.
        inner: W, >= 1; there are 2 D W + D + W parameters.

    Source: Houlsby et al. 2019, "Parameter-Efficient Transfer Learning for NLP". We differ by leaving layer norms frozen,
        and by an upper map that starts at zero instead of near it.

    Example:
        >>> Bottleneck(width=4, inner=2)(torch.ones(1, 4))
        tensor([[1., 1., 1., 1.]], grad_fn=<AddBackward0>)
    """

    def __init__(self, *, width: int, inner: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, inner), nn.Linear(inner, width)
        for one in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(one)
        nn.init.normal_(self.down.weight, std=_START)

    def forward(self, x_BLD: Tensor) -> Tensor:
        """Same shape."""
        out_BLD: Tensor = x_BLD + self.up(functional.gelu(self.down(x_BLD)))
        return out_BLD


class Prefix(nn.Module):
    """Learned keys and values that every position may look at besides the positions of its row.

    Unlike the other methods this changes what the network says from the start: some attention goes to the prefix. Values
    start at zero and keys small.

    Args:
        num_heads: H.
        head_width: E.
        length: P, >= 1; there are 2 H P E parameters.

    Source: Li and Liang 2021, "Prefix-Tuning". We differ by learning keys and values themselves, not through a network.
    """

    def __init__(self, *, num_heads: int, head_width: int, length: int) -> None:
        super().__init__()
        self.keys_HPE = nn.Parameter(_START * torch.randn(num_heads, length, head_width))
        self.values_HPE = nn.Parameter(torch.zeros(num_heads, length, head_width))

    def before(self, keys_BHLE: Tensor, values_BHLE: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values with the prefix in front, [B, H, P + L, E]."""
        num_rows = len(keys_BHLE)
        keys, values = (
            one.to(keys_BHLE.dtype).expand(num_rows, -1, -1, -1) for one in (self.keys_HPE, self.values_HPE)
        )
        return torch.cat([keys, keys_BHLE], dim=2), torch.cat([values, values_BHLE], dim=2)


class HistoryPrefix(Prefix):
    """A prefix for FLM's causal attention (`kinema.flm.blocks.Attention`)."""

    def forward(
        self, keys_BHLE: Tensor, values_BHLE: Tensor, bias_BHLL: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Keys, values, and the mask: every position sees the whole prefix and the positions up to itself."""
        keys, values = self.before(keys_BHLE, values_BHLE)
        length, ahead = keys_BHLE.shape[2], self.keys_HPE.shape[1]
        if bias_BHLL is not None:
            return keys, values, functional.pad(bias_BHLL, (ahead, 0))
        causal_LL = torch.ones(length, length, dtype=torch.bool, device=keys.device).tril()
        return keys, values, functional.pad(causal_LL, (ahead, 0), value=True)


class TextPrefix(Prefix):
    """A prefix for self-attention of transformers, which takes it for a cache of earlier keys and values.

    peft's prefix is handed to the network as a whole, which then counts it in the numbers of the positions: a BERT would read
    its first token as its P-th. Given to each attention, positions stay what they are.
    """

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """What attention calls on a cache."""
        return self.before(key_states, value_states)

    def arguments(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Arguments of attention, with the prefix as its cache, visible to all."""
        mask = arguments.get("attention_mask")
        if mask is not None:
            seen = True if mask.dtype == torch.bool else 0.0
            mask = functional.pad(mask, (self.keys_HPE.shape[1], 0), value=seen)
        return arguments | {"past_key_values": self, "attention_mask": mask}


def insert_bottlenecks(network: nn.Module, names: Sequence[str], *, inner: int) -> Undo:
    """Put a bottleneck behind each of these linear maps.

    Args:
        network: Changed in place.
        names: Of linear maps.
        inner: See `Bottleneck`.

    Returns:
        What takes them away again.
    """
    return _together([_insert_bottleneck(network.get_submodule(name), inner) for name in names])


def insert_prefixes(network: nn.Module, names: Sequence[str], *, length: int) -> Undo:
    """Put a prefix into each of these attentions.

    Args:
        network: Changed in place.
        names: Of attentions, from `kinema.training.parameter_sites.find_sites`.
        length: See `Prefix`.

    Returns:
        What takes them away again.
    """
    return _together([_insert_prefix(network.get_submodule(name), length) for name in names])


def _insert_bottleneck(linear: nn.Module, inner: int) -> Undo:
    weight = linear.get_parameter("weight")
    linear.add_module(_BOTTLENECK, Bottleneck(width=len(weight), inner=inner).to(weight))
    handle = linear.register_forward_hook(_narrow)

    def undo() -> None:
        handle.remove()
        delattr(linear, _BOTTLENECK)

    return undo


def _narrow(linear: nn.Module, _: Any, output: Tensor) -> Tensor:
    narrowed: Tensor = linear.get_submodule(_BOTTLENECK)(output)
    return narrowed


def _insert_prefix(attention: Any, length: int) -> Undo:
    if isinstance(attention, Attention):
        weight = attention.out.weight
        head_width = len(weight) // attention.num_heads
        attention.prefix = HistoryPrefix(num_heads=attention.num_heads, head_width=head_width, length=length).to(weight)
        return lambda: setattr(attention, _PREFIX, None)
    heads, weight = attention.num_attention_heads, attention.key.weight
    attention.add_module(
        _PREFIX, TextPrefix(num_heads=heads, head_width=len(weight) // heads, length=length).to(weight)
    )
    handle = attention.register_forward_pre_hook(_give_prefix, with_kwargs=True)

    def undo() -> None:
        handle.remove()
        delattr(attention, _PREFIX)

    return undo


def _give_prefix(attention: Any, given: tuple[Any, ...], arguments: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    return given, attention.prefix.arguments(arguments)


def _together(undos: Sequence[Undo]) -> Undo:
    def undo() -> None:
        for one in undos:
            one()

    return undo
