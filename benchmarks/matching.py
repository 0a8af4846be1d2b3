"""What matching learns on the generated town: words and items, items and what follows them, pictures and clips.

    python benchmarks/matching.py [--parts words lora catalogue items visual] [--project FOLDER]

| part | learnt from | asked |
|---|---|---|
| ``words`` | a planted log of searches: a topic and a look, each in one of four wordings, with three clips that have both | 80 questions with other words for both: the topics are those of ``benchmarks/search.py``, the looks stand below |
| ``lora`` | the same, the text encoder learning on for queries | the same |
| ``catalogue`` | titles, sentences and tags of the clips themselves | those held out |
| ``items`` | clips watched one after the other | the newest tenth of the log |
| ``visual`` | frames of seven tenths of the clips, changed | frames and parts of two tenths, with the same and with other changes |

No text of the town says how a clip looks, so words for it can only be learnt from searches, through the pictures. What the settings are
was not chosen on the questions asked here. Every number is of held-out questions; ``cold`` are items that were in no pair. Intervals of
``gain`` are bootstraps over questions of the validation part, 95 %.

Results are merged into ``results/matching.json`` part by part; ``results/matching.md`` is the table.
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy comes first
import polars as pl  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from kinema.evaluation.environment import run_facts  # noqa: E402
from kinema.project import Project  # noqa: E402
from kinema.seeds import generator  # noqa: E402
from kinema.sources.town.rules import STYLES, TOPICS, Rules  # noqa: E402
from kinema.sources.town.world import World, plan_world  # noqa: E402
from kinema.sources.town.write import VIDEOS, generate  # noqa: E402
from kinema.steps.bridges import TextQueries  # noqa: E402
from kinema.steps.extracting import encoder_place  # noqa: E402
from kinema.steps.finetuning_options import FitPlan  # noqa: E402
from kinema.steps.finetuning_project import (  # noqa: E402
    Shop,
    match_items,
    match_texts,
    open_shop,
    search_ranks,
    visual_of_project,
)
from kinema.steps.match_pairs import pairs_of_table  # noqa: E402
from kinema.steps.matching import query_rows  # noqa: E402
from kinema.steps.slates import trained_profile_schema  # noqa: E402
from kinema.tasks.match import cosines  # noqa: E402
from kinema.tasks.match_data import Cases, split_pairs  # noqa: E402
from kinema.tasks.match_measures import chance, means, measure, numbers  # noqa: E402
from kinema.tasks.match_model import MatchModel  # noqa: E402
from kinema.training.parameter_choice import Choice  # noqa: E402
from kinema.training.task_settings import TaskSettings  # noqa: E402
from search import QUESTIONS  # noqa: E402  # beside this file

ROOT: Final = Path(__file__).parents[1]
CACHE: Final = ROOT / "build" / "bench" / "matching"
RESULT: Final = Path(__file__).parent / "results" / "matching.json"
SEED: Final = 7
CLICKS: Final = 3
TOPIC_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "sea": ("sailing", "boats", "the ocean", "fishing"),
    "space": ("planets", "astronauts", "rockets", "galaxies"),
    "kitchen": ("cooking", "recipes", "baking", "soups"),
    "football": ("football", "goals", "strikers", "the cup"),
    "forest": ("trees", "the woods", "badgers", "trails"),
    "city": ("traffic", "trams", "the city", "taxis"),
    "music": ("songs", "violins", "an orchestra", "drums"),
    "chess": ("chess", "openings", "a chess club", "endgames"),
}
LOOK_WORDS: Final[dict[str, tuple[str, ...]]] = {
    "neon": ("glowing", "in neon", "bright lines on black", "fluorescent"),
    "pastel": ("pastel", "soft colours", "pale and gentle", "creamy"),
    "noir": ("black and white", "film noir", "grainy grey", "monochrome"),
    "mosaic": ("mosaic", "made of tiles", "blocky", "pixel art"),
    "paper": ("drawn on paper", "hatched", "pencil sketch", "ink lines"),
    "sepia": ("sepia", "old film", "faded brown", "antique"),
}
LOOKS_ASKED: Final[dict[str, tuple[str, ...]]] = {
    "neon": ("luminous signs", "electric light"),
    "pastel": ("light tender shades", "delicate tones"),
    "noir": ("without colour", "dark crime movie style"),
    "mosaic": ("little coloured squares", "tiled"),
    "paper": ("hand drawn", "cartoon with outlines"),
    "sepia": ("vintage photograph", "yellowed"),
}


def prepare(folder: Path | None) -> Project:
    """The town's project, made once."""
    home = CACHE if folder is None else folder
    if folder is None and not (home / "project" / "artifacts" / "flm").is_dir():
        generate(home / "town", seed=SEED, workers=os.cpu_count() or 1)
        project = Project.open(home / "project") if (home / "project").is_dir() else Project.init(home / "project")
        tables = {"items": "items.csv", "users": "users.csv", "events": "events.parquet"}
        project.ingest(videos=home / "town" / VIDEOS, **{kind: home / "town" / name for kind, name in tables.items()})
        project.extract()
        project.pretrain()
        return project
    return Project.open(home / "project")


def right_items(world: World, topic: str, look: str) -> NDArray[np.int64]:
    """Clips that have both."""
    return np.flatnonzero((world.topics_V == TOPICS.index(topic)) & (world.styles_V == STYLES.index(look)))


def write_searches(world: World, path: Path) -> Path:
    """The planted log: a query and a clip that was chosen."""
    random, rows = generator(SEED, "matching/searches"), []
    for topic, words in TOPIC_WORDS.items():
        for look, looks in LOOK_WORDS.items():
            right = right_items(world, topic, look)
            for word in words:
                for shade in looks:
                    query = f"{word} {shade}" if random.random() < 0.5 else f"{shade} {word}"
                    chosen = random.permutation(right)[:CLICKS].tolist()
                    rows += [(query, f"v{item + 1:04d}") for item in chosen]
    path.parent.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=["query", "item"], orient="row").write_csv(path)
    return path


def questions(world: World) -> tuple[tuple[str, ...], tuple[NDArray[np.int64], ...]]:
    """What is asked at the end, in words that no search of the log has, and what is right."""
    random, texts, right = generator(SEED, "matching/questions"), [], []
    pairs = [
        (topic, asked, look, shade)
        for topic, words in QUESTIONS.items()
        for asked in words
        for look, shades in LOOKS_ASKED.items()
        for shade in shades
    ]
    for place in random.permutation(len(pairs))[:80].tolist():
        topic, asked, look, shade = pairs[place]
        found = right_items(world, topic, look)
        if len(found):
            texts.append(f"{asked}, {shade}")
            right.append(found)
    return tuple(texts), tuple(right)


def cases_of(right: tuple[NDArray[np.int64], ...], among_V: NDArray[np.bool_]) -> Cases:
    """The questions that have an answer among some items; their other answers are no candidates."""
    targets = [found[among_V[found]] for found in right]
    kept = [place for place, found in enumerate(targets) if len(found)]
    rows_T = np.repeat(np.arange(len(kept)), [len(targets[place]) for place in kept])
    blocked = [(row, item) for row, place in enumerate(kept) for item in right[place].tolist()]
    items_T = np.concatenate([targets[place] for place in kept])
    return Cases(np.array(kept), rows_T, items_T, np.zeros(len(items_T), dtype=np.int64), np.array(blocked))


def ask_words(shop: Shop, model: MatchModel, world: World, cold_V: NDArray[np.bool_]) -> dict[str, Any]:
    """Way -> warm and cold -> numbers, on the questions."""
    texts, right = questions(world)
    features = shop.slates.dataset.features
    queries = TextQueries(encoder_place(shop.settings.encoders.text, shop.folder), "cpu")
    plain_QD, rows_QE = queries.encode_many(texts), query_rows(model, queries, list(texts))
    places_VE, texts_VD = model.items(features), features["text"].vectors_VD
    found: dict[str, Any] = {}
    for kind, among_V in (("warm", ~cold_V), ("cold", cold_V)):
        cases = cases_of(right, among_V)
        own = cases.query_C
        ways = {
            "match": measure(cosines(rows_QE[own], places_VE), cases, num_items=len(cold_V)),
            "cosine": measure(cosines(plain_QD[own], texts_VD), cases, num_items=len(cold_V)),
            "chance": chance(cases, num_items=len(cold_V)),
        }
        for name, matcher in (("search of today", False), ("search with match", True)):
            ways[name] = numbers(search_ranks(cases, texts, shop, matcher=matcher), cases)
        for way, values in ways.items():
            found.setdefault(way, {})[kind] = means(values)
    return found


def words(shop: Shop, world: World, choice: Choice | None = None) -> dict[str, Any]:
    """Learn from the planted searches, and ask."""
    path = write_searches(world, CACHE / "searches.csv")
    asked = TaskSettings({} if choice is None else {"max_epochs": 3})
    report = match_texts(shop, table=path, choice=choice, plan=FitPlan(asked, seed=shop.seed))
    model = MatchModel.load(report.folder)
    num_items = len(shop.slates.dataset.item_ids)
    pairs = pairs_of_table(path, shop.slates.dataset.item_ids).pairs
    split = split_pairs(pairs, num_items=num_items, seed=shop.seed)
    return {"report": plain(asdict(report)), "asked in other words": ask_words(shop, model, world, split.cold_V)}


def plain(report: Mapping[str, Any]) -> dict[str, Any]:
    """JSON values, without the place on this machine."""
    return {name: value for name, value in report.items() if name != "folder"}


PARTS: Final[dict[str, Callable[[Shop, World], dict[str, Any]]]] = {
    "words": words,
    "lora": lambda shop, world: words(shop, world, Choice("lora", rank=8)),
    "catalogue": lambda shop, _: {"report": plain(asdict(match_texts(shop)))},
    "items": lambda shop, _: {"report": plain(asdict(match_items(shop)))},
    "visual": lambda shop, _: {"report": plain(asdict(visual_of_project(shop)))},
}


def table(metrics: Mapping[str, Mapping[str, Mapping[str, float]]], heads: tuple[str, str]) -> list[str]:
    """Rows of a Markdown table."""
    lines = [f"| {heads[0]} | {heads[1]} | Recall@10 | NDCG@10 | MRR | questions |", "|---|---|---|---|---|---|"]
    return lines + [
        f"| {one} | {other} | {value['recall@10']:.3f} | {value['ndcg@10']:.3f} | {value['mrr']:.3f} | {value['cases']} |"
        for one, inner in metrics.items()
        for other, value in inner.items()
    ]


def page(results: Mapping[str, Any]) -> str:
    """The tables."""
    lines = [
        "# Matching on the town of seed 7",
        "",
        f"{results['facts']['date']}, {results['facts']['machine']}; `{results['facts']['command']}`.",
    ]
    for part, found in results["parts"].items():
        report = found["report"]
        low, high = report["gain"][1:]
        lines += ["", f"## {part}", ""]
        if "asked in other words" in found:
            lines += [
                "Asked in words that the log does not have:",
                "",
                *table(found["asked in other words"], ("way", "items")),
                "",
            ]
            lines += ["Held out of the log:", ""]
        heads = ("question", "way") if part == "visual" else ("way", "items")
        lines += [*table(report["metrics"], heads), ""]
        told = f"Gain in NDCG@10 on validation {report['gain'][0]:+.4f} ({low:+.4f} to {high:+.4f})"
        lines.append(f"Candidates: {report['candidates']}. {told}; {report['seconds']:.0f} s on a busy machine.")
    return "\n".join(lines) + "\n"


def opened(project: Project) -> Shop:
    """What `project.finetune.match` learns in."""
    return open_shop(
        folder=project.folder,
        settings=project.settings,
        store=project.store,
        dataset=project.dataset(profile_schema=trained_profile_schema(project.artifacts / "flm")),
        media_root=project.media_root,
        workers=project.workers,
        seed=0,
    )


def main() -> None:
    """Measure, write and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", nargs="+", choices=tuple(PARTS), default=tuple(PARTS))
    parser.add_argument(
        "--project", type=Path, help="folder with town/ and project/ of seed 7, as kinema demo makes it"
    )
    options = parser.parse_args()
    results: dict[str, Any] = {"parts": {}}
    if RESULT.is_file():
        results = json.loads(RESULT.read_text(encoding="utf-8"))
    world = plan_world(seed=SEED, num_clips=440, num_users=1, rules=Rules())
    with prepare(options.project) as project:
        for part in options.parts:
            results["parts"][part] = PARTS[part](opened(project), world)
            results["facts"] = run_facts(command="python benchmarks/matching.py", seed=0)
            RESULT.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
            RESULT.with_suffix(".md").write_text(page(results), encoding="utf-8")
            print(json.dumps(results["parts"][part], indent=1), flush=True)


if __name__ == "__main__":
    main()
