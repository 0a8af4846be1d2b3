"""When a request is sent again, and how long to wait before that."""

from dataclasses import dataclass
from typing import Final

from kinema.client.errors import ClientError, ServiceError, ServiceUnreachableError
from kinema.errors import ConfigError

_AGAIN: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True)
class Retries:
    """Exponential back-off with full jitter: clients that failed together do not come back together.

    Only what may be repeated is: reading, writing an item or a user as a whole, and events, which carry ids.

    Attributes:
        attempts: Requests in all, >= 1; 1 tries nothing again.
        first_seconds: Longest wait before the second attempt; it doubles with each further one.
        most_seconds: Longest wait of all.
        longest_advice_seconds: The service may ask for a longer wait (Retry-After), up to this; beyond it the error is raised.

    Source:
        Brooker, Exponential Backoff And Jitter, AWS Architecture Blog, 2015: "full jitter".

    Example:
        >>> away = ServiceUnreachableError("away")
        >>> [Retries().wait(attempt, away, share=1.0) for attempt in range(4)]
        [0.2, 0.4, 0.8, None]
    """

    attempts: int = 4
    first_seconds: float = 0.2
    most_seconds: float = 5.0
    longest_advice_seconds: float = 30.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ConfigError(f"attempts must be >= 1, is {self.attempts}; 1 tries nothing again")
        if self.first_seconds < 0 or self.most_seconds < 0 or self.longest_advice_seconds < 0:
            raise ConfigError("the seconds of retries must be >= 0")

    def wait(self, attempt: int, error: ClientError, *, share: float) -> float | None:
        """Seconds to wait, or None to give up.

        Args:
            attempt: The one that failed, from 0.
            error: What it ended in.
            share: By chance, in [0, 1].
        """
        if attempt + 1 >= self.attempts:
            return None
        backoff = share * min(self.most_seconds, self.first_seconds * 2.0**attempt)
        if isinstance(error, ServiceUnreachableError):
            return backoff
        if not isinstance(error, ServiceError) or error.status not in _AGAIN:
            return None
        if error.retry_after is None:
            return backoff
        return None if error.retry_after > self.longest_advice_seconds else error.retry_after + backoff
