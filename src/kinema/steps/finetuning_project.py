"""`kinema finetune match` and `visual` on a project: what is learnt, against what the project answers today, and the line in `kinema.toml`.

Shape suffixes: T targets, V items.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.frames import FrameTokens
from kinema.errors import ConfigError
from kinema.progress import Progress, silent
from kinema.recommend.search import MAX_TEXT
from kinema.retrieval.content import content_of, joint, unit_rows
from kinema.settings import FILE_NAME, Settings, load_settings
from kinema.steps.bridges import TextQueries
from kinema.steps.dataset import Dataset
from kinema.steps.extracting import encoder_place
from kinema.steps.finetuning_match import FOLDER, ITEMS, TEXTS, Matched, MatchReport, learn_items, learn_texts
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.finetuning_visual import Clips, VisualReport, finetune_visual, needs_clips
from kinema.steps.followers import Followers
from kinema.steps.match_pairs import ReadPairs, pairs_of_sessions, read_pairs
from kinema.steps.query_media import clip_encoder
from kinema.steps.searching import search_project
from kinema.steps.setting_line import write_setting
from kinema.steps.slates import SlateMaker, make_slates
from kinema.store.protocols import Store
from kinema.tasks.match import cosines
from kinema.tasks.match_data import Cases
from kinema.tasks.match_measures import DEEP, measure, numbers
from kinema.training.parameter_choice import Choice

_MOST_SEARCHES: Final = 150
_SEEN: Final = "FLM has learnt from the whole log, these pairs too: what its vectors add is flattered, so content alone is what decides"


@dataclass(frozen=True)
class Shop:
    """What these trainings need of a project.

    Attributes:
        folder: Of the project.
        settings: Of the project.
        store: Its data.
        slates: One reading, with the recommender of today.
        media_root: Where media paths start; None without clips.
        workers: Decoding processes.
        seed: Of the run.
    """

    folder: Path
    settings: Settings
    store: Store
    slates: SlateMaker
    media_root: Path | None
    workers: int
    seed: int

    @property
    def artifacts(self) -> Path:
        """Where the stages meet."""
        return self.folder / "artifacts"


def open_shop(
    *,
    folder: Path,
    settings: Settings,
    store: Store,
    dataset: Dataset,
    media_root: Path | None,
    workers: int,
    seed: int,
) -> Shop:
    """A project as it answers without what is about to be learnt; see `Shop`."""
    plainly = settings.recommend.model_copy(update={"matcher": False, "ranker": ""})
    slates = make_slates(dataset, artifacts=folder / "artifacts", settings=plainly)
    return Shop(folder, settings, store, slates, media_root, workers, seed)


def match_texts(
    shop: Shop,
    *,
    table: Path | None = None,
    choice: Choice | None = None,
    plan: FitPlan | None = None,
) -> MatchReport:
    """Learn from words and their answers, and write ``artifacts/match/texts``.

    With queries of people, searches as they are served decide; queries that were taken from the catalogue would find
    themselves there, so that the cosines decide.

    Args:
        shop: The project.
        table: Pairs; None for the log's searches, or the catalogue.
        choice: What of the text encoder learns too.
        plan: How, with the shop's seed; None for the task's own way. The run is kept in ``texts`` of its folder.
    """
    started, dataset, plan = time.perf_counter(), shop.slates.dataset, _within(plan, TEXTS, shop)
    read, queries = words_of(shop, table)
    found = learn_texts(read, dataset, queries, choice=choice, plan=plan)
    folder = shop.artifacts / FOLDER / TEXTS
    found.model.save(folder, seed=shop.seed)
    ours, baseline = "match", "cosine"
    if read.pairs.rests is None:
        ours, baseline = "search with match", "search of today"
        _add_searches(found, shop, plan.progress)
    report = found.report(
        folder,
        baseline=baseline,
        ours=ours,
        learns="frozen" if choice is None else choice.method,
        seed=shop.seed,
        started=started,
    )
    found.model.told(report.facts()).save(folder, seed=shop.seed)
    return report


def words_of(shop: Shop, table: Path | None) -> tuple[ReadPairs, TextQueries]:
    """Pairs of words and items, and what reads words.

    Args:
        shop: The project.
        table: Pairs; None for the log's searches, or the catalogue.

    Raises:
        ConfigError: The project has no text encoder.
        DataError: The table is not what it must be, or there is nothing to learn from.
    """
    place = encoder_place(shop.settings.encoders.text, shop.folder)
    if not place:
        raise ConfigError("[encoders] text must name an encoder to match words by, is empty; name one")
    read = read_pairs(shop.store, shop.slates.dataset.items, table)
    return read, TextQueries(place, shop.settings.runtime.device)


def match_items(shop: Shop, *, plan: FitPlan | None = None) -> MatchReport:
    """Learn from items that were watched one after the other, and write ``artifacts/match/items``.

    Args:
        shop: The project.
        plan: How, with the shop's seed; None for the task's own way. The run is kept in ``items`` of its folder.
    """
    started, dataset, plan = time.perf_counter(), shop.slates.dataset, _within(plan, ITEMS, shop)
    read = pairs_of_sessions(shop.store, dataset.item_ids)
    content_VD = joint(content_of(dataset.features))
    today = {} if content_VD is None else {"content": content_VD}
    found = learn_items(read, dataset, today_VE=today, plan=plan)
    flm_VD = shop.slates.recommender.parts.item_vectors_VD
    parts = shop.slates.recommender.parts
    if flm_VD is not None and parts.joint_VD is not None and read.pairs.query_items_Q is not None:
        learnt = Followers.of(found.model, dataset.features)
        own = read.pairs.query_items_Q
        for name, asked, rows in (
            ("content+flm, as today", parts.joint_VD, parts.joint_VD),
            ("match+flm", learnt.asked_VE, learnt.rows_VE),
        ):
            both = unit_rows(np.hstack([asked, flm_VD])), unit_rows(np.hstack([rows, flm_VD]))
            found.ways[name] = {
                part: {
                    kind: measure(cosines(both[0][own[cases.query_C]], both[1]), cases, num_items=len(flm_VD))
                    for kind, cases in kinds.items()
                }
                for part, kinds in found.split.cases.items()
            }
        found = replace(found, pairs=replace(found.pairs, notices=(*found.pairs.notices, _SEEN)))
    folder = shop.artifacts / FOLDER / ITEMS
    report = found.report(folder, baseline="content", ours="match", learns="frozen", seed=shop.seed, started=started)
    found.model.told(report.facts()).save(folder, seed=shop.seed)
    return report


def visual_of_project(shop: Shop, *, plan: FitPlan | None = None) -> VisualReport:
    """Learn from the project's clips, and write ``artifacts/visual``; the plan has the shop's seed."""
    plan = plan or FitPlan(seed=shop.seed)
    return finetune_visual(shop.slates.dataset, read_clips(shop), artifacts=shop.artifacts, plan=plan)


def read_clips(shop: Shop) -> Clips:
    """How the project's clips are read.

    Raises:
        ConfigError: The project has no encoder of frames, or pools them in a way of its own.
        NotBuiltError: It has no clips.
    """
    limits, media = shop.settings.limits, shop.settings.media
    if not shop.settings.encoders.frames:
        raise ConfigError("[encoders] frames must name an encoder to compare pictures by, is empty; name one")
    if "frames" in shop.settings.encoders.pooling:
        raise ConfigError(
            "learning to compare pictures reads the mean of a clip's frames, [encoders.pooling.frames] makes another vector; leave it out"
        )
    encoder = clip_encoder("frames", shop.settings, shop.folder)
    assert isinstance(encoder, FrameTokens)
    return Clips(
        needs_clips(shop.media_root),
        encoder,
        limits.max_clip_seconds,
        limits.max_clip_pixels,
        media.sampling,
        shop.workers,
        timeout_s=limits.decode_seconds,
        memory_mb=limits.clip_memory_mb,
    )


def take_up(folder: Path, *, section: str, key: str) -> None:
    """Write ``key = true`` into `kinema.toml`.

    Raises:
        ConfigError: The file leaves no line for it, or an environment variable stands over it.
    """
    write_setting(folder / FILE_NAME, section=section, key=key, value=True)
    if not getattr(getattr(load_settings(folder / FILE_NAME), section), key):
        name = f"KINEMA_{section}__{key}".upper()
        raise ConfigError(f"[{section}] {key} is now true in {FILE_NAME}, but {name} sets it to false; unset it")


def search_ranks(
    cases: Cases, texts: Sequence[str], shop: Shop, *, matcher: bool, progress: Progress = silent
) -> NDArray[np.int64]:
    """Places of the right items in the answers of `kinema search`.

    Args:
        cases: What is asked.
        texts: Query by its number.
        shop: The project.
        matcher: Search with what was learnt, or as without it.
        progress: Told searches.

    Returns:
        int64 [T]; behind all others where an item is not in an answer. Other right answers take no place.
    """
    search = shop.settings.search.model_copy(update={"matcher": matcher})
    settings = shop.settings.model_copy(update={"search": search})
    places_of = shop.slates.recommender.parts.catalogue.numbers
    num_items = len(places_of)
    ranks_T = np.full(len(cases.rows_T), num_items, dtype=np.int64)
    blocked = {(int(row), int(item)) for row, item in cases.blocked_B}
    for case, query in enumerate(cases.query_C.tolist()):
        progress(case, len(cases), "searches")
        mine = np.flatnonzero(cases.rows_T == case)
        targets = {int(cases.items_T[one]): int(one) for one in mine}
        answer = search_project(
            shop.slates, texts[query][:MAX_TEXT], folder=shop.folder, settings=settings, num_items=min(DEEP, num_items)
        )
        found = [places_of[item.id] for item in answer.items]
        kept = [number for number in found if number in targets or (case, number) not in blocked]
        for place, number in enumerate(kept, start=1):
            if number in targets:
                ranks_T[targets.pop(number)] = place
        for late, target in enumerate(targets.values()):
            ranks_T[target] = num_items - late
    return ranks_T


def _within(plan: FitPlan | None, what: str, shop: Shop) -> FitPlan:
    """The plan, with a folder of its own for one of the two things that are matched."""
    if plan is None:
        return FitPlan(seed=shop.seed)
    return plan if plan.folder is None else replace(plan, folder=plan.folder / what)


def _add_searches(found: Matched, shop: Shop, progress: Progress) -> None:
    """The searches of today, and those with what was learnt, as further ways."""
    texts = found.pairs.pairs.queries
    for name, matcher in (("search of today", False), ("search with match", True)):
        ways: dict[str, dict[str, dict[str, NDArray[np.float64]]]] = {}
        for part, kinds in found.split.cases.items():
            for kind, cases in kinds.items():
                some = cases.take(_MOST_SEARCHES, seed=shop.seed)
                ranks_T = search_ranks(some, texts, shop, matcher=matcher, progress=progress)
                ways.setdefault(part, {})[kind] = numbers(ranks_T, some)
        found.ways[name] = ways
