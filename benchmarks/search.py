"""How well a search in words finds what is known to be right, beside plain BM25 and beside BM25 joined with text vectors.

    python benchmarks/search.py [--cases N] [--data FOLDER] [--tasks town genres scenes typos]

| task | catalogue | a query | right are |
|---|---|---|---|
| ``town`` | titles, descriptions, tags of the generated town | 40 questions about a topic, most without a word of its texts | clips of the topic |
| ``genres`` | MovieLens-1M: titles and overviews, no genres | names of one genre, or of two that 30 films share | films of the genre, or of both |
| ``scenes`` | the same | the last sentence of a film's overview, which is taken out of the catalogue | the film |
| ``typos`` | the same | a title with one wrong letter in its longest word | films of that title |

Every system sees the same texts and is asked the same queries; the number is NDCG@10. ``bm25`` is BM25 (k1 1.2, b .75) over
lower-case words of all fields in one; ``vectors`` the cosine of the text encoder; ``bm25+vectors`` their ranks joined (reciprocal rank
fusion, 60). ``kinema words`` and ``kinema text`` are `kinema search` with one part alone, ``kinema`` as it comes, ``kinema w=...`` with
another ``words_weight``. Projects are kept under ``build/bench/search``. Intervals are bootstraps over queries, 95 %.
"""

import argparse
import json
import os
import platform
import re
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy comes first
import polars as pl  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from kinema.artifacts import fingerprint  # noqa: E402
from kinema.metrics.ranking import ndcg  # noqa: E402
from kinema.project import Project  # noqa: E402
from kinema.seeds import generator  # noqa: E402
from kinema.settings import FILE_NAME  # noqa: E402
from kinema.sources.movielens import movielens_1m  # noqa: E402
from kinema.sources.town.rules import TOPICS, Rules  # noqa: E402
from kinema.sources.town.texts import write_texts  # noqa: E402
from kinema.sources.town.world import plan_world  # noqa: E402
from kinema.steps.bridges import TextQueries  # noqa: E402

ROOT: Final = Path(__file__).parents[1]
CACHE: Final = ROOT / "build" / "bench" / "search"
RESULT: Final = Path(__file__).parent / "results" / "search.json"
K: Final = 10
DEEP: Final = 100
"""Places of each ranking that are joined."""
FEWEST_OF_BOTH: Final = 30
SENTENCE: Final = re.compile(r"(?<=[.!?])\s+")
QUESTIONS: Final[dict[str, tuple[str, ...]]] = {
    "sea": ("yachts", "marine life", "ships and mariners", "nautical adventure", "surf and seaside"),
    "space": ("cosmos", "rocketry", "outer space travel", "stargazing", "NASA missions"),
    "kitchen": ("culinary tips", "how to prepare a meal", "cuisine", "something tasty to eat", "homemade dishes"),
    "football": ("soccer", "goals and matches", "league players", "stadium atmosphere", "ball game"),
    "forest": ("woodland", "wild animals among trees", "hiking in nature", "mushrooms and birds", "wilderness"),
    "city": ("urban life", "downtown at night", "skyscrapers", "metropolis traffic", "street scenes"),
    "music": ("concert", "a band plays songs", "melodies and instruments", "jazz", "performing on stage"),
    "chess": ("board game strategy", "grandmasters", "checkmate", "gambit", "game of kings and queens"),
}


@dataclass(frozen=True)
class Task:
    """Queries with the right answers.

    Attributes:
        name: See the module.
        shelf: Which catalogue is searched.
        queries: What is asked.
        right: The ids of the right answers to each.
    """

    name: str
    shelf: str
    queries: tuple[str, ...]
    right: tuple[frozenset[str], ...]


def town() -> tuple[list[dict[str, Any]], list[Task]]:
    """The texts of the town of seed 7, without its clips."""
    world = plan_world(seed=7, num_clips=440, num_users=1, rules=Rules())
    texts = write_texts(world.topics_V, rng=generator(7, "town/texts"))
    rows = [
        {"id": f"v{number:04d}", "title": one.title, "description": one.description, "tags": "|".join(one.tags)}
        for number, one in enumerate(texts, start=1)
    ]
    topics = np.array(TOPICS)[world.topics_V].tolist()
    asked = [(question, topic) for topic, questions in QUESTIONS.items() for question in questions]
    right = [frozenset(row["id"] for row, own in zip(rows, topics, strict=True) if own == topic) for _, topic in asked]
    return rows, [Task("town", "town", tuple(question for question, _ in asked), tuple(right))]


def films(folder: Path, num_cases: int) -> tuple[list[dict[str, Any]], list[Task]]:
    """MovieLens-1M: titles and overviews; genres are known to the judge only."""
    items = next(iter(movielens_1m(folder)[0].read(0, 0))).frame
    rows = items.select("id", "title", pl.col("description").fill_null("")).to_dicts()
    genres = {item: frozenset(own) for item, own in zip(items["id"], items["categories"].to_list(), strict=True)}
    random = np.random.default_rng(0)
    told = [row for row in rows if len(SENTENCE.split(row["description"])) >= 3]
    scenes, scene_right = [], []
    for number in sorted(random.choice(len(told), min(num_cases, len(told)), replace=False).tolist()):
        *others, last = SENTENCE.split(told[number]["description"])
        told[number]["description"] = " ".join(others)
        scenes.append(last[:300])
        scene_right.append(frozenset([told[number]["id"]]))
    tasks = [Task("scenes", "films", tuple(scenes), tuple(scene_right))]
    return rows, [*tasks, genre_task(genres), typo_task(rows, num_cases, random)]


def genre_task(genres: dict[str, frozenset[str]]) -> Task:
    """One genre, or two."""
    names = sorted(set().union(*genres.values()))
    asked: list[tuple[str, ...]] = [(name,) for name in names]
    both = Counter(pair for own in genres.values() for pair in combinations(sorted(own), 2))
    asked += sorted(pair for pair, count in both.items() if count >= FEWEST_OF_BOTH)
    right = [frozenset(item for item, own in genres.items() if own >= set(one)) for one in asked]
    return Task("genres", "films", tuple(" ".join(one).casefold() for one in asked), tuple(right))


def typo_task(rows: Sequence[dict[str, Any]], num_cases: int, random: np.random.Generator) -> Task:
    """Titles with one letter replaced in their longest word."""
    titles = {row["id"]: re.sub(r"\s*\([^)]*\)", "", row["title"]) for row in rows}
    able = sorted(
        item
        for item, title in titles.items()
        if any(len(word) >= 5 for word in re.findall(r"[a-z]+", title.casefold()))
    )
    chosen = [
        able[place] for place in sorted(random.choice(len(able), min(num_cases, len(able)), replace=False).tolist())
    ]
    queries, right = [], []
    for item in chosen:
        title = titles[item].casefold()
        word = max(re.findall(r"[a-z]+", title), key=len)
        place = int(random.integers(1, len(word)))
        other = str(random.choice([letter for letter in "abcdefghijklmnopqrstuvwxyz" if letter != word[place]]))
        queries.append(title.replace(word, word[:place] + other + word[place + 1 :], 1))
        right.append(frozenset(one for one, own in titles.items() if own.casefold() == title))
    return Task("typos", "films", tuple(queries), tuple(right))


class Bm25:
    """Plain BM25: Robertson and Zaragoza 2009, with the idf that is never negative."""

    def __init__(self, texts: Sequence[str]) -> None:
        counted = [Counter(re.findall(r"\w+", text.casefold())) for text in texts]
        lengths = np.array([sum(words.values()) for words in counted], dtype=np.float64)
        having = Counter(word for words in counted for word in words)
        self.size = len(texts)
        self.found: dict[str, tuple[list[int], list[float]]] = {}
        for number, words in enumerate(counted):
            for word, count in words.items():
                idf = np.log1p((self.size - having[word] + 0.5) / (having[word] + 0.5))
                scaled = count + 1.2 * (0.25 + 0.75 * lengths[number] / lengths.mean())
                rows, values = self.found.setdefault(word, ([], []))
                rows.append(number)
                values.append(float(idf * count * 2.2 / scaled))

    def scores(self, query: str) -> NDArray[np.float64]:
        """float64 [V], 0 without any of the words."""
        scores_V = np.zeros(self.size)
        for word in dict.fromkeys(re.findall(r"\w+", query.casefold())):
            if word in self.found:
                rows, values = self.found[word]
                scores_V[rows] += values
        return scores_V


def best(scores_V: NDArray[np.floating], count: int) -> list[int]:
    """The rows of the highest positive scores, best first."""
    order = np.argsort(-scores_V, kind="stable")[:count]
    return [int(row) for row in order if scores_V[row] > 0]


def joined(rankings: Sequence[Sequence[int]], count: int) -> list[int]:
    """Reciprocal rank fusion: Cormack, Clarke and Buettcher, SIGIR 2009."""
    total: defaultdict[int, float] = defaultdict(float)
    for ranking in rankings:
        for place, row in enumerate(ranking, start=1):
            total[row] += 1.0 / (60 + place)
    return sorted(total, key=lambda row: (-total[row], row))[:count]


def prepare(shelf: str, rows: Sequence[dict[str, Any]]) -> Project:
    """A project with the texts and their vectors, made once."""
    folder = CACHE / f"{shelf}-{fingerprint(list(rows))}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE_NAME).write_text('[encoders]\nframes = ""\nmotion = ""\nsound = ""\n', encoding="utf-8")
    pl.DataFrame(list(rows)).write_csv(folder / "items.csv")
    project = Project.open(folder)
    project.ingest(items=folder / "items.csv")
    project.extract()
    return project


def systems(project: Project, rows: Sequence[dict[str, Any]]) -> dict[str, Callable[[str], list[str]]]:
    """Name -> query -> ids of the best ten."""
    ids = [row["id"] for row in rows]
    dataset = project.slates().dataset
    place_of = {one: number for number, one in enumerate(dataset.item_ids)}
    vectors_VD = dataset.features["text"].vectors_VD[[place_of[one] for one in ids]]
    bm25 = Bm25([" ".join(str(row.get(field) or "") for field in ("title", "description", "tags")) for row in rows])
    queries = TextQueries(project.settings.encoders.text, project.settings.runtime.device)

    def by_vectors(query: str, count: int) -> list[int]:
        return best(vectors_VD @ queries.encode([query])[0] + 2.0, count)

    def kinema(**changes: Any) -> Callable[[str], list[str]]:
        settings = project.settings
        encoders = settings.encoders.model_copy(update={"text": changes.pop("text", settings.encoders.text)})
        chosen = settings.model_copy(
            update={"search": settings.search.model_copy(update=changes), "encoders": encoders}
        )

        def ask(query: str) -> list[str]:
            project.settings = chosen
            return [item.id for item in project.search(query, num_items=K).items]

        return ask

    def named(find: Callable[[str], list[int]]) -> Callable[[str], list[str]]:
        return lambda query: [ids[row] for row in find(query)]

    return {
        "bm25": named(lambda query: best(bm25.scores(query), K)),
        "vectors": named(lambda query: by_vectors(query, K)),
        "bm25+vectors": named(lambda query: joined([best(bm25.scores(query), DEEP), by_vectors(query, DEEP)], K)),
        "kinema words": kinema(text=""),
        "kinema text": kinema(words_weight=0.0),
        "kinema": kinema(),
        "kinema w=.5": kinema(words_weight=0.5),
        "kinema w=2": kinema(words_weight=2.0),
    }


def judge(task: Task, find: Callable[[str], list[str]]) -> dict[str, Any]:
    """NDCG@10 of one system, and how long a query takes."""
    started = time.process_time()
    answers = [find(query) for query in task.queries]
    seconds = time.process_time() - started
    ranks: list[int] = []
    for answer, right in zip(answers, task.right, strict=True):
        ranks += [answer.index(one) + 1 if one in answer else K + 1 for one in sorted(right)]
    offsets = np.cumsum([0, *(len(right) for right in task.right)])
    values_C = ndcg(np.array(ranks), offsets, k=K)
    drawn = np.random.default_rng(0).integers(0, len(values_C), (1000, len(values_C)))
    low, high = np.quantile(values_C[drawn].mean(axis=1), [0.025, 0.975])
    return {
        "ndcg@10": round(float(values_C.mean()), 4),
        "interval": [round(float(low), 4), round(float(high), 4)],
        "cpu_ms": round(1000 * seconds / len(answers), 1),
    }


def main() -> None:
    """Measure, write the results and print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=300, help="queries of scenes and typos")
    parser.add_argument("--tasks", nargs="+", default=["town", "genres", "scenes", "typos"])
    default = Path(os.environ.get("KINEMA_DATA", ROOT.parent / "shared" / "data"))
    parser.add_argument("--data", type=Path, default=default, help="folder that holds ml-1m")
    options = parser.parse_args()
    shelves = [town()]
    if (options.data / "ml-1m").is_dir() and set(options.tasks) - {"town"}:
        shelves.append(films(options.data / "ml-1m", options.cases))
    results: dict[str, Any] = {}
    for rows, tasks in shelves:
        wanted = [task for task in tasks if task.name in options.tasks]
        if not wanted:
            continue
        with prepare(wanted[0].shelf, rows) as project:
            for name, find in systems(project, rows).items():
                for task in wanted:
                    table = results.setdefault(
                        task.name, {"queries": len(task.queries), "items": len(rows), "systems": {}}
                    )
                    table["systems"][name] = judge(task, find)
                    print(f"{task.name:8} {name:14} {table['systems'][name]}", flush=True)
    head = {
        "what": "NDCG@10 of searches in words; interval: 95 %, bootstrap over queries",
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpus": os.cpu_count(), "cpu": platform.processor() or platform.machine()},
    }
    RESULT.write_text(json.dumps({**head, "tasks": results}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
