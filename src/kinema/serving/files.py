"""Files as answers: whole or a range of them, and nothing where the browser has them already."""

import os
import re
import stat
from pathlib import Path
from typing import Final

from fastapi import Request, Response
from starlette.responses import FileResponse
from starlette.types import Receive, Scope, Send

from kinema.serving.problems import Problem, not_found

_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
_CACHE: Final = "private, no-cache"
"""Browsers may keep it and ask whether it is still the same: an item's clip can be replaced."""


class _Part(FileResponse):
    """A file whose range, if one is wanted, has been found to be one that can be had; any other is not looked at."""

    def __init__(self, path: Path, *, status: os.stat_result, media_type: str) -> None:
        super().__init__(path, media_type=media_type, stat_result=status, headers={"cache-control": _CACHE})
        self.ranged = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self.ranged:
            scope = {**scope, "headers": [one for one in scope["headers"] if one[0] != b"range"]}
        await super().__call__(scope, receive, send)


def file_answer(request: Request, path: Path, *, media_type: str) -> Response:
    """Answer with a file, as RFC 9110 has it for conditions and ranges.

    Several ranges at once are answered by the whole file, which the standard allows: no player asks for them.

    Args:
        request: With its conditions.
        path: The file.
        media_type: What it is.

    Raises:
        Problem: 416, the range begins behind the end; 404, it is gone.
    """
    try:
        status = path.stat()
    except OSError:
        raise not_found("file", path.name, field="item_id") from None
    if not stat.S_ISREG(status.st_mode):
        raise not_found("file", path.name, field="item_id")
    answer = _Part(path, status=status, media_type=media_type)
    told = request.headers.get("if-none-match", "")
    if answer.headers["etag"] in {one.strip().removeprefix("W/") for one in told.split(",")}:
        kept = {name: answer.headers[name] for name in ("etag", "last-modified", "cache-control")}
        return Response(status_code=304, headers=kept)
    answer.ranged = _has_range(request, status.st_size)
    return answer


def _has_range(request: Request, size: int) -> bool:
    """Whether one range is wanted, and can be had."""
    found = _RANGE.fullmatch(request.headers.get("range", ""))
    if found is None or (found[2] and int(found[2]) < int(found[1])):
        return False
    begins = size if found[3] is not None and not int(found[3]) else int(found[1] or 0)
    if begins >= size and "if-range" not in request.headers:
        raise Problem(
            416, f"the range must begin within the {size:,} bytes", headers={"Content-Range": f"bytes */{size}"}
        )
    return begins < size
