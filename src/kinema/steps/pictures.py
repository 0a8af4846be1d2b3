"""Where the posters and preview strips of a project lie."""

from pathlib import Path

from kinema.settings import Settings


def pictures_folder(folder: Path, settings: Settings) -> Path | None:
    """Where a project's posters and preview strips are; None where it has none."""
    return folder / "artifacts" / "pictures" if settings.media.pictures else None
