"""`kinema recommend`, `similar` and `audience`: a project's data and model become a recommender, and ids become rows."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.artifacts import MANIFEST
from kinema.errors import NotBuiltError, StaleArtifactError
from kinema.extras import is_installed
from kinema.flm.memory import ItemMemory
from kinema.logs import get_logger
from kinema.notices import Notice, in_words
from kinema.recommend.audience import Audience
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.conditions import failures, scenario_warnings
from kinema.recommend.model import Scorer
from kinema.recommend.people import People, ReadProfile
from kinema.recommend.pipeline import Recommender
from kinema.recommend.scenario import Scenario
from kinema.recommend.variants import Scenarios
from kinema.retrieval.content import content_of
from kinema.retrieval.ivf import Indexing
from kinema.retrieval.popularity import count_segments, decayed_counts
from kinema.schema import Branch, Request, Slate
from kinema.settings import RecommendSettings
from kinema.steps.copies import load_copies
from kinema.steps.dataset import PROFILE_SCHEMA, Dataset
from kinema.steps.followers import Followers
from kinema.store.histories import Histories
from kinema.store.profiles import ProfileSchema, transform_profiles
from kinema.store.protocols import Store

if TYPE_CHECKING:
    from kinema.flm.model import FLM
    from kinema.steps.opinions import SecondOpinion

_LOG = get_logger("slates")
_MODEL: Final = "flm"
_DUPLICATES: Final = "duplicates"
_QUESTIONS: Final = 256
NEXT: Final = "next"
"""Name under which the report of a model says how `kinema finetune next` made it."""


@dataclass(frozen=True, eq=False)
class SlateMaker:
    """A recommender with the data it answers from; every reading is one of its own.

    Attributes:
        dataset: One reading of the project.
        recommender: Bound to that reading.
        people: Users of that reading, and what they have done since, where somebody tells.
        ranking: A second opinion; None without.
        followers: What was learnt of which items follow which; None without.
        notice: Why slates are weaker than the settings want them; empty when they are not.
        scenarios: The rules of each placement.
    """

    dataset: Dataset
    recommender: Recommender
    people: People
    ranking: "SecondOpinion | None" = None
    followers: Followers | None = None
    notice: str = ""
    scenarios: Scenarios = field(default_factory=Scenarios.of)

    def recommend(
        self,
        request: Request,
        *,
        branch: Branch | None = None,
        past: Histories | None = None,
        rules: Scenario | None = None,
        draw: str = "",
        reasons: bool = True,
    ) -> Slate:
        """Answer one request, by all branches of the model or by one; a user the store does not know is answered as new.

        Args:
            request: Who asks, and for what.
            branch: The one of the model that answers; None for all.
            past: What is taken for the user's history, one row; None for what is known of them.
            rules: Of the request's scenario; None for those the user gets.
            draw: What chance depends on, see `Recommender.recommend`.
            reasons: Find out why each item is there.

        Raises:
            DataError: The scenario is unknown, or what `Recommender.recommend` and `recommend_alone` refuse.
        """
        if rules is None:
            rules = self.scenarios.rules(request.scenario, request.user)
        number = self.people.number(request.user)
        who: dict[str, Any] = {} if past is None else {"history": past}
        if number is not None:
            history = self.people.row(number) if past is None else past
            who = {"history": history, "profile_P": self.people.profile(request.user)}
        if branch is not None:
            return self.recommender.recommend_alone(request, branch, **who)
        if number is not None and self.ranking is not None and rules.ranker:
            who["rescoring"] = self.ranking.for_user(number, request.scenario)
        slate = self.recommender.recommend(request, scenario=rules, draw=draw, reasons=reasons, **who)
        if number is None:
            return slate
        if not self.notice:
            return slate
        notices = (Notice("ranker_left_out", self.notice, {"why": self.notice}), *slate.notices)
        return replace(slate, notice=in_words(notices), notices=notices)

    def similar(
        self,
        item: str,
        *,
        num_items: int,
        modality: str | None = None,
        exclude: Sequence[str] = (),
        rules: Scenario | None = None,
        draw: str = "",
    ) -> Slate:
        """Items like one item, by the rules of ``related`` unless others are given; see `Recommender.similar`."""
        number = self.recommender.parts.catalogue.numbers.get(item)
        learned_V = None if self.followers is None or number is None else self.followers.near(number)
        return self.recommender.similar(
            item,
            num_items,
            modality=modality,
            exclude=exclude,
            learned_V=learned_V,
            scenario=self.scenarios.rules("related", "") if rules is None else rules,
            draw=draw,
        )

    def audience(self, item: str, *, num_users: int) -> Audience:
        """Who should see an item; see `Recommender.audience`."""
        ids, histories = self.people.snapshot()
        return self.recommender.audience(
            item,
            num_users,
            user_ids=ids,
            histories=histories,
            profiles_UP=self.people.profiles(),
        )


def people_of(dataset: Dataset) -> People:
    """The users of one reading of a project."""
    schema = dataset.profile_schema
    return People(
        dataset.users["id"].to_list(),
        dataset.histories,
        profiles_UP=None if dataset.profiles is None else dataset.profiles.values_UP,
        read_profile=None if schema is None else _profile_reader(schema),
    )


def _profile_reader(schema: ProfileSchema) -> ReadProfile:
    def read(attributes: Mapping[str, Any]) -> NDArray[np.float32]:
        users = pl.DataFrame({"attributes": [json.dumps(dict(attributes))]})
        row_P: NDArray[np.float32] = transform_profiles(users, schema).values_UP[0]
        return row_P

    return read


def load_scorer(folder: Path, dataset: Dataset) -> Scorer | None:
    """The model bound to the current catalogue; None where it was not built or torch is missing.

    Raises:
        StaleArtifactError: The artefact is damaged, or was trained on another store.
    """
    if not is_installed("torch") or not folder.is_dir():
        return None
    from kinema.flm.bound import BoundFile  # noqa: PLC0415  # a project without a model starts without torch

    folder = folder.resolve()  # another version may begin to serve meanwhile
    model = load_model(folder)
    ids = dataset.item_ids
    if list(model.item_ids) != ids[: len(model.item_ids)]:
        raise StaleArtifactError(
            f"the model in '{folder.name}' must know the first {len(model.item_ids)} items of this store, "
            "knows others; run: kinema pretrain"
        )
    return model.serve(dataset.features, len(ids), keep=BoundFile.of(folder))


def load_model(folder: Path) -> "FLM":
    """A model as it serves: one that was learnt on is completed by what it started from.

    Raises:
        StaleArtifactError: The artefact is damaged.
    """
    from kinema.flm.model import FLM  # noqa: PLC0415  # the same

    model = FLM.load(folder)
    if NEXT not in model.report:
        return model
    from kinema.steps.next_model import completed  # noqa: PLC0415  # the same

    return completed(model, folder)


def model_folder(artifacts: Path, model: str) -> Path:
    """Where the model that the settings name lies."""
    return artifacts / (_MODEL if model == _MODEL else "next/model")


def trained_profile_schema(folder: Path) -> ProfileSchema | None:
    """How user attributes became columns when the model was trained; None without a model or without profiles.

    Columns chosen anew from today's users would not be those the model has learnt.
    """
    path = folder / "facts.json"
    if not path.is_file():
        return None
    found = json.loads(path.read_text(encoding="utf-8"))["report"].get(PROFILE_SCHEMA)
    return None if found is None else ProfileSchema.from_dict(found)


def served_profile_schema(*, artifacts: Path, settings: RecommendSettings) -> ProfileSchema | None:
    """`trained_profile_schema` of the model that the settings let serve."""
    return trained_profile_schema(model_folder(artifacts, settings.model))


def slates_state(store: Store, artifacts: Path) -> tuple[int, ...]:
    """What a recommender is made from, as numbers that change when any of it does."""
    names = (_MODEL, "features", _DUPLICATES, "click", "engagement", "several", "next/model", "match/items")
    manifests = [artifacts / name / MANIFEST for name in names]
    return store.version(), *(path.stat().st_mtime_ns if path.is_file() else 0 for path in manifests)


def get_ready(scenarios: Scenarios, catalogue: Catalogue) -> None:
    """Find now what the rules ask of the catalogue, not with the first request, and log what it does not have."""
    told: dict[str, None] = {}
    for rules in scenarios.all():
        told |= dict.fromkeys(scenario_warnings(rules, catalogue))
        for condition in rules.conditions:
            failures(condition, catalogue, 0)
    for one in told:
        _LOG.warning(one)


def _indexing(settings: RecommendSettings, model: Path, scorer: Scorer | None, histories: Histories) -> Indexing:
    """Whether and where near items are indexed, and what users ask."""
    indexing = Indexing(settings.index, None if scorer is None else model)
    if scorer is None or not indexing.wanted(histories.num_items):
        return indexing
    known = np.flatnonzero(histories.lengths)
    some = known[:: max(1, len(known) // _QUESTIONS)][:_QUESTIONS]
    return replace(indexing, asked_QD=scorer.encode(histories.take(some)) if len(some) else None)


def make_slates(
    dataset: Dataset,
    *,
    artifacts: Path,
    settings: RecommendSettings,
    scenarios: Scenarios | None = None,
    store: Store | None = None,
    folder: Path | None = None,
) -> SlateMaker:
    """Bind a recommender to a data set.

    A second opinion that has learnt with another model, as after a publication, is left out with a notice: slates go on.

    Args:
        dataset: One reading of the project.
        artifacts: Of the project; without a model, answers come from content, memory and popularity.
        settings: How slates are made.
        scenarios: The rules of each placement; what they name and the catalogue does not have is logged as a warning. None for
            the built-in ones without any rule.
        store: What a second opinion reads the log from; None leaves it out.
        folder: Of the model; None for the one that serves now. `kinema.steps.model_watch.load_serving` says which it was.

    Returns:
        A maker of slates.

    Raises:
        NotBuiltError: The settings want a second opinion, or learnt nearness, that was not made yet; or the folder is gone.
        StaleArtifactError: The artefact does not fit the store.
    """
    if folder is not None and not folder.is_dir():
        raise NotBuiltError(f"version '{folder.name}' is gone; see: kinema model list")
    own = folder or model_folder(artifacts, settings.model).resolve()
    scorer = load_scorer(own, dataset)
    if scorer is not None:
        scorer.memory.count_on(dataset.histories)
    if scorer is None and settings.model != _MODEL:
        raise NotBuiltError(f"model '{settings.model}' of [recommend] was not made yet; run: kinema finetune next")
    histories, profiles = dataset.histories, dataset.profiles
    has_log, half_life_days = len(histories.items) > 0, settings.popularity_half_life_days
    recommender = Recommender(
        catalogue=Catalogue.from_frame(dataset.items),
        scorer=scorer,
        content=None if scorer is not None else content_of(dataset.features),
        memory=None if scorer is not None else ItemMemory.fit(histories),
        popularity_V=decayed_counts(histories, half_life_days=half_life_days) if has_log else None,
        segments=count_segments(histories, profiles, half_life_days=half_life_days)
        if has_log and profiles is not None
        else None,
        num_candidates=settings.num_candidates,
        diversity=settings.diversity,
        fresh_share=settings.fresh_share,
        copies_V=load_copies(artifacts / _DUPLICATES, dataset.item_ids),
        indexing=_indexing(settings, own, scorer, histories),
    )
    scenarios = Scenarios.of() if scenarios is None else scenarios
    get_ready(scenarios, recommender.parts.catalogue)
    maker = SlateMaker(
        dataset,
        recommender,
        people_of(dataset),
        followers=Followers.load(artifacts, dataset.features) if settings.matcher else None,
        scenarios=scenarios,
    )
    if scorer is None or store is None or not settings.ranker:
        return maker
    from kinema.steps.opinions import OpinionParts, load_opinion  # noqa: PLC0415  # brings torch

    flm = own if settings.model == _MODEL else model_folder(artifacts, _MODEL).resolve()
    learnt_with = scorer if settings.model == _MODEL else load_scorer(flm, dataset)
    if learnt_with is None:
        raise NotBuiltError(
            f"ranker '{settings.ranker}' needs FLM's item vectors, there are none; run: kinema pretrain"
        )
    try:
        opinion = load_opinion(OpinionParts(store, dataset, learnt_with, artifacts, settings, flm))
    except StaleArtifactError as error:
        return replace(maker, notice=f"slates are FLM's alone: {error}")
    return replace(maker, ranking=opinion)
