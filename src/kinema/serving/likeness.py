"""What a search is by besides words: a picture or a clip, in a private folder for as long as the search takes."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from fastapi import Request
from starlette.datastructures import FormData, UploadFile

from kinema.serving.json_route import media_type
from kinema.serving.problems import Problem
from kinema.serving.receiving import FORM, received_form, save_body, save_part
from kinema.serving.sniffing import SNIFFED, picture_suffix, video_suffix

_RAW: Final = ("image/", "video/", "application/octet-stream")
_LISTS: Final = {
    "category": "categories",
    "categories": "categories",
    "language": "languages",
    "languages": "languages",
}
_MOST_FIELDS: Final = 120
_KINDS: Final = {
    "image": "a picture (jpg, png, webp, bmp, gif, tiff)",
    "clip": "a video file (mp4, avi, flv, mkv, webm, mov, mpg, ts, wmv, ogv)",
}


@dataclass(frozen=True)
class Likeness:
    """What was given.

    Attributes:
        files: ``image`` and ``clip`` -> where it is.
        fields: The other parts of the form.
    """

    files: dict[str, Path]
    fields: dict[str, Any]


class Crowd:
    """Those who search by files: so many at once and no more, since each costs what hundreds of other answers do.

    Args:
        most: Inside at once, those who wait among them. One event loop.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._inside = 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be inside.

        Raises:
            Problem: 503, it is full.
        """
        if self._inside >= self._most:
            raise Problem(
                503, f"{self._most} searches by picture or clip wait; try again later", headers={"Retry-After": "5"}
            )
        self._inside += 1
        try:
            yield
        finally:
            self._inside -= 1


@asynccontextmanager
async def received(request: Request, *, max_image_bytes: int, max_clip_bytes: int) -> AsyncIterator[Likeness]:
    """Receive a picture, a clip or both; they are gone afterwards, whatever happens.

    Args:
        request: Its body is a form with the parts ``image`` and ``clip``, or the file itself.
        max_image_bytes: Of a picture.
        max_clip_bytes: Of a clip.

    Raises:
        Problem: 413, a file is too large; 415, it is no picture or clip by its first bytes; 422, there is none.
    """
    most = {"image": max_image_bytes, "clip": max_clip_bytes}
    with TemporaryDirectory(prefix="kinema-search-") as folder:
        draft = Path(folder) / "draft"
        if media_type(request) == FORM:
            async with received_form(request, max_files=2, max_fields=_MOST_FIELDS) as form:
                fields = _fields(form)
                files = {}
                for what in _KINDS:
                    given = form.get(what)
                    if isinstance(given, UploadFile) and (given.filename or given.size):
                        await save_part(given, draft, most=most[what], what=what)
                        files[what] = _named(draft, what)
            yield Likeness(files, fields)
            return
        if not media_type(request).startswith(_RAW):
            raise Problem(
                415,
                "the Content-Type must be application/json, multipart/form-data, image/*, video/* or application/octet-stream, is "
                f"'{media_type(request)[:80]}'",
            )
        await save_body(request, draft, most=max(most.values()), what="clip")
        what = "image" if picture_suffix(_head(draft)) else "clip"
        if what == "image" and draft.stat().st_size > max_image_bytes:
            raise Problem(413, f"a picture must have at most {max_image_bytes >> 20:,} MB, has more", field=what)
        yield Likeness({what: _named(draft, what)}, {})


def _fields(form: FormData) -> dict[str, Any]:
    """Fields by the names of `kinema.serving.wire.SearchIn`; a part that should be a file and is none is told so."""
    fields: dict[str, Any] = {}
    for name, value in form.multi_items():
        if name in _KINDS:
            if not isinstance(value, UploadFile) and value:
                raise Problem(422, f"the part '{name}' must be a file: give it a filename", field=name)
        elif isinstance(value, UploadFile):
            raise Problem(422, f"a form has its files as 'image' and 'clip', has one as '{name[:80]}'", field=name[:80])
        elif name in _LISTS:
            fields.setdefault(_LISTS[name], []).append(value)
        elif name in fields:
            raise Problem(422, f"{name[:80]} must be given once", field=name[:80])
        else:
            fields[name] = value
    return fields


def _named(draft: Path, what: str) -> Path:
    """A file that is what it should be by its first bytes, with the usual suffix."""
    head = _head(draft)
    suffix = picture_suffix(head) if what == "image" else video_suffix(head)
    if suffix is None:
        told = "is empty" if not head else "is none by its first bytes"
        raise Problem(415 if head else 422, f"{what} must be {_KINDS[what]}, {told}", field=what)
    return draft.rename(draft.with_name(what + suffix))


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(SNIFFED)
