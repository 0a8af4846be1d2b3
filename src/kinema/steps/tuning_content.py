"""How a search reads the examples of tasks about what items show and say: clips, match, visual, rerank and text.

Shape suffixes: N validation examples.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from kinema.encoders.weights import DEFAULT_TEXT
from kinema.settings import Settings
from kinema.steps.clip_library import AskedClips, labelled_clips
from kinema.steps.dataset import read_dataset
from kinema.steps.extracting import encoder_place
from kinema.steps.finetuning_clips import USUAL, divide_clips
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.finetuning_project import Shop, open_shop, read_clips, words_of
from kinema.steps.finetuning_rerank import RerankTraining, load_reader, read_lesson
from kinema.steps.finetuning_text import TextTraining, read_texts
from kinema.steps.finetuning_visual import read_visual
from kinema.steps.match_learning import ItemsToLearn, WordsToLearn, read_items, read_words
from kinema.steps.match_pairs import pairs_of_sessions
from kinema.steps.slates import make_slates, served_profile_schema
from kinema.steps.text_changes import TextChanges
from kinema.steps.text_rows import TextColumns
from kinema.steps.tunable import Tunable, opened, path_in, read_project, settings_of
from kinema.store.protocols import Store
from kinema.tasks.cross_encoder import RerankLearner
from kinema.tasks.match import MatchLearner
from kinema.tasks.match_measures import measure
from kinema.tasks.rerank_cases import best_weight, judge
from kinema.tasks.text_classifier import TextLearner
from kinema.tasks.visual import VisualLearner
from kinema.training.fitting import FitOptions
from kinema.training.parameter_choice import Choice
from kinema.training.task_settings import TaskSettings
from kinema.training.text_learning import read_synonyms
from kinema.tuning.gains import GAINS_OF_CHANCES


def clips(place: Mapping[str, Any]) -> Tunable:
    """Classes of clips; ``place`` has ``project`` or ``clips`` and ``to``, ``labels`` as in `AskedClips`, ``min_clips``, ``network`` and ``seed``."""
    inputs = FitPlan(TaskSettings(network=place["network"])).network(USUAL).inputs
    labels = {**place["labels"], "table": path_in(place["labels"], "table")}
    asked = AskedClips(path_in(place, "clips"), path_in(place, "to"), **labels)
    with ExitStack() as stack:
        project: dict[str, Any] = {}
        if asked.clips is None:
            folder = Path(place["project"])
            project = {"store": stack.enter_context(opened(folder)), "settings": settings_of(folder), "folder": folder}
        library, found = labelled_clips(asked, inputs=inputs, **project)
    told = divide_clips(library, found, inputs=inputs, min_clips=place["min_clips"], seed=place["seed"])

    def gains(learner: Any, metric: str) -> NDArray[np.float64] | None:
        return cast("NDArray[np.float64] | None", learner.valid_gains(metric))

    return Tunable(told.ready, gains, told.valid_groups(), told.facts, found.notices)


def match(place: Mapping[str, Any]) -> Tunable:
    """Words, or items, and what answers them; ``place`` has what `_shop` reads, ``what``, ``pairs``, ``choice`` and ``seed``."""
    told: WordsToLearn | ItemsToLearn
    with opened(Path(place["project"])) as store:
        shop = _shop(place, store)
        dataset = shop.slates.dataset
        if place["what"] == "items":
            told = read_items(pairs_of_sessions(store, dataset.item_ids), dataset, seed=shop.seed)
        else:
            read, queries = words_of(shop, path_in(place, "pairs"))
            choice = None if place["choice"] is None else Choice(**place["choice"])
            told = read_words(read, dataset, queries, choice=choice, seed=shop.seed)
    cases, pairs, num_items = told.split.cases["valid"], told.read.pairs, len(dataset.item_ids)

    def ready(plan: FitPlan) -> tuple[Any, FitOptions, Any]:
        made = told.made(plan)
        return made.learner, made.options, made.config

    def gains(learner: MatchLearner, metric: str) -> NDArray[np.float64] | None:
        found = {kind: measure(learner.scores(one), one, num_items=num_items) for kind, one in cases.items()}
        if metric not in next(iter(found.values())):
            return None
        whole = sum(len(one) for one in cases.values())
        # Warm and cold items count alike however many they are.
        return np.concatenate([one[metric] * (whole / (len(found) * len(one[metric]))) for one in found.values()])

    groups_N = np.concatenate([one.query_C for one in cases.values()])
    facts = ("match", place["what"], place["choice"], list(pairs.queries), pairs.query_N, pairs.item_N)
    features = [part for name, one in dataset.features.items() for part in (name, one.encoder, one.vectors_VD)]
    return Tunable(ready, gains, groups_N, (*facts, told.split.train_N, *features), told.read.notices)


def visual(place: Mapping[str, Any]) -> Tunable:
    """Pictures of a project's clips; ``place`` has what `_shop` reads, and ``seed``."""
    with opened(Path(place["project"])) as store:
        shop = _shop(place, store)
        told = read_visual(shop.slates.dataset, read_clips(shop), artifacts=shop.artifacts, seed=shop.seed)
    cases, num_items = told.valid.cases(told.groups_V), len(told.groups_V)

    def gains(learner: VisualLearner, metric: str) -> NDArray[np.float64] | None:
        return measure(learner.scores(told.valid), cases, num_items=num_items).get(metric)

    return Tunable(told.ready, gains, told.valid.items_C, ("visual", *told.facts, told.vectors_MD))


def rerank(place: Mapping[str, Any]) -> Tunable:
    """Queries with what a project's search finds; ``place`` has ``project``, ``pairs``, ``synonyms``, ``training`` and ``seed``."""
    folder, settings = Path(place["project"]), settings_of(Path(place["project"]))
    training = RerankTraining(**place["training"])
    synonyms = path_in(place, "synonyms")
    words = None if synonyms is None else read_synonyms(synonyms)
    made_of: dict[str, Any] = {"artifacts": folder / "artifacts", "settings": settings.recommend}
    with opened(folder) as store:
        dataset = read_dataset(
            store,
            kinds=settings.histories.kinds,
            features_folder=folder / "artifacts" / "features",
            profile_schema=served_profile_schema(**made_of),
        )
        slates = make_slates(dataset, store=store, **made_of)
        asked: dict[str, Any] = {"pairs": path_in(place, "pairs"), "synonyms": words, "training": training}
        lesson = read_lesson(slates, folder=folder, settings=settings, **asked, seed=place["seed"])
    valid = lesson.parts["valid"]
    encoder = encoder_place(training.encoder or settings.encoders.text or DEFAULT_TEXT, folder)

    def ready(plan: FitPlan) -> tuple[Any, FitOptions, Any]:
        reader = load_reader(encoder, training, plan)
        return reader.learner(lesson, training), reader.options, reader.chosen.choice

    def gains(learner: RerankLearner, metric: str) -> NDArray[np.float64] | None:
        reads = learner.read(valid)
        if metric == "ndcg":
            return judge(valid, reads, weight=best_weight(valid, reads)[0])["ndcg"]
        alone = judge(valid, reads, weight=1.0)
        return alone.get(metric.removesuffix("_alone")) if metric.endswith("_alone") else None

    cases = [case for part in ("train", "valid") for case in lesson.parts[part]]
    texts = [(case.query, list(case.texts_K), sorted(case.right), case.grades_K.tolist()) for case in cases]
    facts = ("rerank", encoder, place["training"], texts)
    return Tunable(ready, gains, np.arange(len(valid)), facts, lesson.notices)


def text(place: Mapping[str, Any]) -> Tunable:
    """Texts of a table; ``place`` has ``train``, ``valid``, ``columns``, ``training``, ``changes`` and ``seed``."""
    said = place["changes"]
    synonyms = path_in(said, "table")
    table = None if synonyms is None else read_synonyms(synonyms)
    changes = TextChanges(said["synonyms"], table, said["translate"], path_in(said, "there"), path_in(said, "back"))
    training = TextTraining(**place["training"], changes=changes)
    tables = {name: path_in(place, name) for name in ("train", "valid")}
    told = read_texts(tables, TextColumns(**place["columns"]), training, seed=place["seed"])
    valid, learning = told.rows["valid"], told.learning
    labels_N = np.array(valid.labels)

    def ready(plan: FitPlan) -> tuple[Any, FitOptions, Any]:
        made = told.made(plan)
        return made.learner, made.options, made.chosen.choice

    def gains(learner: TextLearner, metric: str) -> NDArray[np.float64] | None:
        probs_NC = learner.predict(learner.valid)
        if metric == "accuracy":
            return np.asarray(probs_NC.argmax(axis=1) == labels_N, dtype=np.float64)
        if metric == "auc" and probs_NC.shape[1] == 2:
            return GAINS_OF_CHANCES[metric](probs_NC[:, 1], labels_N)
        # The chance of the right label is that of a yes, of however many labels.
        right_N = probs_NC[np.arange(len(labels_N)), labels_N]
        return GAINS_OF_CHANCES[metric](right_N, np.ones(len(labels_N))) if metric == "log_loss" else None

    words = [list(learning.firsts), learning.seconds, learning.labels, list(valid.firsts), valid.seconds, valid.labels]
    facts = ("text", place["training"], said, list(told.classes), *words)
    return Tunable(ready, gains, np.arange(len(labels_N)), facts, told.notices)


def _shop(place: Mapping[str, Any], store: Store) -> Shop:
    """A project as it answers now; ``place`` has ``project``, ``media_root``, ``workers`` and ``seed``."""
    folder = Path(place["project"])
    settings: Settings = settings_of(folder)
    return open_shop(
        folder=folder,
        settings=settings,
        store=store,
        dataset=read_project(folder, store),
        media_root=path_in(place, "media_root"),
        workers=place["workers"],
        seed=place["seed"],
    )
