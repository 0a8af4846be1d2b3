"""Bodies that middleware reads before those they are for."""

from collections.abc import Sequence

from starlette.types import Message, Receive


async def received(receive: Receive) -> list[Message]:
    """Everything of a body, or what there is of it when the client hangs up."""
    messages = [await receive()]
    while messages[-1].get("more_body", False):
        messages.append(await receive())
    return messages


class Again:
    """A body that was read, for who reads it next.

    Args:
        messages: That were received.
        receive: What follows.
    """

    def __init__(self, messages: Sequence[Message], receive: Receive) -> None:
        self._messages, self._receive = iter(messages), receive

    async def __call__(self) -> Message:
        """The next message."""
        message = next(self._messages, None)
        return await self._receive() if message is None else message
