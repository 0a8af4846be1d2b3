"""`kinema finetune clips`: clips with a label each become a classifier, with what it gets right and what it confuses.

Shape suffixes: N clips, C classes.
"""

import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError, DataError
from kinema.evaluation.confusion import confusion_plot
from kinema.schema import Reject
from kinema.sources.clip_labels import ClipLabels
from kinema.steps.clip_copies import ClipFiles, encode_copies
from kinema.steps.finetuning_options import FitPlan
from kinema.store.features import ModalityTokens
from kinema.tasks.clip_classes import ClipClassConfig, ClipClassLearner, ClipModel, LabelledClips, check_inputs
from kinema.tasks.clip_measures import clip_metrics, confusion
from kinema.tasks.clip_recipe import INPUTS, ClipRecipe
from kinema.tasks.clip_split import PARTS, split_clips
from kinema.training.fit_options import FitOptions

FOLDER: Final = "clip-classes"
CONFUSION: Final = "confusion.svg"
OPTIONS: Final[Mapping[str, Any]] = {
    "metric": "log_loss",
    "batch_size": 32,
    "learning_rate": 3e-3,
    "weight_decay": 0.05,
    "max_epochs": 60,
    "patience": 10,
}
"""Of `kinema.training.fitting.FitOptions`; chosen on validation clips of generated actions and of a generated town."""
USUAL: Final = ClipClassConfig()
"""What is learnt where nothing else is said."""

_FEWEST: Final = 3
_SHOWN: Final = 5


@dataclass(frozen=True)
class ClipLibrary:
    """Clips with their tokens, before anyone says what they show.

    Attributes:
        ids_N: Item ids, or names of files.
        names_N: Paths with forward slashes; empty where an item has no file.
        tokens: Modality -> tokens, row = number of the clip.
        recipe: How they were read.
        rejects: What could not be read.
        files: Where they lie; None where they cannot be read once more.
    """

    ids_N: tuple[str, ...]
    names_N: tuple[str, ...]
    tokens: Mapping[str, ModalityTokens]
    recipe: ClipRecipe
    rejects: tuple[Reject, ...] = ()
    files: ClipFiles | None = None


@dataclass(frozen=True)
class ClipClassReport:
    """What was learnt from labelled clips.

    Attributes:
        folder: The artefact.
        classes: Names.
        labels: Where they come from.
        split: How clips were divided.
        num_clips: Part -> clips.
        metrics: ``valid`` and ``test`` as `kinema.tasks.clip_measures.clip_metrics` has them, calibrated; ``test, not calibrated``; ``always the
            commonest class`` has that accuracy on test.
        confusion: Clips of each class (row) by predicted class (column), on test.
        confusion_plot: Where it is drawn; None without matplotlib.
        set_aside: Reason -> clips: without a label, in a class with too few, or unreadable.
        small_classes: Classes with too few clips -> how many.
        temperature: What logits are divided by.
        best_epoch: Epochs done when validation was best.
        epochs: Done in all.
        seconds: Of everything but reading clips.
        rejects: Clips that could not be read, or not by every encoder.
        notices: What a person should know.
    """

    folder: Path
    classes: tuple[str, ...]
    labels: str
    split: str
    num_clips: Mapping[str, int]
    metrics: Mapping[str, Mapping[str, float]]
    confusion: tuple[tuple[int, ...], ...]
    confusion_plot: Path | None
    set_aside: Mapping[str, int]
    small_classes: Mapping[str, int]
    temperature: float
    best_epoch: int
    epochs: int
    seconds: float
    rejects: tuple[Reject, ...]
    notices: tuple[str, ...]


def finetune_clips(
    library: ClipLibrary,
    labels: ClipLabels,
    *,
    folder: Path,
    min_clips: int = 5,
    plan: FitPlan | None = None,
) -> ClipClassReport:
    """Learn the class of a clip from three fifths of the labelled clips, decide on 15 %, measure on a quarter.

    Args:
        library: The clips.
        labels: Of each of them.
        folder: Of the artefact.
        min_clips: Classes with fewer readable clips are set aside, >= 3.
        plan: How, its seed that of the division too; None for the task's own way, which is `OPTIONS`. Its network are settings of
            `kinema.tasks.clip_classes.ClipClassConfig`.

    Raises:
        ConfigError: A setting is out of range, or pictures are to be changed whose files are not at hand.
        DataError: Fewer than two classes are left, or a modality is missing.
        StaleArtifactError: The same, and the clips were read otherwise than the settings say.
    """
    started, plan = time.perf_counter(), plan or FitPlan()
    inputs = plan.network(USUAL).inputs
    task = divide_clips(library, labels, inputs=inputs, min_clips=min_clips, seed=plan.seed)
    chosen, parts = task.chosen, task.parts
    learner, options, config = task.ready(plan)
    fitted = plan.fit(learner, options, examples=(*task.facts, asdict(config)))
    prints = {name: library.tokens[name].encoder for name in learner.projections}
    model = learner.finish(chosen.classes, replace(library.recipe, fingerprints=prints))
    metrics, table_CC = _measure(model, library, parts)
    told = {"metrics": metrics, "labels": labels.how, "confusion": table_CC.tolist()}
    plot = confusion_plot(table_CC, chosen.classes)
    replace(model, told=told).save(folder, seed=plan.seed, texts={} if plot is None else {CONFUSION: plot})
    return ClipClassReport(
        folder=folder,
        classes=chosen.classes,
        labels=labels.how,
        split=_how_split(chosen.groups_N, labels.groups_N),
        num_clips={name: len(parts[name]) for name in ("train", "valid", "test")},
        metrics=metrics,
        confusion=tuple(tuple(row) for row in table_CC.tolist()),
        confusion_plot=folder / CONFUSION if plot is not None else None,
        set_aside=chosen.set_aside,
        small_classes=chosen.small,
        temperature=model.temperature,
        best_epoch=fitted.report.best_epoch,
        epochs=fitted.report.epochs,
        seconds=time.perf_counter() - started,
        rejects=library.rejects,
        notices=(*labels.notices, *_notices(chosen, parts), *_augmented(learner, config, chosen), *fitted.notices),
    )


@dataclass(frozen=True)
class Chosen:
    """Clips that take part."""

    rows_N: NDArray[np.int64]
    labels_N: NDArray[np.int64]
    groups_N: tuple[str, ...]
    classes: tuple[str, ...]
    set_aside: Mapping[str, int]
    small: Mapping[str, int]


@dataclass(frozen=True)
class DividedClips:
    """Labelled clips, ready to be learnt from.

    Attributes:
        library: All clips.
        inputs: What is read of them.
        chosen: Those that take part.
        parts: ``train``, ``valid`` and ``test``.
    """

    library: ClipLibrary
    inputs: str
    chosen: Chosen
    parts: Mapping[str, LabelledClips]

    @property
    def facts(self) -> tuple[Any, ...]:
        """What a run is about, for its fingerprint: which clips, read how, and what they are called."""
        tokens = [self.library.tokens[name] for name in INPUTS[self.inputs]]
        learnt = [
            array for name in ("train", "valid") for array in (self.parts[name].rows_N, self.parts[name].labels_N)
        ]
        return ("clips", *((one.encoder, list(one.keys_V)) for one in tokens), *learnt)

    def valid_groups(self) -> NDArray[np.int64]:
        """int64, the group of each validation clip."""
        groups = dict(zip(self.chosen.rows_N.tolist(), self.chosen.groups_N, strict=True))
        _, numbers_N = np.unique([groups[row] for row in self.parts["valid"].rows_N.tolist()], return_inverse=True)
        return numbers_N.astype(np.int64)

    def ready(self, plan: FitPlan) -> tuple[ClipClassLearner, FitOptions, ClipClassConfig]:
        """The task as a plan asks for it; test is no part of it.

        Raises:
            ConfigError: The plan names what there is not, or other inputs than the clips were chosen by; or see `finetune_clips`.
            StaleArtifactError: See `finetune_clips`.
        """
        config, options = plan.network(USUAL), plan.options(**OPTIONS)
        if config.inputs != self.inputs:
            raise ConfigError(
                f"inputs must be those that clips were chosen by, '{self.inputs}', is '{config.inputs}'; "
                "write network.inputs under [finetune.clips] in kinema.toml"
            )
        learner = ClipClassLearner(
            self.library.tokens,
            self.parts["train"],
            self.parts["valid"],
            num_classes=len(self.chosen.classes),
            config=config,
            seed=plan.seed,
            copies=self._copies(config, plan),
        )
        return learner, options, config

    def _copies(self, config: ClipClassConfig, plan: FitPlan) -> list[dict[str, ModalityTokens]]:
        """Changed copies of what is learnt from."""
        library = self.library
        if not config.changes:
            return []
        if library.files is None:
            raise ConfigError(
                f"augment must leave pictures alone where the files of the clips are not at hand, names {', '.join(config.changes)}; "
                "leave them out"
            )
        return encode_copies(
            library.files,
            library.recipe,
            {name: library.tokens[name] for name in INPUTS[self.inputs]},
            library.names_N,
            self.parts["train"].rows_N,
            ways=config.changes,
            number=config.copies,
            progress=plan.progress,
        )


def divide_clips(
    library: ClipLibrary, labels: ClipLabels, *, inputs: str, min_clips: int = 5, seed: int = 0
) -> DividedClips:
    """Choose clips that can be learnt from and divide them; errors of `finetune_clips`.

    Args:
        library: All clips.
        labels: Of each of them.
        inputs: What is read of them.
        min_clips: Classes with fewer readable clips are set aside, >= 3.
        seed: Of the division.
    """
    check_inputs(library.tokens, inputs)
    chosen = _choose(library, labels, INPUTS[inputs], min_clips)
    return DividedClips(library, inputs, chosen, _divide(chosen, seed))


def _choose(library: ClipLibrary, labels: ClipLabels, modalities: Sequence[str], min_clips: int) -> Chosen:
    """Clips with a label of a class with enough clips, that can be read."""
    if min_clips < _FEWEST:
        raise ConfigError(f"--min-clips must be >= {_FEWEST}, is {min_clips}; a class has to be in all three parts")
    there_N = np.zeros(len(library.ids_N), dtype=bool)
    for name in modalities:
        there_N |= library.tokens[name].lengths() > 0
    told = [row for row, label in enumerate(labels.labels_N) if label is not None]
    readable = [row for row in told if there_N[row]]
    sizes = Counter(labels.labels_N[row] for row in readable)
    classes = tuple(sorted(str(name) for name, count in sizes.items() if count >= min_clips))
    small = {str(name): count for name, count in sorted(sizes.items(), key=str) if count < min_clips}
    if len(classes) < 2:
        raise DataError(
            f"at least 2 classes must have {min_clips} readable clips, {len(classes)} of {len(sizes)} have "
            f"({labels.how}; {len(told):,} of {len(labels.labels_N):,} clips have a label, {len(readable):,} of them can be read); "
            "label more clips, or lower --min-clips"
        )
    numbers = {name: number for number, name in enumerate(classes)}
    rows = [row for row in readable if labels.labels_N[row] in numbers]
    keys = library.tokens[modalities[0]].keys_V
    return Chosen(
        rows_N=np.array(rows, dtype=np.int64),
        labels_N=np.array([numbers[str(labels.labels_N[row])] for row in rows], dtype=np.int64),
        groups_N=tuple(labels.groups_N[row] or keys[row] for row in rows),
        classes=classes,
        set_aside={
            "without a label": len(labels.labels_N) - len(told),
            "unreadable": len(told) - len(readable),
            "in small classes": len(readable) - len(rows),
        },
        small=small,
    )


def _how_split(groups_N: Sequence[str], named_N: Sequence[str]) -> str:
    """In words."""
    named = {one for one in groups_N if one in set(named_N)}
    if named:
        return f"{len(named):,} groups of the names stay whole, every class divided alike"
    copies = len(groups_N) - len(set(groups_N))
    kept = f"; copies of one file stay together ({copies:,})" if copies else ""
    return f"at random, every class divided alike{kept}"


def _divide(chosen: Chosen, seed: int) -> dict[str, LabelledClips]:
    """Part -> clips."""
    rows = split_clips(chosen.labels_N, chosen.groups_N, seed=seed)
    if not all(len(one) for one in rows.values()):
        raise DataError(
            f"clips must belong to at least {_FEWEST} groups, belong to {len(set(chosen.groups_N))}; "
            "all of one group are learnt from, or all are measured on"
        )
    return {name: LabelledClips(chosen.rows_N[one], chosen.labels_N[one]) for name, one in rows.items()}


def _measure(
    model: ClipModel, library: ClipLibrary, parts: Mapping[str, LabelledClips]
) -> tuple[dict[str, Mapping[str, float]], NDArray[np.int64]]:
    """Part -> numbers, and the confusions on test."""
    valid, test = parts["valid"], parts["test"]
    valid_NC = model.predict(library.tokens, valid.rows_N)
    test_NC = model.predict(library.tokens, test.rows_N)
    plain_NC = model.uncalibrated().predict(library.tokens, test.rows_N)
    commonest = int(np.bincount(parts["train"].labels_N).argmax())
    metrics: dict[str, Mapping[str, float]] = {
        "valid": clip_metrics(valid_NC, valid.labels_N),
        "test": clip_metrics(test_NC, test.labels_N),
        "test, not calibrated": clip_metrics(plain_NC, test.labels_N),
        "always the commonest class": {"accuracy": float((test.labels_N == commonest).mean())},
    }
    return metrics, confusion(test_NC, test.labels_N)


def _augmented(learner: ClipClassLearner, config: ClipClassConfig, chosen: Chosen) -> list[str]:
    """What clips to learn from were made into, and where a mirror may tell lies."""
    found = []
    if config.changes:
        wanted = learner.num_examples * config.copies
        lacking = f", {wanted - learner.num_copies:,} could not be read" if learner.num_copies < wanted else ""
        found.append(f"{learner.num_copies:,} changed copies are learnt from ({', '.join(config.changes)}){lacking}")
    sides = [name for name in chosen.classes if set(re.split(r"[^a-z]+", name.lower())) & {"left", "right"}]
    if "flip" in config.augment and sides:
        found.append(f"flip mirrors left and right, and classes are called {', '.join(sides[:_SHOWN])}; leave it out")
    return found


def _notices(chosen: Chosen, parts: Mapping[str, LabelledClips]) -> list[str]:
    """Classes that some part lacks, and those left out."""
    found = []
    for part in PARTS:
        missing = [chosen.classes[one] for one in sorted(set(range(len(chosen.classes))) - set(parts[part].labels_N))]
        if missing:
            found.append(f"no {part} clip of {', '.join(missing[:_SHOWN])}: their clips belong to too few groups")
    if chosen.small:
        some = ", ".join(f"{name} ({count})" for name, count in list(chosen.small.items())[:_SHOWN])
        found.append(f"classes with too few clips, set aside: {len(chosen.small)}, such as {some}")
    return found
