"""What `kinema finetune match` learns from, made ready once and trained as often as a plan asks for it.

Shape suffixes: Q queries, N pairs, V items, D width of a vector.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import DataError
from kinema.progress import Progress, silent
from kinema.steps.bridges import TextQueries
from kinema.steps.dataset import Dataset
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.match_encoder import load_query_encoder
from kinema.steps.match_pairs import ReadPairs
from kinema.tasks.match import Cropped, Maps, MatchLearner, MatchNetwork
from kinema.tasks.match_data import Pairs, Split, split_pairs
from kinema.tasks.match_material import MatchConfig, Material, items_material, words_material
from kinema.tasks.match_measures import K
from kinema.tasks.towers import unit
from kinema.training.fit_options import FitOptions
from kinema.training.parameter_choice import Choice, Chosen

DECIDES: Final = f"ndcg@{K}"
_USUAL: Final[Mapping[str, Any]] = {"metric": DECIDES, "batch_size": 256, "max_epochs": 60, "patience": 5}
_RATE: Final = 2e-3
_LEARNING: Final[Mapping[str, Any]] = {"learning_rate": 3e-4, "batch_size": 64, "max_epochs": 10, "patience": 2}
"""Where the text encoder learns too."""


@dataclass(frozen=True)
class MadeMatcher:
    """A matcher as a plan asks for it, before it has learnt.

    Attributes:
        learner: Changed by training.
        options: Of training.
        config: Of what is learnt.
        material: What the towers read.
        facts: What a run is about, for its fingerprint.
        chosen: What learns of the text encoder; None for nothing.
    """

    learner: MatchLearner
    options: FitOptions
    config: MatchConfig
    material: Material
    facts: tuple[Any, ...]
    chosen: Chosen | None = None


@dataclass(frozen=True)
class WordsToLearn:
    """Words and their answers, ready to be learnt from.

    Attributes:
        read: Pairs.
        dataset: One reading of the project.
        queries: Its text encoder.
        choice: What of the text encoder learns too; None for nothing.
        split: What is learnt from and what is asked.
        vectors_QD: Of the queries, by the encoder as it is.
        cropped: Items without the queries that were taken from them; None where queries come from elsewhere.
    """

    read: ReadPairs
    dataset: Dataset
    queries: TextQueries
    choice: Choice | None
    split: Split
    vectors_QD: NDArray[np.float32]
    cropped: Cropped | None

    def made(self, plan: FitPlan) -> MadeMatcher:
        """The task as a plan asks for it; test is no part of it.

        Raises:
            ConfigError: The plan names what there is not.
        """
        config, pairs, split = plan.network(MatchConfig()), self.read.pairs, self.split
        material = words_material(self.dataset.features, ~split.cold_V, config)
        ask = Maps({"text": np.eye(self.vectors_QD.shape[1], dtype=np.float32)})
        choice = None if self.choice is None or self.choice.method == "frozen" else self.choice
        learning = None if choice is None else load_query_encoder(self.queries.place)
        encoder = None if learning is None else learning.network
        pooling = "mean" if learning is None else learning.pooling
        learner = MatchLearner(
            MatchNetwork(ask, Maps(material.maps()), encoder, pooling=pooling),
            pairs,
            split,
            ask={"text": unit(self.vectors_QD)},
            answer=material.inputs,
            config=config,
            cropped=self.cropped,
            tokens=None if learning is None else learning.tokens(pairs.queries),
        )
        facts = _facts(pairs, split, config, [*material.inputs.items(), ("asked", self.vectors_QD)])
        if self.cropped is not None:
            facts += (self.cropped.rests_ND, *self.cropped.bare)
        if learning is None or choice is None:
            return MadeMatcher(learner, _options(plan), config, material, facts)
        chosen = learning.choose(learner.network, choice, seed=plan.seed)
        return MadeMatcher(learner, _options(plan, **_LEARNING), config, material, (*facts, asdict(choice)), chosen)


def read_words(
    read: ReadPairs,
    dataset: Dataset,
    queries: TextQueries,
    *,
    choice: Choice | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> WordsToLearn:
    """Divide pairs and read their words; arguments and errors of `learn_texts`."""
    features, pairs = dataset.features, read.pairs
    if "text" not in features or features["text"].encoder != queries.fingerprint:
        raise DataError(
            "items must have text vectors of the encoder that kinema.toml names, have none; run: kinema extract"
        )
    split = split_pairs(pairs, num_items=len(dataset.item_ids), seed=seed)
    vectors_QD = encode_all(queries, pairs.queries, progress=progress)
    return WordsToLearn(read, dataset, queries, choice, split, vectors_QD, _cropped(pairs, queries, progress))


@dataclass(frozen=True)
class ItemsToLearn:
    """Items and what followed them, ready to be learnt from.

    Attributes:
        read: Pairs.
        dataset: One reading of the project.
        split: What is learnt from and what is asked.
    """

    read: ReadPairs
    dataset: Dataset
    split: Split

    def made(self, plan: FitPlan) -> MadeMatcher:
        """See `WordsToLearn.made`."""
        config, pairs, split = plan.network(MatchConfig()), self.read.pairs, self.split
        assert pairs.query_items_Q is not None
        material = items_material(self.dataset.features, ~split.cold_V, config)
        asked = {name: one[pairs.query_items_Q] for name, one in material.inputs.items()}
        network = MatchNetwork(Maps(material.maps()), Maps(material.maps()))
        learner = MatchLearner(network, pairs, split, ask=asked, answer=material.inputs, config=config)
        facts = _facts(pairs, split, config, material.inputs.items())
        return MadeMatcher(learner, _options(plan), config, material, facts)


def read_items(read: ReadPairs, dataset: Dataset, *, seed: int = 0) -> ItemsToLearn:
    """Divide pairs of items by time.

    Raises:
        DataError: There are too few.
    """
    return ItemsToLearn(read, dataset, split_pairs(read.pairs, num_items=len(dataset.item_ids), seed=seed))


def _options(plan: FitPlan, **usual: Any) -> FitOptions:
    """What was asked for, over the task's own."""
    return plan.options(**({**_USUAL, "learning_rate": _RATE} | usual))


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
