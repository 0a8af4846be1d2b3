"""What people look at of a project's clips: the files are confined to the media folder, and what is made of them is kept by content."""

from pathlib import Path
from threading import Lock
from typing import Any, Final, Protocol

from kinema.encoders.clip_views import ViewFolder, ViewMaker
from kinema.encoders.content_keys import ContentKeys, inside
from kinema.encoders.view_worker import View, ViewRequest
from kinema.errors import DataError
from kinema.media.playable import MEDIA_TYPES
from kinema.media.poster import POSTER_SUFFIX
from kinema.serving.gallery import Seen
from kinema.settings import Settings

FOLDER: Final = "views"
"""Inside the folder of artefacts."""
_STRIP_SUFFIX: Final = ".strip.webp"
_PICTURES: Final = "pictures"


class ShownProject(Protocol):
    """The part of `kinema.project.Project` that views need."""

    @property
    def artifacts(self) -> Path:
        """Where its models are."""

    @property
    def settings(self) -> Settings:
        """Of its `kinema.toml`."""

    @property
    def media_root(self) -> Path | None:
        """Where media paths start."""


class ProjectGallery:
    """`kinema.serving.gallery.Gallery` of a project.

    Args:
        project: Open.
    """

    def __init__(self, project: ShownProject) -> None:
        limits, media = project.settings.limits, project.settings.media
        self._project = project
        self._limits = f"{limits.max_clip_seconds} {limits.max_clip_pixels} {limits.decode_seconds} {limits.clip_memory_mb} {media.sampling} {media.num_frames}"
        self._views = ViewFolder(project.artifacts / FOLDER, limits=self._limits, max_bytes=media.views_mb << 20)
        self._maker = ViewMaker(timeout_s=limits.decode_seconds, memory_mb=limits.clip_memory_mb)
        self._keys: ContentKeys | None = None
        self._lock = Lock()

    def find(self, view: View, media_path: str) -> Seen | None:
        """A view that is there."""
        path, key = self._place(media_path)
        if view == _PICTURES:
            drawn = self._drawn(key)
            if drawn is not None:
                return drawn
        note = self._views.find(key, view)
        return None if note is None else self._seen(view, path, note)

    def make(self, view: View, media_path: str) -> Seen:
        """Make a view, unless somebody else has meanwhile."""
        found = self.find(view, media_path)
        if found is not None:
            return found
        path, key = self._place(media_path)
        made = self._maker.make(self._request(view, path, media_path, key))
        if view == _PICTURES and not made.get("reason"):
            return self._drawn(key) or Seen(reason=f"the poster of '{media_path}' cannot be written")
        files = [str(one) for one in made.pop("files", ())]
        return self._seen(view, path, self._views.keep(key, view, made, files))

    def close(self) -> None:
        """End the process that makes views."""
        self._maker.close()

    def _request(self, view: View, path: Path, media_path: str, key: str) -> ViewRequest:
        settings = self._project.settings
        folder = self._pictures() if view == _PICTURES else self._views.folder
        folder.mkdir(parents=True, exist_ok=True)
        return ViewRequest(
            view,
            str(path),
            media_path,
            str(folder),
            key,
            max_seconds=settings.limits.max_clip_seconds,
            max_pixels=settings.limits.max_clip_pixels,
            max_bytes=settings.serving.max_upload_mb << 20,
            decode_seconds=settings.limits.decode_seconds,
            sampling=settings.media.sampling,
            num_frames=settings.media.num_frames,
        )

    def _seen(self, view: View, path: Path, note: dict[str, Any]) -> Seen:
        if note.get("reason"):
            return Seen(reason=str(note["reason"]))
        files = tuple(self._views.folder / name for name in note["files"])
        if view == "media":
            return Seen(files=files or (path,), facts={"media_type": MEDIA_TYPES[note["suffix"]]})
        return Seen(files=files, facts=note)

    def _drawn(self, key: str) -> Seen | None:
        if not self._project.settings.media.pictures:
            return Seen(reason="posters are switched off; set pictures = true in [media] of kinema.toml")
        folder = self._pictures()
        files = tuple(folder / f"{key}{suffix}" for suffix in (POSTER_SUFFIX, _STRIP_SUFFIX))
        if all(one.is_file() for one in files):
            return Seen(files=files)
        return None

    def _pictures(self) -> Path:
        return self._project.artifacts / _PICTURES

    def _place(self, media_path: str) -> tuple[Path, str]:
        """The file, and its content key; a file that has not changed is not read again."""
        root = self._project.media_root
        if root is None:
            raise DataError(f"there is no media folder to find '{media_path}' in; run: kinema ingest --videos FOLDER")
        path = inside(root, media_path)
        with self._lock:
            if self._keys is None:
                self._keys = ContentKeys(self._views.folder)  # not those of the features: they tell what was extracted
            key = self._keys.update({media_path: path}, num_threads=1).get(media_path)
        if key is None:
            raise DataError(f"media_path must name a file that can be read, '{media_path}' cannot")
        return path, key
