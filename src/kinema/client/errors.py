"""What the client raises: one class for each thing that a caller may do about it."""

import json
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import Final

from kinema.errors import KinemaError
from kinema.serving.wire import EventIn, MediaJob, RejectedEvent


class ClientError(KinemaError):
    """Root of what the client raises."""


class ServiceUnreachableError(ClientError):
    """No answer came: the address is wrong, the service is away, or it took too long."""


class ServiceError(ClientError):
    """The service answered with an error.

    Attributes:
        status: HTTP status.
        code: For programs, such as ``not_found``.
        message: For people.
        field: What it is about; None for nothing in particular.
        request_id: Under which the service's log has more; None where it did not say.
        retry_after: Seconds after which to try again; None where it did not say.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str,
        field: str | None = None,
        request_id: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(f"{message} ({status} {code}{f', request {request_id}' if request_id else ''})")
        self.message = message
        self.status = status
        self.code = code
        self.field = field
        self.request_id = request_id
        self.retry_after = retry_after


class InvalidRequestError(ServiceError):
    """The request is not what it must be: mend it."""


class NotAllowedError(ServiceError):
    """The key is missing, unknown, or lacks the scope (401, 403)."""


class NotFoundError(ServiceError):
    """What it names is not there (404)."""


class ChangedMeanwhileError(ServiceError):
    """What was to be changed has changed meanwhile (409): read it again, then decide."""


class NotBuiltYetError(ServiceError):
    """An earlier step has to be run first (409 not_built): the message has the command."""


class TooManyRequestsError(ServiceError):
    """The key's rate is used up (429)."""


class ServiceFailedError(ServiceError):
    """The service could not answer (5xx), or what answered is not the service."""


class UploadFailedError(ClientError):
    """A clip could not be understood.

    Attributes:
        job: How far it came.
    """

    def __init__(self, job: MediaJob) -> None:
        super().__init__(f"the clip of '{job.item_id}' could not be used: {job.message or 'no reason is known'}")
        self.job = job


class BufferFullError(ClientError):
    """Events come faster than the service takes them; this one was not taken into the buffer."""


class UnsentEventsError(ClientError):
    """Events of a buffer did not arrive.

    Attributes:
        events: Those that were not sent, oldest first; they carry ids, so they can be logged again.
        rejected: Those that the service refused, and why.
    """

    def __init__(
        self,
        events: Sequence[EventIn],
        rejected: Sequence[tuple[EventIn, RejectedEvent]],
        *,
        cause: ClientError | None = None,
    ) -> None:
        parts = []
        if events:
            parts.append(f"{len(events):,} events were not sent" + (f": {cause}" if cause else ""))
        if rejected:
            parts.append(f"{len(rejected):,} were refused, the first: {rejected[0][1].message}")
        super().__init__("; ".join(parts))
        self.events = tuple(events)
        self.rejected = tuple(rejected)


def as_client_error(error: Exception) -> ClientError:
    """An error of any kind as one of ours."""
    return error if isinstance(error, ClientError) else ClientError(f"{type(error).__name__}: {error}")


_CLASSES: Final[dict[int, type[ServiceError]]] = {
    401: NotAllowedError,
    403: NotAllowedError,
    404: NotFoundError,
    409: ChangedMeanwhileError,
    429: TooManyRequestsError,
}


def error_of(status: int, body: bytes, *, headers: Mapping[str, str], now_s: float) -> ServiceError:
    """The error in an answer.

    Args:
        status: HTTP status.
        body: Ours, or of whatever stands before the service.
        headers: Of the answer, by names in small letters.
        now_s: Seconds since the epoch, against which a date to try again at is measured.

    Example:
        >>> body = b'{"error": {"code": "not_found", "message": "unknown item", "field": "item_id"}}'
        >>> error = error_of(404, body, headers={"x-request-id": "r7"}, now_s=0)
        >>> type(error).__name__, error.code, error.field, str(error)
        ('NotFoundError', 'not_found', 'item_id', 'unknown item (404 not_found, request r7)')
    """
    kind = _CLASSES.get(status, ServiceFailedError if status >= 500 or status < 400 else InvalidRequestError)
    code, message, field = _parts(body)
    if code == "not_built":
        kind = NotBuiltYetError
    return kind(
        message,
        status=status,
        code=code,
        field=field,
        request_id=headers.get("x-request-id"),
        retry_after=_seconds(headers.get("retry-after"), now_s),
    )


def _parts(body: bytes) -> tuple[str, str, str | None]:
    try:
        error = json.loads(body)["error"]
        return str(error["code"]), str(error["message"]), error.get("field")
    except (ValueError, KeyError, TypeError, AttributeError):
        text = body[:200].decode("utf-8", "replace").strip()
        return "http", f"the answer is not the service's: {text or 'it is empty'}", None


def _seconds(text: str | None, now_s: float) -> float | None:
    if text is None:
        return None
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(text).timestamp() - now_s, 0.0)
    except ValueError:
        return None
