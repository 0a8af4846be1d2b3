"""What adversarial training does for target attention: the click model of a project's log, and DIN on a table made of that log.

    python benchmarks/robust_attention.py PROJECT [--of log table] [--part valid|test] [--radii 0.33 ...]
        [--own-rates 1 0.3] [--seeds 3]

PROJECT has been pre-trained, such as ``demo/project`` after ``make demo``; it is read only. Parts are those of ``kinema finetune click``: the
oldest four fifths train, the next tenth stops and chooses, the newest is measured on. Under attack, every vector that 256 examples touch
is moved uphill within a ball of a tenth of the usual length (PGD in 5 steps). ``tables`` are the vectors that training can move: of items and
kinds of events, or of all values of a table. ``all`` are these and the item vectors that FLM hands to the log's model. ``--own-rates`` lets
its items' own vectors learn more slowly than the rest. Ways that are not asked for keep their older rows.
"""

import argparse
import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy comes first
import polars as pl  # noqa: E402
import torch  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.nn import functional  # noqa: E402

from kinema.metrics.classification import auc  # noqa: E402
from kinema.project import Project  # noqa: E402
from kinema.steps.log_world import LOG_COLUMNS, TRAIL_KINDS, click_world, needed_scorer  # noqa: E402
from kinema.steps.slates import trained_profile_schema  # noqa: E402
from kinema.store.exposures import Exposures, exposures_of  # noqa: E402
from kinema.store.trails import pack_trails  # noqa: E402
from kinema.tasks.click import ClickLearner, batch_of  # noqa: E402
from kinema.tasks.click_networks import ClickConfig, usual_l2  # noqa: E402
from kinema.tasks.click_slices import click_slices  # noqa: E402
from kinema.tasks.field_specs import parse_spec  # noqa: E402
from kinema.tasks.fields import fit_fields  # noqa: E402
from kinema.tasks.history_click import ClickWorld, HistoryClick, by_time  # noqa: E402
from kinema.tasks.target_attention import HistoryClickConfig  # noqa: E402
from kinema.training.fitting import FitOptions, fit  # noqa: E402
from kinema.training.robust import pushed  # noqa: E402

RESULT = Path(__file__).parent / "results" / "robust_attention.json"
IDS = ("user=category", "item=category", "seen=list,target=item", "place=category", "topic=category")
NEWEST, AT_ONCE, RADIUS, STEPS = 20, 256, 0.1, 5
Logits = Callable[[Any], Tensor]
Rows = NDArray[np.int64]


def read(folder: Path) -> tuple[ClickWorld, Exposures, tuple[str, ...], list[str]]:
    """What the log's model is judged by, the exposures, names of profile columns, and the items' categories."""
    with Project.open(folder) as project:
        dataset = project.dataset(profile_schema=trained_profile_schema(project.artifacts / "flm"))
        scorer = needed_scorer(project.artifacts, dataset, needs_it="the benchmark")
        events = project.store.events(columns=LOG_COLUMNS)
    exposures = exposures_of(events)
    train = by_time(exposures)[0]
    hit = train[exposures.outcomes["click"][train]]
    popularity_V = np.bincount(exposures.items_N[hit], minlength=len(dataset.item_ids)).astype(np.float32)
    trails = pack_trails(events, kinds=TRAIL_KINDS, num_users=dataset.histories.num_users)
    world = click_world(dataset, vectors_VD=scorer.item_vectors_VD, popularity_V=popularity_V, trails=trails)
    columns = () if dataset.profiles is None else tuple(dataset.profiles.columns)
    return world, exposures, columns, dataset.items["categories"].list.join("|").fill_null("").to_list()


def log_model(world: ClickWorld, exposures: Exposures, seed: int, way: Mapping[str, Any]) -> tuple[HistoryClick, float]:
    """The log's own model, and its AUC on validation."""
    train, valid, _ = by_time(exposures)
    config = HistoryClickConfig()
    task = HistoryClick(world, exposures, label="click", train=train, valid=valid, config=config, seed=seed)
    report = fit(task, FitOptions("log_loss", batch_size=len(train) // 50, learning_rate=2e-3, **way), seed=seed)
    return task, report.metrics["auc"]


def table_of(world: ClickWorld, exposures: Exposures, columns: Sequence[str], topics: Sequence[str]) -> pl.DataFrame:
    """The same examples as columns of a table: ids, the newest items of the user, category, place and profile."""
    ends_N = world.trails.ends_before(exposures.users_N, exposures.times_ms_N)
    places_NL, there_NL = world.trails.newest(exposures.users_N, ends_N, length=NEWEST)
    asked = {"users_N": exposures.users_N, "items_N": exposures.items_N, "ends_N": ends_N}
    slices = click_slices(world, **asked, positions_N=exposures.positions_N, profile_columns=columns)
    for name in ("item", "activity"):
        del slices[name]
    items_NL = world.trails.items_E[places_NL]
    seen = [items[there].tolist() for items, there in zip(items_NL, there_NL, strict=True)]
    topic = [topics[item] for item in exposures.items_N.tolist()]
    return pl.DataFrame({"user": exposures.users_N, "item": exposures.items_N, "seen": seen, "topic": topic} | slices)


def table_model(
    frame: pl.DataFrame, exposures: Exposures, seed: int, way: Mapping[str, Any]
) -> tuple[ClickLearner, Callable[[Rows], Any], float]:
    """DIN on the table, what gives it a batch, and its AUC on validation."""
    train, valid, _ = by_time(exposures)
    labels_N = exposures.outcomes["click"].astype(np.float32)
    attributes = [name for name in frame.columns if name not in {"user", "item", "seen", "topic", "place"}]
    specs = [parse_spec(one) for one in (*IDS, *(f"{name}=category" for name in attributes))]
    fields = fit_fields(frame[train], specs, min_count=2)
    every = fields.apply(frame)
    config = ClickConfig(model="din", width=10, hidden=(64, 32), dropout=0.2, embedding_l2=usual_l2("din"))
    parts = {name: (fields.apply(frame[rows]), labels_N[rows]) for name, rows in (("train", train), ("valid", valid))}
    learner = ClickLearner(config, fields, **parts, seed=seed)
    report = fit(learner, FitOptions("auc", batch_size=256, learning_rate=1e-3, **way), seed=seed)
    return learner, lambda rows: batch_of(every, rows), report.metrics["auc"]


def scored(
    logits: Callable[[Rows], tuple[Callable[[], Tensor], Sequence[nn.Parameter]]],
    labels_N: NDArray[np.float32],
    rows_N: Rows,
    *,
    attack: bool,
) -> float:
    """AUC on some rows; ``logits`` gives for rows how to score them and the tables that may be moved."""
    found = []
    for start in range(0, len(rows_N), AT_ONCE):
        rows = rows_N[start : start + AT_ONCE]
        ask, tables = logits(rows)
        labels_B = torch.from_numpy(labels_N[rows])

        def loss(ask: Callable[[], Tensor] = ask, labels_B: Tensor = labels_B) -> Tensor:
            return functional.binary_cross_entropy_with_logits(ask(), labels_B)

        if not attack:
            found.append(ask().detach())
            continue
        gradients = torch.autograd.grad(loss(), list(tables), allow_unused=True)
        with pushed(tables, gradients, radius=RADIUS, steps=STEPS, loss=loss):
            found.append(ask().detach())
    return float(auc(torch.cat(found).numpy(), labels_N[rows_N]))


def log_numbers(
    world: ClickWorld, exposures: Exposures, rows_N: Rows, seed: int, way: Mapping[str, Any]
) -> dict[str, float]:
    """Clean and attacked AUC of the log's model."""
    task, valid = log_model(world, exposures, seed, way)
    labels_N = exposures.outcomes["click"].astype(np.float32)

    def asked(rows: Rows, *, given: bool) -> tuple[Callable[[], Tensor], Sequence[nn.Parameter]]:
        batch = task._batch(rows, with_positions=False)  # noqa: SLF001  # the same batch that measuring reads
        if not given:
            return lambda: task.network(batch), [task.network.ids.weight, task.network.kinds.weight]
        vectors = nn.Parameter(batch.items_RD.clone())
        moved = replace(batch, items_RD=vectors)
        return lambda: task.network(moved), [task.network.ids.weight, task.network.kinds.weight, vectors]

    found = {"valid": valid, "clean": scored(lambda rows: asked(rows, given=False), labels_N, rows_N, attack=False)}
    for name, given in (("tables", False), ("all", True)):
        found[name] = scored(lambda rows, given=given: asked(rows, given=given), labels_N, rows_N, attack=True)
    return found


def table_numbers(
    frame: pl.DataFrame, exposures: Exposures, rows_N: Rows, seed: int, way: Mapping[str, Any]
) -> dict[str, float]:
    """Clean and attacked AUC of DIN on the table."""
    learner, batch, valid = table_model(frame, exposures, seed, way)
    learner.network.eval()
    labels_N = exposures.outcomes["click"].astype(np.float32)

    def asked(rows: Rows) -> tuple[Callable[[], Tensor], Sequence[nn.Parameter]]:
        one = batch(rows)
        return lambda: learner.clicks(one), list(learner.embeddings())

    found = {"valid": valid, "clean": scored(asked, labels_N, rows_N, attack=False)}
    return found | {"tables": scored(asked, labels_N, rows_N, attack=True)}


def compared(arguments: argparse.Namespace) -> dict[str, Any]:
    """Model -> way -> means over seeds."""
    world, exposures, columns, topics = read(arguments.project)
    rows_N = by_time(exposures)[1 if arguments.part == "valid" else 2]
    ways: dict[str, dict[str, Any]] = {"plain": {}}
    ways |= {
        f"{kind} {radius:g} x{weight:g}": {
            "adversarial": kind,
            "adversarial_radius": radius,
            "adversarial_weight": weight,
        }
        for kind in arguments.kinds
        for weight in arguments.weights
        for radius in arguments.radii
    }
    result: dict[str, Any] = {}
    for name in arguments.of:
        known = ways if name == "table" else _with_own_rates(ways, arguments.own_rates)
        frame = table_of(world, exposures, columns, topics) if name == "table" else None
        for way, options in known.items():
            runs = []
            for seed in range(arguments.seeds):
                if frame is None:
                    runs.append(log_numbers(world, exposures, rows_N, seed, options))
                else:
                    runs.append(table_numbers(frame, exposures, rows_N, seed, options))
            means = {key: round(float(np.mean([one[key] for one in runs])), 5) for key in runs[0]}
            means |= {f"lost_{key}": round(means["clean"] - means[key], 5) for key in ("tables", "all") if key in means}
            result.setdefault(name, {})[way] = means
            print(name, arguments.part, way, means, flush=True)
    return result


def _with_own_rates(ways: Mapping[str, dict[str, Any]], rates: Sequence[float]) -> dict[str, dict[str, Any]]:
    """Each way once per step size of the items' own vectors, as a share of that of everything else."""
    return {
        name if rate == 1 else f"{name}, own vectors x{rate:g}": options
        if rate == 1
        else options | {"rate_factors": {"ids": rate}}
        for name, options in ways.items()
        for rate in rates
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("project", type=Path)
    parser.add_argument("--of", nargs="+", choices=("log", "table"), default=["log", "table"])
    parser.add_argument("--part", choices=("valid", "test"), default="test")
    parser.add_argument("--kinds", nargs="+", choices=("fgm", "pgd"), default=["fgm"])
    parser.add_argument("--radii", nargs="+", type=float, default=[0.33])
    parser.add_argument("--weights", nargs="+", type=float, default=[1.0])
    parser.add_argument("--own-rates", nargs="+", type=float, default=[1.0, 0.3], help="of the log's model")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    found = compared(given)
    if given.part == "test":
        before = json.loads(RESULT.read_text()) if RESULT.is_file() else {"models": {}}
        facts = {
            "date": datetime.now(UTC).date().isoformat(),
            "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
            "seeds": given.seeds,
            "attack": {"radius": RADIUS, "steps": STEPS, "examples_at_once": AT_ONCE},
            "models": before["models"] | {name: before["models"].get(name, {}) | ways for name, ways in found.items()},
        }
        RESULT.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
