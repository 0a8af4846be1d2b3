"""Which parameters learn: all, none but the head, the top layers, or a few new ones beside a Transformer that stays.

One function for encoders of the BERT family and for FLM's own layers. The network is changed in place and called as before;
what was changed can be taken back, bit for bit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final, Literal

import torch
from torch import Tensor, nn

from kinema.errors import ConfigError
from kinema.seeds import derive_seed
from kinema.training.adapters import add_lora, lora_layers, merge_lora
from kinema.training.inserts import Bottleneck, Prefix, Undo, insert_bottlenecks, insert_prefixes
from kinema.training.parameter_sites import Sites, find_sites

Method = Literal["full", "frozen", "top", "lora", "adapter", "prefix"]
METHODS: Final[tuple[Method, ...]] = ("full", "frozen", "top", "lora", "adapter", "prefix")
_BASE: Final = ".base_layer."
"""What peft puts into the names of parameters that stand beside its own."""


@dataclass(frozen=True)
class Choice:
    """Which parameters learn besides the heads, which always do.

    Attributes:
        method: ``full`` all; ``frozen`` none; ``top`` the last layers; ``lora`` low-rank maps beside all linear maps of
            the layers; ``adapter`` bottlenecks; ``prefix`` keys and values in front of every attention.
        layers: Of ``top``, >= 1.
        rank: Of ``lora``, >= 1.
        width: Of the bottlenecks, >= 1.
        placement: Of the bottlenecks: ``houlsby`` behind attention and feed-forward, ``pfeiffer`` behind feed-forward alone.
        length: Of the prefix, in positions, >= 1.

    Raises:
        ConfigError: An unknown method or placement, or a number out of range.

    Source: Hu et al. 2022 (LoRA); Houlsby et al. 2019 and Pfeiffer et al. 2021 (adapters); Li and Liang 2021 (prefix).
    """

    method: Method
    layers: int = 2
    rank: int = 8
    width: int = 48
    placement: Literal["houlsby", "pfeiffer"] = "houlsby"
    length: int = 16

    def __post_init__(self) -> None:
        """Refuse what cannot be done."""
        if self.method not in METHODS:
            raise ConfigError(f"what learns must be one of {', '.join(METHODS)}, is '{self.method}'")
        if self.placement not in {"houlsby", "pfeiffer"}:
            raise ConfigError(f"placement of adapters must be houlsby or pfeiffer, is '{self.placement}'")
        for name in ("layers", "rank", "width", "length"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} of what learns must be >= 1, is {getattr(self, name)}; raise it")


@dataclass
class Chosen:
    """A network of which some parameters learn.

    Attributes:
        network: Called as ever.
        choice: What was asked for.
        heads: Names of the modules that belong to the task; they are no part of theta and learn always.
        theta: Fingerprint of all the rest as it was, see `theta_fingerprint`.
        num_learning: Numbers that learn, heads included.
        num_heads: Those of them in heads.
        num_all: Numbers in the network, with what was put in.
        merged: What was put in has become part of the weights.
    """

    network: nn.Module
    choice: Choice
    heads: tuple[str, ...]
    theta: str
    num_learning: int
    num_heads: int
    num_all: int
    merged: bool = False
    _before: dict[str, Tensor] = field(default_factory=dict, repr=False)
    _flags: Mapping[str, bool] = field(default_factory=dict, repr=False)
    _undo: Undo = field(default=lambda: None, repr=False)
    _lora: Any = field(default=None, repr=False)

    def added(self) -> dict[str, Tensor]:
        """What was put in beside theta: name -> parameter; empty for ``full``, ``frozen`` and ``top``."""
        return {
            name: one
            for name, one in self.network.named_parameters()
            if name.replace(_BASE, ".") not in self._flags and not in_heads(name, self.heads)
        }

    def changed(self) -> dict[str, tuple[Tensor, Tensor]]:
        """What is no longer as in theta: name -> before, now."""
        now = theta_of(self.network, self.heads)
        return {name: (old, now[name]) for name, old in self._before.items() if not _same(old, now[name])}

    def head_state(self) -> dict[str, Tensor]:
        """Name -> parameter or buffer of the heads."""
        return {name: one for name, one in _numbers(self.network).items() if in_heads(name, self.heads)}

    def merge(self) -> None:
        """Make what was learnt part of the weights, so that serving costs nothing more.

        ``full``, ``frozen`` and ``top`` have nothing beside the weights, so that nothing happens.

        Raises:
            ConfigError: Bottlenecks and prefixes are no linear maps beside others, and cannot be merged.
        """
        if self.choice.method in {"adapter", "prefix"}:
            raise ConfigError(
                f"what was learnt by '{self.choice.method}' cannot be merged into the weights, it stays beside them; "
                "use lora where it must"
            )
        if self._lora is None or self.merged:
            return
        self._before = {name: one.clone() for name, one in theta_of(self.network, self.heads).items()} | self._before
        merge_lora(self._lora)
        _forget_peft(self.network)
        self.merged = True

    def remove(self) -> None:
        """Give theta back bit for bit, merged or not, and let everything learn again; heads stay as they are."""
        if not self.merged:
            self._undo()
        with torch.no_grad():
            for name, one in theta_of(self.network, self.heads).items():
                if name in self._before:
                    one.copy_(self._before[name])
        for name, one in self.network.named_parameters():
            one.requires_grad_(self._flags.get(name, True))
        self._undo, self._lora, self._before, self.merged = _nothing, None, {}, False


def choose(network: nn.Module, choice: Choice, *, heads: Sequence[str] = (), seed: int = 0) -> Chosen:
    """Decide which parameters of a network learn.

    Args:
        network: An encoder, FLM's network, or a task's network that holds one; changed in place. Until something is
            learnt it says what it said before; a prefix alone changes it a little.
        choice: Which.
        heads: Names of modules in it that are the task's own, such as ``head``.
        seed: Of what starts from random numbers.

    Returns:
        What learns, how much that is, and the way back.

    Raises:
        ConfigError: There is no such head, the network has no place for what is asked, or something lies beside its weights
            already.
        MissingExtraError: peft is not installed and LoRA is asked for.

    Example:
        >>> from kinema.flm.sequence import HistoryEncoder
        >>> encoder = HistoryEncoder(d_model=8, num_blocks=2, num_heads=2, max_length=4, dropout=0.0)
        >>> chosen = choose(encoder, Choice("adapter", width=2, placement="pfeiffer"))
        >>> chosen.num_learning, sorted(chosen.added())[0]
        (84, 'blocks.0.feed_out.bottleneck.down.bias')
    """
    if any(isinstance(one, Bottleneck | Prefix) or hasattr(one, "lora_A") for one in network.modules()):
        raise ConfigError(
            "a network must be free of earlier adapters to choose what learns; merge or remove them first"
        )
    for head in heads:
        if head not in dict(network.named_modules()):
            raise ConfigError(f"a head must be a module of the network, it has no '{head}'; name one that it has")
    flags = {name: one.requires_grad for name, one in network.named_parameters()}
    theta = theta_fingerprint(network, heads)
    learning = _learning(network, choice, heads)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "what learns"))
        undo, lora = _put_in(network, choice, heads)
    for name, one in network.named_parameters():
        plain = name.replace(_BASE, ".")
        one.requires_grad_(in_heads(name, heads) or plain not in flags or plain in learning)
    buffers = {name for name, _ in network.named_buffers()}
    before = {
        name: one.detach().clone()
        for name, one in theta_of(network, heads).items()
        if name in learning or name in buffers
    }
    sizes = {name: one.numel() for name, one in network.named_parameters() if one.requires_grad}
    return Chosen(
        network=network,
        choice=choice,
        heads=tuple(heads),
        theta=theta,
        num_learning=sum(sizes.values()),
        num_heads=sum(size for name, size in sizes.items() if in_heads(name, heads)),
        num_all=sum(one.numel() for one in network.parameters()),
        _before=before,
        _flags=flags,
        _undo=undo,
        _lora=lora,
    )


def _put_in(network: nn.Module, choice: Choice, heads: Sequence[str]) -> tuple[Undo, Any]:
    """Put new parameters beside theta; returns what takes them away, and peft's wrapper of LoRA."""
    if choice.method == "lora":
        lora = add_lora(network, rank=choice.rank, layers=_linears(network, heads))
        return _undo_lora(lora, network), lora
    if choice.method == "adapter":
        sites = _sites(network, choice)
        names = sites.feed_outs if choice.placement == "pfeiffer" else (*sites.attention_outs, *sites.feed_outs)
        return insert_bottlenecks(network, names, inner=choice.width), None
    if choice.method == "prefix":
        return insert_prefixes(network, _sites(network, choice).attentions, length=choice.length), None
    return _nothing, None


def theta_fingerprint(network: nn.Module, heads: Sequence[str] = ()) -> str:
    """Short hash of every number of a network but those of its heads, and of their names.

    Args:
        network: Without anything put in.
        heads: Names of modules that are left out.

    Returns:
        16 hex digits.
    """
    digest = sha256()
    for name, one in sorted(theta_of(network, heads).items()):
        digest.update(f"{name}{tuple(one.shape)}{one.dtype}".encode())
        digest.update(one.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()[:16]


def theta_of(network: nn.Module, heads: Sequence[str]) -> dict[str, Tensor]:
    """Name -> parameter or buffer outside of the heads; numbers that two modules share come once."""
    found = {name.replace(_BASE, "."): one for name, one in _numbers(network).items() if not in_heads(name, heads)}
    return {name: one for name, one in found.items() if one.numel()}


def in_heads(name: str, heads: Sequence[str]) -> bool:
    """Whether a parameter belongs to one of the heads."""
    return name.startswith(tuple(f"{head}." for head in heads))


def _numbers(network: nn.Module) -> dict[str, Tensor]:
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _learning(network: nn.Module, choice: Choice, heads: Sequence[str]) -> set[str]:
    """Names of the parameters of theta that learn."""
    names = [name for name, _ in network.named_parameters() if not in_heads(name, heads)]
    if choice.method == "full":
        return set(names)
    if choice.method != "top":
        return set()
    layers = _sites(network, choice).layers
    if choice.layers > len(layers):
        raise ConfigError(f"top layers must be at most the {len(layers)} there are, are {choice.layers}; lower layers")
    top = tuple(f"{one}." for one in layers[-choice.layers :])
    return {name for name in names if name.startswith(top)}


def _linears(network: nn.Module, heads: Sequence[str]) -> list[str]:
    """Linear maps of the layers; of a network without such layers all there are."""
    sites = find_sites(network)
    names = lora_layers(network) if sites is None else sites.linears
    return [name for name in names if not in_heads(f"{name}.", heads)]


def _sites(network: nn.Module, choice: Choice) -> Sites:
    sites = find_sites(network)
    if sites is None or (choice.method == "prefix" and not sites.attentions):
        raise ConfigError(
            f"'{choice.method}' needs a Transformer of a family known to kinema.training.parameter_sites, "
            f"{type(network).__name__} has none that takes it; use full, frozen or lora"
        )
    return sites


def _undo_lora(lora: Any, network: nn.Module) -> Callable[[], None]:
    def undo() -> None:
        lora.unload()
        _forget_peft(network)

    return undo


def _forget_peft(network: nn.Module) -> None:
    """Take off the settings that peft leaves on a network, since it warns when it meets them again."""
    if hasattr(network, "peft_config"):
        del network.peft_config


def _nothing() -> None:
    """Nothing was put in."""


def _same(one: Tensor, other: Tensor) -> bool:
    """Equal bit for bit; a NaN is equal to itself here, and -0 is not 0."""
    return (
        one.contiguous().reshape(-1).view(torch.uint8).equal(other.detach().contiguous().reshape(-1).view(torch.uint8))
    )
