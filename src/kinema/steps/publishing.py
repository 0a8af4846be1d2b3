"""Where a trained model goes: into a folder, or into service as a new version.

Whoever publishes binds the model first, so that what takes it up finds every item vector ready and a model that does not fit the
catalogue never serves.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from kinema.artifacts import MANIFEST, read_manifest
from kinema.errors import ConfigError, DataError, NotBuiltError, StaleArtifactError
from kinema.flm.bound import BoundFile
from kinema.flm.config import FLMConfig
from kinema.flm.model import FLM, FORMAT_VERSION, KIND
from kinema.notices import Notice
from kinema.settings import RecommendSettings
from kinema.steps.dataset import Dataset
from kinema.steps.slates import NEXT
from kinema.steps.version_swaps import KEEP, Made, publish, roll_back
from kinema.steps.versions import (
    SERVING,
    Version,
    folder_of,
    kept_versions,
    ranker_folder,
    serving_folder,
    version_of,
)
from kinema.store.histories import Histories

_ASKED: Final = 8
"""Users who are asked for before a model from elsewhere serves."""


class ModelPlace(Protocol):
    """Where a training leaves its model, and looks for the one it would give.

    Attributes:
        folder: Of the artefact; checkpoints lie beside it.
    """

    @property
    def folder(self) -> Path:
        """See the class."""

    def find(self, config: FLMConfig, seed: int, parents: Mapping[str, str]) -> FLM | None:
        """A model that was made as this and from these parents; None where there is none."""

    def save(self, model: FLM, parents: Mapping[str, str]) -> None:
        """Keep a model."""


@dataclass(frozen=True)
class ModelFolder:
    """A folder of its own, as for a model that is only measured."""

    folder: Path

    def find(self, config: FLMConfig, seed: int, parents: Mapping[str, str]) -> FLM | None:
        """See `ModelPlace`."""
        return FLM.load(self.folder) if _is_same(self.folder, config, seed, parents) else None

    def save(self, model: FLM, parents: Mapping[str, str]) -> None:
        """See `ModelPlace`."""
        model.save(self.folder, parents=parents)


@dataclass(frozen=True)
class Service:
    """What serves.

    Attributes:
        artifacts: Of the project.
        dataset: What models learn from and are bound to.
        command: Of the user, for the version.
        keep: Versions that are kept.
        notes: JSON values for the version.
    """

    artifacts: Path
    dataset: Dataset
    command: str = "kinema pretrain"
    keep: int = KEEP
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """See `ModelPlace`."""
        return self.artifacts / SERVING

    def find(self, config: FLMConfig, seed: int, parents: Mapping[str, str]) -> FLM | None:
        """See `ModelPlace`; a version that was rolled back from and would be trained again serves again."""
        serving = serving_folder(self.artifacts)
        if serving is not None and _is_same(serving, config, seed, parents):
            return FLM.load(serving)
        for version in reversed(kept_versions(self.artifacts)):
            folder = folder_of(self.artifacts, version)
            if _is_same(folder, config, seed, parents):
                roll_back(self.artifacts, version.id)
                return FLM.load(folder)
        return None

    def save(self, model: FLM, parents: Mapping[str, str]) -> None:
        """See `ModelPlace`."""
        self.publish(model, parents)

    def publish(self, model: FLM, parents: Mapping[str, str]) -> Version:
        """Let a model serve."""

        def bind(folder: Path) -> None:
            model.serve(self.dataset.features, len(self.dataset.item_ids), keep=BoundFile.of(folder))

        return publish(
            self.artifacts,
            lambda folder: model.save(folder, parents=parents),
            lambda _: made_of(model, self.dataset.histories, command=self.command, notes=self.notes),
            ready=bind,
            keep=self.keep,
        )


def made_of(model: FLM, histories: Histories, *, command: str, notes: Mapping[str, Any] | None = None) -> Made:
    """How a model came about.

    Args:
        model: Trained.
        histories: All that there was, what it was chosen on included.
        command: Of the user.
        notes: JSON values for the version.
    """
    return Made(
        command,
        model.seed,
        model.report.get("seconds"),
        {name: float(one) for name, one in model.report.get("validation", {}).items()},
        {
            "items": len(model.item_ids),
            "users": int((histories.lengths > 0).sum()),
            "interactions": len(histories.items),
            "newest_ms": int(histories.timestamps_ms.max()) if len(histories.items) else None,
        },
        dict(notes or {}),
    )


def publish_from(place: Path, service: Service) -> Version:
    """Take up a model that was trained elsewhere on this catalogue.

    Args:
        place: An FLM artefact, or a project that holds one.
        service: Of the project; its data set has the profile columns of that model.

    Raises:
        NotBuiltError: There is no model.
        StaleArtifactError: It is damaged, of another kind or version, or reads vectors of other encoders.
        DataError: It knows other items than the store, or its answers are not numbers.
        ConfigError: It is the model that serves, or it is not whole by itself.
    """
    folder = model_in(place)
    if folder.resolve() == serving_folder(service.artifacts):
        raise ConfigError(f"'{place}' must be another model than the one that serves, is that one; name another folder")
    parents = read_manifest(
        folder, kind=KIND, format_version=FORMAT_VERSION, remedy="kinema pretrain", verify=True
    ).parents
    model = FLM.load(folder)
    if model.report.get(NEXT, {}).get("put_on"):
        raise ConfigError(
            f"the model in '{place}' must be whole by itself, needs the delta '{model.report[NEXT]['put_on']}' beside it; "
            'set [recommend] model = "next" in its project, or learn with full, frozen, top or lora'
        )
    _check_fits(model, service.dataset, place)
    return service.publish(model, parents)


def notices_of(artifacts: Path, settings: RecommendSettings) -> tuple[Notice, ...]:
    """What a person should know after a publication: what does not follow it."""
    serving = serving_folder(artifacts)
    if serving is None:
        return ()
    if settings.model != SERVING:
        told = (
            f'[recommend] model = "{settings.model}" goes on serving: what was published has no part in slates; '
            f"set it to {SERVING}, or run: kinema finetune {settings.model}"
        )
        return (Notice("other_model_serves", told, {"model": settings.model}),)
    name, flm = settings.ranker, BoundFile.of(serving).model
    if not name:
        return ()
    kept = ranker_folder(artifacts, name, flm=flm, model=serving) / MANIFEST
    if kept.is_file() and f'"{flm}"' in kept.read_text(encoding="utf-8"):
        return ()
    version = version_of(serving).id
    told = f"ranker '{name}' has not learnt with version {version}: slates are FLM's alone; run: kinema finetune {name}"
    return (Notice("ranker_left_behind", told, {"ranker": name, "version": version}),)


def model_in(place: Path) -> Path:
    """The folder of an artefact, or of the model of a project.

    Raises:
        NotBuiltError: There is none.
    """
    for folder in (place, place / "artifacts" / SERVING):
        if (folder / MANIFEST).is_file():
            return folder
    raise NotBuiltError(
        f"'{place}' must be an FLM artefact or a project with one, holds no model; run there: kinema pretrain"
    )


def _is_same(folder: Path, config: FLMConfig, seed: int, parents: Mapping[str, str]) -> bool:
    try:
        manifest = read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy="kinema pretrain")
    except (NotBuiltError, StaleArtifactError):
        return False
    return (
        dict(manifest.parents) == dict(parents) and manifest.seed == seed and dict(manifest.config) == config.as_dict()
    )


def _check_fits(model: FLM, dataset: Dataset, place: Path) -> None:
    """Items, encoders, and that a few users get numbers for an answer."""
    ids = dataset.item_ids
    if list(model.item_ids) != ids[: len(model.item_ids)]:
        known = len(set(model.item_ids) & set(ids))
        first = next(
            (n for n, (mine, here) in enumerate(zip(model.item_ids, ids, strict=False)) if mine != here), len(ids)
        )
        raise DataError(
            f"the model in '{place}' must know the first {len(model.item_ids):,} items of this store in their order, "
            f"knows {known:,} of {len(ids):,} items and differs from item number {first} on; "
            f"start from it instead: kinema pretrain --from {place}"
        )
    scorer = model.serve(dataset.features, len(ids))
    asked = np.argsort(-dataset.histories.lengths, kind="stable")[:_ASKED]
    profiles = None if dataset.profiles is None else dataset.profiles.values_UP[asked]
    if len(asked) and not np.isfinite(scorer.score(dataset.histories.take(asked), profiles)).all():
        raise DataError(f"the model in '{place}' must answer with finite numbers, does not; train it again")
