"""Bodies that are files: written to disk piece by piece, never held whole, and stopped at their limit."""

from pathlib import Path
from typing import BinaryIO, Final, cast

from fastapi import Request
from starlette.datastructures import UploadFile

from kinema.serving.problems import Problem

_PIECE: Final = 1 << 20


async def save_part(given: UploadFile, path: Path, *, most: int, what: str) -> None:
    """Write a part of a form to a file.

    Args:
        given: The part.
        path: Written over.
        most: Bytes it may have.
        what: It is called, such as ``clip``.

    Raises:
        Problem: 413, it has more.
    """
    with path.open("wb") as file:
        while piece := await given.read(_PIECE):
            _write(file, piece, most, what)


async def save_body(request: Request, path: Path, *, most: int, what: str) -> None:
    """Write a body to a file; see `save_part`."""
    with path.open("wb") as file:
        async for piece in request.stream():
            _write(cast("BinaryIO", file), piece, most, what)


async def read_body(request: Request, *, most: int) -> bytes:
    """A body that is held whole.

    Raises:
        Problem: 413, it has more than that.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise Problem(413, f"the body must have at most {most:,} bytes, has more", headers={"connection": "close"})
    return bytes(body)


def _write(file: BinaryIO, piece: bytes, most: int, what: str) -> None:
    if file.tell() + len(piece) > most:
        raise Problem(
            413, f"a {what} must have at most {most >> 20:,} MB, has more", field=what, headers={"connection": "close"}
        )
    file.write(piece)
