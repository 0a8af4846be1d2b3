"""Generate the town: video files, tables and the right answers, in a folder that is then ingested like anyone's data.

videos/v0001.mp4 ...   items.csv   users.csv   events.parquet   truth.npz   truth.json
"""

import io
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import polars as pl

from kinema.errors import ConfigError, DataError
from kinema.progress import Progress, silent
from kinema.schema import EventKind
from kinema.seeds import generator
from kinema.sources.town.clips import ClipPlan, plan_clip, render_clips
from kinema.sources.town.events import Sessions, simulate
from kinema.sources.town.rules import Rules
from kinema.sources.town.texts import Text, write_texts
from kinema.sources.town.truth import Clicks, Truth, pack_truth
from kinema.sources.town.world import World, draw_profiles, plan_world

VIDEOS: Final = "videos"
ITEMS: Final = "items.csv"
USERS: Final = "users.csv"
EVENTS: Final = "events.parquet"
MARKER: Final = "town.json"
"""Says which town the clips in the folder belong to; clips of another one are not taken for finished."""
CLIPS_VERSION: Final = 1
"""Raised when the same seed gives other pixels."""
FEWEST_CLIPS: Final = 20


@dataclass(frozen=True)
class TownReport:
    """What was generated.

    Attributes:
        folder: Where it is.
        num_clips: Clips in the catalogue.
        num_rendered: Of these, written now; the others were there from an earlier run.
        num_cold: Clips published after the cut-off.
        num_users: Users.
        num_events: Events of all kinds.
        kinds: Kind -> number of events.
        num_test_clicks: Clicks after the cut-off.
        cold_click_share: Share of those that went to cold clips.
        cutoff_ms: End of the training period, UTC milliseconds.
        video_bytes: Size of all clips.
    """

    folder: Path
    num_clips: int
    num_rendered: int
    num_cold: int
    num_users: int
    num_events: int
    kinds: dict[str, int]
    num_test_clicks: int
    cold_click_share: float
    cutoff_ms: int
    video_bytes: int


def generate(
    folder: Path,
    *,
    seed: int = 7,
    num_clips: int = 440,
    num_users: int = 2000,
    num_events: int = 60_000,
    rules: Rules | None = None,
    workers: int = 2,
    progress: Progress = silent,
) -> TownReport:
    """Generate the town. The same arguments give the same tables byte for byte, whatever the number of workers.

    Args:
        folder: Where it goes. A town of the same seed, number of clips and rules about clips keeps the clips it has.
        seed: Decides everything.
        num_clips: Clips, at least 20.
        num_users: Users, at least 1.
        num_events: Events wanted, at least 1; met within a few per cent unless users run out of clips they like.
        rules: What is planted and how strongly; None for the default town, see `Rules.planted` for others.
        workers: Processes that render clips. With more than one, a script must call this below
            ``if __name__ == "__main__":``, since the processes are spawned.
        progress: Told the clips, then the sessions done.

    Returns:
        Counts.

    Raises:
        ConfigError: A number is out of range.
        DataError: The folder holds videos that no town has written.
    """
    _check_sizes(seed=seed, num_clips=num_clips, num_users=num_users, num_events=num_events, workers=workers)
    rules = rules or Rules()
    _claim(folder, {"version": CLIPS_VERSION, "seed": seed, "num_clips": num_clips, **rules.changed_clips()})
    world = plan_world(seed=seed, num_clips=num_clips, num_users=num_users, rules=rules)
    item_ids = tuple(f"v{number:04d}" for number in range(1, num_clips + 1))
    user_ids = tuple(f"u{number:05d}" for number in range(1, num_users + 1))
    texts = write_texts(world.topics_V, rng=generator(seed, "town/texts"))
    plans = _plan_clips(world, texts, item_ids, seed=seed, rules=rules)
    num_rendered = render_clips(plans, folder / VIDEOS, workers=workers, progress=progress)
    events, sessions = simulate(
        world,
        rules,
        seed=seed,
        num_events=num_events,
        durations_ms_V=np.array([plan.duration_ms for plan in plans], dtype=np.int64),
        progress=progress,
    )
    profiles = draw_profiles(world, rules, seed=seed)
    truth = _truth(
        seed=seed,
        rules=rules,
        world=world,
        sessions=sessions,
        events=events,
        plans=plans,
        item_ids=item_ids,
        user_ids=user_ids,
    )
    _put(folder, ITEMS, _items_table(world, texts, plans, item_ids).write_csv().encode())
    _put(folder, USERS, pl.DataFrame({"id": user_ids, **profiles}).write_csv().encode())
    _put(folder, EVENTS, _parquet(_events_table(events, item_ids, user_ids)))
    for name, content in pack_truth(truth).items():
        _put(folder, name, content)
    test_K = truth.clicks.times_ms_K > world.cutoff_ms
    return TownReport(
        folder=folder,
        num_clips=num_clips,
        num_rendered=num_rendered,
        num_cold=int(world.cold_V.sum()),
        num_users=num_users,
        num_events=len(events),
        kinds={kind: int(count) for kind, count in sorted(events["kind"].value_counts().iter_rows())},
        num_test_clicks=int(test_K.sum()),
        cold_click_share=float(world.cold_V[truth.clicks.items_K[test_K]].mean()) if test_K.any() else 0.0,
        cutoff_ms=world.cutoff_ms,
        video_bytes=sum((folder / VIDEOS / plan.file).stat().st_size for plan in plans),
    )


def _check_sizes(**sizes: int) -> None:
    """Refuse numbers that no town can be built from."""
    lowest = {"seed": 0, "num_clips": FEWEST_CLIPS, "num_users": 1, "num_events": 1, "workers": 1}
    for name, value in sizes.items():
        if value < lowest[name]:
            raise ConfigError(f"{name} of the town must be >= {lowest[name]}, got {value}; raise it")


def _claim(folder: Path, clips: Mapping[str, Any]) -> None:
    """Mark the folder as this town's, by all that its clips depend on, and drop the clips of another one."""
    marker = json.dumps(clips) + "\n"
    path, videos = folder / MARKER, folder / VIDEOS
    known = path.read_text(encoding="utf-8") if path.is_file() else ""
    if known == marker:
        return
    if not known and videos.is_dir() and any(videos.iterdir()):
        raise DataError(
            f"'{folder.name}/{VIDEOS}' must be empty or hold a generated town, it holds files without {MARKER}; "
            f"choose another folder"
        )
    shutil.rmtree(videos, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    _put(folder, MARKER, marker.encode())


def _plan_clips(
    world: World, texts: list[Text], item_ids: tuple[str, ...], *, seed: int, rules: Rules
) -> list[ClipPlan]:
    """One plan per clip, in catalogue order."""
    return [
        plan_clip(
            number,
            seed=seed,
            topic=int(world.topics_V[number]),
            style=int(world.styles_V[number]),
            motion=int(world.motions_V[number]),
            caption=texts[number].caption,
            item_id=item_id,
            sound=None if world.sounds_V is None else int(world.sounds_V[number]),
            moment_share=rules.moment_share,
            has_tint=rules.has_tints,
        )
        for number, item_id in enumerate(item_ids)
    ]


def _items_table(world: World, texts: list[Text], plans: list[ClipPlan], item_ids: tuple[str, ...]) -> pl.DataFrame:
    """The catalogue with the columns of `kinema.schema.Item`; lists are joined by ``|``."""
    return pl.DataFrame(
        {
            "id": item_ids,
            "title": [text.title for text in texts],
            "description": [text.description for text in texts],
            "categories": ["|".join(text.categories) for text in texts],
            "tags": ["|".join(text.tags) for text in texts],
            "language": ["en"] * len(texts),
            "published_at": world.published_ms_V,
            "duration_ms": [plan.duration_ms for plan in plans],
            "media_path": [plan.file for plan in plans],
        }
    )


def _events_table(events: pl.DataFrame, item_ids: tuple[str, ...], user_ids: tuple[str, ...]) -> pl.DataFrame:
    """The log with the columns of `kinema.schema.Event`, numbers replaced by ids."""
    return events.select(
        pl.format("e{}", pl.int_range(1, pl.len() + 1).cast(pl.String).str.zfill(7)).alias("id"),
        pl.Series("user", np.array(user_ids)[events["user"].to_numpy()]),
        pl.Series("item", np.array(item_ids)[events["item"].to_numpy()]),
        "timestamp_ms",
        "kind",
        "watch_ms",
        pl.format("s{}", pl.col("session").cast(pl.String).str.zfill(6)).alias("session_id"),
        pl.format("l{}", pl.col("slate").cast(pl.String).str.zfill(6)).alias("slate_id"),
        "position",
        "propensity",
    )


def _truth(
    *,
    seed: int,
    rules: Rules,
    world: World,
    sessions: Sessions,
    events: pl.DataFrame,
    plans: list[ClipPlan],
    item_ids: tuple[str, ...],
    user_ids: tuple[str, ...],
) -> Truth:
    """Everything the oracle needs."""
    clicked = events.filter(pl.col("kind") == EventKind.CLICK)
    clicks = Clicks(*(clicked[name].to_numpy() for name in ("user", "item", "timestamp_ms")))
    moments = np.array([plan.moment_ms for plan in plans], dtype=np.int64) if rules.moment_share else None
    return Truth(seed, rules, world, sessions, clicks, item_ids, user_ids, moments)


def _parquet(table: pl.DataFrame) -> bytes:
    stream = io.BytesIO()
    table.write_parquet(stream)
    return stream.getvalue()


def _put(folder: Path, name: str, content: bytes) -> None:
    """Write a file as a whole or not at all."""
    draft = folder / f".{name}.part"
    draft.write_bytes(content)
    draft.replace(folder / name)
