"""What a connection may send before there is a request: the server's parser takes headers without end, and waits for them for ever.

Bodies are counted and timed by `kinema.serving.bounds`; this is for everything before and after them.
"""

import asyncio
import json
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kinema.serving.problems import problem_body

HEAD_BYTES: Final = 64 << 10
HEAD_SECONDS: Final = 20.0
_REASONS: Final = {400: "Bad Request", 408: "Request Timeout", 431: "Request Header Fields Too Large"}


class BoundedProtocol(HttpToolsProtocol):
    """The server's protocol with limits, for `uvicorn.Config(http=...)`.

    What counts are bytes of which nothing has come: neither a whole head, nor a part of a body, nor its end. So headers, trailers
    and the extensions of chunks are all held to the same limit, and one reading of the socket is what may be over it.
    """

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._idle_bytes = 0
        self._in_head = True
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as the server has it
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on, as long as something comes of it."""
        self._idle_bytes += len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._idle_bytes > HEAD_BYTES:
            self._refuse(431, "header_too_large", f"headers must have at most {HEAD_BYTES >> 10} KB together")
        elif self._in_head and self._idle_bytes and self._late is None:
            self._wait_for_head()

    def on_headers_complete(self) -> None:
        """A head is whole."""
        self._in_head, self._idle_bytes = False, 0
        self._wait_no_longer()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body."""
        self._idle_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request; the next one may follow."""
        self._in_head, self._idle_bytes = True, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP."""
        self._refuse(400, "bad_request", msg)

    def _wait_for_head(self) -> None:
        self._late = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _wait_no_longer(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _too_late(self) -> None:
        self._late = None
        if not self.transport.is_closing():
            self._refuse(408, "timeout", f"headers must arrive within {HEAD_SECONDS:.0f} s")

    def _refuse(self, status: int, code: str, message: str) -> None:
        """Say why, unless an answer is on its way, and hang up."""
        self._wait_no_longer()
        cycle = self.cycle
        is_answering = cycle is not None and cycle.response_started and not cycle.response_complete
        if not is_answering and not self.pipeline:
            body = json.dumps(problem_body(code, message)).encode()
            head = (
                f"HTTP/1.1 {status} {_REASONS[status]}\r\ncontent-type: application/json\r\n"
                f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
            )
            self.transport.write(head.encode() + body)
        if cycle is not None:
            cycle.disconnected = True  # what is answered to the request that is cut off goes nowhere
        self.transport.close()
