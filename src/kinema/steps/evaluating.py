"""`kinema evaluate`: a protocol, every ranker on the same cases, a table and a report."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from kinema.errors import ConfigError
from kinema.evaluation.baselines.tuning import Tuned, tuned_baselines
from kinema.evaluation.environment import run_facts
from kinema.evaluation.offline import chance_level, evaluate
from kinema.evaluation.protocol import Ranker, ScorerRanker
from kinema.evaluation.report import ExampleUser, ReportData, write_json, write_report
from kinema.evaluation.slices import by_history_length
from kinema.evaluation.tables import summary_rows, verdict
from kinema.flm.config import FLMConfig
from kinema.flm.scorer import Scorer
from kinema.progress import Progress, silent
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.pipeline import Recommender
from kinema.retrieval.popularity import decayed_counts
from kinema.schema import Request
from kinema.seeds import generator
from kinema.steps.dataset import Dataset
from kinema.steps.pretraining import PretrainReport, choose_config, train_model
from kinema.steps.publishing import ModelFolder
from kinema.store.splits import Split, cold, leave_one_out, temporal

Protocol = Literal["leave-one-out", "temporal", "cold"]
PROTOCOLS: Final[tuple[Protocol, ...]] = ("leave-one-out", "temporal", "cold")
FLM_NAME: Final = "FLM"
ABLATIONS: Final[dict[str, dict[str, bool]]] = {
    "ID-only": {"use_content": False, "use_profiles": False, "use_memory": False},
    "content-only": {"use_ids": False, "use_profiles": False, "use_memory": False},
}
"""Models of their own, trained like FLM on the same data with a part of it left out."""
_FEWEST_CASES: Final = 20


@dataclass(frozen=True)
class EvaluationReport:
    """What an evaluation found.

    Attributes:
        protocol: Which one.
        verdict: One sentence.
        summary: One mapping per ranker, as text.
        results: One mapping per ranker: means and intervals per row.
        split: Facts of the split.
        html: The report for people.
        json: The numbers for machines.
        seconds: Wall time.
    """

    protocol: str
    verdict: str
    summary: tuple[Mapping[str, str], ...]
    results: tuple[Mapping[str, Any], ...]
    split: Mapping[str, Any]
    html: Path
    json: Path
    seconds: float


def split_for(
    dataset: Dataset,
    protocol: str,
    *,
    seed: int,
    test_from_ms: int | None,
    test_share: float,
    valid_share: float,
    cold_share: float,
) -> Split:
    """Apply a protocol to a data set.

    Raises:
        ConfigError: There is no such protocol.
        DataError: The log is too small for it.
    """
    log, hidden = dataset.histories, dataset.hidden_V
    if protocol == "leave-one-out":
        return leave_one_out(log, hidden_V=hidden)
    if protocol == "cold":
        return cold(log, share=cold_share, seed=seed, hidden_V=hidden)
    if protocol == "temporal":
        return temporal(
            log,
            test_from_ms=test_from_ms,
            test_share=test_share,
            valid_share=valid_share,
            published_ms_V=dataset.published_ms_V,
            hidden_V=hidden,
            max_cases=20_000,
            seed=seed,
        )
    raise ConfigError(f"protocol must be one of {', '.join(PROTOCOLS)}, is '{protocol}'")


def evaluate_split(
    *,
    dataset: Dataset,
    split: Split,
    changes: Mapping[str, Any],
    folder: Path,
    command: str,
    seed: int,
    oracle: Ranker | None = None,
    quick: bool = False,
    num_resamples: int = 1000,
    progress: Progress = silent,
) -> EvaluationReport:
    """Train, rank, compare and report.

    Args:
        dataset: Features, profiles, titles.
        split: What is learnt from and asked.
        changes: Settings of FLM that are not automatic.
        folder: For the models of this protocol, the numbers and the report.
        command: What the user typed, for the report.
        seed: Of every draw.
        oracle: A ranker that knows the right answers, where there is one.
        quick: Leave out the models trained for comparison.
        num_resamples: Of the bootstrap.
        progress: Told each step.

    Returns:
        Tables and places.
    """
    started = time.perf_counter()
    folder.mkdir(parents=True, exist_ok=True)
    config = choose_config(split.train, changes)
    scorers, reports = _train_all(dataset, split, config, seed=seed, folder=folder, quick=quick, progress=progress)
    tuned = tuned_baselines(split, progress=_titled(progress, "baselines"))
    rankers = _rankers(dataset, scorers, tuned, oracle)
    content = scorers[FLM_NAME].content_joint_VD if dataset.features else None
    ask = partial(
        evaluate,
        cases=split.test,
        split=split,
        content_VD=content,
        num_resamples=num_resamples,
        seed=seed,
        progress=_titled(progress, "ranking"),
    )
    results = [chance_level(split.test, split, num_resamples=num_resamples, seed=seed), *map(ask, rankers)]
    ceiling = oracle.name if oracle is not None else ""
    data = ReportData(
        title=f"Kinema evaluation: {split.name}",
        results=results,
        reference=FLM_NAME,
        run=run_facts(command=command, seed=seed),
        data=dataset.facts(),
        split_facts=split.facts,
        ceiling=ceiling,
        config=config.as_dict(),
        tuned={one.ranker.name: one.params for one in tuned},
        curves=[_numbers(row) for row in reports[FLM_NAME].curve],
        examples=_examples(dataset, split, scorers[FLM_NAME], seed=seed),
        slicings=(by_history_length(split.test),),
        notes=_notes(reports),
    )
    html, numbers = folder / "report.html", folder / "results.json"
    write_report(html, data)
    write_json(numbers, data)
    return EvaluationReport(
        protocol=split.name,
        verdict=verdict(results, reference=FLM_NAME, metric="ndcg@10", ceiling=ceiling),
        summary=tuple(summary_rows(results, ceiling=ceiling, min_cases=_FEWEST_CASES)),
        results=tuple(one.to_dict() for one in results),
        split=split.facts,
        html=html,
        json=numbers,
        seconds=time.perf_counter() - started,
    )


def _train_all(
    dataset: Dataset,
    split: Split,
    config: FLMConfig,
    *,
    seed: int,
    folder: Path,
    quick: bool,
    progress: Progress,
) -> tuple[dict[str, Scorer], dict[str, PretrainReport]]:
    wanted: dict[str, dict[str, bool]] = {FLM_NAME: {}}
    if not quick:
        wanted |= {name: change for name, change in ABLATIONS.items() if dataset.features or "use_ids" not in change}
    scorers, reports = {}, {}
    for name, change in wanted.items():
        model, reports[name] = train_model(
            dataset=dataset,
            train=split.train,
            valid=split.valid if len(split.valid) else None,
            config=config.with_changes(**change),
            seed=seed,
            place=ModelFolder(folder / name.lower()),
            progress=_titled(progress, f"training {name}"),
        )
        scorers[name] = model.serve(dataset.features if model.whitenings else {}, split.train.num_items)
    return scorers, reports


def _rankers(
    dataset: Dataset, scorers: Mapping[str, Scorer], tuned: Sequence[Tuned], oracle: Ranker | None
) -> list[Ranker]:
    flm = scorers[FLM_NAME]
    rankers: list[Ranker] = [one.ranker for one in tuned]
    rankers.append(ScorerRanker("memory alone", flm, None, "memory"))
    rankers += [ScorerRanker(name, scorers[name], None) for name in scorers if name != FLM_NAME]
    rankers.append(ScorerRanker(FLM_NAME, flm, dataset.profiles))
    return [*rankers, oracle] if oracle is not None else rankers


def _titled(progress: Progress, title: str) -> Progress:
    def report(done: int, total: int, note: str = "") -> None:
        progress(done, total, f"{title}: {note}" if note else title)

    return report


def _numbers(row: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in row.items() if isinstance(value, int | float)}


def _notes(reports: Mapping[str, PretrainReport]) -> list[str]:
    sizes = ", ".join(
        f"{name} {one.facts['epochs']} epochs in {one.facts['seconds']:.0f} s" for name, one in reports.items()
    )
    return [f"Training time includes the looks at validation: {sizes}."]


def _examples(dataset: Dataset, split: Split, scorer: Scorer, *, seed: int, num_users: int = 5) -> list[ExampleUser]:
    """A few users drawn at random, with what they watched, what they would be shown and what they watched next."""
    cases = split.test
    chosen = np.sort(generator(seed, "example-users").choice(len(cases), min(num_users, len(cases)), replace=False))
    recommender = Recommender(
        catalogue=Catalogue.from_frame(dataset.items), scorer=scorer, popularity_V=decayed_counts(split.train)
    )
    titles, ids, users = dataset.titles, dataset.item_ids, dataset.users["id"].to_list()
    found = []
    for place in chosen.tolist():
        user = int(cases.users_C[place])
        profile = None if dataset.profiles is None else dataset.profiles.values_UP[user]
        request = Request(users[user], num_items=10, timestamp_ms=int(cases.timestamps_ms_C[place]))
        slate = recommender.recommend(request, history=cases.histories.take([place]), profile_P=profile)
        targets = cases.targets.of(place).tolist()
        found.append(
            ExampleUser(
                user=users[user],
                history=[titles[item] for item in cases.histories.of(place).tolist()],
                slate=slate.items,
                targets=[ids[item] for item in targets],
                target_titles=[titles[item] for item in targets],
                profile=dataset.attributes(user),
            )
        )
    return found
