"""A server that says when it answers, and one that is dealt its connections by the process that listens, see `kinema.steps.serving_workers`."""

import asyncio
import socket
from collections.abc import Callable
from typing import Final

import uvicorn

READY: Final = b"+"
"""What a worker says once it answers."""


class ToldServer(uvicorn.Server):
    """The server with an address of its own.

    Args:
        config: Of the server.
        ready: Called once it answers.
    """

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets=sockets)
        if not self.should_exit:
            self._ready()


class DealtServer(uvicorn.Server):
    """The server, without an address of its own; it ends when nobody deals any longer.

    Args:
        config: Of the server.
        dealer: Connected to the process that listens.
    """

    def __init__(self, config: uvicorn.Config, dealer: socket.socket) -> None:
        super().__init__(config)
        self._dealer = dealer
        self._taking: set[asyncio.Task[object]] = set()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        del sockets
        await super().startup(sockets=[])
        if not self.should_exit:
            self._dealer.settimeout(0)
            asyncio.get_running_loop().add_reader(self._dealer.fileno(), self._take)
            self._dealer.send(READY)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, finish what there is."""
        asyncio.get_running_loop().remove_reader(self._dealer.fileno())
        await super().shutdown(sockets)

    def _take(self) -> None:
        """Take a connection."""
        loop = asyncio.get_running_loop()
        try:
            told, numbers, _, _ = socket.recv_fds(self._dealer, 1, 1)
        except BlockingIOError:
            return
        except OSError:
            told, numbers = b"", []
        if not told:
            loop.remove_reader(self._dealer.fileno())
            self.should_exit = True
        for number in numbers:
            connection = socket.socket(fileno=number)
            connection.settimeout(0)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            task = loop.create_task(loop.connect_accepted_socket(self._protocol, connection))
            self._taking.add(task)
            task.add_done_callback(self._taken)

    def _taken(self, task: asyncio.Task[object]) -> None:
        self._taking.discard(task)
        if not task.cancelled():
            task.exception()  # one who hung up before is nobody's trouble

    def _protocol(self) -> asyncio.Protocol:
        made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]  # as the server makes them
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state
        )
        return made
