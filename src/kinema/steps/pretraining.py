"""`kinema pretrain`: train FLM on a data set, save it, and find it again when nothing has changed.

The same function trains the model that serves and those an evaluation compares, so both are the same thing.
"""

import hashlib
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kinema.artifacts import fingerprint
from kinema.errors import DataError, NotBuiltError
from kinema.flm.config import FLMConfig
from kinema.flm.model import FLM
from kinema.flm.sharing import theta_fingerprint
from kinema.progress import Progress, silent
from kinema.steps.dataset import PROFILE_SCHEMA, Dataset
from kinema.steps.publishing import ModelPlace, Service
from kinema.steps.version_swaps import KEEP
from kinema.store.cuts import slices
from kinema.store.histories import Histories
from kinema.store.splits import Cases, leave_one_out
from kinema.training.loop import pretrain
from kinema.tuning.report import TuningReport


@dataclass(frozen=True)
class PretrainJob:
    """What every way of pre-training starts from.

    Attributes:
        dataset: What is learnt from.
        changes: The user's settings of FLM; None where automatic.
        artifacts: Folder of the model and of everything beside it.
        seed: Of every draw.
        progress: Told epochs, or seconds of a search.
        command: Of the user, for the version that comes of it.
        keep: Versions that are kept.
    """

    dataset: Dataset
    changes: Mapping[str, Any]
    artifacts: Path
    seed: int
    progress: Progress = silent
    command: str = "kinema pretrain"
    keep: int = KEEP

    @property
    def service(self) -> Service:
        """Where the model goes."""
        return Service(self.artifacts, self.dataset, self.command, self.keep)


@dataclass(frozen=True)
class PretrainReport:
    """What a training gave.

    Attributes:
        folder: The artefact.
        reused: Nothing had changed, so the artefact that was there was kept.
        facts: Label -> value: data, size, chosen weights, validation.
        curve: One row per look at validation.
        seconds: Wall time.
        tuning: The search before it; None where there was none.
        notices: For the user.
    """

    folder: Path
    reused: bool
    facts: dict[str, Any]
    curve: tuple[Mapping[str, Any], ...]
    seconds: float
    tuning: TuningReport | None = None
    notices: tuple[str, ...] = ()


def serving_split(histories: Histories) -> tuple[Histories, Cases | None]:
    """All interactions but the newest of each user to learn from, the newest to choose by.

    Returns:
        Training histories, and validation cases; None where no user has three interactions.
    """
    try:
        split = leave_one_out(histories)
    except DataError:
        return histories, None
    starts, stops = histories.offsets[:-1], histories.offsets[1:].copy()
    stops[split.test.users_C] -= 1
    return slices(histories, starts, stops), split.test


def choose_config(train: Histories, changes: Mapping[str, Any]) -> FLMConfig:
    """Defaults for a log of this size, with the user's choices on top.

    Raises:
        ConfigError: A choice is out of range.
    """
    active = train.lengths[train.lengths > 0]
    return FLMConfig.for_data(
        num_items=train.num_items,
        num_interactions=len(train.items),
        mean_length=float(active.mean()) if len(active) else 0.0,
        **{name: value for name, value in changes.items() if value is not None},
    )


def train_model(
    *,
    dataset: Dataset,
    train: Histories,
    valid: Cases | None,
    config: FLMConfig,
    seed: int,
    place: ModelPlace,
    notes: Mapping[str, Any] | None = None,
    source: FLM | None = None,
    same_items: bool = False,
    progress: Progress = silent,
) -> tuple[FLM, PretrainReport]:
    """Train and save one model, or load it where the same one was trained before.

    A checkpoint folder beside the artefact lets a killed run go on; it is removed at the end.

    Args:
        dataset: Features and profiles.
        train: What is learnt from.
        valid: What stopping, memory weight and gates are chosen on.
        config: What defines the model.
        seed: Of every draw.
        place: Where the model goes.
        notes: JSON values that the artefact is to remember beside its report.
        source: A model of another catalogue to start from; None starts from nothing.
        same_items: The source is an earlier model of this catalogue: its items' own vectors carry over, too.
        progress: Told epochs.

    Returns:
        The model and its report.

    Raises:
        NotBuiltError: There are no interactions to learn from.
    """
    if not len(train.items):
        raise NotBuiltError(
            "the log must hold interactions to learn from, holds none; run: kinema ingest --events FILE, "
            "or learn from the items alone: kinema pretrain --catalogue-only"
        )
    started = time.perf_counter()
    parents = parents_of(dataset, train, valid)
    if source is not None:
        parents["source"] = theta_fingerprint(source) + (" with its items" if same_items else "")
    found, folder = place.find(config, seed, parents), place.folder
    checkpoints = folder.with_name(f"{folder.name}.checkpoint-{fingerprint([config.as_dict(), seed, parents])}")
    if found is None:
        for stale in folder.parent.glob(f"{folder.name}.checkpoint-*"):
            if stale != checkpoints:
                shutil.rmtree(stale)
        model = pretrain(
            train=train,
            valid=valid,
            features=dataset.features if config.use_content else {},
            profiles=dataset.profiles if config.use_profiles else None,
            item_ids=dataset.item_ids,
            published_ms_V=dataset.published_ms_V,
            source=source,
            same_items=same_items,
            config=config,
            seed=seed,
            checkpoint_folder=checkpoints,
            progress=progress,
        )
        model = replace(model, report={**model.report, **(notes or {}), PROFILE_SCHEMA: dataset.profile_schema_dict()})
        place.save(model, parents)
        shutil.rmtree(checkpoints, ignore_errors=True)
    else:
        model = found
    curve = tuple(model.report["curve"])
    seconds = time.perf_counter() - started
    return model, PretrainReport(folder, found is not None, facts_of(model, train, seed), curve, seconds)


def facts_of(model: FLM, train: Histories, seed: int) -> dict[str, Any]:
    """What a report says of a model."""
    size = sum(parameter.numel() for parameter in model.network.parameters())
    chosen = {name: value for name, value in model.report.items() if name not in {"curve", PROFILE_SCHEMA}}
    return {
        "items": len(model.item_ids),
        "training interactions": len(train.items),
        "modalities": ", ".join(model.whitenings) or "none: IDs only",
        "parameters": size,
        "blend": model.mixture.as_dict(),
        "seed": seed,
        **chosen,
    }


def parents_of(dataset: Dataset, train: Histories, valid: Cases | None) -> dict[str, str]:
    """Fingerprints of everything that a training depends on besides configuration and seed."""
    asked = () if valid is None else (valid.histories.items, valid.targets.items, valid.users_C)
    return {
        "train": _digest(train.offsets, train.items, train.timestamps_ms),
        "valid": _digest(*asked),
        "items": fingerprint(dataset.item_ids),
        "published": _digest(dataset.published_ms_V),
        "profiles": "" if dataset.profiles is None else _digest(dataset.profiles.values_UP),
        **{
            f"features/{name}": _digest(one.vectors_VD, one.present_V, one.quality_V)
            for name, one in sorted(dataset.features.items())
        },
    }


def _digest(*arrays: np.ndarray[Any, Any]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()[:16]
