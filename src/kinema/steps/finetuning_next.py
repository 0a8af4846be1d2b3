"""`kinema finetune next`: a pre-trained FLM learns on, on next-item prediction over this project's log.

Shape suffixes: V catalogue.
"""

import time
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import torch

from kinema.artifacts import MANIFEST, sha256_file
from kinema.errors import ConfigError, DataError, NotBuiltError
from kinema.evaluation.baselines.popularity import fit_popularity
from kinema.evaluation.offline import evaluate
from kinema.evaluation.protocol import ScorerRanker
from kinema.evaluation.results import RankingResult, compare
from kinema.flm.model import FLM
from kinema.flm.sharing import theta_fingerprint
from kinema.seeds import generator
from kinema.steps.dataset import PROFILE_SCHEMA, Dataset
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.next_model import BESIDE, DELTAS, FOLDER, LEARN, MODEL, Start, start_from_other, start_from_own
from kinema.steps.slates import NEXT
from kinema.steps.transferring import MODEL_FOLDER, load_source
from kinema.store.cuts import shuffled_ties
from kinema.store.features import ModalityFeatures
from kinema.store.splits import Split, temporal
from kinema.tasks.next_item import OWN, NextItem
from kinema.tasks.pretraining import PretrainingTask
from kinema.training.fitting import FitOptions, FitReport
from kinema.training.parameter_choice import Choice, Chosen, choose
from kinema.training.parameter_delta import DeltaFacts, list_deltas, save_delta
from kinema.training.preparation import Prepared, fit_memory, prepare, recent_popularity
from kinema.training.selection import Selection

TEST_SHARE: Final = 0.1
VALID_SHARE: Final = 1 / 9
"""Of what is left before the test period: a tenth of all."""
MAX_CASES: Final = 5000
_METRICS: Final = ("ndcg@10", "recall@10")
_ROWS: Final = ("all", "warm", "cold")
_OWN_SOURCE: Final = "the source is this project's own model, which has learnt from this log, the test period too: all but popularity stand too high"
_BATCHES: Final = 20
_RATE: Final = {"full": 1e-3, "frozen": 1e-2, "top": 2e-3, "lora": 5e-3, "adapters": 3e-3, "prefix": 1e-2}
_OWN_RATE: Final = 5e-3


@dataclass(frozen=True)
class NextReport:
    """What came of it.

    Attributes:
        folder: The model that serves where ``model = "next"`` stands under ``[recommend]``.
        source: Fingerprint of what it began with.
        learn: Which parameters learnt.
        num_learning: Numbers that learnt, those of the items' own included.
        num_own: Those of them that are the items' own.
        num_all: Numbers of the network.
        delta: What was learnt, kept alone.
        deltas: All that lie beside each other.
        cases: Part -> questions: ``valid``, ``test``, ``cold``.
        metrics: Ranker -> row (``all``, ``warm``, ``cold``) -> NDCG@10 and Recall@10 on the newest tenth.
        verdict: Against no training, in words.
        best_epoch: Epochs done when validation was best.
        epochs: Done in all.
        seconds: Of everything.
        notices: What a person should know.
    """

    folder: Path
    source: str
    learn: str
    num_learning: int
    num_own: int
    num_all: int
    delta: DeltaFacts
    deltas: tuple[DeltaFacts, ...]
    cases: Mapping[str, int]
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    verdict: str
    best_epoch: int
    epochs: int
    seconds: float
    notices: tuple[str, ...]


def finetune_next(
    dataset: Dataset,
    *,
    artifacts: Path,
    source: Path | None = None,
    learn: str = "full",
    layers: int = 1,
    rank: int = 8,
    plan: FitPlan | None = None,
) -> NextReport:
    """Learn from the oldest four fifths of the interactions, choose on the next tenth, measure on the newest.

    Args:
        dataset: One reading of the project, with the profile columns of its own model where that is the source.
        artifacts: Of the project; the model goes into ``next/model`` there, what was learnt into ``next/deltas``.
        source: Project or FLM artefact of another catalogue; None for this project's own model.
        learn: One of `LEARN`.
        layers: Of ``top``.
        rank: Of ``lora``.
        plan: How; None for the task's own way. Its network are settings of `kinema.training.parameter_choice.Choice`, over the three above.

    Raises:
        NotBuiltError: There is no source.
        ConfigError: Nothing of the source fits, or there is no such choice.
        DataError: The log is too short to be cut by time.
    """
    started, plan = time.perf_counter(), plan or FitPlan()
    learn, choice = choice_of(learn, layers=layers, rank=rank, plan=plan)
    theirs = find_source(source, artifacts)
    run = read_next(dataset, theirs, own=source is None, seed=plan.seed)
    split, start = run.split, run.start
    measured = [run.measured("popularity"), run.measured("zero-shot", start.zero_shot)]
    chosen = choose(start.network, choice, heads=(OWN,), seed=plan.seed)
    selection = run.selection()
    told = (FOLDER, asdict(choice), theta_fingerprint(theirs), *run.facts)
    fitted = plan.fit(run.learner(selection), _options(learn, run, plan), examples=told)
    report = fitted.report
    tuned = run.model(selection)
    measured.append(run.measured("fine-tuned", tuned))
    folder = artifacts / FOLDER
    delta = save_delta(chosen, folder / DELTAS / learn)
    facts = {"learn": learn, "source": theta_fingerprint(theirs), "put_on": learn if learn in BESIDE else ""}
    metrics = {one.name: _numbers(one) for one in measured}
    served = run.served(tuned, chosen, facts | {"metrics": metrics}, learn=learn)
    served.save(
        folder / MODEL, parents={"source": facts["source"], "delta": sha256_file(folder / DELTAS / learn / MANIFEST)}
    )
    return NextReport(
        folder=folder / MODEL,
        source=facts["source"],
        learn=learn,
        num_learning=chosen.num_learning,
        num_own=chosen.num_heads,
        num_all=chosen.num_all,
        delta=delta,
        deltas=tuple(list_deltas(folder / DELTAS)),
        cases={
            "valid": len(split.valid),
            "test": len(split.test),
            "cold": int(split.cold_V[split.test.targets.items].sum()),
        },
        metrics=metrics,
        verdict=_verdict(measured[2], measured[1]),
        best_epoch=report.best_epoch,
        epochs=report.epochs,
        seconds=time.perf_counter() - started,
        notices=(*_notices(source, start, report), *fitted.notices),
    )


def choice_of(learn: str, *, layers: int = 1, rank: int = 8, plan: FitPlan) -> tuple[str, Choice]:
    """What learns, by the name that a user has for it and as `Choice`; the plan's network stands over the arguments.

    Raises:
        ConfigError: There is no such choice.
    """
    if learn not in LEARN:
        raise ConfigError(f"what learns must be one of {', '.join(LEARN)}, is '{learn}'")
    choice = plan.network(Choice(LEARN[learn], layers=layers, rank=rank))
    return next(name for name, method in LEARN.items() if method == choice.method), choice


def read_next(dataset: Dataset, source: FLM, *, own: bool, seed: int = 0) -> "NextExamples":
    """Cut the log by time and put a model over its catalogue; errors of `finetune_next`.

    Args:
        dataset: One reading of the project.
        source: What is begun with.
        own: It is this project's model.
        seed: Of the run.
    """
    split = temporal(
        dataset.histories,
        test_share=TEST_SHARE,
        valid_share=VALID_SHARE,
        published_ms_V=dataset.published_ms_V,
        hidden_V=dataset.hidden_V,
        max_cases=MAX_CASES,
        seed=seed,
    )
    where: dict[str, Any] = {"features": dataset.features, "item_ids": dataset.item_ids, "train": split.train}
    start = start_from_own(source, **where) if own else start_from_other(source, **where, seed=seed)
    return NextExamples(dataset, split, start, _prepared(dataset, split, start, seed), seed)


@dataclass(frozen=True)
class NextExamples:
    """What one run works on: the log cut by time, and a model over its catalogue that has not learnt from it."""

    dataset: Dataset
    split: Split
    start: Start
    prepared: Prepared
    seed: int

    @property
    def facts(self) -> tuple[Any, ...]:
        """What a run is about, for its fingerprint."""
        train = self.split.train
        return (train.items, train.timestamps_ms, train.offsets)

    def ready(self, plan: FitPlan, learn: str, selection: Selection) -> tuple[NextItem, FitOptions, Choice]:
        """The task as a plan asks for it, on a copy of the network, which stays as it is for the next one.

        Args:
            plan: How.
            learn: One of `LEARN`, where the plan says nothing.
            selection: From `selection`.

        Raises:
            ConfigError: The plan names what there is not.
        """
        learn, choice = choice_of(learn, plan=plan)
        run = replace(self, start=replace(self.start, network=deepcopy(self.start.network)))
        choose(run.start.network, choice, heads=(OWN,), seed=plan.seed)
        return run.learner(selection), _options(learn, run, plan), choice

    def selection(self) -> Selection:
        """Validation, asked for the epoch and for the weights of the branches."""
        if not len(self.split.valid):
            raise DataError(
                "next item must have interactions in the tenth before the newest, has none; give a longer log"
            )
        return Selection(
            self.prepared,
            config=self.start.config,
            valid=self.split.valid,
            published_ms_V=self.split.published_ms_V,
            seed=self.seed,
        )

    def learner(self, selection: Selection) -> NextItem:
        """The task."""
        prepared, profiles = self.prepared, self.prepared.profiles
        neighbours_VJ, weights_VJ = prepared.neighbours
        task = PretrainingTask(
            self.start.config,
            content=prepared.content,
            profiles_UP=None if profiles is None else torch.from_numpy(profiles.values_UP),
            warm_V=torch.from_numpy(prepared.counts_V > 0),
            neighbours_VJ=torch.from_numpy(neighbours_VJ),
            neighbour_weights_VJ=torch.from_numpy(weights_VJ),
        )
        train = shuffled_ties(prepared.train, generator(self.seed, "ties"))
        return NextItem(self.start.network, task, train, looks=selection.look, config=self.start.config)

    def model(self, selection: Selection) -> FLM:
        """What was learnt as a model over the training part; validation weighs its branches."""
        mixture, liken, choices = selection.choose(self.start.network.flm)
        prepared, zero_shot = self.prepared, self.start.zero_shot
        return FLM(
            config=self.start.config,
            network=self.start.network.flm.eval(),
            item_ids=tuple(self.dataset.item_ids),
            whitenings=prepared.whitenings,
            encoders=zero_shot.encoders,
            counts_V=prepared.counts_V,
            popularity_V=prepared.popularity_V,
            memory=prepared.memory,
            mixture=mixture,
            profile_columns=zero_shot.profile_columns,
            liken=liken,
            seed=self.seed,
            report={"curve": [], **choices, PROFILE_SCHEMA: zero_shot.report.get(PROFILE_SCHEMA)},
        )

    def measured(self, name: str, model: FLM | None = None) -> RankingResult:
        """A ranker on the newest tenth; without a model what is watched most."""
        if model is None:
            return evaluate(fit_popularity(self.split.train, name=name), self.split.test, self.split, seed=self.seed)
        scorer = model.serve(_read(self.dataset.features, model), len(self.dataset.item_ids))
        profiles = self.dataset.profiles if model.profile_columns else None
        return evaluate(ScorerRanker(name, scorer, profiles), self.split.test, self.split, seed=self.seed)

    def served(self, tuned: FLM, chosen: Chosen, facts: Mapping[str, Any], *, learn: str) -> FLM:
        """The model as it is kept: what can be is part of its weights, and it counts the whole log."""
        if learn in BESIDE:
            chosen.remove()
        else:
            chosen.merge()
        log = self.dataset.histories
        memory = fit_memory(shuffled_ties(log, generator(self.seed, "ties")), self.start.config)
        memory.query_decay, memory.shrinkage = tuned.memory.query_decay, tuned.memory.shrinkage
        return replace(
            tuned,
            counts_V=log.item_counts(),
            popularity_V=recent_popularity(log),
            memory=memory,
            report={**tuned.report, NEXT: dict(facts)},
        )


def find_source(place: Path | None, artifacts: Path) -> FLM:
    """The model that is begun with.

    Raises:
        NotBuiltError: There is none.
    """
    if place is not None:
        return load_source(place, target=artifacts / MODEL_FOLDER)
    if not (artifacts / MODEL_FOLDER / MANIFEST).is_file():
        raise NotBuiltError(
            "next item needs a pre-trained FLM, there is none; run: kinema pretrain, or name one: --from FOLDER"
        )
    return FLM.load(artifacts / MODEL_FOLDER)


def _read(features: Mapping[str, ModalityFeatures], model: FLM) -> dict[str, ModalityFeatures]:
    return {name: one for name, one in features.items() if name in model.whitenings}


def _prepared(dataset: Dataset, split: Split, start: Start, seed: int) -> Prepared:
    model = start.zero_shot
    return prepare(
        train=split.train,
        features=_read(dataset.features, model),
        profiles=dataset.profiles if model.profile_columns else None,
        item_ids=dataset.item_ids,
        config=start.config,
        seed=seed,
        given=model.whitenings,
    )


def _options(learn: str, run: NextExamples, plan: FitPlan) -> FitOptions:
    """Defaults for what learns; the items' own vectors have a rate of their own, since they start from nothing."""
    active = int((run.split.train.lengths > 0).sum())
    rate = _RATE[learn]
    wanted: dict[str, Any] = {
        "metric": "ndcg",
        "batch_size": max(4, min(64, active // _BATCHES)),
        "learning_rate": rate,
        "weight_decay": run.start.config.weight_decay,
        "max_epochs": 30,
        "patience": 4,
        "clip_norm": 5.0,
    }
    found = plan.options(**wanted)
    if found.rate_factors:
        return found
    return replace(found, rate_factors={f"{OWN}.": _OWN_RATE / found.learning_rate})


def _numbers(result: RankingResult) -> dict[str, dict[str, float]]:
    return {row: {metric: result.rows[row].mean(metric) for metric in _METRICS} for row in _ROWS if row in result.rows}


def _verdict(tuned: RankingResult, zero_shot: RankingResult) -> str:
    found = compare(tuned, zero_shot)
    told = f"NDCG@10 {found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}] against no training"
    if not found.is_clear:
        return f"fine-tuning makes no clear difference: {told}"
    return f"fine-tuning {'helps' if found.mean > 0 else 'hurts'}: {told}"


def _notices(source: Path | None, start: Start, report: FitReport) -> tuple[str, ...]:
    told = [_OWN_SOURCE] if source is None else []
    if report.best_epoch == report.epochs:
        told.append(f"validation was still gaining in epoch {report.epochs}, the last; --epochs allows more")
    closed = [name for name in start.network.flm.tower.names if not _is_open(start, name)]
    if closed:
        told.append(f"validation is better without {', '.join(closed)} beside the items' own vectors")
    return tuple(told)


def _is_open(start: Start, name: str) -> bool:
    tower = start.network.flm.tower
    return bool(tower.open_M[tower.names.index(name)])
