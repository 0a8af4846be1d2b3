"""`kinema finetune match`: words and items, or items and items, are brought together by what answered what.

Shape suffixes: Q queries, N pairs, V items, D width of a vector.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.progress import Progress, silent
from kinema.steps.bridges import TextQueries
from kinema.steps.dataset import Dataset
from kinema.steps.finetuning_options import FitPlan, Fitted
from kinema.steps.match_encoder import QueryEncoder, learnt_changes, load_query_encoder
from kinema.steps.match_pairs import ReadPairs
from kinema.store.features import ModalityFeatures
from kinema.tasks.match import (
    Cropped,
    Maps,
    MatchLearner,
    MatchNetwork,
    cosines,
    cropped_cosines,
)
from kinema.tasks.match_data import Cases, Pairs, Split, split_pairs
from kinema.tasks.match_material import MatchConfig, items_material, words_material
from kinema.tasks.match_measures import K, Scores, chance, gain, means, measure
from kinema.tasks.match_model import MatchModel
from kinema.tasks.towers import Carrier, Tower, unit
from kinema.training.parameter_choice import Choice

FOLDER: Final = "match"
TEXTS: Final = "texts"
ITEMS: Final = "items"
DECIDES: Final = f"ndcg@{K}"
_USUAL: Final[Mapping[str, Any]] = {"metric": DECIDES, "batch_size": 256, "max_epochs": 60, "patience": 5}
_RATES: Final = {True: 3e-4, False: 2e-3}
"""Step size where the encoder learns too, and where it does not."""


@dataclass(frozen=True)
class MatchReport:
    """What was learnt.

    Attributes:
        what: ``texts`` or ``items``.
        folder: The artefact.
        source: Where the pairs come from.
        num_pairs: Of all, and those learnt from.
        held_out: How: by time, or drawn at random; and how many items were kept out of all pairs.
        candidates: What was ranked, in words.
        learns: What learnt besides the maps: ``frozen``, or a choice for the text encoder.
        metrics: Way -> ``warm`` and ``cold`` -> ``recall@10``, ``ndcg@10``, ``mrr`` and cases, on the test.
        gain: NDCG@10 above the way of today on validation, warm and cold together: mean, low, high.
        better: Whether the whole interval is above 0; what is served then follows.
        baseline: The way of today, as in ``metrics``.
        best_epoch: Epochs done when validation was best.
        epochs: Done in all.
        seconds: Of everything.
        notices: What a person should know.
    """

    what: str
    folder: Path
    source: str
    num_pairs: Mapping[str, int]
    held_out: str
    candidates: str
    learns: str
    metrics: Mapping[str, Mapping[str, Mapping[str, float]]]
    gain: tuple[float, float, float]
    better: bool
    baseline: str
    best_epoch: int
    epochs: int
    seconds: float
    notices: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """JSON values for the artefact."""
        return {name: value for name, value in asdict(self).items() if name != "folder"}


Ways = dict[str, dict[str, dict[str, dict[str, NDArray[np.float64]]]]]
"""Way -> ``valid`` or ``test`` -> ``warm`` or ``cold`` -> number -> float64 [C]."""


@dataclass(frozen=True)
class Matched:
    """A trained matcher, and what held-out questions say of it and of other ways.

    Attributes:
        model: Ready to be saved.
        pairs: What it was made from.
        split: What was learnt from and what was asked.
        ways: Numbers of every case.
        fitted: How training went, and what a person should know of it.
        num_items: V.
    """

    model: MatchModel
    pairs: ReadPairs
    split: Split
    ways: Ways
    fitted: Fitted
    num_items: int

    def report(self, folder: Path, *, baseline: str, ours: str, learns: str, seed: int, started: float) -> MatchReport:
        """The report, decided on validation and measured on the test."""
        split, pairs = self.split, self.pairs.pairs
        pooled = {
            way: np.concatenate([one[DECIDES] for one in parts["valid"].values()]) for way, parts in self.ways.items()
        }
        found = gain(pooled[ours], pooled[baseline], seed=seed)
        how = "the newest by time" if split.by_time else "drawn at random"
        return MatchReport(
            what=self.model.what,
            folder=folder,
            source=pairs.source,
            num_pairs={"all": len(pairs), **split.sizes},
            held_out=f"{how}; {split.sizes['cold items']} items in no pair that was learnt from",
            candidates=f"all {self.num_items:,} items of the catalogue but the query's other right answers",
            learns=learns,
            metrics={
                way: {kind: means(one) for kind, one in parts["test"].items()} for way, parts in self.ways.items()
            },
            gain=found,
            better=found[1] > 0,
            baseline=baseline,
            best_epoch=self.fitted.report.best_epoch,
            epochs=self.fitted.report.epochs,
            seconds=round(time.perf_counter() - started, 2),
            notices=(*self.pairs.notices, *self.fitted.notices),
        )


def learn_texts(
    read: ReadPairs,
    dataset: Dataset,
    queries: TextQueries,
    *,
    choice: Choice | None = None,
    plan: FitPlan | None = None,
) -> Matched:
    """Learn from words and their answers.

    Args:
        read: Pairs.
        dataset: One reading of the project.
        queries: Its text encoder.
        choice: What of the text encoder learns too, for queries alone; None for nothing.
        plan: How; None for the task's own way. Its network are settings of `kinema.tasks.match_material.MatchConfig`.

    Raises:
        ConfigError: The plan names what there is not.
        DataError: Items have no vectors of texts, or there are too few pairs.
    """
    features, pairs, plan = dataset.features, read.pairs, plan or FitPlan()
    config = plan.network(MatchConfig())
    if "text" not in features or features["text"].encoder != queries.fingerprint:
        raise DataError(
            "items must have text vectors of the encoder that kinema.toml names, have none; run: kinema extract"
        )
    num_items = len(dataset.item_ids)
    split = split_pairs(pairs, num_items=num_items, seed=plan.seed)
    material = words_material(features, ~split.cold_V, config)
    vectors_QD = encode_all(queries, pairs.queries, progress=plan.progress)
    cropped = _cropped(pairs, queries, plan.progress)
    width = vectors_QD.shape[1]
    ask = Maps({"text": np.eye(width, dtype=np.float32)})
    learning = None if choice is None or choice.method == "frozen" else load_query_encoder(queries.place)
    network = MatchNetwork(
        ask,
        Maps(material.maps()),
        None if learning is None else learning.network,
        pooling="mean" if learning is None else learning.pooling,
    )
    learner = MatchLearner(
        network,
        pairs,
        split,
        ask={"text": unit(vectors_QD)},
        answer=material.inputs,
        config=config,
        cropped=cropped,
        tokens=None if learning is None else learning.tokens(pairs.queries),
    )
    facts = _facts(pairs, split, config, [*material.inputs.items(), ("asked", vectors_QD)])
    if cropped is not None:
        facts += (cropped.rests_ND, *cropped.bare)
    fitted, changes = _fit(learner, learning, choice, plan, facts)
    plain = Carrier(np.zeros(width, dtype=np.float32), np.ones(width, dtype=np.float32), ask.arrays()["text"])
    model = MatchModel(
        TEXTS,
        Tower({"text": plain}),
        material.learnt(network.answer.arrays()),
        {name: features[name].encoder for name in material.inputs},
        changes=changes,
        config={"matcher": asdict(config), "learns": "frozen" if choice is None else asdict(choice)},
    )
    plainly = _plain(unit(vectors_QD), features["text"], pairs, cropped)
    ways = _judge(split, num_items, {"match": learner.scores, "cosine": plainly})
    return Matched(model, read, split, ways, fitted, num_items)


def learn_items(
    read: ReadPairs,
    dataset: Dataset,
    *,
    today_VE: Mapping[str, NDArray[np.float32]],
    plan: FitPlan | None = None,
) -> Matched:
    """Learn from items and the items that followed them.

    Args:
        read: From `pairs_of_sessions`.
        dataset: One reading of the project.
        today_VE: Ways of today: name -> unit rows, row = item, whose cosine says how near items are.
        plan: How; None for the task's own way. Its network are settings of `kinema.tasks.match_material.MatchConfig`.

    Raises:
        ConfigError: The plan names what there is not.
    """
    features, pairs, plan = dataset.features, read.pairs, plan or FitPlan()
    config = plan.network(MatchConfig())
    num_items = len(dataset.item_ids)
    split = split_pairs(pairs, num_items=num_items, seed=plan.seed)
    material = items_material(features, ~split.cold_V, config)
    assert pairs.query_items_Q is not None
    asked = {name: one[pairs.query_items_Q] for name, one in material.inputs.items()}
    network = MatchNetwork(Maps(material.maps()), Maps(material.maps()))
    learner = MatchLearner(network, pairs, split, ask=asked, answer=material.inputs, config=config)
    fitted, _ = _fit(learner, None, None, plan, _facts(pairs, split, config, material.inputs.items()))
    model = MatchModel(
        ITEMS,
        material.learnt(network.ask.arrays()),
        material.learnt(network.answer.arrays()),
        {name: features[name].encoder for name in material.inputs},
        config={"matcher": asdict(config)},
    )
    own = pairs.query_items_Q
    ways: dict[str, Any] = {"match": learner.scores}
    for name, rows_VE in today_VE.items():
        ways[name] = lambda cases, rows_VE=rows_VE: cosines(rows_VE[own[cases.query_C]], rows_VE)
    return Matched(model, read, split, _judge(split, num_items, ways), fitted, num_items)


def encode_all(
    queries: TextQueries, texts: tuple[str, ...], *, progress: Progress = silent, as_items: bool = False
) -> NDArray[np.float32]:
    """float32 [N, D], each different text once; zero rows for empty ones."""
    distinct = [text for text in dict.fromkeys(texts) if text]
    parts = []
    for start in range(0, len(distinct), 256):
        parts.append(queries.encode_many(distinct[start : start + 256], as_items=as_items))
        progress(start, len(distinct), "texts")
    rows_ND = np.concatenate([*parts, np.zeros((1, parts[0].shape[1]), dtype=np.float32)])
    place = {text: number for number, text in enumerate(distinct)}
    return rows_ND[[place.get(text, len(distinct)) for text in texts]]


def _fit(
    learner: MatchLearner,
    learning: QueryEncoder | None,
    choice: Choice | None,
    plan: FitPlan,
    facts: tuple[Any, ...],
) -> tuple[Fitted, dict[str, NDArray[np.float32]]]:
    """Train; what was changed in the text encoder is given apart."""
    usual = dict(_USUAL) | {"learning_rate": _RATES[learning is not None]}
    if learning is not None:
        usual |= {"batch_size": 64, "max_epochs": 10, "patience": 2}
    options = plan.options(**usual)
    if learning is None or choice is None:
        return plan.fit(learner, options, examples=facts), {}
    chosen = learning.choose(learner.network, choice, seed=plan.seed)
    fitted = plan.fit(learner, options, examples=(*facts, asdict(choice)))
    return fitted, learnt_changes(chosen)


def _facts(
    pairs: Pairs, split: Split, config: MatchConfig, inputs: Iterable[tuple[str, NDArray[np.float32]]]
) -> tuple[Any, ...]:
    """What a run is about, for its fingerprint."""
    told = [part for name, array in inputs for part in (name, array)]
    moments = () if pairs.moments_N is None else (pairs.moments_N,)
    pairs_N = (list(pairs.queries), pairs.query_N, pairs.item_N, pairs.weight_N, *moments)
    return ("match", asdict(config), *pairs_N, split.train_N, split.cold_V, *told)


def _cropped(pairs: Pairs, queries: TextQueries, progress: Progress) -> Cropped | None:
    """Vectors of items without the queries that were taken from them."""
    if pairs.rests is None or pairs.bare is None:
        return None
    texts = (*pairs.rests, *(text for one in pairs.bare for text in one))
    rows_ND = unit(encode_all(queries, texts, progress=progress, as_items=True))
    rests_ND, *bare = np.split(rows_ND, len(pairs) + len(pairs.bare[0]) * np.arange(len(pairs.bare)))
    return Cropped(rests_ND, tuple(bare))


def _plain(asked_QD: NDArray[np.float32], text: ModalityFeatures, pairs: Pairs, cropped: Cropped | None) -> Any:
    """The text encoder's own cosine."""
    rows_VD = unit(text.vectors_VD * text.present_V[:, None])

    def scores(cases: Cases) -> Scores:
        asked_CD = asked_QD[cases.query_C]
        if cropped is None or pairs.kind_Q is None:
            return cosines(asked_CD, rows_VD)
        kinds_C = pairs.kind_Q[cases.query_C]
        return cropped_cosines(asked_CD, cropped.bare, kinds_C, cases, cropped.rests_ND[cases.pairs_T])

    return scores


def _judge(split: Split, num_items: int, ways: Mapping[str, Any]) -> Ways:
    """Every way on every held-out question, and chance."""
    found: Ways = {
        way: {
            part: {kind: measure(scores(cases), cases, num_items=num_items) for kind, cases in kinds.items()}
            for part, kinds in split.cases.items()
        }
        for way, scores in ways.items()
    }
    found["chance"] = {
        part: {kind: chance(cases, num_items=num_items) for kind, cases in kinds.items()}
        for part, kinds in split.cases.items()
    }
    return found
