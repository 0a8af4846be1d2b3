"""How often each key may ask: counted in this process, or in a Redis that all replicas share.

In the process a key costs one number, the time at which what it has asked for so far will be paid off (the generic cell rate
algorithm). The memory storage of the library `limits` looks through all keys at nearly every request: 130 µs of a request
were measured with a single busy key, where this takes 2. Redis has the library's moving window.
"""

import asyncio
import ipaddress
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from limits import RateLimitItem, RateLimitItemPerSecond
from limits.aio.strategies import MovingWindowRateLimiter
from limits.storage import storage_from_string

from kinema.errors import ConfigError
from kinema.logs import get_logger
from kinema.serving.keys import Scope

_LOG = get_logger("serving")
_AWAY_SECONDS: Final = 5.0
"""How long a Redis that did not answer is left alone: waiting for it at each request would slow them all."""
_SLOWEST_STORE_SECONDS: Final = 0.25
_FEW_BUCKETS: Final = 10_000


@dataclass(frozen=True)
class Rate:
    """How often.

    Attributes:
        per_second: Requests a second in the long run, > 0.
        burst: Requests at once, at least ``per_second`` and 1.
    """

    per_second: float
    burst: int

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigError: The rate is not positive, or the burst is below it.
        """
        if not self.per_second > 0 or self.burst < max(1.0, self.per_second):
            raise ConfigError(
                f"a burst must be at least 1 and the rate per second, which must be > 0; is {self.burst} at {self.per_second:g}"
            )

    def item(self) -> RateLimitItem:
        """As a window: ``burst`` requests within the time in which ``per_second`` allows as many.

        Example:
            >>> Rate(per_second=50, burst=100).item()
            100 per 2 second
        """
        return RateLimitItemPerSecond(self.burst, max(1, math.ceil(self.burst / self.per_second)))


class Buckets:
    """What each key has used of its rate, in this process.

    Args:
        clock: Seconds that only grow.

    Example:
        >>> buckets = Buckets(clock=lambda: 0.0)
        >>> [buckets.wait(Rate(per_second=2, burst=2), "a") for _ in range(3)]
        [0.0, 0.0, 0.5]
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._paid_off: dict[tuple[str, ...], float] = {}
        self._sweep_at = _FEW_BUCKETS

    def wait(self, rate: Rate, *names: str) -> float:
        """Count a request; 0 where it may go on, else the seconds after which it could."""
        now, cost = self._clock(), 1 / rate.per_second
        paid_off = max(self._paid_off.get(names, now), now)
        wait = paid_off + cost - now - rate.burst * cost
        if wait > cost * 1e-6:  # less is rounding
            return wait
        if len(self._paid_off) >= self._sweep_at:
            self._sweep(now)
        self._paid_off[names] = paid_off + cost
        return 0.0

    def _sweep(self, now: float) -> None:
        """Forget who owes nothing; the next time when there are twice as many as now."""
        self._paid_off = {names: moment for names, moment in self._paid_off.items() if moment > now}
        self._sweep_at = max(_FEW_BUCKETS, 2 * len(self._paid_off))


class Rates:
    """Counts requests.

    A Redis that does not answer never stops the service: each replica then counts alone until it does.

    Args:
        rates: What each scope allows; a scope that is left out has no limit.
        failures: Failed authentications that one address may have before it is told to wait.
        logins: Sign-ins to the console that one address may try, right or wrong.
        redis_url: ``redis://...`` where replicas count together; empty counts in this process.

    Raises:
        ConfigError: A rate is not possible, or the URL is none of Redis.
    """

    def __init__(
        self,
        rates: Mapping[Scope, Rate],
        *,
        failures: Rate = Rate(1, 30),
        logins: Rate = Rate(1, 20),
        redis_url: str = "",
    ) -> None:
        for rate in (*rates.values(), failures, logins):
            rate.check()
        self._rates, self._failures, self._logins = dict(rates), failures, logins
        self._alone = Buckets()
        self._storage = _redis(redis_url) if redis_url else None
        self._shared = None if self._storage is None else MovingWindowRateLimiter(self._storage)
        self._away_until = -math.inf

    async def wait_for(self, scope: Scope, rate_key: str) -> int:
        """Count a request; 0 where it may go on, else the seconds after which to come again."""
        rate = self._rates.get(scope)
        return 0 if rate is None else await self._count(rate, scope.value, rate_key)

    async def wait_after_failure(self, address: str) -> int:
        """Count a failed authentication; 0 while there were few of that address, else seconds to wait."""
        return await self._count(self._failures, "failure", _network(address))

    async def wait_for_login(self, address: str) -> int:
        """Count an attempt to sign in; 0 where it may go on, else the seconds after which to come again."""
        return await self._count(self._logins, "login", _network(address))

    async def close(self) -> None:
        """Let go of the connections to Redis."""
        if self._storage is not None:
            await self._storage.bridge.get_connection().aclose()

    async def _count(self, rate: Rate, *names: str) -> int:
        if self._shared is not None and time.monotonic() >= self._away_until:
            try:
                async with asyncio.timeout(_SLOWEST_STORE_SECONDS):
                    return await _counted(self._shared, rate.item(), names)
            except Exception as error:  # noqa: BLE001  # whatever a client of Redis raises, requests go on
                self._away_until = time.monotonic() + _AWAY_SECONDS
                _LOG.warning("rate limits are counted in this process alone: no Redis", error=type(error).__name__)
        return math.ceil(self._alone.wait(rate, *names))


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
