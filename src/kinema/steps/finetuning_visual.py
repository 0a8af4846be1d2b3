"""`kinema finetune visual`: frames of the project's clips, changed, become questions whose answer is known.

Shape suffixes: V items, C clips, T frames of a clip, S side of a picture, D width of a vector, 3 red-green-blue.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.encoders.clip_readers import CLIP_MEMORY_MB, DECODE_SECONDS
from kinema.encoders.frames import FrameTokens
from kinema.errors import DataError, NotBuiltError, StaleArtifactError
from kinema.progress import Progress, silent
from kinema.retrieval.content_search import SearchSpace
from kinema.seeds import generator
from kinema.steps.copies import load_copies
from kinema.steps.dataset import Dataset
from kinema.steps.finetuning_options import FitPlan, Fitted
from kinema.steps.query_media import frames_fingerprint
from kinema.store.features import ModalityFeatures
from kinema.tasks.match_measures import K, Scores, chance, gain, means, measure
from kinema.tasks.visual import Moments, Questions, VisualConfig, VisualLearner, VisualNetwork
from kinema.tasks.visual_model import VisualModel, moments_of
from kinema.training.adaptation.clips import sample_clips
from kinema.training.fit_options import FitOptions
from kinema.training.picture_changes import strange, unusual, usual

FOLDER: Final = "visual"
DECIDES: Final = f"ndcg@{K}"
_USUAL: Final[Mapping[str, Any]] = {
    "metric": DECIDES,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "max_epochs": 30,
    "patience": 4,
}
_SHARES: Final = (0.7, 0.1, 0.2)
_FEWEST: Final = 20
_MOST: Final = 2000
_FRAMES: Final = 5
"""Moments of a clip that questions are made of; at another number than `kinema extract` takes they are other moments."""
_RUN: Final = 3
"""Frames of a question that is a clip."""
_VIEWS: Final = 2
_VALID: Final = ("validation, changed as in training", "validation, changed in other ways")
Change = Callable[[NDArray[np.uint8], np.random.Generator], NDArray[np.uint8]]


@dataclass(frozen=True)
class Clips:
    """How clips are read.

    Attributes:
        media_root: Where media paths start.
        encoder: Of the catalogue's frames.
        max_seconds: Only so much of each clip's beginning is looked at.
        max_pixels: Largest frame that is decoded.
        sampling: Which frames `kinema extract` takes.
        workers: Decoding processes.
        timeout_s: A clip that takes more processor time is given up, seconds.
        memory_mb: A clip whose decoding takes more memory is given up.
    """

    media_root: Path
    encoder: FrameTokens
    max_seconds: float
    max_pixels: int
    sampling: Any = "even"
    workers: int = 1
    timeout_s: float = DECODE_SECONDS
    memory_mb: int = CLIP_MEMORY_MB


@dataclass(frozen=True)
class VisualReport:
    """What was learnt.

    Attributes:
        folder: The artefact.
        num_clips: Part -> clips; those of validation and test are in nothing that was learnt from.
        candidates: What was ranked, in words.
        metrics: Kind of question -> way -> ``recall@10``, ``ndcg@10``, ``mrr`` and cases, on the test.
        gain: NDCG@10 above the image search of today on validation: mean, low, high; the lesser of what it is with changes that were
            trained with and with others.
        better: Whether the whole interval is above 0.
        best_epoch: Epochs done when validation was best.
        epochs: Done in all.
        seconds: Of everything.
        notices: What a person should know.
    """

    folder: Path
    num_clips: Mapping[str, int]
    candidates: str
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    gain: tuple[float, float, float]
    better: bool
    best_epoch: int
    epochs: int
    seconds: float
    notices: tuple[str, ...]


def finetune_visual(
    dataset: Dataset,
    clips: Clips,
    *,
    artifacts: Path,
    plan: FitPlan | None = None,
) -> VisualReport:
    """Learn to find clips by pictures and clips of them.

    Seven tenths of the clips are learnt from; one tenth decides when to stop and whether it is better; two tenths are measured on, with
    changes that were trained with, and with others.

    Args:
        dataset: One reading of the project.
        clips: How its clips are read.
        artifacts: Of the project; the model goes into ``visual`` there.
        plan: How; None for the task's own way. Its network are settings of `kinema.tasks.visual.VisualConfig`.

    Raises:
        ConfigError: The plan names what there is not.
        NotBuiltError: No clip has frames.
        StaleArtifactError: The catalogue's frames come from another encoder.
        DataError: Fewer than 20 clips can be read.
    """
    started, plan = time.perf_counter(), plan or FitPlan()
    plan.network(VisualConfig()), plan.options(**_USUAL)  # what is wrong with them is said before clips are read
    features, seed = dataset.features, plan.seed
    read = read_visual(dataset, clips, artifacts=artifacts, seed=seed, progress=plan.progress)
    asked, groups_V, parts = read.asked, read.groups_V, read.parts
    learner, options, config = read.ready(plan)
    before = {kind: learner.scores(one) for kind, one in asked.items() if kind != "train"}
    fitted = plan.fit(learner, options, examples=("visual", asdict(config), *read.facts, learner.moments.rows_MR))
    after = {kind: learner.scores(one) for kind, one in asked.items() if kind != "train"}
    today = {kind: mean_scores(features["frames"], one) for kind, one in asked.items() if kind != "train"}
    report = _report(
        asked,
        {"visual": after, "moments, not learnt": before, "mean frame": today},
        groups_V=groups_V,
        fitted=fitted,
        folder=artifacts / FOLDER,
        num_clips={name: len(one) for name, one in parts.items()},
        seconds=time.perf_counter() - started,
        seed=seed,
    )
    told = {name: value for name, value in asdict(report).items() if name != "folder"}
    VisualModel(learner.carrier(), features["frames"].encoder, {"visual": asdict(config)}, told).save(
        artifacts / FOLDER, seed=seed
    )
    return report


@dataclass(frozen=True)
class VisualExamples:
    """Questions of every kind, ready to be learnt from.

    Attributes:
        asked: Kind -> questions.
        parts: ``train``, ``valid`` and ``test`` -> places of clips.
        groups_V: int64, items that show the same have one number.
        among_V: bool, clips that are learnt from.
        vectors_MD: Moments of all clips.
        offsets: int64 [V + 1].
    """

    asked: Mapping[str, Questions]
    parts: Mapping[str, NDArray[np.int64]]
    groups_V: NDArray[np.int64]
    among_V: NDArray[np.bool_]
    vectors_MD: NDArray[np.float32]
    offsets: NDArray[np.int64]

    @property
    def valid(self) -> Questions:
        """What validation asks."""
        return Questions.joined([self.asked[kind] for kind in _VALID])

    @property
    def facts(self) -> tuple[Any, ...]:
        """What a run is about, for its fingerprint."""
        questions = [array for one in (self.asked["train"], self.valid) for array in (one.frames_ND, one.items_C)]
        return (*questions, self.offsets, self.groups_V)

    def ready(self, plan: FitPlan) -> tuple[VisualLearner, FitOptions, VisualConfig]:
        """The task as a plan asks for it; test is no part of it.

        Raises:
            ConfigError: The plan names what there is not.
        """
        config, options = plan.network(VisualConfig()), plan.options(**_USUAL)
        moments = Moments.of(self.vectors_MD, self.offsets, self.among_V, config)
        network = VisualNetwork(moments.carrier.map_DE.shape[1])
        how: dict[str, Any] = {"groups_V": self.groups_V, "config": config}
        return VisualLearner(network, moments, self.asked["train"], self.valid, **how), options, config


def read_visual(
    dataset: Dataset, clips: Clips, *, artifacts: Path, seed: int = 0, progress: Progress = silent
) -> VisualExamples:
    """Read clips and change their frames; arguments and errors of `finetune_visual`."""
    features = dataset.features
    vectors_MD, offsets = moments_of(features)
    _check_encoder(features["frames"], clips)
    groups_V = same_pictures(features["frames"], load_copies(artifacts / "duplicates", dataset.item_ids))
    pictures, items_C = _read(dataset.items, np.diff(offsets) > 0, clips, seed=seed, progress=progress)
    parts = _divide(groups_V[items_C], seed=seed)
    asked = _ask(pictures, items_C, parts, clips.encoder, seed=seed, progress=progress)
    among_V = np.zeros(len(groups_V), dtype=np.bool_)
    among_V[items_C[parts["train"]]] = True
    return VisualExamples(asked, parts, groups_V, among_V, vectors_MD, offsets)


def same_pictures(frames: ModalityFeatures, copies_V: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """int64 [V], one number for items that show the same: equal vectors, or known copies."""
    _, groups_V = np.unique(frames.vectors_VD, axis=0, return_inverse=True)
    groups_V = groups_V.astype(np.int64)
    nothing = np.flatnonzero(~frames.present_V)
    groups_V[nothing] = groups_V.max(initial=0) + 1 + np.arange(len(nothing))
    if copies_V is not None:
        for group in np.unique(copies_V[copies_V >= 0]):
            groups_V[np.isin(groups_V, groups_V[copies_V == group])] = groups_V.max() + 1
    return groups_V


def mean_scores(frames: ModalityFeatures, questions: Questions) -> Scores:
    """The image search without anything learnt: the mean frame of the question against that of each clip."""
    space = SearchSpace.standardised(frames.vectors_VD, frames.present_V)

    def block(first: int, last: int) -> NDArray[np.floating]:
        edges = questions.offsets[first : last + 1]
        means_CD = [questions.frames_ND[one:other].mean(axis=0) for one, other in pairwise(edges.tolist())]
        return np.stack([space.closeness(one_D) for one_D in means_CD])

    return block


def _check_encoder(frames: ModalityFeatures, clips: Clips) -> None:
    here = frames_fingerprint(clips.encoder, max_seconds=clips.max_seconds, sampling=clips.sampling)
    if here != frames.encoder:
        raise StaleArtifactError(
            f"the catalogue's frames must come from the encoder and media settings that kinema.toml names ({here}), come from "
            f"{frames.encoder}; run: kinema extract"
        )


def _read(
    items: pl.DataFrame, has_frames_V: NDArray[np.bool_], clips: Clips, *, seed: int, progress: Progress
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """uint8 [C, T, S, S, 3] of clips that can be read, and their item numbers."""
    ordered = items.sort("num")
    with_file = ordered["media_path"].is_not_null().to_numpy() & has_frames_V
    chosen = generator(seed, "visual/clips").permutation(np.flatnonzero(with_file))[:_MOST]
    chosen = np.sort(chosen)
    paths = [ordered["media_path"][int(one)] for one in chosen]
    with TemporaryDirectory(prefix="kinema-visual-") as scratch:
        found = sample_clips(
            [(path, clips.media_root / path) for path in paths],
            folder=Path(scratch),
            frame_side=clips.encoder.pictures.frame_side,
            num_frames=_FRAMES,
            max_seconds=clips.max_seconds,
            max_pixels=clips.max_pixels,
            workers=clips.workers,
            clip_timeout_s=clips.timeout_s,
            clip_memory_mb=clips.memory_mb,
            progress=progress,
        )
        usable = np.flatnonzero(found.usable_M)
        if len(usable) < _FEWEST:
            raise DataError(f"at least {_FEWEST} clips must be readable to learn from, {len(usable)} are; add clips")
        return np.array(found.pictures_MTSS3[usable]), chosen[usable].astype(np.int64)


def _divide(groups_C: NDArray[np.int64], *, seed: int) -> dict[str, NDArray[np.int64]]:
    """Part -> places of clips; clips that show the same are in one part."""
    distinct = np.unique(groups_C)
    order = generator(seed, "visual/parts").permutation(distinct)
    cuts = np.split(order, (np.cumsum(_SHARES)[:2] * len(order)).round().astype(int))
    return {
        name: np.flatnonzero(np.isin(groups_C, one)) for name, one in zip(("train", "valid", "test"), cuts, strict=True)
    }


def _ask(
    pictures_CTSS3: NDArray[np.uint8],
    items_C: NDArray[np.int64],
    parts: Mapping[str, NDArray[np.int64]],
    encoder: FrameTokens,
    *,
    seed: int,
    progress: Progress,
) -> dict[str, Questions]:
    """Questions of every kind: one frame each, or a run of frames."""
    plain: Change = lambda frames, random: frames  # noqa: E731, ARG005  # one of three of the same form
    wanted: tuple[tuple[str, str, Change, int, int], ...] = (
        ("train", "train", usual, 1, _VIEWS),
        (_VALID[0], "valid", usual, 1, 1),
        (_VALID[1], "valid", strange, 1, 1),
        ("a frame, as it is", "test", plain, 1, 1),
        ("a frame, changed as in training", "test", usual, 1, 1),
        ("a frame, changed in other ways", "test", unusual, 1, 1),
        ("a part of the clip, changed in other ways", "test", unusual, _RUN, 1),
    )
    found = {}
    for kind, part, change, run, views in wanted:
        frames, owners = [], []
        for place in parts[part].tolist():
            random = generator(seed, f"visual/{kind}/{items_C[place]}")
            for start in range(0, _FRAMES - run + 1, run) if run > 1 else list(range(_FRAMES)) * views:
                frames.append(change(np.array(pictures_CTSS3[place, start : start + run]), random))
                owners.append(int(items_C[place]))
        vectors_ND = _encode(np.concatenate(frames), encoder, kind, progress)
        offsets = np.arange(len(owners) + 1, dtype=np.int64) * run
        found[kind] = Questions(vectors_ND, offsets, np.array(owners, dtype=np.int64))
    return found


def _encode(
    pictures_NSS3: NDArray[np.uint8], encoder: FrameTokens, what: str, progress: Progress
) -> NDArray[np.float32]:
    parts = []
    for start in range(0, len(pictures_NSS3), 32):
        parts.append(encoder.pictures.encode(pictures_NSS3[start : start + 32]))
        progress(start, len(pictures_NSS3), f"pictures: {what}")
    return np.concatenate(parts)


def _report(
    asked: Mapping[str, Questions],
    ways: Mapping[str, Mapping[str, Scores]],
    *,
    groups_V: NDArray[np.int64],
    fitted: Fitted,
    folder: Path,
    num_clips: Mapping[str, int],
    seconds: float,
    seed: int,
) -> VisualReport:
    num_items = len(groups_V)
    values: dict[str, dict[str, dict[str, NDArray[np.float64]]]] = {}
    for kind, questions in asked.items():
        if kind == "train":
            continue
        cases = questions.cases(groups_V)
        values[kind] = {way: measure(scores[kind], cases, num_items=num_items) for way, scores in ways.items()}
        values[kind]["chance"] = chance(cases, num_items=num_items)
    gains = []
    for kind in _VALID:
        # Frames of one clip are alike: clips are drawn, not frames.
        ours_C, today_C = (
            values[kind][way][DECIDES].reshape(-1, _FRAMES).mean(axis=1) for way in ("visual", "mean frame")
        )
        gains.append(gain(ours_C, today_C, seed=seed))
    found = min(gains, key=lambda one: one[1])
    return VisualReport(
        folder=folder,
        num_clips=num_clips,
        candidates=f"all {num_items:,} items of the catalogue but copies of the right one",
        metrics={
            kind: {way: means(one) for way, one in found_ways.items()}
            for kind, found_ways in values.items()
            if kind not in _VALID
        },
        gain=found,
        better=found[1] > 0,
        best_epoch=fitted.report.best_epoch,
        epochs=fitted.report.epochs,
        seconds=round(seconds, 2),
        notices=fitted.notices,
    )


def needs_clips(media_root: Path | None) -> Path:
    """Where media paths start.

    Raises:
        NotBuiltError: Nowhere: no folder of clips was ever read.
    """
    if media_root is None:
        raise NotBuiltError("no item has a clip to learn from; run: kinema ingest --videos FOLDER")
    return media_root
