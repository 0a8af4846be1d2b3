"""Training speed of DeepFM and DIN beside torch-rechub's, in one run on the same rows.

    python benchmarks/click_speed.py [--rounds 3] [--threads 1] [--models deepfm din]

- ``deepfm``: Frappe, 10 categories, training rows with re-drawn negatives.
- ``din``: MovieLens-1M by time: user, item, the 50 items before; per user up to 10 of the last items and as many drawn ones.

Both train vectors of width 10, three hidden layers of 400 with batch norm and dropout .2, attention of 32 and 16 units, Adam, batches of
4,096 rows, in float32. Rounds alternate. Ours are whole calls of `fit`, order, batches and a look at 1,000 validation rows included. The peer is timed by the epoch,
without validation: ``shipped`` with its own data loader, ``ready`` with batches that lie ready as tensors, which leaves its model and
optimiser alone to be compared. Its DIN has Dice where ours has ReLU and PReLU, and batch norm in the attention.
"""

import argparse
import json
import platform
import shutil
import statistics
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy must come before the numeric libraries
import polars as pl  # noqa: E402
import torch  # noqa: E402

from click_prediction import INPUTS, frappe  # noqa: E402
from datasets import data_root  # noqa: E402
from kinema.evaluation.environment import run_facts  # noqa: E402
from kinema.tasks.click import ClickLearner, read_labels  # noqa: E402
from kinema.tasks.click_networks import ClickConfig  # noqa: E402
from kinema.tasks.field_specs import parse_spec  # noqa: E402
from kinema.tasks.fields import FieldRows, Fields, fit_fields  # noqa: E402
from kinema.training.fitting import FitOptions, fit  # noqa: E402
from peering import CLICK_PEERS, environment, run_script  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "click_speed.json"
BATCH, EPOCHS, SEEN, PER_USER, CHECKED = 4096, 1, 50, 10, 1000


@dataclass(frozen=True)
class Rows:
    """What a model learns from.

    Attributes:
        fields: Of the table.
        rows: Its rows.
        labels_N: Of clicks.
    """

    fields: Fields
    rows: FieldRows
    labels_N: Any


def deepfm_rows() -> Rows:
    """Frappe."""
    frame = frappe()["train"]
    fields = fit_fields(frame, INPUTS["frappe"]["10 fields"], min_count=1)
    return Rows(fields, fields.apply(frame), read_labels(frame, "label"))


def din_rows() -> Rows:
    """Of each user's last items, and as many drawn ones, with the items before."""
    pairs = np.loadtxt(data_root() / "ml-1m" / "ml-1m_sasrec.txt.gz", dtype=np.int64)
    ends = np.flatnonzero(np.diff(pairs[:, 0])) + 1
    sequences = np.split(pairs[:, 1], ends)
    random, found = np.random.default_rng(0), []
    num_items = int(max(items.max() for items in sequences))
    for user, items in enumerate(sequences):
        for place in range(max(1, len(items) - PER_USER), len(items)):
            seen = items[max(0, place - SEEN) : place].tolist()
            found += [(user, int(items[place]), seen, 1), (user, int(random.integers(1, num_items + 1)), seen, 0)]
    frame = pl.DataFrame(found, schema=["user", "item", "seen", "label"], orient="row")
    specs = [parse_spec(one) for one in ("user=category", "item=category", f"seen=list,target=item,longest={SEEN}")]
    fields = fit_fields(frame, specs, min_count=1)
    return Rows(fields, fields.apply(frame), read_labels(frame, "label"))


def export(rows: Rows, folder: Path) -> None:
    """What the peer reads: places within each field, histories padded with 0."""
    firsts = np.array([one.first for one in rows.fields.single], dtype=np.int64)
    arrays: dict[str, Any] = {
        "labels": rows.labels_N,
        "single": rows.rows.rows_NF - firsts,
        "sizes": np.array([one.size for one in rows.fields.single]),
    }
    if rows.rows.lists:
        (offsets, entries), target = rows.rows.lists[0], rows.fields.single[-1]
        padded = np.zeros((len(rows.labels_N), SEEN), dtype=np.int64)
        lengths = np.diff(offsets)
        padded[np.arange(SEEN) < lengths[:, None]] = entries - target.first
        arrays["seen"] = padded
    np.savez(folder / "rows.npz", **arrays)


def ours(model: str, rows: Rows, *, seed: int) -> float:
    """Training rows per second of one call of `fit`."""
    part = (_first(rows.rows, CHECKED), rows.labels_N[:CHECKED])
    learner = ClickLearner(
        ClickConfig(model=model), rows.fields, train=(rows.rows, rows.labels_N), valid=part, seed=seed
    )
    options = FitOptions("auc", batch_size=BATCH, optimizer="adam", max_epochs=EPOCHS, patience=EPOCHS + 1)
    fit(learner, FitOptions("auc", batch_size=BATCH, max_epochs=1), seed=seed)
    report = fit(learner, options, seed=seed)
    return len(rows.labels_N) * report.epochs / report.seconds


def _first(rows: FieldRows, count: int) -> FieldRows:
    lists = tuple((offsets[: count + 1], entries[: offsets[count]]) for offsets, entries in rows.lists)
    return FieldRows(rows.rows_NF[:count], rows.scales_NF, lists)


def theirs(model: str, exchange: Path, num_rows: int, *, seed: int, threads: int) -> tuple[dict[str, float], str]:
    """Way -> training rows per second of the peer, and its version."""
    folder = exchange / f"peer-{seed}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    script = Path(__file__).resolve().parent / "peers" / CLICK_PEERS["rechub"]
    command = [str(environment("rechub")), str(script), "--exchange", str(exchange), "--out", str(folder)]
    command += ["--model", model, "--batch", str(BATCH), "--epochs", str(EPOCHS), "--seed", str(seed)]
    run_script("rechub", command, folder, threads=threads, timeout=3600)
    log: Mapping[str, Any] = json.loads((folder / "log.json").read_text(encoding="utf-8"))
    return {way: num_rows / statistics.median(took) for way, took in log["seconds"].items()}, log["version"]


def main() -> None:
    """Time both by turns and write what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--models", nargs="+", choices=["deepfm", "din"], default=["deepfm", "din"])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    facts = run_facts(command="python benchmarks/click_speed.py", seed=0)
    told: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
    told |= {"machine": facts["machine"], "date": facts["date"], "versions": facts["versions"]}
    told |= {"threads": options.threads, "batch_size": BATCH, "processor": platform.processor() or platform.machine()}
    for model in options.models:
        rows, speeds = (deepfm_rows if model == "deepfm" else din_rows)(), []
        with tempfile.TemporaryDirectory() as place:
            export(rows, Path(place))
            for seed in range(options.rounds):
                peer, version = theirs(model, Path(place), len(rows.labels_N), seed=seed, threads=options.threads)
                speeds.append({**peer, "kinema": ours(model, rows, seed=seed)})
                print(model, {name: round(value) for name, value in speeds[-1].items()}, flush=True)
        medians = {name: round(statistics.median(one[name] for one in speeds)) for name in speeds[0]}
        told[model] = {
            "rows": len(rows.labels_N),
            "peer": f"torch-rechub {version}",
            "rows_per_second": medians,
            "ratio": {way: round(medians["kinema"] / medians[way], 2) for way in ("shipped", "ready")},
            "rounds": [{name: round(value) for name, value in one.items()} for one in speeds],
        }
        RESULT.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
