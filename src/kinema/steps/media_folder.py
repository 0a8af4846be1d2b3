"""The folder that a project's media paths start from: it stays where it is, unless the clips have moved as a whole."""

from collections.abc import Sequence
from pathlib import Path

from kinema.errors import DataError
from kinema.settings import Settings
from kinema.sources.video_files import check_video_folder
from kinema.store.protocols import Store


def media_folder(videos: Path | None, *, current: Path | None, settings: Settings, store: Store) -> Path | None:
    """Where media paths start once the clips of a folder are taken in.

    Another folder than before would leave all known clips without their files, so it is taken only where none has one, or
    where as many of them are found there: then the whole folder was moved or copied.

    Args:
        videos: A folder of video files; None for no clips, which changes nothing.
        current: Where media paths start so far; None before the first clips.
        settings: Of the project; they may name it.
        store: With the clips so far.

    Returns:
        The folder, absolute; None where there is none yet.

    Raises:
        DataError: ``videos`` is no folder, or lies elsewhere than the clips so far.
    """
    if videos is None:
        return current
    check_video_folder(videos)
    videos = videos.resolve()
    if current is None:
        return videos
    if videos.is_relative_to(current.resolve()):
        return current.resolve()
    if settings.media.root:
        raise DataError(
            f"video folder '{videos}' must lie inside the media folder '{current}', does not; "
            "move it there, or change root in [media] of kinema.toml"
        )
    paths = [path for path in store.media()["media_path"].to_list() if path]
    num_there = _num_found(paths, current)
    if _num_found(paths, videos) >= num_there:
        return videos
    raise DataError(
        f"video folder '{videos}' must lie inside the media folder '{current}', where {num_there:,} items have their clips, "
        "does not; move or copy it there"
    )


def _num_found(paths: Sequence[str], folder: Path) -> int:
    return sum((folder / path).is_file() for path in paths)
