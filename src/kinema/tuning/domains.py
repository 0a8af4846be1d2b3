"""What one setting may be in a search, also as a person writes it: ``{low = 1e-4, high = 1e-2, log = true}`` or ``[256, 1024]``."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from kinema.errors import ConfigError
from kinema.training.given_values import check_names
from kinema.training.task_settings import NETWORK, TASKS

_SPAN_KEYS: Final = ("low", "high", "log")


@dataclass(frozen=True)
class Span:
    """Every number from ``low`` to ``high``; ``log`` searches factors instead of differences, ``whole`` whole numbers only."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@dataclass(frozen=True)
class Choice:
    """One of a few values."""

    values: tuple[Any, ...]

    def __contains__(self, value: Any) -> bool:
        return value in self.values


Domain: TypeAlias = Span | Choice


def check_tune(tree: Mapping[str, Any]) -> None:
    """Check the whole of ``[tune]``: tables of tasks, each with domains.

    Raises:
        ConfigError: A task is unknown, or a domain is not written as one.
    """
    check_names(tree, TASKS, where="[tune]")
    for task, values in tree.items():
        if not isinstance(values, Mapping):
            raise ConfigError(f"[tune.{task}] must be a table, is {values!r}; write the settings below [tune.{task}]")
        read_space(values, where=f"[tune.{task}]")


def read_space(values: Mapping[str, Any], *, where: str) -> dict[str, Domain]:
    """Domains of a table; those in ``network`` are named ``network.NAME``.

    Args:
        values: Setting -> domain, as TOML gives it.
        where: They stand; named in errors.

    Raises:
        ConfigError: A domain is not written as one.

    Example:
        >>> read_space({"batch_size": [256, 1024], "network": {"width": {"low": 8, "high": 64}}}, where="[tune.click]")
        {'batch_size': Choice(values=(256, 1024)), 'network.width': Span(low=8, high=64, log=False, whole=True)}
    """
    inner = values.get(NETWORK, {})
    if not isinstance(inner, Mapping):
        raise ConfigError(f"'{NETWORK}' in {where} must be a table, is {inner!r}; write network.NAME = DOMAIN")
    named = {name: one for name, one in values.items() if name != NETWORK}
    named |= {f"{NETWORK}.{name}": one for name, one in inner.items()}
    return {name: _domain(name, one, where) for name, one in named.items()}


def stretched(domain: Domain, value: Any) -> Domain:
    """The domain with a value in it, the default above all: a search begins there.

    Example:
        >>> stretched(Span(1.0, 2.0), 0.5), stretched(Choice((1, 2)), 1)
        (Span(low=0.5, high=2.0, log=False, whole=False), Choice(values=(1, 2)))
    """
    if value in domain:
        return domain
    if isinstance(domain, Choice):
        return Choice((*domain.values, value))
    if domain.log and not value > 0:
        raise ConfigError(f"a span with log must start from a default > 0, is {value!r}; leave log out")
    return Span(min(domain.low, value), max(domain.high, value), domain.log, domain.whole)


def _domain(name: str, value: Any, where: str) -> Domain:
    remedy = "write {low = 1e-4, high = 1e-2, log = true} or a list of values"
    if isinstance(value, list) and value:
        return Choice(tuple(one for place, one in enumerate(value) if one not in value[:place]))
    if not isinstance(value, Mapping):
        raise ConfigError(f"'{name}' in {where} must be a domain, is {value!r}; {remedy}")
    check_names(value, _SPAN_KEYS, where=f"'{name}' of {where}")
    low: Any = value.get("low")
    high: Any = value.get("high")
    log = value.get("log", False)
    numbers = all(isinstance(one, int | float) and not isinstance(one, bool) for one in (low, high))
    if not numbers or not isinstance(log, bool) or not low < high or (log and low <= 0):
        raise ConfigError(f"'{name}' in {where} must have low < high, with log above 0, is {dict(value)!r}; {remedy}")
    whole = isinstance(low, int) and isinstance(high, int)
    return Span(low, high, log, whole)
