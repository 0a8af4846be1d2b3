"""From gradients to new weights: optimizer, decay, clipping, step sizes by part of the network, scaled gradients.

Tables that give sparse gradients (``nn.Embedding(..., sparse=True)``) are updated row by row: a step that touches two
thousand of a million rows costs two thousand rows.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler
from torch.optim import SGD, Adam, AdamW, Optimizer, RMSprop, SparseAdam

from kinema.errors import ConfigError

_TINY: Final = 1e-6
_Groups = list[dict[str, Any]]


def _adam(groups: _Groups, momentum: float) -> Optimizer:  # noqa: ARG001  # one shape for all
    return Adam(groups, fused=True)


def _adamw(groups: _Groups, momentum: float) -> Optimizer:  # noqa: ARG001  # one shape for all
    return AdamW(groups, fused=True)


def _rmsprop(groups: _Groups, momentum: float) -> Optimizer:
    return RMSprop(groups, momentum=momentum)


def _sgd(groups: _Groups, momentum: float) -> Optimizer:
    return SGD(groups, momentum=momentum)


OPTIMIZERS: Final[Mapping[str, Callable[[_Groups, float], Optimizer]]] = {
    "adamw": _adamw,
    "adam": _adam,
    "rmsprop": _rmsprop,
    "sgd": _sgd,
}


class Descent:
    """Updates the parameters that learn.

    Args:
        network: Parameters with ``requires_grad`` on are updated.
        optimizer: One of `OPTIMIZERS`.
        learning_rate: Step size at its largest.
        momentum: Of ``sgd`` and ``rmsprop``.
        weight_decay: Decoupled, of what has two dimensions or more.
        l2: Added to the gradients of the same.
        rate_factors: Beginning of a name -> what its step size is multiplied by; the longest one counts.
        clip_norm: Largest length of all gradients together; 0 is any.
        scaler: Of fp16; None where gradients need no scaling.

    Raises:
        ConfigError: Nothing learns, a beginning fits no name, or an optimizer has no row-wise form.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        optimizer: str = "adamw",
        learning_rate: float = 1e-3,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        l2: float = 0.0,
        rate_factors: Mapping[str, float] | None = None,
        clip_norm: float = 0.0,
        scaler: GradScaler | None = None,
    ) -> None:
        learning = {name: one for name, one in network.named_parameters() if one.requires_grad}
        if not learning:
            raise ConfigError("a network must have a parameter that learns, this has none; unfreeze some")
        self._parameters = list(learning.values())
        self._rate, self._clip, self._scaler = learning_rate, clip_norm, scaler
        by_row = {
            id(module.weight)
            for module in network.modules()
            if isinstance(module, nn.Embedding | nn.EmbeddingBag) and module.sparse
        }
        dense: dict[tuple[float, bool], list[Tensor]] = {}
        rows: dict[float, list[Tensor]] = {}
        for name, factor in _factors(list(learning), rate_factors or {}).items():
            one = learning[name]
            if id(one) in by_row:
                rows.setdefault(factor, []).append(one)
            else:
                dense.setdefault((factor, one.dim() > 1), []).append(one)
        self._optimizers: dict[str, Optimizer] = {}
        if dense:
            inside, outside = (weight_decay, 0.0) if optimizer == "adamw" else (l2, weight_decay)
            groups = [
                {"params": params, "factor": factor, "weight_decay": inside * shrinks, "decay": outside * shrinks}
                for (factor, shrinks), params in dense.items()
            ]
            self._optimizers["dense"] = OPTIMIZERS[optimizer](groups, momentum)
        if rows:
            row_groups = [{"params": params, "factor": factor, "decay": 0.0} for factor, params in rows.items()]
            self._optimizers["rows"] = _row_wise(optimizer, row_groups)

    def backward(self, loss: Tensor) -> None:
        """Add the gradients of a loss to those that are there."""
        scaled = loss if self._scaler is None else self._scaler.scale(loss)
        torch.autograd.backward(scaled)

    def clear(self) -> None:
        """Forget the gradients."""
        for one in self._parameters:
            one.grad = None

    def step(self, share: float) -> float | None:
        """Update the parameters by their gradients, then forget these.

        Args:
            share: Of the largest step size.

        Returns:
            Length of the gradients before clipping. Where it is no number, nothing has been updated. None: nothing has
            been updated because fp16 overflowed, which it does now and then; the next loss is scaled less.
        """
        if self._scaler is not None:
            for optimizer in self._optimizers.values():
                self._scaler.unscale_(optimizer)
        length = self._length()
        overflown = not math.isfinite(length)
        if not overflown:
            if self._clip and length > self._clip:
                self._shorten(self._clip / (length + _TINY))
            for optimizer in self._optimizers.values():
                self._move(optimizer, self._rate * share)
        to_blame = self._scaler is not None and self._scaler.get_scale() > 1.0
        if self._scaler is not None:
            self._scaler.update()
        self.clear()
        return None if overflown and to_blame else length

    def state(self) -> dict[str, Tensor]:
        """Everything a checkpoint must keep."""
        kept = {
            f"{kind}/{index}/{slot}": torch.as_tensor(value)
            for kind, optimizer in self._optimizers.items()
            for index, slots in optimizer.state_dict()["state"].items()
            for slot, value in slots.items()
            if value is not None
        }
        if self._scaler is not None:
            scaler = self._scaler.state_dict()
            kept |= {f"scaler/0/{name}": torch.tensor(value, dtype=torch.float64) for name, value in scaler.items()}
        return kept

    def load_state(self, kept: Mapping[str, Tensor]) -> None:
        """What `state` gave."""
        states = {kind: optimizer.state_dict() for kind, optimizer in self._optimizers.items()}
        scaler: dict[str, Any] = {}
        for name, value in kept.items():
            kind, index, slot = name.split("/")
            counted = not value.dim() and not value.is_floating_point()
            if kind == "scaler":
                scaler[slot] = value.item() if slot in {"scale", "growth_factor", "backoff_factor"} else int(value)
            else:
                states[kind]["state"].setdefault(int(index), {})[slot] = int(value) if counted else value
        for kind, state in states.items():
            self._optimizers[kind].load_state_dict(state)
        if self._scaler is not None:
            self._scaler.load_state_dict(scaler)

    def _move(self, optimizer: Optimizer, rate: float) -> None:
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
            if group["decay"]:
                with torch.no_grad():
                    for one in group["params"]:
                        if one.grad is not None:
                            one.mul_(1.0 - group["lr"] * group["decay"])
        if self._scaler is None:
            optimizer.step()
        else:
            self._scaler.step(optimizer)

    def _length(self) -> float:
        lengths = []
        for one in self._parameters:
            if one.grad is not None:
                if one.grad.is_sparse:
                    one.grad = one.grad.coalesce()
                lengths.append(torch.linalg.vector_norm(_values(one.grad)))
        return float(torch.linalg.vector_norm(torch.stack(lengths))) if lengths else 0.0

    def _shorten(self, factor: float) -> None:
        for one in self._parameters:
            if one.grad is not None:
                _values(one.grad).mul_(factor)


def _values(gradient: Tensor) -> Tensor:
    return gradient._values() if gradient.is_sparse else gradient  # noqa: SLF001  # `values` is a copy without gradient


def _factors(names: list[str], wanted: Mapping[str, float]) -> dict[str, float]:
    """Parameter -> factor.

    Raises:
        ConfigError: A beginning fits no parameter that learns.
    """
    for prefix in wanted:
        if not any(name.startswith(prefix) for name in names):
            parts = ", ".join(dict.fromkeys(name.split(".")[0] for name in names))
            raise ConfigError(
                f"a key of rate_factors must begin the name of a parameter that learns, '{prefix}' begins none; "
                f"the network has: {parts}"
            )
    chosen = {name: max((p for p in wanted if name.startswith(p)), key=len, default=None) for name in names}
    return {name: 1.0 if prefix is None else wanted[prefix] for name, prefix in chosen.items()}


def _row_wise(optimizer: str, groups: _Groups) -> Optimizer:
    if optimizer in {"adam", "adamw"}:
        return SparseAdam(groups)
    if optimizer == "sgd":
        return SGD(groups, momentum=0.0)
    raise ConfigError(
        f"optimizer must be adamw, adam or sgd for tables with sparse gradients, is {optimizer}; choose one"
    )
