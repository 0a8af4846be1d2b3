"""Whether reading the first twenty places again with the query makes a search better, on queries nobody has learnt from.

    python benchmarks/reranking.py [--runs town town-pairs films] [--cases 150] [--data FOLDER]

The questions, catalogues and right answers are those of ``benchmarks/search.py``; no setting was chosen on them, and no re-ranker has
seen them. Each run makes a project, trains with `kinema finetune rerank` as it comes, and asks `kinema search` the same questions with
``reranker = false`` and ``true``.

| run | catalogue | learnt from |
|---|---|---|
| ``town`` | texts of the generated town, 440 clips | the catalogue itself: pieces of texts, taken out |
| ``town-pairs`` | the same | 64 other questions about the eight topics, each with 24 clips judged by their topic |
| ``films`` | MovieLens-1M, 3,883 titles and overviews | the catalogue itself |

``now`` is the search without a re-ranker, ``read again`` with it, ``reading alone`` the twenty candidates in the order of the second
reading, ``best possible`` the twenty with all right ones in front: no re-ranker can do more. Intervals are of the mean difference
between ``read again`` and ``now``, bootstrap over questions, 95 %. Runs that are not asked for keep their older rows.
"""

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kinema.project import Project
from search import QUESTIONS, RESULT, ROOT, Task, films, prepare, town

import numpy as np  # isort: skip  # the thread policy, set by the import of `search`, comes first
import polars as pl  # isort: skip

from kinema.steps.finetuning_options import FitPlan
from kinema.steps.finetuning_rerank import RerankReport, RerankTraining, finetune_rerank
from kinema.tasks.cross_encoder import candidate_text
from kinema.tasks.rerank_cases import RerankCase, gain_interval, judge
from kinema.tasks.reranker import FOLDER, Reranker

_HEADS: Final = (
    "run",
    "questions",
    "NDCG@10 now",
    "read again",
    "difference (95 %)",
    "reading alone",
    "best possible",
    "MRR now",
    "read again",
    "counts",
    "ms now",
    "ms read again",
)
OUT: Final = RESULT.with_name("reranking.json")
TOP: Final = 20
JUDGED: Final = 24
OTHER_QUESTIONS: Final[dict[str, tuple[str, ...]]] = {
    "sea": (
        "ocean",
        "boats",
        "fishermen",
        "waves and wind",
        "under water",
        "lighthouse on the coast",
        "diving",
        "harbour",
    ),
    "space": (
        "planets",
        "astronauts",
        "galaxies",
        "telescope",
        "life on Mars",
        "launch of a rocket",
        "the universe",
        "orbit",
    ),
    "kitchen": (
        "recipes",
        "baking bread",
        "a good soup",
        "chefs",
        "dinner for friends",
        "vegetables",
        "desserts",
        "frying",
    ),
    "football": (
        "penalty",
        "a great striker",
        "the derby",
        "coaches",
        "world cup",
        "goalkeeper",
        "kick off",
        "the final whistle",
    ),
    "forest": (
        "trees",
        "foxes and deer",
        "camping",
        "moss and roots",
        "bird songs",
        "trail through the wild",
        "owls",
        "timber",
    ),
    "city": (
        "apartments",
        "tram and bus",
        "mayor",
        "commuters",
        "building sites",
        "rush hour",
        "squares and shops",
        "housing",
    ),
    "music": (
        "guitar",
        "orchestra",
        "rehearsal",
        "singers",
        "drums and bass",
        "a festival",
        "composing",
        "piano lessons",
    ),
    "chess": (
        "pawns",
        "openings",
        "bishop and knight",
        "world champion",
        "endgame",
        "tournament hall",
        "blitz",
        "sacrifice",
    ),
}
"""Questions that a re-ranker may learn from; none is one of `search.QUESTIONS`."""


def write_pairs(path: Path, rows: list[dict[str, Any]], tasks: list[Task]) -> None:
    """The other questions with clips of their topic and of others, as a table."""
    random = np.random.default_rng(0)
    topic_of = {item: topic for topic, right in _right(tasks).items() for item in right}
    ids = [row["id"] for row in rows]
    table = []
    for topic, questions in OTHER_QUESTIONS.items():
        assert not set(questions) & set(QUESTIONS[topic])
        for question in questions:
            judged = random.choice(ids, JUDGED, replace=False).tolist()
            table += [{"query": question, "item": item, "label": int(topic_of[item] == topic)} for item in judged]
    pl.DataFrame(table).write_csv(path)


def _right(tasks: list[Task]) -> dict[str, frozenset[str]]:
    """Topic -> its clips."""
    asked = [topic for topic, questions in QUESTIONS.items() for _ in questions]
    return dict(zip(asked, tasks[0].right, strict=True))


def measure(project: Project, task: Task) -> dict[str, Any]:
    """One task, now and read again."""
    settings = project.settings
    places = {one: number for number, one in enumerate(project.dataset().item_ids)}
    items = project.dataset().items
    texts = [candidate_text(row) for row in items.select("title", "description").iter_rows(named=True)]
    reranker = Reranker.load(project.artifacts / FOLDER)
    answers: dict[bool, list[RerankCase]] = {False: [], True: []}
    spent = {False: 0.0, True: 0.0}
    said: list[dict[int, float]] = []
    for again in (False, True):
        search = settings.search.model_copy(update={"reranker": again, "rerank_top": TOP})
        project.settings = settings.model_copy(update={"search": search})
        project.search("the first question loads what is needed", num_items=TOP)
        for query, right in zip(task.queries, task.right, strict=True):
            started = time.process_time()
            found = project.search(query, num_items=TOP)
            spent[again] += time.process_time() - started
            items_K = np.array([places[one.id] for one in found.items], dtype=np.int64)
            if again:
                pairs = zip(items_K.tolist(), found.items, strict=True)
                said.append({item: one.evidence["reread"] for item, one in pairs if "reread" in one.evidence})
            numbers = frozenset(places[one] for one in right)
            grades_K = np.isin(items_K, list(numbers)).astype(np.float32)
            scores_K = np.array([one.score for one in found.items])
            answers[again].append(
                RerankCase(query, items_K, tuple(texts[one] for one in items_K.tolist()), scores_K, grades_K, numbers)
            )
    project.settings = settings
    reads = [
        reranker.read(case.query, case.texts_K)
        if len(told) < len(case.items_K)
        else np.array([told[one] for one in case.items_K.tolist()])
        for case, told in zip(answers[False], said, strict=True)
    ]
    now, again = judge(answers[False]), judge(answers[True])
    alone = judge(answers[False], reads, weight=1.0)
    best = judge(answers[False], [case.grades_K for case in answers[False]], weight=1.0)
    low, high = gain_interval(now["ndcg"], again["ndcg"], seed=0)
    return {
        "queries": len(task.queries),
        **{
            name: {measure: round(float(values.mean()), 4) for measure, values in found.items()}
            for name, found in (("now", now), ("read again", again), ("reading alone", alone), ("best possible", best))
        },
        "gain_ndcg": round(float((again["ndcg"] - now["ndcg"]).mean()), 4),
        "interval": [round(low, 4), round(high, 4)],
        "cpu_ms": {
            name: round(1000 * spent[flag] / len(task.queries), 1)
            for name, flag in (("now", False), ("read again", True))
        },
    }


def train(project: Project, pairs: Path | None, training: RerankTraining) -> RerankReport:
    """As the command does it."""
    return finetune_rerank(
        project.slates(),
        folder=project.folder,
        settings=project.settings,
        pairs=pairs,
        training=training,
        plan=FitPlan(progress=show),
    )


def show(done: int, total: int, note: str = "") -> None:
    """A line now and then."""
    if done % 50 == 0:
        print(f"  {done} of {total} {note}", flush=True)


def facts(report: RerankReport) -> dict[str, Any]:
    """What the training itself reported."""
    return {
        "queries": dict(report.num_queries),
        "own held-out queries": {
            part: {name: round(value, 4) for name, value in one.items()} for part, one in report.metrics.items()
        },
        "gain": round(report.gain, 4),
        "gain_interval": [round(one, 4) for one in report.gain_interval],
        "weight": report.weight,
        "weight chosen by": asdict(report.chosen),
        "best_epoch": report.best_epoch,
        "stored_numbers": report.delta.num_parameters,
        "of": report.num_all,
        "stored_bytes": report.delta.size_bytes,
        "method": report.delta.choice.method,
        "seconds": round(report.seconds, 1),
    }


def write_table(results: dict[str, Any]) -> None:
    """The table for people."""
    lines = [
        "# Reading the first places of a search again",
        "",
        f"{results['what']} {results['date']}, {results['machine']['cpu']}, {results['machine']['cpus']} cores, shared.",
        "",
        "| " + " | ".join(_HEADS) + " |",
        "|" + "---|" * len(_HEADS),
    ]
    for name, run in results["runs"].items():
        for task, one in run["tasks"].items():
            low, high = one["interval"]
            cells = [
                f"{name}: {task}",
                str(one["queries"]),
                *(f"{one[which]['ndcg']:.4f}" for which in ("now", "read again")),
                f"{one['gain_ndcg']:+.4f} ({low:+.4f} to {high:+.4f})",
                *(f"{one[which]['ndcg']:.4f}" for which in ("reading alone", "best possible")),
                *(f"{one[which]['mrr']:.4f}" for which in ("now", "read again")),
                f"{run['training']['weight']:.0%}",
                *(f"{one['cpu_ms'][which]:.0f}" for which in ("now", "read again")),
            ]
            lines.append("| " + " | ".join(cells) + " |")
    OUT.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Train, measure, write the results after each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", nargs="+", default=["town", "town-pairs", "films"])
    parser.add_argument("--cases", type=int, default=150, help="questions of scenes and typos")
    parser.add_argument("--queries", type=int, default=400, help="made of a catalogue")
    default = Path(os.environ.get("KINEMA_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default, help="folder that holds ml-1m")
    options = parser.parse_args()
    results: dict[str, Any] = json.loads(OUT.read_text(encoding="utf-8")) if OUT.is_file() else {"runs": {}}
    results |= {
        "what": "kinema search with and without a re-ranker, twenty candidates; ms are of one processor per question.",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "cpu": platform.processor() or platform.machine()},
    }
    for run in options.runs:
        if run == "films":
            rows, tasks = films(options.data / "ml-1m", options.cases)
        else:
            rows, tasks = town()
        with prepare("films" if run == "films" else "town", rows) as project:
            pairs = None
            if run == "town-pairs":
                pairs = project.folder / "pairs.csv"
                write_pairs(pairs, rows, tasks)
            report = train(project, pairs, RerankTraining(num_queries=options.queries, top=TOP))
            asked = {"queries": options.queries, "cases": options.cases}
            results["runs"][run] = {"asked": asked, "training": facts(report), "tasks": {}}
            for task in tasks:
                results["runs"][run]["tasks"][task.name] = measure(project, task)
                print(run, task.name, json.dumps(results["runs"][run]["tasks"][task.name]), flush=True)
        OUT.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
        write_table(results)


if __name__ == "__main__":
    main()
