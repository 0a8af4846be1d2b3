"""How often each key may ask: a moving window per key and scope, in memory or in a Redis that all replicas share."""

import asyncio
import ipaddress
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string

from kinema.errors import ConfigError
from kinema.logs import get_logger
from kinema.serving.keys import Scope

_LOG = get_logger("serving")
_WARN_EVERY_SECONDS: Final = 60.0
_SLOWEST_STORE_SECONDS: Final = 0.25


@dataclass(frozen=True)
class Rate:
    """How often.

    Attributes:
        per_second: Requests a second in the long run, > 0.
        burst: Requests at once, at least ``per_second`` and 1.
    """

    per_second: float
    burst: int

    def item(self) -> RateLimitItem:
        """As a window: ``burst`` requests within the time in which ``per_second`` allows as many.

        Raises:
            ConfigError: The rate is not positive, or the burst is below it.

        Example:
            >>> Rate(per_second=50, burst=100).item()
            100 per 2 second
        """
        if not self.per_second > 0 or self.burst < max(1.0, self.per_second):
            raise ConfigError(
                f"a burst must be at least 1 and the rate per second, which must be > 0; is {self.burst} at {self.per_second:g}"
            )
        return RateLimitItemPerSecond(self.burst, max(1, math.ceil(self.burst / self.per_second)))


class Rates:
    """Counts requests.

    A Redis that does not answer never stops the service: each replica then counts alone until it does.

    Args:
        rates: What each scope allows; a scope that is left out has no limit.
        failures: Failed authentications that one address may have before it is told to wait.
        redis_url: ``redis://...`` where replicas count together; empty counts in this process.

    Raises:
        ConfigError: A rate is not possible, or the URL is none of Redis.
    """

    def __init__(self, rates: Mapping[Scope, Rate], *, failures: Rate = Rate(1, 30), redis_url: str = "") -> None:
        self._items = {scope: rate.item() for scope, rate in rates.items()}
        self._failures = failures.item()
        self._alone = MovingWindowRateLimiter(MemoryStorage())
        self._shared = MovingWindowRateLimiter(_redis(redis_url)) if redis_url else None
        self._warned = -math.inf

    async def wait_for(self, scope: Scope, rate_key: str) -> int:
        """Count a request; 0 where it may go on, else the seconds after which to come again."""
        item = self._items.get(scope)
        return 0 if item is None else await self._hit(item, scope.value, rate_key)

    async def wait_after_failure(self, address: str) -> int:
        """Count a failed authentication; 0 while there were few of that address, else seconds to wait."""
        return await self._hit(self._failures, "failure", _network(address))

    async def _hit(self, item: RateLimitItem, *names: str) -> int:
        if self._shared is not None:
            try:
                async with asyncio.timeout(_SLOWEST_STORE_SECONDS):
                    return await _counted(self._shared, item, names)
            except Exception as error:  # noqa: BLE001  # whatever a client of Redis raises, requests go on
                self._warn(error)
        return await _counted(self._alone, item, names)

    def _warn(self, error: Exception) -> None:
        if time.monotonic() - self._warned >= _WARN_EVERY_SECONDS:
            self._warned = time.monotonic()
            _LOG.warning("rate limits are counted in this process alone: no Redis", error=type(error).__name__)


async def _counted(limiter: MovingWindowRateLimiter, item: RateLimitItem, names: tuple[str, ...]) -> int:
    if await limiter.hit(item, *names):
        return 0
    reset = (await limiter.get_window_stats(item, *names)).reset_time
    return max(1, math.ceil(reset - time.time()))


def _redis(url: str) -> Any:
    if not url.startswith(("redis://", "rediss://", "redis+unix://")):
        raise ConfigError("the URL of rate limits must start with redis://, rediss:// or redis+unix://")
    return storage_from_string(f"async+{url}", implementation="redispy")


def _network(address: str) -> str:
    """An IPv4 address, or the /64 of an IPv6 one: whoever has one of its addresses has them all."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if found.version == 4:
        return address
    return str(ipaddress.ip_network((found, 64), strict=False))
