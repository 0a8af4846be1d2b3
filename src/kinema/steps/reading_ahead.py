"""A clip that came in is decoded while everything else is still being loaded.

What will be asked of it follows from the settings, as long as they name encoders whose needs are known without loading them; that
is so for the packaged ones. If the guess is wrong in anything, the reading is not used, and the clip is read again.
"""

from collections.abc import Mapping
from pathlib import Path

from kinema.artifacts import sha256_file
from kinema.encoders.clip_passes import goes_along
from kinema.encoders.clip_readers import BegunReading
from kinema.encoders.clip_worker import ClipRequest
from kinema.encoders.frames import FrameReader
from kinema.encoders.modality import Reader
from kinema.encoders.motion import FLOW, load_motion_encoder
from kinema.encoders.sound import DEFAULT_SOUND, SoundReader
from kinema.encoders.vision import CNN_SIDE
from kinema.encoders.weights import DEFAULT_FRAMES
from kinema.extras import is_installed
from kinema.settings import Settings
from kinema.steps.fingerprints import made_along
from kinema.steps.pictures import pictures_folder


def read_ahead(clip: Path, *, media_root: Path, folder: Path, settings: Settings) -> BegunReading | None:
    """Begin to read a clip.

    Args:
        clip: Inside the media root.
        media_root: Of the project.
        folder: Of the project.
        settings: Of the project.

    Returns:
        The reading, to be given to `kinema.steps.extracting.extract_project` and closed; None where nothing can be told before
        the encoders are loaded.
    """
    readers = foreseen_readers(settings)
    if not readers or not (is_installed("av") and is_installed("cv2")):
        return None
    clip, limits, pictures = clip.resolve(), settings.limits, pictures_folder(folder, settings)
    request = ClipRequest(
        path=str(clip),
        name=clip.relative_to(media_root.resolve()).as_posix(),
        readers=readers,
        sampling=settings.media.sampling,
        max_seconds=limits.max_clip_seconds,
        max_pixels=limits.max_clip_pixels,
        decode_seconds=limits.decode_seconds / 2,
        pictures=None if pictures is None else (str(pictures), sha256_file(clip)),
    )
    return BegunReading(request, timeout_s=limits.decode_seconds, memory_mb=limits.clip_memory_mb)


def foreseen_readers(settings: Settings) -> Mapping[str, Reader]:
    """Modality -> what the encoders of the settings read of a clip, and what is made along; empty where that takes loading them.

    Example:
        >>> sorted(foreseen_readers(Settings()))
        ['frames', 'motion', 'picture_hash', 'sound']
    """
    names, found = settings.encoders, dict[str, Reader]()
    known = {
        "frames": names.frames == DEFAULT_FRAMES,
        "motion": names.motion.startswith(FLOW),
        "sound": names.sound == DEFAULT_SOUND,
    }
    if any(getattr(names, modality) and not is_known for modality, is_known in known.items()):
        return {}
    if names.frames:
        found["frames"] = FrameReader(CNN_SIDE, settings.media.num_frames)
    if names.motion:
        found["motion"] = load_motion_encoder(names.motion).reader
    if names.sound:
        found["sound"] = SoundReader()
    return found | {name: one.reader for name, one in made_along(settings).items() if goes_along(one.reader, found)}
