"""What people look at of clips: asked for here, made by a process with limits, and kept, so that it is made once."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

from kinema.encoders.view_worker import View
from kinema.serving.problems import Problem

_PATIENCE_SECONDS: Final = 20.0
_MOST_WAITING: Final = 500


@dataclass(frozen=True)
class Seen:
    """A view of a clip.

    Attributes:
        reason: Why there is none; empty where there is.
        files: What it consists of.
        facts: What is known of it besides, as JSON values.
    """

    reason: str = ""
    files: tuple[Path, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


class Gallery(Protocol):
    """Where views come from. Safe to ask from several threads.

    Views are ``media`` (one file that browsers play; ``media_type``), ``pictures`` (poster and strip), ``frames`` (a picture of each;
    ``times_ms``, ``duration_ms``) and ``motion`` (``fields`` as `kinema.media.views.FlowField`, ``duration_ms``).
    """

    def find(self, view: View, media_path: str) -> Seen | None:
        """A view that is there; None for one that is still to be made.

        Raises:
            DataError: There is no such file, or it lies outside the media folder.
        """

    def make(self, view: View, media_path: str) -> Seen:
        """Make a view; takes from a tenth of a second to minutes."""

    def close(self) -> None:
        """Make no more; what is under way is given up."""


class ViewDesk:
    """Makes views one after the other, each once however many ask for it.

    Args:
        gallery: Where views come from.
        patience_seconds: How long a request waits for its view; the making goes on without it.
    """

    def __init__(self, gallery: Gallery, *, patience_seconds: float = _PATIENCE_SECONDS) -> None:
        self.gallery = gallery
        self._patience_seconds = patience_seconds
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="kinema-views")
        self._making: dict[tuple[View, str], Future[Seen]] = {}

    def start(self) -> None:
        """Nothing needs to run before the first request."""

    def stop(self) -> None:
        """Give up what is being made."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self.gallery.close()
        self._pool.shutdown()

    async def made(self, view: View, media_path: str) -> Seen:
        """A view, once it is made; called by the event loop.

        Raises:
            Problem: 503, it takes longer, or too many wait.
        """
        key = view, media_path
        if key not in self._making:
            if len(self._making) >= _MOST_WAITING:
                raise Problem(503, f"{_MOST_WAITING} clips wait to be drawn; try again later", headers=_later(30))
            self._making[key] = self._pool.submit(self.gallery.make, view, media_path)
        done = asyncio.wrap_future(self._making[key])
        done.add_done_callback(lambda _: self._making.pop(key, None))
        try:
            return await asyncio.wait_for(asyncio.shield(done), self._patience_seconds)
        except TimeoutError:
            raise Problem(
                503, f"the {view} of '{media_path[:80]}' is being made; try again in a few seconds", headers=_later(5)
            ) from None


def _later(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
