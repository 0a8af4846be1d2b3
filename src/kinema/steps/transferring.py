"""`kinema pretrain --catalogue-only`, `--from` and `--zero-shot`, and `kinema delta`: from items alone and between catalogues."""

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from kinema.artifacts import MANIFEST, fingerprint, read_manifest
from kinema.errors import ConfigError, NotBuiltError
from kinema.flm.model import FLM, FORMAT_VERSION, KIND
from kinema.flm.sharing import inherited
from kinema.flm.transfer import Delta, apply, difference, subtract
from kinema.steps.pretraining import (
    PretrainJob,
    PretrainReport,
    choose_config,
    facts_of,
    parents_of,
    serving_split,
    train_model,
)
from kinema.steps.tuning import Search, pretrain_for_serving
from kinema.steps.version_swaps import KEEP, Made, publish
from kinema.steps.versions import SERVING, serving_folder, version_of
from kinema.training.catalogue import pretrain_catalogue
from kinema.training.transfer import bind_source, count_log, stood_in_by_content
from kinema.tuning.tuned import FILE_NAME

MODEL_FOLDER: Final = SERVING
DELTA_FOLDER: Final = "flm-delta"
_LEARNT_FROM_ITEMS: Final = (
    "learnt from items alone: what their modalities have in common, not taste and not order; users are answered by the "
    "mean of the content of what they watched"
)
_STOOD_IN: Final = (
    "fewer than half of the items have enough events to be borrowed from: items without events stand where the source "
    "puts their content"
)


@dataclass(frozen=True)
class DeltaReport:
    """What `kinema delta` did.

    Attributes:
        action: ``apply`` or ``remove``.
        folder: The model that was changed.
        delta: Where the delta lies.
        source: Fingerprint of the model it was taken from.
        numbers: Parameters it changes.
        size_bytes: Of its file.
    """

    action: Literal["apply", "remove"]
    folder: Path
    delta: Path
    source: str
    numbers: int
    size_bytes: int


def pretrain_as_asked(
    job: PretrainJob,
    *,
    catalogue_only: bool = False,
    source: Path | None = None,
    zero_shot: bool = False,
    wanted: Search | None = None,
) -> PretrainReport:
    """Pre-train in the way the flags say.

    Args:
        job: What is trained.
        catalogue_only: Learn from items alone.
        source: Project or FLM artefact to start from.
        zero_shot: Use the source as it is.
        wanted: Of settings; None uses what an earlier search chose.

    Raises:
        ConfigError: Flags that exclude each other, or a source that does not fit.
        NotBuiltError: There is nothing to learn from, or no model where the source should be.
    """
    wanted = wanted or Search()
    if catalogue_only and source is not None:
        raise ConfigError("pretraining must be either --catalogue-only or --from a source, got both; leave one out")
    if zero_shot and source is None:
        raise ConfigError("--zero-shot must come with a model to use, got none; add --from FOLDER")
    if (catalogue_only or source is not None) and wanted.seconds is not None:
        raise ConfigError("--tune must stand without --catalogue-only and --from, got both; leave one out")
    if catalogue_only:
        return learn_catalogue(job)
    if source is None:
        return pretrain_for_serving(job, wanted)
    return use_source(job, source) if zero_shot else start_from(job, source)


def load_source(place: Path, *, target: Path) -> FLM:
    """The model of a project, or an artefact.

    Args:
        place: Folder of either.
        target: The artefact that is about to be written.

    Raises:
        NotBuiltError: There is no model.
        ConfigError: The source is the very model that would be replaced.
    """
    for folder in (place, place / "artifacts" / MODEL_FOLDER):
        if (folder / MANIFEST).is_file():
            if folder.resolve() == target.resolve():
                raise ConfigError(
                    f"--from must name a model of another project, names the one it would replace ('{place}'); copy it first"
                )
            return FLM.load(folder)
    raise NotBuiltError(
        f"--from must name a project or an FLM artefact, '{place}' holds no model; run there: kinema pretrain"
    )


def learn_catalogue(job: PretrainJob) -> PretrainReport:
    """Train the content path on items alone; what log there is gives memory and popularity.

    Raises:
        NotBuiltError: No item has features.
    """
    if not any(one.present_V.any() for one in job.dataset.features.values()):
        raise NotBuiltError("items must have vectors to learn from, have none; run: kinema extract")
    started = time.perf_counter()
    folder, log = job.artifacts / MODEL_FOLDER, job.dataset.histories
    config = choose_config(log, job.changes).with_changes(use_ids=False, use_profiles=False)
    parents = parents_of(job.dataset, log, None) | {"mode": "catalogue-only"}
    model = job.service.find(config, job.seed, parents)
    reused = model is not None
    if model is None:
        checkpoints = _checkpoints(folder, fingerprint([config.as_dict(), job.seed, parents]))
        model = pretrain_catalogue(
            features=job.dataset.features,
            item_ids=job.dataset.item_ids,
            config=config,
            seed=job.seed,
            checkpoint_folder=checkpoints,
            progress=job.progress,
        )
        model = count_log(model, log, seed=job.seed)
        job.service.save(model, parents)
        shutil.rmtree(checkpoints, ignore_errors=True)
    return PretrainReport(
        folder,
        reused,
        facts_of(model, log, job.seed) | {"training interactions": 0},
        tuple(model.report["curve"]),
        time.perf_counter() - started,
        notices=(
            _LEARNT_FROM_ITEMS,
            *_one_modality(model),
            *_counted(model),
        ),
    )


def start_from(job: PretrainJob, place: Path) -> PretrainReport:
    """Train on this catalogue's log from a source's parameters, and keep what training changed of them.

    Raises:
        NotBuiltError: There are no interactions, or there is no source.
        ConfigError: The source does not fit.
    """
    folder, delta_folder = job.artifacts / MODEL_FOLDER, job.artifacts / DELTA_FOLDER
    source = load_source(place, target=folder)
    train, valid = serving_split(job.dataset.histories)
    plain = choose_config(train, inherited(source, job.changes))
    config = stood_in_by_content(plain, train)
    model, report = train_model(
        dataset=job.dataset,
        train=train,
        valid=valid,
        config=config,
        seed=job.seed,
        place=job.service,
        source=source,
        progress=job.progress,
    )
    delta = difference(model, source)
    size = delta.save(delta_folder)
    told = f"{size:,} bytes in {delta_folder.name}: {delta.num_numbers:,} numbers changed of source {delta.source}"
    tuned = (job.artifacts / FILE_NAME).is_file()
    notices = (
        *_carried(model, "starts new"),
        *((_STOOD_IN,) if config != plain else ()),
        *((f"{FILE_NAME} was not used: with --from, sizes come from the source",) if tuned else ()),
    )
    return replace(report, facts=report.facts | {"delta": told}, notices=notices)


def use_source(job: PretrainJob, place: Path) -> PretrainReport:
    """Bind a source to this catalogue without training; what log there is gives memory and popularity.

    Raises:
        NotBuiltError: There is no source.
        ConfigError: The source does not fit.
    """
    started = time.perf_counter()
    folder, log = job.artifacts / MODEL_FOLDER, job.dataset.histories
    source = load_source(place, target=folder)
    inherited(source, job.changes)
    model = bind_source(source, features=job.dataset.features, item_ids=job.dataset.item_ids, seed=job.seed)
    model = count_log(model, log, seed=job.seed)
    parents = parents_of(job.dataset, log, None) | {"source": model.report["transfer"]["source"], "mode": "zero-shot"}
    job.service.save(model, parents)
    return PretrainReport(
        folder,
        reused=False,
        facts=facts_of(model, log, job.seed) | {"training interactions": 0},
        curve=(),
        seconds=time.perf_counter() - started,
        notices=(
            "nothing was trained: the source's content path scores the items",
            *_carried(model, "is left out"),
            *_counted(model),
        ),
    )


def change_delta(
    action: Literal["apply", "remove"], *, artifacts: Path, delta_folder: Path | None = None, keep: int = KEEP
) -> DeltaReport:
    """Put a delta on the project's model, or take it off; doing one and then the other changes nothing.

    Args:
        action: Which.
        artifacts: Folder of the model.
        delta_folder: Of the delta; None takes the one that `start_from` wrote.
        keep: Versions that are kept.

    Raises:
        NotBuiltError: There is no model or no delta.
        ConfigError: The delta is one of another model.
    """
    folder, place = artifacts / MODEL_FOLDER, delta_folder or artifacts / DELTA_FOLDER
    was = serving_folder(artifacts) or folder
    manifest = read_manifest(was, kind=KIND, format_version=FORMAT_VERSION, remedy="kinema pretrain")
    model, delta = FLM.load(was), Delta.load(place)
    moved = apply(model, delta) if action == "apply" else subtract(model, delta)
    here, there = ("+", "-") if action == "apply" else ("-", "+")
    # The model is no longer what its training gave, so that the next pretraining must not take it for that.
    parents = dict(manifest.parents)
    if parents.get("delta") == there + delta.after:
        del parents["delta"]
    else:
        parents["delta"] = here + delta.after
    data = version_of(was).data
    publish(
        artifacts,
        lambda draft: moved.save(draft, parents=parents),
        lambda _: Made(f"kinema delta {action}", model.seed, data=data),
        keep=keep,
    )
    return DeltaReport(action, folder, place, delta.source, delta.num_numbers, delta.size_bytes(place))


def _checkpoints(folder: Path, run: str) -> Path:
    """Where a run keeps its checkpoints; those of other runs are removed."""
    kept = folder.with_name(f"{folder.name}.checkpoint-{run}")
    for stale in folder.parent.glob(f"{folder.name}.checkpoint-*"):
        if stale != kept:
            shutil.rmtree(stale)
    return kept


def _one_modality(model: FLM) -> tuple[str, ...]:
    if len(model.whitenings) > 1:
        return ()
    (name,) = model.whitenings
    told = (
        f"there is one modality, {name}: its vectors are written shorter and read back, so items near in {name} stay near; "
        "what goes with what between modalities needs a second one: kinema ingest --videos FOLDER, then kinema extract"
    )
    return (told,)


def _counted(model: FLM) -> tuple[str, ...]:
    counted = model.report["counted"]
    if not counted["interactions"]:
        return ("the log is empty: no memory and no popularity",)
    told = (
        f"memory and popularity were counted from the log's {counted['interactions']:,} interactions, nothing was learnt "
        "from them; kinema pretrain, alone or with --from, does"
    )
    return (told,)


def _carried(model: FLM, fate: str) -> tuple[str, ...]:
    """What came from the source and what did not, in sentences."""
    origin = model.report["transfer"]
    columns = origin["profile_columns"]
    return (
        f"from source {origin['source']}: {', '.join(origin['kept'])}"
        + (f", profile columns {', '.join(columns)}" if columns else ", no profile column"),
        *(f"{name} {fate}: {reason}" for name, reason in origin["new"].items()),
        *(f"{name} of the source is left out: no item has it here" for name in origin["absent"]),
    )
