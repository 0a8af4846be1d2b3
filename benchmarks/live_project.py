"""A trained project of many items for `benchmarks/live.py`, without drawing and understanding ten thousand clips.

What is there, all of it from one seed:

- the town's catalogue, users and events (`kinema.sources.town`) for all items, with titles and descriptions of their own;
- a video file for each item. The first `NUM_DRAWN` are drawn as the town draws them. Each other one is a copy of the drawn clip that
  has most of its topic, style, motion and sound, with a few bytes of its own at the end, so that its content is not known;
- tokens and vectors of frames, motion and sound: made by the packaged encoders for the drawn clips; for the others, the tokens of the clip they
  copy plus noise of a tenth of the tokens' deviation, kept under the content of their file and pooled as `kinema extract` pools;
- posters and preview strips of the drawn clips, and the same for their copies;
- text vectors of all items, made by the packaged encoder;
- FLM, trained for `EPOCHS` epochs.

It is built once under ``build/bench/live``, again when an encoder has changed, and copied for each run.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.encoders.clip_modality import ClipModality, Pooled
from kinema.encoders.content_keys import ContentKeys
from kinema.encoders.extract import extract
from kinema.encoders.text import load_text_encoder
from kinema.project import Project
from kinema.seeds import generator
from kinema.settings import Settings
from kinema.sources.town.clips import ClipPlan, plan_clip, render_clips
from kinema.sources.town.rules import Rules
from kinema.sources.town.texts import write_texts
from kinema.sources.town.world import plan_world
from kinema.sources.town.write import CLIPS_VERSION, EVENTS, ITEMS, MARKER, USERS, VIDEOS, generate
from kinema.steps.extracting import CLIP_MODALITIES, EncoderOptions

CACHE: Final = Path(__file__).resolve().parents[1] / "build" / "bench" / "live"
SEED: Final = 7
NUM_DRAWN: Final = 60
USERS_PER_ITEM: Final = 0.2
EVENTS_PER_ITEM: Final = 6
EPOCHS: Final = 20
_NOISE: Final = 0.1
_AT_ONCE: Final = 128
_RULES: Final = Rules(has_sound=True)
_SHARED: Final = frozenset({".mp4", ".avi", ".flv", ".safetensors", ".webp"})
"""Files that are written once: a copy of the project may link them."""


def built_project(num_items: int, tell: Callable[[str], None]) -> Path:
    """The project, built if it is not there.

    Args:
        num_items: Items, at least `NUM_DRAWN`.
        tell: Told what is being done.
    """
    folder = CACHE / f"{num_items}-items"
    done, made_by = folder / "done", _encoder_marks()
    if done.is_file() and done.read_text() == made_by:
        return folder / "project"
    done.unlink(missing_ok=True)
    shutil.rmtree(folder / "project", ignore_errors=True)
    tell("drawing clips")
    plans = _plans(num_items)
    _write_town(folder / "town", plans, num_items)
    with Project.init(folder / "project") as project:
        tell("ingest")
        town = folder / "town"
        shutil.move(town / VIDEOS, project.folder / "media")
        project.ingest(videos=project.folder / "media", items=town / ITEMS, users=town / USERS, events=town / EVENTS)
        tell("understanding the drawn clips, making up the others")
        _understand(project, _models(plans))
        tell("texts")
        project.extract()
        tell("training")
        os.environ["KINEMA_FLM__MAX_EPOCHS"] = str(EPOCHS)
    with Project.open(folder / "project") as project:
        project.pretrain()
    del os.environ["KINEMA_FLM__MAX_EPOCHS"]
    done.write_text(made_by)
    return folder / "project"


def _encoder_marks() -> str:
    """What the vectors depend on: those of other encoders are not those that a clip gets now."""
    settings = Settings()
    options = EncoderOptions(settings.media.num_frames, settings.encoders.batch_size, settings.runtime.device)
    clips = {name: load(getattr(settings.encoders, name), options) for name, load in CLIP_MODALITIES.items()}
    marks = {name: one.fingerprint for name, one in clips.items()}
    return json.dumps(marks | {"text": load_text_encoder(settings.encoders.text).fingerprint})


def copied_project(source: Path, target: Path) -> Path:
    """A copy that can be written to; what is written once is linked."""
    shutil.rmtree(target, ignore_errors=True)

    def copy(one: str, other: str) -> None:
        if Path(one).suffix in _SHARED:
            os.link(one, other)
        else:
            shutil.copy2(one, other)

    shutil.copytree(source, target, copy_function=copy)
    return target


def _plans(num_items: int) -> list[ClipPlan]:
    """What every clip shows."""
    world = plan_world(seed=SEED, num_clips=num_items, num_users=round(num_items * USERS_PER_ITEM), rules=_RULES)
    texts = write_texts(world.topics_V, rng=generator(SEED, "town/texts"))
    return [
        plan_clip(
            number,
            seed=SEED,
            topic=int(world.topics_V[number]),
            style=int(world.styles_V[number]),
            motion=int(world.motions_V[number]),
            caption=texts[number].caption,
            item_id=f"v{number + 1:04d}",
            sound=None if world.sounds_V is None else int(world.sounds_V[number]),
        )
        for number in range(num_items)
    ]


def _models(plans: list[ClipPlan]) -> list[int]:
    """Which drawn clip each clip copies: of the same container, with most in common; the earliest of equals."""
    traits = np.array([(one.topic, one.style, one.motion, -1 if one.sound is None else one.sound) for one in plans])
    suffixes = np.array([Path(one.file).suffix for one in plans])
    found = list(range(NUM_DRAWN))
    for number in range(NUM_DRAWN, len(plans)):
        common_K = (traits[:NUM_DRAWN] == traits[number]).sum(axis=1)
        found.append(int(np.where(suffixes[:NUM_DRAWN] == suffixes[number], common_K, -1).argmax()))
    return found


def _write_town(folder: Path, plans: list[ClipPlan], num_items: int) -> None:
    """Files and tables. The town keeps the clips that it finds under its marker."""
    render_clips(plans[:NUM_DRAWN], folder / VIDEOS, workers=2)
    for number, (plan, model) in enumerate(zip(plans, _models(plans), strict=True)):
        if number >= NUM_DRAWN:
            content = (folder / VIDEOS / plans[model].file).read_bytes()
            (folder / VIDEOS / plan.file).write_bytes(content + f"clip {number}".encode())
    marker = {"version": CLIPS_VERSION, "seed": SEED, "num_clips": num_items, **_RULES.changed_clips()}
    (folder / MARKER).write_text(json.dumps(marker) + "\n")
    generate(
        folder,
        seed=SEED,
        num_clips=num_items,
        num_users=round(num_items * USERS_PER_ITEM),
        num_events=num_items * EVENTS_PER_ITEM,
        rules=_RULES,
        workers=1,
    )


def _understand(project: Project, models: list[int]) -> None:
    """Extract the drawn clips, then fill the caches of the others."""
    assert project.media_root is not None
    settings = project.settings
    folder, items = project.artifacts / "features", project.store.items()
    options = EncoderOptions(settings.media.num_frames, settings.encoders.batch_size, settings.runtime.device)
    clips = {name: load(getattr(settings.encoders, name), options) for name, load in CLIP_MODALITIES.items()}
    extract(
        items=items.filter(pl.col("num") < NUM_DRAWN),
        media_root=project.media_root,
        folder=folder,
        clips=clips,
        workers=2,
        max_seconds=settings.limits.max_clip_seconds,
        pictures=project.artifacts / "pictures",
    )
    paths = items.sort("num")["media_path"].to_list()
    keys = ContentKeys(folder).update({one: project.media_root / one for one in paths}, num_threads=2)
    for name, encoder in clips.items():
        cache = ClipModality(folder, name, encoder, pooling=None, max_seconds=settings.limits.max_clip_seconds)
        rng = generator(SEED, f"live/{name}")
        for start in range(NUM_DRAWN, len(paths), _AT_ONCE):
            numbers = range(start, min(start + _AT_ONCE, len(paths)))
            cache.append([(keys[paths[one]], _made_up(cache, keys[paths[models[one]]], rng)) for one in numbers])
    pictures = project.artifacts / "pictures"
    drawn = [list(pictures.glob(f"{keys[paths[number]]}.*")) for number in range(NUM_DRAWN)]
    for number in range(NUM_DRAWN, len(paths)):
        model = keys[paths[models[number]]]
        for picture in drawn[models[number]]:
            os.link(picture, pictures / picture.name.replace(model, keys[paths[number]]))


def _made_up(cache: ClipModality, key: str, rng: np.random.Generator) -> Pooled:
    """The tokens of a clip with noise, and their vector."""
    kept = cache.tokens.get([key])
    tokens_TD, times_ms_T = kept.of(0)
    if not len(times_ms_T):
        nothing = cache.pool_kept("made up", tokens_TD, times_ms_T, quality=0.0)
        assert isinstance(nothing, Pooled)
        return nothing
    noisy_TD: NDArray[Any] = tokens_TD + rng.normal(size=tokens_TD.shape) * _NOISE * float(tokens_TD.std() or 1.0)
    pooled = cache.pool_kept("made up", noisy_TD.astype(np.float16), times_ms_T, quality=float(kept.quality_N[0]))
    assert isinstance(pooled, Pooled)
    return pooled
