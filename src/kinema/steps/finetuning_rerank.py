"""`kinema finetune rerank`: an encoder learns to read a query with an item's text; the delta, and what it should count, are kept.

Shape suffixes: none of its own.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from kinema.artifacts import write_artifact
from kinema.encoders.weights import DEFAULT_TEXT, weights_digest
from kinema.errors import DataError
from kinema.progress import Progress, silent
from kinema.settings import Settings
from kinema.steps.extracting import encoder_place
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.rerank_lessons import Asker, Lesson, lesson_of_catalogue, lesson_of_pairs
from kinema.steps.slates import SlateMaker
from kinema.tasks.cross_encoder import Loss, PairForm, RerankLearner, load_cross_encoder
from kinema.tasks.delta_reading import DELTA_FOLDER
from kinema.tasks.rerank_cases import ChosenWeight, RerankCase, careful_weight, gain_interval, judge
from kinema.tasks.reranker import FOLDER, FORMAT_VERSION, KIND, Reranker, RerankerConfig, bert_shape, unserved
from kinema.tasks.text_classifier import HEAD, TextClassifier
from kinema.training.fit_options import FitOptions
from kinema.training.parameter_choice import Choice, Chosen, choose
from kinema.training.parameter_delta import DeltaFacts, save_delta
from kinema.training.text_learning import RATES

OPTIONS: Final[Mapping[str, Any]] = {
    "metric": "ndcg",
    "batch_size": 8,
    "max_epochs": 3,
    "patience": 2,
    "schedule": "linear",
    "warmup_share": 0.1,
    "clip_norm": 1.0,
}
"""Of `kinema.training.fitting.FitOptions`; ``learning_rate`` is what is usual for what learns."""
USUAL: Final = Choice("lora")
"""What learns where nothing else is said."""
_TIMED: Final = 20


@dataclass(frozen=True)
class RerankTraining:
    """What a re-ranker reads, and what it learns from.

    Attributes:
        encoder: Packaged name, folder or hub name; empty for the project's text encoder.
        loss: ``listwise`` or ``pointwise``.
        top: Candidates that are read again.
        negatives: Wrong candidates that a query learns from, >= 1.
        num_queries: Of the catalogue itself, at most.
        max_tokens: Of a query with an item.
    """

    encoder: str = ""
    loss: Loss = "listwise"
    top: int = 20
    negatives: int = 6
    num_queries: int = 600
    max_tokens: int = 128


@dataclass(frozen=True)
class RerankReport:
    """What `finetune_rerank` did.

    Attributes:
        folder: The artefact.
        learnt_from: In words.
        num_queries: Part -> queries.
        metrics: ``test``: all items; ``new items``: among items that were not learnt from, where there are any. Each has
            ``ndcg_search`` and ``mrr_search`` of the present order, ``ndcg`` and ``mrr`` after it was read again, and
            ``ndcg_alone`` of the second reading alone.
        gain: NDCG@10 on test, after minus before.
        gain_interval: 95 % of it, over queries.
        helps: The interval lies above 0.
        weight: What the second reading counts: the smallest that validation cannot tell from the best.
        chosen: How: on how many queries, which was the best, and the standard error of what that gains over none.
        best_epoch: Epochs done when validation was best.
        epochs: Done in all.
        delta: What was stored of the network.
        num_all: Numbers of the whole network.
        milliseconds: Of the processor, to read one query with the ``top`` candidates; measured here.
        seconds: Of everything.
        notices: What a person should know.
    """

    folder: Path
    learnt_from: str
    num_queries: Mapping[str, int]
    metrics: Mapping[str, Mapping[str, float]]
    gain: float
    gain_interval: tuple[float, float]
    helps: bool
    weight: float
    chosen: ChosenWeight
    best_epoch: int
    epochs: int
    delta: DeltaFacts
    num_all: int
    milliseconds: float
    seconds: float
    notices: tuple[str, ...]


def finetune_rerank(
    slates: SlateMaker,
    *,
    folder: Path,
    settings: Settings,
    pairs: Path | None = None,
    synonyms: Mapping[str, Sequence[str]] | None = None,
    training: RerankTraining | None = None,
    plan: FitPlan | None = None,
) -> RerankReport:
    """Learn a re-ranker, choose what it counts on validation queries, and measure it once on test queries.

    Args:
        slates: One reading of the project.
        folder: The project's; the re-ranker goes into ``artifacts/rerank`` there.
        settings: The project's.
        pairs: Table of query, item and label; None learns from the catalogue itself.
        synonyms: For queries made of the catalogue.
        training: What is read and learnt from; None for the default.
        plan: How it learns, its seed that of the division too; None for the task's own way, which is `OPTIONS`. Its network are settings
            of `kinema.training.parameter_choice.Choice`.

    Raises:
        DataError: There is too little to learn from.
        ConfigError: The encoder cannot be loaded, or cannot take what is to learn.
    """
    started, training, plan = time.perf_counter(), training or RerankTraining(), plan or FitPlan()
    name = training.encoder or settings.encoders.text or DEFAULT_TEXT
    reader = load_reader(encoder_place(name, folder), training, plan)
    asked: dict[str, Any] = {"pairs": pairs, "synonyms": synonyms, "training": training}
    lesson = read_lesson(slates, folder=folder, settings=settings, **asked, seed=plan.seed, progress=plan.progress)
    chosen, choice = reader.chosen, reader.chosen.choice
    learner = reader.learner(lesson, training)
    fitted = plan.fit(learner, reader.options, examples=_facts(chosen, reader.form, lesson, training))
    counts = careful_weight(lesson.parts["valid"], learner.read(lesson.parts["valid"]))
    metrics, gains = _measure(learner, lesson, counts.weight, seed=plan.seed)
    config = RerankerConfig(
        encoder=name,
        max_tokens=training.max_tokens,
        weight=counts.weight,
        top=training.top,
        method=choice.method,
        loss=training.loss,
        learnt_from=f"learnt from {lesson.learnt_from}",
    )
    place = folder / "artifacts" / FOLDER
    facts = _save(place, chosen, config, {"encoder": reader.digest, "theta": chosen.theta}, seed=plan.seed)
    return RerankReport(
        folder=place,
        learnt_from=lesson.learnt_from,
        num_queries={part: len(cases) for part, cases in lesson.parts.items()},
        metrics=metrics,
        gain=metrics["test"]["ndcg"] - metrics["test"]["ndcg_search"],
        gain_interval=gains,
        helps=gains[0] > 0,
        weight=counts.weight,
        chosen=counts,
        best_epoch=fitted.report.best_epoch,
        epochs=fitted.report.epochs,
        delta=facts,
        num_all=chosen.num_all,
        milliseconds=_time(Reranker.load(place, project=folder), lesson),
        seconds=time.perf_counter() - started,
        notices=(*lesson.notices, *fitted.notices),
    )


@dataclass(frozen=True)
class Reader:
    """An encoder as a plan asks for it, before it has learnt to read pairs.

    Attributes:
        network: With a head of one number.
        tokenizer: Of the encoder.
        form: How pairs are written.
        options: Of training.
        chosen: What learns.
        digest: Of the encoder's weights.
    """

    network: TextClassifier
    tokenizer: Any
    form: PairForm
    options: FitOptions
    chosen: Chosen
    digest: str

    def learner(self, lesson: Lesson, training: RerankTraining) -> RerankLearner:
        """What it learns from a lesson; test is no part of it."""
        train, valid = lesson.parts["train"], lesson.parts["valid"]
        return RerankLearner(self.network, self.tokenizer, self.form, train=train, valid=valid, loss=training.loss)


def load_reader(place: str, training: RerankTraining, plan: FitPlan) -> Reader:
    """Load an encoder to learn; errors of `finetune_rerank`.

    Args:
        place: Packaged name, folder or hub name.
        training: How long what it reads may be.
        plan: What learns, and how.
    """
    choice = plan.network(USUAL)
    options = plan.options(**OPTIONS, learning_rate=RATES[choice.method])
    network, tokenizer = load_cross_encoder(place, seed=plan.seed)
    encoder: Any = network.encoder
    if choice.method in {"adapter", "prefix"} and bert_shape(encoder.config) is None:
        raise unserved(type(encoder).__name__)
    form = PairForm.of(tokenizer, encoder.config, max_tokens=training.max_tokens)
    digest = weights_digest(encoder.state_dict())
    return Reader(network, tokenizer, form, options, choose(network, choice, heads=(HEAD,), seed=plan.seed), digest)


def read_lesson(
    slates: SlateMaker,
    *,
    folder: Path,
    settings: Settings,
    pairs: Path | None,
    synonyms: Mapping[str, Sequence[str]] | None,
    training: RerankTraining,
    seed: int,
    progress: Progress = silent,
) -> Lesson:
    """Ask the search what is learnt from; arguments and errors of `finetune_rerank`."""
    items = slates.dataset.items
    asker = Asker(slates, folder, settings, training.top, training.negatives, seed, progress, items)
    if pairs is not None:
        lesson = lesson_of_pairs(asker, pairs)
    else:
        lesson = lesson_of_catalogue(asker, num_queries=training.num_queries, synonyms=synonyms)
    if not lesson.parts["test"]:
        raise DataError("no test query has a right item; give more pairs, or another --seed")
    return lesson


def _facts(chosen: Chosen, form: PairForm, lesson: Lesson, training: RerankTraining) -> tuple[Any, ...]:
    """What a run is about, for its fingerprint: which encoder, what learns, and the cases as they are read."""
    cases = [case for part in ("train", "valid") for case in lesson.parts[part]]
    texts = [(case.query, case.texts_K, sorted(case.right)) for case in cases]
    arrays = [array for case in cases for array in (case.items_K, case.present_K, case.grades_K)]
    how = (training.loss, len(lesson.parts["train"]), asdict(form), asdict(chosen.choice))
    return ("rerank", chosen.theta, *how, texts, *arrays)


def _measure(
    learner: RerankLearner, lesson: Lesson, weight: float, *, seed: int
) -> tuple[dict[str, dict[str, float]], tuple[float, float]]:
    """On test queries: all items, and those that were not learnt from; and the interval of the gain on all."""
    found: dict[str, dict[str, float]] = {}
    test = list(lesson.parts["test"])
    new = [case for case in (one.only(lesson.held_V) for one in test) if case.right and len(case.items_K) > 1]
    gains = (0.0, 0.0)
    for name, cases in (("test", test), ("new items", new)):
        if not cases:
            continue
        reads = learner.read(cases)
        before, after = judge(cases), judge(cases, reads, weight=weight)
        alone = judge(cases, reads, weight=1.0)
        found[name] = {"queries": float(len(cases))}
        for measure in ("ndcg", "mrr"):
            found[name] |= {f"{measure}_search": float(before[measure].mean()), measure: float(after[measure].mean())}
        found[name]["ndcg_alone"] = float(alone["ndcg"].mean())
        if name == "test":
            gains = gain_interval(before["ndcg"], after["ndcg"], seed=seed)
    return found, gains


def _save(place: Path, chosen: Chosen, config: RerankerConfig, parents: Mapping[str, str], *, seed: int) -> DeltaFacts:
    with write_artifact(
        place, kind=KIND, format_version=FORMAT_VERSION, config=config.as_dict(), seed=seed, parents=parents
    ) as draft:
        return save_delta(chosen, draft / DELTA_FOLDER)


def _time(reranker: Reranker, lesson: Lesson) -> float:
    """Processor milliseconds per query, texts read for the first time."""
    cases: list[RerankCase] = list(lesson.parts["test"][:_TIMED])
    spent = []
    for case in cases:
        started = time.process_time()
        reranker.read(case.query, case.texts_K)
        spent.append(1000 * (time.process_time() - started))
    return float(np.median(spent))
