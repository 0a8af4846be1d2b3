"""Do the click, the engagement and the several-task model make better slates? Measured on a generated town, whose click probabilities are known.

    python benchmarks/reranked_slates.py DEMO [--valid 300 --test 600] [--seed 0] [--compare]

DEMO is the folder of ``kinema demo``: ``town`` and an extracted ``project``; it is read only. A project of its own gets the events
before the last tenth of the training period; FLM, clicks, engagement (MMoE, then PLE) and several tasks (click, like, next) are
trained there, as a user would; ``--compare`` also trains a model per head, and without it what it once said is kept. What follows up to
the town's cut-off chooses how far each ranker counts and which heads: NDCG@10 of the next click, whatever the truth says.
The test is clicks behind the cut-off, asked once: slates of ten by the whole pipeline, with the history and the trail
up to the moment. Beside the clicks of the log each slate is judged by the truth: clicks it would get if it were shown then, as a
share of those of the best slate there is. Two rankers are told apart by a paired bootstrap over users.
"""

import argparse
import json
import os
import platform
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kinema.project import Project
from kinema.recommend.pipeline import Recommender
from kinema.schema import Request
from kinema.seeds import generator
from kinema.settings import RecommendSettings
from kinema.sources.town.taste import click_probs, freshness, liked_topics, taste
from kinema.sources.town.truth import Truth, load_truth
from kinema.steps.dataset import Dataset
from kinema.steps.finetuning_engagement import finetune_engagement
from kinema.steps.finetuning_options import FitPlan
from kinema.steps.finetuning_several import finetune_several
from kinema.steps.opinions import OpinionParts, SecondOpinion, load_opinion
from kinema.steps.slates import load_scorer, make_slates, trained_profile_schema
from kinema.store.splits import Cases, temporal
from kinema.training.task_settings import TaskSettings

RESULTS = Path(__file__).parent / "results"
PLACES = 10
WEIGHTS = (0.1, 0.25, 0.5, 1.0)
HEADS = {
    "click": {"click": 1.0},
    "click, like": {"click": 1.0, "like": 5.0},
    "all": {"click": 1.0, "like": 5.0, "watch": 0.5},
}
SEVERAL = {
    "click": {"click": 1.0},
    "click, like": {"click": 1.0, "like": 5.0},
    "click, next": {"click": 1.0, "next": 1.0},
}
RESAMPLES = 2000


@dataclass(frozen=True)
class Way:
    """One way to rank: a name, who is asked and how far it counts."""

    name: str
    opinion: SecondOpinion | None = None
    note: str = ""


@dataclass(frozen=True)
class Judged:
    """What slates came to, case by case: float64 [C] each."""

    ndcg_C: NDArray[np.float64]
    recall_C: NDArray[np.float64]
    clicks_C: NDArray[np.float64]
    best_C: NDArray[np.float64]


class Court:
    """Asks for slates and judges them, by the log and by the truth."""

    def __init__(self, dataset: Dataset, recommender: Recommender, truth: Truth) -> None:
        self.dataset, self.recommender, self.truth = dataset, recommender, truth
        self.numbers = {name: number for number, name in enumerate(dataset.item_ids)}
        town_users = {name: number for number, name in enumerate(truth.user_ids)}
        self.town_users = [town_users[name] for name in dataset.users["id"]]
        self.columns_W = np.array([self.numbers[name] for name in truth.item_ids])

    def judge(self, way: Way, cases: Cases) -> Judged:
        """Slates of all cases."""
        rows = [self._one(way, cases, case) for case in range(len(cases))]
        return Judged(*(np.array(column) for column in zip(*rows, strict=True)))

    def _one(self, way: Way, cases: Cases, case: int) -> tuple[float, float, float, float]:
        user, now_ms = int(cases.users_C[case]), int(cases.timestamps_ms_C[case])
        history = cases.histories.take([case])
        profiles = self.dataset.profiles
        slate = self.recommender.recommend(
            Request(self.dataset.users["id"][user], num_items=PLACES, timestamp_ms=now_ms),
            history=history,
            profile_P=None if profiles is None else profiles.values_UP[user],
            rescoring=None if way.opinion is None else way.opinion.for_user(user, "home"),
        )
        shown = [self.numbers[one.id] for one in slate.items]
        right = int(cases.targets.of(case)[0])
        place = shown.index(right) if right in shown else None
        ndcg = 0.0 if place is None else 1 / np.log2(place + 2)
        probs_V = self._probs(user, now_ms)
        open_V = self.dataset.published_ms_V <= now_ms
        open_V[history.items] = False
        looked_P = self.truth.rules.examine_prob ** np.arange(PLACES)
        best_P = np.sort(probs_V[open_V])[::-1][:PLACES]
        clicks = float(probs_V[shown] @ looked_P[: len(shown)])
        return ndcg, float(place is not None), clicks, float(best_P @ looked_P[: len(best_P)])

    def _probs(self, user: int, now_ms: int) -> NDArray[np.float64]:
        """float64 [V], true probability of a click at the first place in the session that is on, or over those that may be."""
        truth, who = self.truth, np.array([self.town_users[user]])
        world, rules, sessions = truth.world, truth.rules, truth.sessions
        on = np.flatnonzero(
            (sessions.users_N == who[0]) & (sessions.starts_ms_N <= now_ms) & (now_ms <= sessions.ends_ms_N)
        )
        topics = [int(sessions.focus_N[on[-1]])] if len(on) else np.flatnonzero(liked_topics(world, who)[0]).tolist()
        moment = np.array([sessions.starts_ms_N[on[-1]] if len(on) else now_ms])
        fresh_CV = freshness(world, rules, moment)
        found_W = np.mean(
            [
                click_probs(
                    world, rules, taste_CV=taste(world, rules, users_C=who, focus_C=np.array([one])), fresh_CV=fresh_CV
                )[0]
                for one in topics
            ],
            axis=0,
        )
        probs_V = np.zeros(len(self.dataset.item_ids))
        probs_V[self.columns_W] = found_W
        return probs_V


def run(demo: Path, *, num_valid: int, num_test: int, seed: int, compare: bool) -> dict[str, Any]:
    """Train, choose on validation, judge on test."""
    truth = load_truth(demo / "town")
    with tempfile.TemporaryDirectory() as place, Project.open(demo / "project") as whole:
        full = whole.dataset()
        split = temporal(
            full.histories,
            test_from_ms=truth.cutoff_ms,
            valid_share=0.1,
            published_ms_V=full.published_ms_V,
            hidden_V=full.hidden_V,
            seed=seed,
        )
        valid, test = (_some(one, most, seed) for one, most in ((split.valid, num_valid), (split.test, num_test)))
        project = _early(demo, Path(place), int(split.valid.timestamps_ms_C.min()), full)
        with project:
            print("pretrain", flush=True)
            project.pretrain(seed=seed)
            print("click, engagement, several", flush=True)
            ways, learnt, sharing = _learn(whole, project, seed=seed, compare=compare)
            early = project.dataset(profile_schema=trained_profile_schema(project.artifacts / "flm"))
            recommender = make_slates(early, artifacts=project.artifacts, settings=RecommendSettings()).recommender
            court = Court(early, recommender, truth)
            print("validation", flush=True)
            tried = {way: court.judge(way, valid) for way in ways}
            chosen = _chosen(tried)
            print("test", flush=True)
            judged = {way.name: court.judge(way, test) for way in chosen}
    return {
        "cases": {"valid": len(valid), "test": len(test)},
        "learnt": learnt,
        "sharing": sharing,
        "validation": [
            {"way": one.name, "note": one.note, "ndcg@10": float(found.ndcg_C.mean())} for one, found in tried.items()
        ],
        "chosen": {one.name: one.note for one in chosen},
        "test": {name: _summary(found, judged["FLM"], test.users_C, seed) for name, found in judged.items()},
    }


def _early(demo: Path, place: Path, until_ms: int, full: Dataset) -> Project:
    """A project that knows what happened before a moment, with vectors that are there already."""
    events = pl.read_parquet(demo / "town" / "events.parquet")
    column = "timestamp_ms" if "timestamp_ms" in events.columns else "timestamp"
    scale = 1 if int(events[column].to_numpy().max()) > 10**11 else 1000
    events.filter(pl.col(column) * scale < until_ms).write_parquet(place / "events.parquet")
    project = Project.init(place / "project")
    project.ingest(
        videos=demo / "town" / "videos",
        items=demo / "town" / "items.csv",
        users=demo / "town" / "users.csv",
        events=place / "events.parquet",
    )
    shutil.copytree(demo / "project" / "artifacts" / "features", project.artifacts / "features")
    dataset = project.dataset()
    assert dataset.item_ids == full.item_ids
    assert dataset.users["id"].to_list() == full.users["id"].to_list()
    assert dataset.features.keys() == full.features.keys()
    return project


def _learn(
    whole: Project, project: Project, *, seed: int, compare: bool
) -> tuple[list[Way], dict[str, Any], list[str]]:
    """FLM alone, and every ranker, learnt as a user would, with each weight and blend; what they learnt; whether sharing helps.

    They are asked over the trails of the whole log; none reads past its moment.
    """
    schema = trained_profile_schema(project.artifacts / "flm")
    early, plan = project.dataset(profile_schema=schema), FitPlan(seed=seed)
    dataset = whole.dataset(profile_schema=schema)
    scorer = load_scorer(project.artifacts / "flm", dataset)
    assert scorer is not None

    def with_weights(name: str, ranker: str, blends: dict[str, dict[str, float]]) -> list[Way]:
        found = []
        for weight in WEIGHTS:
            for blend, heads in blends.items():
                settings = RecommendSettings.model_validate(
                    {"ranker": ranker, "ranker_weight": weight, "head_weights": heads}
                )
                opinion = load_opinion(OpinionParts(whole.store, dataset, scorer, project.artifacts, settings))
                found.append(Way(name, opinion, f"weight {weight:g}" + (f", {blend}" if blend else "")))
        return found

    learnt: dict[str, Any] = {"click": dict(project.finetune.click(seed=seed).metrics["test"])}
    ways, advice = [Way("FLM"), *with_weights("click", "click", {"": {}})], ""
    parts: dict[str, Any] = {"artifacts": project.artifacts}
    for name, sharing in (("engagement", "mmoe"), ("engagement, PLE", "ple")):
        asked = FitPlan(TaskSettings(network={"sharing": sharing}), seed=seed)
        report = finetune_engagement(project.store, early, **parts, compare=compare and not advice, plan=asked)
        learnt[name], advice = {head: dict(one) for head, one in report.metrics.items()}, advice or report.advice
        ways += with_weights(name, "engagement", HEADS)
    several = finetune_several(project.store, early, **parts, tasks=("click", "like", "next"), plan=plan)
    learnt["several"] = {task: dict(one) for task, one in several.metrics.items()}
    return [*ways, *with_weights("several", "several", SEVERAL)], learnt, advice.splitlines()


def _chosen(tried: dict[Way, Judged]) -> list[Way]:
    """The best of each name by NDCG@10 on validation."""
    best: dict[str, Way] = {}
    for way, found in tried.items():
        if way.name not in best or found.ndcg_C.mean() > tried[best[way.name]].ndcg_C.mean():
            best[way.name] = way
    return list(best.values())


def _some(cases: Cases, most: int, seed: int) -> Cases:
    """Cases of users with a history, at most so many."""
    rows = np.flatnonzero(cases.histories.lengths > 0)
    return cases.take(np.sort(generator(seed, "cases").choice(rows, min(most, len(rows)), replace=False)))


def _summary(found: Judged, flm: Judged, users_C: NDArray[np.int32], seed: int) -> dict[str, Any]:
    """Means, the share of the best slate, and differences to FLM with 95 % intervals over users."""
    share_C, flm_share_C = found.clicks_C / found.best_C, flm.clicks_C / flm.best_C
    return {
        "ndcg@10": float(found.ndcg_C.mean()),
        "recall@10": float(found.recall_C.mean()),
        "true clicks per slate": float(found.clicks_C.mean()),
        "share of the best slate": float(share_C.mean()),
        "ndcg@10 against FLM": _interval(found.ndcg_C - flm.ndcg_C, users_C, seed),
        "share against FLM": _interval(share_C - flm_share_C, users_C, seed),
    }


def _interval(gaps_C: NDArray[np.float64], users_C: NDArray[np.int32], seed: int) -> list[float]:
    """Mean and its 95 % interval, users drawn with replacement."""
    _, owners_C = np.unique(users_C, return_inverse=True)
    sums, counts = np.bincount(owners_C, gaps_C), np.bincount(owners_C)
    drawn = generator(seed, "bootstrap").integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return [round(float(one), 5) for one in (gaps_C.mean(), *np.percentile(means, [2.5, 97.5]))]


def table(found: dict[str, Any]) -> str:
    """The results for people."""
    lines = [
        "# Slates re-ranked by a task's model",
        "",
        f"{found['cases']['test']:,} clicks behind the cut-off of a generated town; weights and heads chosen on {found['cases']['valid']:,} earlier ones.",
        "",
        "| ranker | chosen | NDCG@10 | recall@10 | true clicks per slate | share of the best slate | NDCG@10 against FLM | share against FLM |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, one in found["test"].items():
        gaps = [
            "" if name == "FLM" else "{:+.4f} [{:+.4f}, {:+.4f}]".format(*one[key])
            for key in ("ndcg@10 against FLM", "share against FLM")
        ]
        numbers = [
            f"{one[key]:.4f}" for key in ("ndcg@10", "recall@10", "true clicks per slate", "share of the best slate")
        ]
        lines.append(f"| {' | '.join([name, found['chosen'][name], *numbers, *gaps])} |")
    lines += [
        "",
        "Does one model for all heads help against a model each (validation)?",
        "",
        *(f"- {one}" for one in found["sharing"]),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run, write JSON and table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("demo", type=Path)
    parser.add_argument("--valid", type=int, default=300)
    parser.add_argument("--test", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--compare", action="store_true", help="train a model per head as well")
    given = parser.parse_args(arguments)
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "seed": given.seed,
        **run(given.demo, num_valid=given.valid, num_test=given.test, seed=given.seed, compare=given.compare),
    }
    if not given.compare and (RESULTS / "reranked_slates.json").is_file():
        found["sharing"] = json.loads((RESULTS / "reranked_slates.json").read_text())["sharing"]
    (RESULTS / "reranked_slates.json").write_text(json.dumps(found, indent=2) + "\n")
    (RESULTS / "reranked_slates.md").write_text(table(found))
    print(table(found))


if __name__ == "__main__":
    main()
