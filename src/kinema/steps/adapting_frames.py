"""`kinema adapt frames`: the frame encoder learns which frames belong to which title.

Shape suffixes: V items, M items with a clip, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.clip_readers import CLIP_MEMORY_MB, DECODE_SECONDS
from kinema.encoders.content_keys import inside
from kinema.encoders.pooling import pool_frames
from kinema.encoders.text import item_text, load_text_encoder
from kinema.encoders.vision import load_frame_encoder
from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.evaluation.probes import LEAST_CASES, Cases, hold_out, nearest_by, neighbour_ndcg, watched_together
from kinema.progress import Progress, silent
from kinema.seeds import generator
from kinema.steps.adapting import (
    Adaptation,
    AdaptOptions,
    AdaptReport,
    Probe,
    adapt_and_judge,
    adapted_folder,
    kept_before,
    log_for_probe,
    run_name,
    work_folder,
)
from kinema.store.histories import Histories
from kinema.store.protocols import Store
from kinema.training.adaptation.clips import ClipFrames, sample_clips
from kinema.training.adaptation.eyes import load_eye
from kinema.training.adaptation.frames import MatchingLesson

NUM_FRAMES: Final = 4
"""Frames per clip that are learnt from and asked about."""
MOST_CLIPS: Final = 4_096
"""Clips that take part, drawn at random from larger catalogues: their frames lie on disk, 0.3 MB a clip at 160 pixels."""
_PICTURES_AT_ONCE: Final = 32


@dataclass(frozen=True)
class ClipOptions:
    """How clips are read.

    Attributes:
        media_root: Where media paths start.
        max_seconds: Only so much of each clip's beginning is looked at, seconds.
        max_pixels: Largest frame that is decoded.
        workers: Decoding processes; 0 decodes in this process.
        timeout_s: A clip that takes more processor time is given up, seconds.
        memory_mb: A clip whose decoding takes more memory is given up.
    """

    media_root: Path
    max_seconds: float = 600.0
    max_pixels: int = 2**25
    workers: int = 1
    timeout_s: float = DECODE_SECONDS
    memory_mb: int = CLIP_MEMORY_MB


def adapt_frames(
    *,
    store: Store,
    histories: Histories,
    encoder: str,
    place: str,
    text_place: str,
    root: Path,
    clips: ClipOptions,
    options: AdaptOptions,
    device: str = "cpu",
    progress: Progress = silent,
) -> AdaptReport:
    """Match the frames of clips with their titles; kept only if it is better on held-out items.

    Args:
        store: Items.
        histories: The log, by which both are judged; may be empty.
        encoder: Name as configured.
        place: Where it is loaded from.
        text_place: Text encoder, frozen: its vectors stand for the titles where the frame encoder has no text tower, and
            judge where there is no log. May be empty where neither is needed.
        root: Folder of the project's encoders.
        clips: See there.
        options: See there.
        device: A torch device.
        progress: Told clips and steps.

    Returns:
        The report.

    Raises:
        NotBuiltError: No item has a clip.
        DataError: Too few clips with titles.
        ConfigError: An encoder cannot be loaded, or an option is out of range.
        MissingExtraError: transformers, peft or PyAV is not installed.
    """
    options.schedule()
    every = list(store.items().sort("num").iter_rows(named=True))
    files = _files(every, clips.media_root)
    if not files:
        raise NotBuiltError("no item has a clip to learn from; run: kinema ingest --videos FOLDER")
    chosen = sorted(generator(options.seed, "adaptation/clips").permutation(list(files))[:MOST_CLIPS].tolist())
    eye = load_frame_encoder(place, device=device)
    text_print = load_text_encoder(text_place, device=device).fingerprint if text_place else ""
    stamps = [[files[row][0], *_stamp(files[row][1]), item_text(every[row])] for row in chosen]
    log = log_for_probe(histories)
    asked = "" if log is None else fingerprint([log.items.tolist(), log.offsets.tolist()])
    about = {"encoder": eye.fingerprint, "text": text_print, "clips": stamps, "asked": asked, "frames": NUM_FRAMES}
    folder, run = adapted_folder(root, "frames", place), run_name(about, options)
    found = kept_before(folder, run)
    if found is not None:
        return found
    frames = sample_clips(
        [files[row] for row in chosen],
        folder=work_folder(folder, run) / "frames",
        frame_side=eye.frame_side,
        num_frames=NUM_FRAMES,
        max_seconds=clips.max_seconds,
        max_pixels=clips.max_pixels,
        workers=clips.workers,
        clip_timeout_s=clips.timeout_s,
        clip_memory_mb=clips.memory_mb,
        progress=progress,
    )
    world = _World([every[row] for row in chosen], np.array(chosen), frames, text_place, device)
    titled = np.array([bool(row["title"]) for row in world.rows])
    learn, held_out = hold_out(np.flatnonzero(frames.usable_M & titled), seed=options.seed)

    def load() -> tuple[MatchingLesson, dict[str, Any]]:
        return _lesson(world, learn, held_out, place=place, options=options)

    probe = _choose_probe(world, log, held_out)
    return adapt_and_judge(Adaptation("frames", encoder, place, folder, options, run, load, probe), progress=progress)


@dataclass(frozen=True)
class _World:
    """The items that take part: their rows, their numbers in the catalogue, their frames."""

    rows: Sequence[Mapping[str, Any]]
    numbers_M: NDArray[np.int64]
    frames: ClipFrames
    text_place: str
    device: str

    def text_vectors(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """By the text encoder, which stays as it is."""
        if not self.text_place:
            raise ConfigError(
                "titles must be read by a text encoder, since the frame encoder has no text tower of its own or there is no "
                "log to judge by; [encoders] text in kinema.toml is empty; name one there"
            )
        return load_text_encoder(self.text_place, device=self.device).encode(texts)


def _lesson(
    world: _World, learn: NDArray[np.int64], held_out: NDArray[np.int64], *, place: str, options: AdaptOptions
) -> tuple[MatchingLesson, dict[str, Any]]:
    eye = load_eye(place, device=world.device)
    titles = [str(world.rows[row]["title"]) for row in learn.tolist()]
    lesson = MatchingLesson(
        eye,
        pictures=world.frames.pictures_MTSS3,
        rows=learn,
        titles=titles,
        title_vectors_ME=world.text_vectors(titles) if eye.read is None else None,
        method=options.method,
        rank=options.rank,
        seed=options.seed,
    )
    frozen = f"the text encoder, frozen ({Path(world.text_place).name}), over projections that are not kept"
    return lesson, {
        "learnt from": f"{len(learn)} clips, {NUM_FRAMES} frames each",
        "held out": f"{len(held_out)} clips",
        "not decodable": int((~world.frames.usable_M).sum()),
        "titles read by": "the checkpoint's own text tower" if lesson.own_text_tower else frozen,
    }


def _choose_probe(world: _World, log: Histories | None, held_out: NDArray[np.int64]) -> Probe:
    """What is watched together where the log can tell; else what is near by text."""
    usable_M = world.frames.usable_M
    cases = None if log is None else _companions(world, log, held_out)
    if cases is not None and len(cases.items_C) >= LEAST_CASES:
        name = "NDCG@10: are the nearest items by frames those that are watched together"
    else:
        vectors_MD = world.text_vectors([item_text(row) for row in world.rows])
        cases = nearest_by(vectors_MD, held_out=held_out, candidates_V=usable_M)
        name = "NDCG@10: are the nearest items by frames those that are nearest by text"

    def measure(encoder: str) -> NDArray[np.float64]:
        return neighbour_ndcg(_encode(world, encoder), cases, candidates_V=usable_M)

    return Probe(name, measure)


def _companions(world: _World, log: Histories, held_out: NDArray[np.int64]) -> Cases:
    """`watched_together`, in the numbers of the items that take part."""
    candidates_V = np.zeros(log.num_items, dtype=bool)
    candidates_V[world.numbers_M[world.frames.usable_M]] = True
    cases = watched_together(log, held_out=world.numbers_M[held_out], candidates_V=candidates_V)
    place_V = np.full(log.num_items, -1, dtype=np.int64)
    place_V[world.numbers_M] = np.arange(len(world.numbers_M))
    return Cases(place_V[cases.items_C], cases.offsets, place_V[cases.targets_T])


def _encode(world: _World, name: str) -> NDArray[np.float32]:
    """float32 [M, D], as `kinema extract` makes them of these frames; zero rows where a clip cannot be decoded."""
    encoder = load_frame_encoder(name, device=world.device)
    vectors_MD = np.zeros((len(world.rows), encoder.width), dtype=np.float32)
    usable = np.flatnonzero(world.frames.usable_M)
    size = max(1, _PICTURES_AT_ONCE // NUM_FRAMES)
    for start in range(0, len(usable), size):
        some = usable[start : start + size]
        tokens = encoder.encode(np.concatenate(world.frames.pictures_MTSS3[some]))
        vectors_MD[some] = [pool_frames(part) for part in np.split(tokens, len(some))]
    return vectors_MD


def _files(rows: Sequence[Mapping[str, Any]], media_root: Path) -> dict[int, tuple[str, Path]]:
    """Item number -> (media path, file); paths that lead nowhere or outside are left out, `kinema extract` reports them."""
    files = {}
    for number, row in enumerate(rows):
        if row["media_path"]:
            try:
                files[number] = (str(row["media_path"]), inside(media_root, row["media_path"]))
            except DataError:
                continue
    return files


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
