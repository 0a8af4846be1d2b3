"""Bodies that are files: written to disk piece by piece, never held whole, and stopped at their limit."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import BinaryIO, Final, cast

from fastapi import Request
from python_multipart.exceptions import FormParserError
from starlette.datastructures import FormData, UploadFile

from kinema.serving.problems import Problem

_PIECE: Final = 1 << 20
_FIELD_BYTES: Final = 64 << 10


FORM: Final = "multipart/form-data"


@asynccontextmanager
async def received_form(request: Request, *, max_files: int, max_fields: int) -> AsyncIterator[FormData]:
    """A form; its files are closed afterwards.

    Raises:
        Problem: 400, it cannot be read, or has more parts than that.
    """
    try:
        form = await request.form(max_files=max_files, max_fields=max_fields, max_part_size=_FIELD_BYTES)
    except FormParserError as error:
        raise Problem(400, f"the body must be a form ({FORM}): {error}") from None
    try:
        yield form
    finally:
        await form.close()


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
