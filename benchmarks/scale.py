"""How the pipeline grows with the catalogue: latency, recall and memory at 10,000, 100,000 and 1,000,000 items, without HTTP.

The model is that of `serve_world.built_project(10_000)`; larger catalogues are that one with generated items behind it, made in
memory, not in a store, and bound by the code that binds a store's: topics, vectors and interactions are drawn as there, over the
whole catalogue, and the memory counts them. Everything from then on is what the service runs. Each size in a process of its own.

"again" is a user whose newest items were asked about before, as in a service that has run for a while; "first look" is the very
first request of each user, for which the lists of items near to theirs are still missing. States of users are read anew each time.

python benchmarks/scale.py [SIZES ...]     writes benchmarks/results/scale.json
"""

import argparse
import gc
import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy(num_threads=1)

import numpy as np  # noqa: E402  # the thread policy comes first
import polars as pl  # noqa: E402
import psutil  # noqa: E402

from kinema.project import Project  # noqa: E402
from kinema.recommend.pipeline import Recommender  # noqa: E402
from kinema.retrieval.exact import ExactRetriever  # noqa: E402
from kinema.retrieval.ivf import IvfRetriever  # noqa: E402
from kinema.retrieval.query import Query  # noqa: E402
from kinema.schema import Request  # noqa: E402
from kinema.steps.dataset import ALWAYS, Dataset  # noqa: E402
from kinema.steps.slates import SlateMaker, make_slates  # noqa: E402
from kinema.store.histories import Histories  # noqa: E402
from serve_world import CACHE, NOW_MS, NUM_USERS, built_project, interactions, topics, with_vectors  # noqa: E402

SIZES: Final = (10_000, 100_000, 1_000_000)
USERS, AMONG, MODEL_ITEMS = 500, 100, 10_000
RESULTS: Final = Path(__file__).parent / "results" / "scale.json"


def dataset_of(project: Project, num_items: int) -> Dataset:
    """The project's reading, with a catalogue and a log of this size in place of its own."""
    if num_items == MODEL_ITEMS:
        return with_vectors(project.dataset())
    topics_V = topics(num_items)
    numbers = np.arange(num_items)
    items = pl.DataFrame(
        {
            "num": numbers,
            "id": [f"v{number:07d}" for number in range(num_items)],
            "title": [f"Clip {number}" for number in range(num_items)],
            "categories": [[f"topic {topic}"] for topic in topics_V.tolist()],
        }
    )
    users, chosen, times = interactions(num_items)
    order = np.lexsort((times, users))
    offsets = np.concatenate([[0], np.cumsum(np.bincount(users, minlength=NUM_USERS))])
    histories = Histories(offsets, chosen[order].astype(np.int32), times[order], num_items)
    return with_vectors(
        replace(
            project.dataset(),
            items=items,
            histories=histories,
            published_ms_V=np.full(num_items, ALWAYS),
            hidden_V=np.zeros(num_items, dtype=bool),
        )
    )


def memory_mb() -> float:
    """Of this process, resident."""
    gc.collect()
    return psutil.Process().memory_info().rss / 2**20


def milliseconds(maker: SlateMaker, *, reasons: bool) -> tuple[dict[str, float], dict[str, float]]:
    """Median and 95th percentile over users, and the median by stage."""
    times, stages = [], {}
    for user in range(USERS):
        started = time.perf_counter()
        slate = asked(maker, user, reasons=reasons)
        times.append(1000 * (time.perf_counter() - started))
        for step in slate.trace:
            stages.setdefault(step.stage, []).append(step.milliseconds)
    found = {"median": round(float(np.median(times)), 3), "p95": round(float(np.quantile(times, 0.95)), 3)}
    return found, {name: round(float(np.median(one)), 3) for name, one in stages.items()}


def forward(maker: SlateMaker) -> float:
    """Median over users, to compare by: it does not know how large the catalogue is."""
    times = []
    for user in range(USERS):
        started = time.perf_counter()
        maker.recommender.parts.scorer.encode(maker.people.row(user), moments_C=np.array([NOW_MS]))
        times.append(1000 * (time.perf_counter() - started))
    return round(float(np.median(times)), 3)


def asked(maker: SlateMaker, user: int, *, reasons: bool = False, by: Recommender | None = None) -> Any:
    """A slate for one user, whose state is read anew."""
    recommender = by or maker.recommender
    recommender.parts.scorer._kept.clear()  # noqa: SLF001  # who comes again with nothing new costs less
    request = Request(f"u{user:05d}", 10, "home", (), NOW_MS)
    return recommender.recommend(request, history=maker.people.row(user), reasons=reasons)


def recall(maker: SlateMaker) -> dict[str, float]:
    """Of the retriever against comparing with everything, and of the slates that come of it."""
    parts = maker.recommender.parts
    exact = ExactRetriever(parts.item_vectors_VD)
    retriever = next(one for one in maker.recommender.retrievers if one.name == exact.name)
    if not isinstance(retriever, IvfRetriever):
        return {}
    plain = Recommender(catalogue=parts.catalogue, scorer=parts.scorer, popularity_V=parts.popularity_V.copy())
    found, slates = [], []
    for user in range(USERS):
        history = maker.people.row(user)
        allowed_V = np.ones(len(parts.catalogue), dtype=bool)
        allowed_V[history.items] = False
        query = Query(history, allowed_V, NOW_MS, parts.scorer.read(history, None, moment_ms=NOW_MS).vector)
        found.append(np.isin(exact(query, AMONG).items_K, retriever(query, AMONG).items_K).mean())
        if user < USERS // 5:
            wanted = [item.id for item in asked(maker, user, by=plain).items]
            slates.append(np.isin(wanted, [item.id for item in asked(maker, user).items]).mean())
    index = retriever.index
    return {
        f"retriever's recall@{AMONG}": round(float(np.mean(found)), 4),
        "of the worst user": round(float(np.min(found)), 4),
        "share of each exact slate": round(float(np.mean(slates)), 4),
        "groups": index.index.nlist,
        "groups looked into": index.num_probes,
    }


def parts_mb(maker: SlateMaker) -> dict[str, float]:
    """Of the arrays that grow with the catalogue."""
    parts = maker.recommender.parts
    scorer = parts.scorer
    known: dict[int, int] = {}

    def size(*arrays: Any) -> float:
        total = 0
        for one in arrays:
            own = one if one.base is None else one.base
            place = own.__array_interface__["data"][0] if isinstance(own, np.ndarray) else id(own)
            if place not in known:
                known[place] = one.nbytes
                total += one.nbytes
        return round(total / 2**20, 1)

    smoothing = scorer._smoothing_VV  # noqa: SLF001  # nobody else asks for it
    return {
        "item vectors": size(scorer.item_vectors_VD, parts.item_vectors_VD),
        "content sides": size(scorer.content_vectors_VD),
        "content": size(*scorer.content_VD.values(), scorer.content_joint_VD, *parts.content.values(), parts.joint_VD),
        "features": size(*(one.vectors_VD for one in maker.dataset.features.values())),
        "who stands in for whom": size(smoothing.data, smoothing.indices, smoothing.indptr),
        "popularity, dates, masks": size(parts.popularity_V, scorer.popularity_V, scorer.bias_V, scorer.prior_V),
    }


def measured(num_items: int) -> dict[str, Any]:
    """One size."""
    built_project(MODEL_ITEMS)
    folder = CACHE / "scale" / str(num_items)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(CACHE / str(MODEL_ITEMS), folder)
    with Project.open(folder) as project:
        before = memory_mb()
        dataset = dataset_of(project, num_items)
        read = memory_mb()
        found: dict[str, Any] = {"items": num_items}
        for name in ("bound for the first time, seconds", "bound again, seconds"):
            maker = None
            started = time.perf_counter()
            maker = make_slates(dataset, artifacts=project.artifacts, settings=project.settings.recommend)
            found[name] = round(time.perf_counter() - started, 1)
        assert maker is not None
        found |= {"MB of the catalogue as read": round(read - before), "MB bound": round(memory_mb() - read)}
        found["MB by part"] = parts_mb(maker)
        found["model's forward pass alone, ms"] = forward(maker)
        found["first look, ms"] = milliseconds(maker, reasons=False)[0]
        found["again, ms"], found["stages, ms"] = milliseconds(maker, reasons=False)
        found["again, with reasons, ms"] = milliseconds(maker, reasons=True)[0]
        found["recall"] = recall(maker)
        found["MB after all requests"] = round(memory_mb() - before)
    shutil.rmtree(folder)
    return found


def main() -> None:
    """Measure each size, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=SIZES, help="of the catalogue, items")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)  # the size that a process of its own measures
    options = parser.parse_args()
    if options.one is not None:
        print(json.dumps(measured(options.one)))
        return
    found = []
    for num_items in options.sizes:
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(num_items)], check=True, capture_output=True, text=True
        )
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(json.dumps(found[-1], indent=1), flush=True)
    first, last = found[0], found[-1]
    growth = {
        name: round(last[name]["median"] / first[name]["median"], 2)
        for name in ("first look, ms", "again, ms", "again, with reasons, ms")
    }
    per_item = round((last["MB after all requests"] - first["MB after all requests"]) * 2**20)
    per_item = round(per_item / max(last["items"] - first["items"], 1))
    RESULTS.write_text(
        json.dumps({"growth of the median": growth, "bytes per item": per_item, "sizes": found}, indent=1) + "\n"
    )
    print(growth, per_item)


if __name__ == "__main__":
    main()
