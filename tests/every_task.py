"""One small project that every task can learn from, and how each is asked to."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from kinema.project import Project
from kinema.steps.finetuning_rerank import RerankTraining
from kinema.steps.finetuning_text import TextTraining
from kinema.testing.clips import write_clip
from tiny_encoders import save_bert, save_vit, topic_items, topic_picture

ITEMS, USERS = 36, 48
SETTINGS = """[media]
num_frames = 2
pictures = false
[runtime]
workers = 1
threads = 1
[encoders]
text = "bert"
frames = "vit"
motion = ""
sound = ""
[flm]
d_model = 16
num_blocks = 1
num_heads = 1
max_length = 8
max_epochs = 1
[search]
[recommend]
"""
SHARED = {"seed": 3, "max_epochs": 3, "patience": 3}


def make_project(home):
    """Items of six topics with a clip each; users open and rate what is of their topic, and like some of it."""
    shop = home / "shop"
    Project.init(shop).close()
    (shop / "kinema.toml").write_text(SETTINGS)
    save_bert(shop / "bert")
    save_vit(shop / "vit")
    rows, random = topic_items(ITEMS), np.random.default_rng(0)
    (home / "clips").mkdir()
    for number, row in enumerate(rows):
        row |= {"media_path": f"{row['id']}.avi", "categories": f"c{number % 2}", "duration_ms": 3000}
        write_clip(home / "clips" / row["media_path"], [topic_picture(number, seed=seed) for seed in range(3)])
    pl.DataFrame(rows).write_csv(home / "items.csv")
    events: list[tuple[str, str, int, str, float | None]] = []
    for user in range(USERS):
        for step, item in enumerate(random.permutation(ITEMS)[:14].tolist()):
            who, moment = (f"u{user}", f"v{item}"), 1_700_000_000_000 + 600_000 * step + 1_000 * user
            events.append((*who, moment, "impression", None))
            mine = item % 2 == user % 2
            if mine or random.random() < 0.15:
                stars = 5.0 if mine else 2.0
                events += [(*who, moment + 100, "click", None), (*who, moment + 200, "rating", stars)]
                events += [(*who, moment + 300, "like", None)] * int(random.random() < 0.5)
    schema = ["user", "item", "timestamp_ms", "kind", "value"]
    pl.DataFrame(events, schema=schema, orient="row").write_csv(home / "events.csv")
    table = {
        "text": [row["title"] for row in rows] * 3,
        "label": [number % 2 for number in range(3 * ITEMS)],
        "number": random.permutation(3 * ITEMS),
    }
    pl.DataFrame(table).write_csv(home / "table.csv")
    with Project.open(shop) as project:
        project.ingest(videos=home / "clips", items=home / "items.csv", events=home / "events.csv")
        project.extract()
        project.pretrain(seed=1)
    return shop


def _rerank(project: Project, **options: Any) -> Any:
    return project.finetune.rerank(training=RerankTraining(top=6, negatives=2, num_queries=24), **options)


def _text(project: Project, **options: Any) -> Any:
    home, training = project.folder.parent, TextTraining(encoder=str(project.folder / "bert"))
    return project.finetune.text(home / "table.csv", project.folder / "models" / "text", training=training, **options)


def _click_table(project: Project, **options: Any) -> Any:
    home, network = project.folder.parent, {"hidden": (8,), **options.pop("network", {})}
    to = project.folder / "models" / "click"
    return project.finetune.click_table(home / "table.csv", to, fields=["number=number"], network=network, **options)


def _clips(project: Project, **options: Any) -> Any:
    network = {"inputs": "frames", **options.pop("network", {})}
    return project.finetune.clips(column="categories", network=network, **options)


LEARN: Mapping[str, Callable[..., Any]] = {
    "click": lambda project, **options: project.finetune.click(**options),
    "click_table": _click_table,
    "engagement": lambda project, **options: project.finetune.engagement(**options),
    "rating": lambda project, **options: project.finetune.rating(**options),
    "clips": _clips,
    "match": lambda project, **options: project.finetune.match(**options),
    "match_items": lambda project, **options: project.finetune.match_items(**options),
    "visual": lambda project, **options: project.finetune.visual(**options),
    "rerank": _rerank,
    "text": _text,
    "next": lambda project, **options: project.finetune.next(**options),
    "several": lambda project, **options: project.finetune.several(["click", "rating", "next"], **options),
}
"""Method of ``project.finetune`` -> a call of it on the small project."""


def _tune_rerank(project: Project, **how: Any) -> Any:
    return project.tune.rerank(training=RerankTraining(top=6, negatives=2, num_queries=24), **how)


def _tune_text(project: Project, **how: Any) -> Any:
    home, training = project.folder.parent, TextTraining(encoder=str(project.folder / "bert"))
    return project.tune.text(home / "table.csv", project.folder / "models" / "text", training=training, **how)


def _tune_click_table(project: Project, **how: Any) -> Any:
    home, to = project.folder.parent, project.folder / "models" / "click"
    return project.tune.click_table(home / "table.csv", to, fields=["number=number"], **how)


SEARCH: Mapping[str, Callable[..., Any]] = {
    "click": lambda project, **how: project.tune.click(**how),
    "click_table": _tune_click_table,
    "engagement": lambda project, **how: project.tune.engagement(**how),
    "rating": lambda project, **how: project.tune.rating(**how),
    "clips": lambda project, **how: project.tune.clips(column="categories", **how),
    "match": lambda project, **how: project.tune.match(**how),
    "match_items": lambda project, **how: project.tune.match_items(**how),
    "visual": lambda project, **how: project.tune.visual(**how),
    "rerank": _tune_rerank,
    "text": _tune_text,
    "next": lambda project, **how: project.tune.next(**how),
    "several": lambda project, **how: project.tune.several(["click", "rating", "next"], **how),
}
"""Method of ``project.tune`` -> a call of it on the small project."""
