"""The network's state after one history, as machine code.

For one user the whole Transformer is a few million multiplications, and torch would spend nearly all of the time on its way from
one small step to the next. Here it is one call, and the last block computes the last position alone, as nobody reads the others.

Shape suffixes: L history length, M = L + 1 positions (the profile stands in front), R the last of them, that are computed, D width,
P profile columns, A blocks, F width of the feed-forward layer, G sizes of gaps, H heads.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from kinema.compiled import compiled_sums
from kinema.flm.blocks import SMOOTHING, Attention, FrequencyFilter, LigrBlock, PlainBlock
from kinema.flm.network import CONTENT_DECAY, FLMNetwork
from kinema.flm.sequence import HistoryEncoder
from kinema.flm.timing import TimeBias

Floats = NDArray[np.float32]

_KNOWN: Final = {
    *(HistoryEncoder, nn.ModuleList, PlainBlock, LigrBlock, Attention, FrequencyFilter, TimeBias),
    *(nn.Linear, nn.LayerNorm),
}
_LEAST: Final = 1e-12
"""Lengths below it count as this: what torch's ``normalize`` does."""


class _Blocks(NamedTuple):
    """The parameters of all blocks, side by side; maps are ready to be multiplied from the right.

    Attributes:
        norms_A4D: Scale and shift before attention, scale and shift before the feed-forward layer.
        queries_ADD: Maps; their biases stand behind each, as with all others.
        keys_values_AD2: [A, D, 2 D].
        gates_ADD: Of attention and of the feed-forward layer in turn, [2 A, D, D]; empty for plain blocks.
        filters_AD: Squared scales of the frequency filters; empty without.
        table_GAH: Of the time bias; empty without.
        last_2D: Scale and shift of the last normalization.
    """

    norms_A4D: Floats
    queries_ADD: Floats
    queries_AD: Floats
    keys_values_AD2: Floats
    keys_values_A2: Floats
    out_ADD: Floats
    out_AD: Floats
    feed_in_ADF: Floats
    feed_in_AF: Floats
    feed_out_AFD: Floats
    feed_out_AD: Floats
    gates_ADD: Floats
    gates_AD: Floats
    filters_AD: Floats
    table_GAH: Floats
    last_2D: Floats


class _Sizes(NamedTuple):
    """Numbers of the network: heads, the share of the filter, and what keeps a variance from 0."""

    num_heads: int
    filter_share: float
    least: float


@dataclass(frozen=True, eq=False)
class OneHistory:
    """A network that reads one history at a time, in NumPy. It keeps copies of the parameters.

    Attributes:
        blocks: Of the history encoder.
        sizes: Of it.
        positions_MD: Added to what is read.
        unknown_D: Stands in front for a user without profile.
        profile: Map [D, P] and bias that make that of a profile; None in a network without profiles.
        gather_DD: The map of the order-free state.
    """

    blocks: _Blocks
    sizes: _Sizes
    positions_MD: Floats
    unknown_D: Floats
    profile: tuple[Floats, Floats] | None
    gather_DD: Floats

    @classmethod
    def of(cls, network: FLMNetwork) -> Self | None:
        """The same network; None where it has parts that are not known here, such as what learning on has put into it."""
        encoder = network.encoder
        parts, parameters = (*encoder.modules(), network.gather), (*encoder.parameters(), network.gather.weight)
        is_known = all(type(one) in _KNOWN and not (one._forward_hooks or one._forward_pre_hooks) for one in parts)  # noqa: SLF001  # there is no other way to ask
        if not is_known or any(one.dtype != torch.float32 for one in parameters):
            return None
        first: Any = encoder.blocks[0].attention
        return cls(
            _blocks_of(network),
            _Sizes(first.num_heads, float(first.filter_share), float(encoder.norm.eps)),
            _array(encoder.positions_LD),
            _array(encoder.unknown_D),
            None if encoder.profile is None else (_array(encoder.profile.weight), _array(encoder.profile.bias)),
            _array(network.gather.weight),
        )

    def sequential(
        self, items_LD: Floats, profile_P: Floats | None, buckets_MM: NDArray[np.int64] | None = None
    ) -> Floats:
        """What `kinema.flm.sequence.HistoryEncoder` gives for the last position, float32 [D].

        Args:
            items_LD: Vectors of the history, oldest first.
            profile_P: Zeros or None where nothing is known.
            buckets_MM: `kinema.flm.timing.buckets_of_one`; None where no time is known, and then there is no time bias.
        """
        x_MD = np.empty((len(items_LD) + 1, items_LD.shape[1]), dtype=np.float32)
        x_MD[0] = self.unknown_D
        if self.profile is not None and profile_P is not None and profile_P.any():
            map_DP, bias_D = self.profile
            x_MD[0] = map_DP @ profile_P.astype(np.float32, copy=False) + bias_D
        np.multiply(items_LD, np.float32(items_LD.shape[1] ** 0.5), out=x_MD[1:])
        x_MD += self.positions_MD[: len(x_MD)]
        return _last_state(x_MD, self.blocks, self.sizes, _NO_BUCKETS if buckets_MM is None else buckets_MM)

    def collaborative(self, items_LD: Floats) -> Floats:
        """What `FLMNetwork.collaborative` gives for the last interaction; zeros without any."""
        return _unit(self.gather_DD @ _unit(items_LD.sum(axis=0)))

    def content(self, content_LD: Floats) -> Floats:
        """What the history is like, the newest above all; zeros without any."""
        weights_L = np.power(np.float32(CONTENT_DECAY), np.arange(len(content_LD), dtype=np.float32)[::-1])
        return _unit(np.asarray(weights_L @ content_LD, dtype=np.float32))


_NO_BUCKETS: Final = np.zeros((0, 0), dtype=np.int64)


def _unit(x_D: Floats) -> Floats:
    return x_D / np.float32(max(math.sqrt(float(x_D @ x_D)), _LEAST))


def _blocks_of(network: FLMNetwork) -> _Blocks:
    encoder = network.encoder
    blocks: list[Any] = list(encoder.blocks)
    width = encoder.unknown_D.shape[0]
    joined = [one.attention.queries_keys_values for one in blocks]
    gates = [gate for one in blocks if isinstance(one, LigrBlock) for gate in (one.attention_gate, one.feed_gate)]
    filters = [one.attention.filter.scale_D.square() for one in blocks if one.attention.filter is not None]
    norms = [
        torch.stack([norm for part in (one.attention_norm, one.feed_norm) for norm in (part.weight, part.bias)])
        for one in blocks
    ]
    return _Blocks(
        norms_A4D=_stacked(norms),
        queries_ADD=_stacked(one.weight[:width].T for one in joined),
        queries_AD=_stacked(one.bias[:width] for one in joined),
        keys_values_AD2=_stacked(one.weight[width:].T for one in joined),
        keys_values_A2=_stacked(one.bias[width:] for one in joined),
        out_ADD=_stacked(one.attention.out.weight.T for one in blocks),
        out_AD=_stacked(one.attention.out.bias for one in blocks),
        feed_in_ADF=_stacked(one.feed_in.weight.T for one in blocks),
        feed_in_AF=_stacked(one.feed_in.bias for one in blocks),
        feed_out_AFD=_stacked(one.feed_out.weight.T for one in blocks),
        feed_out_AD=_stacked(one.feed_out.bias for one in blocks),
        gates_ADD=_stacked(one.weight.T for one in gates) if gates else np.zeros((0, width, width), dtype=np.float32),
        gates_AD=_stacked(one.bias for one in gates) if gates else np.zeros((0, width), dtype=np.float32),
        filters_AD=_stacked(filters) if filters else np.zeros((0, width), dtype=np.float32),
        table_GAH=np.zeros((0, 0, 0), dtype=np.float32)
        if encoder.time_bias is None
        else _array(encoder.time_bias.table_GAH),
        last_2D=_stacked([encoder.norm.weight, encoder.norm.bias]),
    )


def _array(values: Tensor) -> Floats:
    return np.array(values.detach().numpy(), dtype=np.float32, order="C")


def _stacked(parts: Iterable[Tensor]) -> Floats:
    return np.stack([_array(one) for one in parts])


@compiled_sums
def _last_state(x_MD: Floats, blocks: _Blocks, sizes: _Sizes, buckets_MM: NDArray[np.int64]) -> Floats:
    """All blocks one after the other, and the unit state of the last position."""
    num_blocks = len(blocks.norms_A4D)
    for a in range(num_blocks):
        first = len(x_MD) - 1 if a == num_blocks - 1 else 0
        x_RD = x_MD[first:]
        mixed_RD = _attended(x_MD, (first, a), blocks, sizes, buckets_MM)
        if len(blocks.gates_AD):
            _gate(mixed_RD, np.dot(x_RD, blocks.gates_ADD[2 * a]), blocks.gates_AD[2 * a])
        x_RD = x_RD + mixed_RD
        fed_RD = _fed(x_RD, a, blocks, sizes.least)
        if len(blocks.gates_AD):
            _gate(fed_RD, np.dot(x_RD, blocks.gates_ADD[2 * a + 1]), blocks.gates_AD[2 * a + 1])
        x_MD = x_RD + fed_RD
    state_D = _normed(x_MD, blocks.last_2D[0], blocks.last_2D[1], sizes.least)[0]
    squares = np.float32(0)
    for value in state_D:
        squares += value * value
    out_D: Floats = state_D / max(np.sqrt(squares), np.float32(_LEAST))
    return out_D


@compiled_sums
def _normed(x_RD: Floats, scale_D: Floats, shift_D: Floats, least: float) -> Floats:
    """Layer normalization."""
    out_RD = np.empty_like(x_RD)
    width = x_RD.shape[1]
    for r in range(len(x_RD)):
        total, squares = np.float32(0), np.float32(0)
        for d in range(width):
            total += x_RD[r, d]
        mean = total / np.float32(width)
        for d in range(width):
            squares += (x_RD[r, d] - mean) * (x_RD[r, d] - mean)
        factor = np.float32(1) / np.sqrt(squares / np.float32(width) + np.float32(least))
        for d in range(width):
            out_RD[r, d] = (x_RD[r, d] - mean) * factor * scale_D[d] + shift_D[d]
    return out_RD


@compiled_sums
def _attended(
    x_MD: Floats, at: tuple[int, int], blocks: _Blocks, sizes: _Sizes, buckets_MM: NDArray[np.int64]
) -> Floats:
    """What the attention of a block, with its filter, adds to the positions from one on: ``at`` says from which, and which block."""
    first, a = at
    normed_MD = _normed(x_MD, blocks.norms_A4D[a, 0], blocks.norms_A4D[a, 1], sizes.least)
    length, width = x_MD.shape
    queries_RD = np.dot(normed_MD[first:], blocks.queries_ADD[a])
    both_MD = np.dot(normed_MD, blocks.keys_values_AD2[a])
    size = width // sizes.num_heads
    scale = np.float32(1 / np.sqrt(size))
    read_RD = np.empty_like(queries_RD)
    queries_RE = np.empty((len(queries_RD), size), dtype=np.float32)
    keys_ME, values_ME = np.empty((length, size), dtype=np.float32), np.empty((length, size), dtype=np.float32)
    for h in range(sizes.num_heads):
        _part(queries_RD, h * size, blocks.queries_AD[a], queries_RE)
        _part(both_MD, h * size, blocks.keys_values_A2[a], keys_ME)
        _part(both_MD, width + h * size, blocks.keys_values_A2[a], values_ME)
        shares_RM = np.dot(queries_RE, keys_ME.T)
        for r in range(len(shares_RM)):
            if len(buckets_MM):
                for m in range(first + r + 1):
                    shares_RM[r, m] += blocks.table_GAH[buckets_MM[first + r, m], a, h] / scale
            _shared(shares_RM[r], first + r + 1, scale)
        read_RE = np.dot(shares_RM, values_ME)
        for r in range(len(read_RE)):
            for e in range(size):
                read_RD[r, h * size + e] = read_RE[r, e]
    out_RD: Floats = np.dot(read_RD, blocks.out_ADD[a])
    for r in range(len(out_RD)):
        for d in range(width):
            out_RD[r, d] += blocks.out_AD[a, d]
    if len(blocks.filters_AD):
        _filter(out_RD, normed_MD, first, blocks.filters_AD[a], np.float32(sizes.filter_share))
    return out_RD


@compiled_sums
def _part(x_MD: Floats, start: int, bias_D: Floats, out_ME: Floats) -> None:
    """Some columns with their biases, copied: what is multiplied must lie together."""
    for m in range(len(out_ME)):
        for e in range(out_ME.shape[1]):
            out_ME[m, e] = x_MD[m, start + e] + bias_D[start + e]


@compiled_sums
def _shared(x_M: Floats, size: int, scale: np.floating) -> None:
    """Softmax of the first few numbers times a scale, in place; the others become 0."""
    most, whole = x_M[0], np.float32(0)
    for m in range(1, size):
        most = max(most, x_M[m])
    for m in range(size):
        x_M[m] = np.exp((x_M[m] - most) * scale)
        whole += x_M[m]
    for m in range(size):
        x_M[m] /= whole
    x_M[size:] = 0


@compiled_sums
def _filter(out_RD: Floats, x_MD: Floats, first: int, quick_D: Floats, share: np.floating) -> None:
    """Mix the frequency filter of some positions into what attention gives for the last of them, in place."""
    slow_D, whole = np.zeros_like(quick_D), np.float32(0)
    for m in range(len(x_MD)):
        whole = np.float32(SMOOTHING) * whole + np.float32(1)
        for d in range(len(quick_D)):
            slow_D[d] = np.float32(SMOOTHING) * slow_D[d] + x_MD[m, d]
        if m >= first:
            for d in range(len(quick_D)):
                slow = slow_D[d] / whole
                kept = slow + quick_D[d] * (x_MD[m, d] - slow)
                out_RD[m - first, d] += share * (kept - out_RD[m - first, d])


@compiled_sums
def _fed(x_RD: Floats, a: int, blocks: _Blocks, least: float) -> Floats:
    """What the feed-forward layer of a block adds."""
    normed_RD = _normed(x_RD, blocks.norms_A4D[a, 2], blocks.norms_A4D[a, 3], least)
    wide_RF = np.dot(normed_RD, blocks.feed_in_ADF[a])
    bias_F, inner = blocks.feed_in_AF[a], blocks.feed_out_AFD.shape[1]
    fed_RD: Floats
    if inner == len(bias_F):
        for r in range(len(wide_RF)):
            _gelu(wide_RF[r], bias_F)
        fed_RD = np.dot(wide_RF, blocks.feed_out_AFD[a])
    else:
        inner_RF = np.empty((len(wide_RF), inner), dtype=np.float32)
        for r in range(len(wide_RF)):
            for f in range(inner):
                value = wide_RF[r, f] + bias_F[f]
                passed = wide_RF[r, inner + f] + bias_F[inner + f]
                inner_RF[r, f] = value / (np.float32(1) + np.exp(-value)) * passed
        fed_RD = np.dot(inner_RF, blocks.feed_out_AFD[a])
    for r in range(len(fed_RD)):
        for d in range(fed_RD.shape[1]):
            fed_RD[r, d] += blocks.feed_out_AD[a, d]
    return fed_RD


@compiled_sums
def _gelu(x_F: Floats, bias_F: Floats) -> None:
    """GELU of numbers with their biases, in place."""
    for f in range(len(x_F)):
        value = x_F[f] + bias_F[f]
        x_F[f] = np.float32(0.5) * value * (np.float32(1) + _erf(value * np.float32(_HALF_ROOT)))


_HALF_ROOT: Final = math.sqrt(0.5)


@compiled_sums
def _erf(x: np.floating) -> np.floating:
    """The error function to seven digits, of few multiplications: that of the C library takes longer than all the rest of a block.

    Source: the rational approximation of Eigen (`generic_fast_erf_float`), of degree 13 over 8 on [-4, 4].
    """
    x = min(x, np.float32(4))
    x = max(x, np.float32(-4))
    x2 = x * x
    above = x2 * np.float32(-2.72614225801306e-10) + np.float32(2.77068142495902e-08)
    above = x2 * above + np.float32(-2.10102402082508e-06)
    above = x2 * above + np.float32(-5.69250639462346e-05)
    above = x2 * above + np.float32(-7.34990630326855e-04)
    above = x2 * above + np.float32(-2.95459980854025e-03)
    above = x2 * above + np.float32(-1.60960333262415e-02)
    below = x2 * np.float32(-1.45660718464996e-05) + np.float32(-2.13374055278905e-04)
    below = x2 * below + np.float32(-1.68282697438203e-03)
    below = x2 * below + np.float32(-7.37332916720468e-03)
    below = x2 * below + np.float32(-1.42647390514189e-02)
    return x * above / below


@compiled_sums
def _gate(x_RD: Floats, gate_RD: Floats, bias_D: Floats) -> None:
    """Let through the share that a gate opens, in place."""
    for r in range(len(x_RD)):
        for d in range(len(bias_D)):
            x_RD[r, d] /= np.float32(1) + np.exp(-(gate_RD[r, d] + bias_D[d]))
