"""What both clients do around a request."""

import os
import time
from collections.abc import Callable
from typing import Any, Final

from kinema import __version__
from kinema.client.calls import Call
from kinema.client.errors import ClientError, InvalidRequestError, ServiceUnreachableError, UploadFailedError
from kinema.serving.wire import MediaJob

API_KEY: Final = "KINEMA_API_KEY"
"""Environment variable with the key, where none is given."""
Told = Callable[[MediaJob], object]


def headers_of(api_key: str | None) -> dict[str, str]:
    """Headers of every request.

    Args:
        api_key: A key or token; None takes the environment's, an empty text sends none.

    Example:
        >>> headers_of("kin_secret")["authorization"]
        'Bearer kin_secret'
    """
    key = os.environ.get(API_KEY, "") if api_key is None else api_key
    headers = {"accept": "application/json", "user-agent": f"kinema/{__version__}"}
    return headers | ({"authorization": f"Bearer {key}"} if key else {})


def checked_url(url: str) -> str:
    """The address of a service.

    Raises:
        InvalidRequestError: It is none; without a scheme every request would fail as if nobody answered.

    Example:
        >>> checked_url("127.0.0.1:8000")
        Traceback (most recent call last):
        ...
        kinema.client.errors.InvalidRequestError: url must begin with http:// or https://, is '127.0.0.1:8000' (422 invalid)
    """
    if not url.startswith(("http://", "https://")):
        text = f"url must begin with http:// or https://, is '{url}'"
        raise InvalidRequestError(text, status=422, code="invalid", field="url")
    return url


def request_of(call: Call[Any]) -> dict[str, Any]:
    """Arguments of a request, without a file."""
    request: dict[str, Any] = {
        "method": call.method,
        "url": call.path,
        "params": {name: value for name, value in call.params.items() if value is not None},
    }
    if call.body is not None:
        request |= {"content": call.body, "headers": {"content-type": "application/json"}}
    return request


def unreachable(failure: Exception, url: object) -> ClientError:
    """The error of a request that was not answered."""
    error = ServiceUnreachableError(f"no answer from {url}: {failure or type(failure).__name__}")
    error.__cause__ = failure
    return error


class Waiting:
    """Waiting for a clip: ask less and less often, tell what changed, and know when it is over.

    Args:
        job: As it is.
        progress: Told the job whenever its status changes.
        timeout_seconds: Longest wait.
    """

    def __init__(self, job: MediaJob, progress: Told | None, timeout_seconds: float) -> None:
        self.job = job
        self._progress = progress
        self._timeout_seconds = timeout_seconds
        self._until_s = time.monotonic() + timeout_seconds
        self._pause_s = 0.1
        self._tell()

    def told(self, job: MediaJob) -> None:
        """The job is like this now."""
        changed = job.status != self.job.status
        self.job = job
        if changed:
            self._tell()

    def is_over(self) -> bool:
        """Whether the clip is recommendable.

        Raises:
            UploadFailedError: It cannot be used.
            ServiceUnreachableError: The time is over.
        """
        if self.job.status == "failed":
            raise UploadFailedError(self.job)
        if self.job.status == "recommendable":
            return True
        if time.monotonic() >= self._until_s:
            raise ServiceUnreachableError(
                f"the clip of '{self.job.item_id}' is {self.job.status} after {self._timeout_seconds:g} s; "
                f"wait on for job {self.job.job_id}"
            )
        return False

    def pause(self) -> float:
        """Seconds until the next question."""
        pause_s, self._pause_s = self._pause_s, min(self._pause_s * 1.5, 2.0)
        return pause_s

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self.job)
