"""`kinema finetune match`: words and items, or items and items, are brought together by what answered what.

Shape suffixes: Q queries, N pairs, V items, D width of a vector.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.steps.bridges import TextQueries
from kinema.steps.dataset import Dataset
from kinema.steps.finetuning_options import FitPlan, Fitted
from kinema.steps.match_encoder import learnt_changes
from kinema.steps.match_learning import DECIDES, read_items, read_words
from kinema.steps.match_pairs import ReadPairs
from kinema.store.features import ModalityFeatures
from kinema.tasks.match import (
    Cropped,
    cosines,
    cropped_cosines,
)
from kinema.tasks.match_data import Cases, Pairs, Split
from kinema.tasks.match_material import MatchConfig
from kinema.tasks.match_measures import Scores, chance, gain, means, measure
from kinema.tasks.match_model import MatchModel
from kinema.tasks.towers import Carrier, Tower, unit
from kinema.training.parameter_choice import Choice

FOLDER: Final = "match"
TEXTS: Final = "texts"
ITEMS: Final = "items"


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
    plan = plan or FitPlan()
    plan.network(MatchConfig())  # what is wrong with it is said before texts are read
    told = read_words(read, dataset, queries, choice=choice, seed=plan.seed, progress=plan.progress)
    features, pairs, split, cropped = dataset.features, read.pairs, told.split, told.cropped
    made, num_items = told.made(plan), len(dataset.item_ids)
    learner, material, network = made.learner, made.material, made.learner.network
    fitted = plan.fit(learner, made.options, examples=made.facts)
    changes = {} if made.chosen is None else learnt_changes(made.chosen)
    width = told.vectors_QD.shape[1]
    plain = Carrier(np.zeros(width, dtype=np.float32), np.ones(width, dtype=np.float32), network.ask.arrays()["text"])
    model = MatchModel(
        TEXTS,
        Tower({"text": plain}),
        material.learnt(network.answer.arrays()),
        {name: features[name].encoder for name in material.inputs},
        changes=changes,
        config={"matcher": asdict(made.config), "learns": "frozen" if choice is None else asdict(choice)},
    )
    plainly = _plain(unit(told.vectors_QD), features["text"], pairs, cropped)
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
    plan, features, pairs = plan or FitPlan(), dataset.features, read.pairs
    told = read_items(read, dataset, seed=plan.seed)
    made, num_items, split = told.made(plan), len(dataset.item_ids), told.split
    learner, material, network = made.learner, made.material, made.learner.network
    fitted = plan.fit(learner, made.options, examples=made.facts)
    model = MatchModel(
        ITEMS,
        material.learnt(network.ask.arrays()),
        material.learnt(network.answer.arrays()),
        {name: features[name].encoder for name in material.inputs},
        config={"matcher": asdict(made.config)},
    )
    own = pairs.query_items_Q
    assert own is not None
    ways: dict[str, Any] = {"match": learner.scores}
    for name, rows_VE in today_VE.items():
        ways[name] = lambda cases, rows_VE=rows_VE: cosines(rows_VE[own[cases.query_C]], rows_VE)
    return Matched(model, read, split, _judge(split, num_items, ways), fitted, num_items)


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
