"""What adversarial training, R-Drop and averaged weights do for the probability of a click.

    python benchmarks/robust.py [--set town|frappe] [--frappe FOLDER] [--seeds 3] [--radius 0.33] [--attack 0.1]

A small network (factorisation machine and two layers over vectors of width 10) learns whether an impression is clicked:
of the town of seed 7 (who, what, its category, the profile, the place; split by time), or of Frappe (official valid and
test, training negatives drawn again). Reported are AUC on test (``--part valid`` to choose by), AUC there while every vector is moved uphill within a ball
(PGD, 5 steps, 256 examples at a time), the calibration error, and examples per
CPU-second. Early stopping looks at validation.
``--table`` compares dense and row-wise updates of a large table instead.
"""

import argparse
import time
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

from kinema.flm.draws import Draws  # noqa: E402
from kinema.seeds import derive_seed  # noqa: E402
from kinema.sources.town.events import simulate  # noqa: E402
from kinema.sources.town.rules import Rules  # noqa: E402
from kinema.sources.town.world import draw_profiles, plan_world  # noqa: E402
from kinema.tasks.predicting import Meaning  # noqa: E402
from kinema.training.fitting import FitOptions, fit  # noqa: E402
from kinema.training.robust import pushed  # noqa: E402

Parts = dict[str, tuple[NDArray[np.float32], NDArray[np.int64]]]
"""Part -> labels [N] and categories [N, F], numbered through all fields."""
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "fgm": {"adversarial": "fgm"},
    "pgd": {"adversarial": "pgd"},
    "r-drop": {"consistency": 1.0},
    "ema": {"averaging": "ema", "ema_decay": 0.995},
    "swa": {"averaging": "swa", "swa_start": 0.2},
}


class Click:
    """Factorisation machine and two layers; `PredictingLearner`.

    Args:
        parts: ``train``, ``valid``, ``test`` -> labels and categories [N, F], numbered through all fields.
        seed: Of the first weights.
        sparse: Vectors are updated by row.
        width: Of the vectors.
    """

    meaning: Meaning = "chances"

    def __init__(self, parts: Parts, *, seed: int, sparse: bool = False, width: int = 10) -> None:
        torch.manual_seed(derive_seed(seed, "network"))
        self.parts = {name: (torch.from_numpy(y), torch.from_numpy(x)) for name, (y, x) in parts.items()}
        values, fields = max(int(x.max()) for _, x in self.parts.values()) + 1, self.parts["train"][1].shape[1]
        self.network = nn.ModuleDict(
            {
                "vectors": nn.Embedding(values, width, sparse=sparse),
                "biases": nn.Embedding(values, 1, sparse=sparse),
                "deep": nn.Sequential(nn.Linear(fields * width, 64), nn.ReLU(), nn.Linear(64, 1)),
            }
        )
        for name in ("vectors", "biases"):
            nn.init.normal_(self.network[name].weight, std=0.05)
        self.num_examples = len(self.parts["train"][0])

    def logits(self, x_BF: Tensor, draws: Draws | None = None) -> Tensor:
        """Of any rows of a table."""
        v_BFD = self.network["vectors"](x_BF)
        if draws is not None:
            v_BFD = draws.dropout(v_BFD, 0.2)
        pairs_B = 0.5 * (v_BFD.sum(1).square() - v_BFD.square().sum(1)).sum(1)
        return self.network["biases"](x_BF).sum((1, 2)) + pairs_B + self.network["deep"](v_BFD.flatten(1)).squeeze(1)

    def predictions(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Of training rows."""
        return self.logits(self.parts["train"][1][rows_B], draws)

    def loss_of(self, predictions: Tensor, rows_B: NDArray[np.int64]) -> Tensor:
        """Cross entropy."""
        return functional.binary_cross_entropy_with_logits(predictions, self.parts["train"][0][rows_B])

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Cross entropy of training rows."""
        return self.loss_of(self.predictions(rows_B, draws), rows_B)

    def validate(self) -> dict[str, float]:
        """AUC on validation."""
        y, x = self.parts["valid"]
        return {"auc": auc(self.logits(x).numpy(), y.numpy())}

    def embeddings(self) -> tuple[nn.Parameter]:
        """The vectors; biases are not attacked."""
        return (self.network["vectors"].weight,)


def auc(scores: NDArray[np.float32], labels: NDArray[np.float32]) -> float:
    """Probability that a click is scored above what was not clicked; a tie is half."""
    ranks = pl.Series(scores).rank().to_numpy()
    positive = int(labels.sum())
    return float((ranks[labels > 0].sum() - positive * (positive + 1) / 2) / (positive * (len(labels) - positive)))


def calibration_error(probs: NDArray[np.float32], labels: NDArray[np.float32]) -> float:
    """Mean distance of probability and share of clicks over ten bins of equal size."""
    parts = np.array_split(np.argsort(probs), 10)
    return float(sum(len(p) * abs(probs[p].mean() - labels[p].mean()) for p in parts) / len(probs))


def attacked_auc(click: Click, part: str, radius: float) -> float:
    """AUC where vectors stand where the loss of each 256 examples is large."""
    y, x = click.parts[part]
    found = []
    for rows in torch.arange(len(y)).split(256):

        def loss(rows: Tensor = rows) -> Tensor:
            return functional.binary_cross_entropy_with_logits(click.logits(x[rows]), y[rows])

        with pushed(
            click.embeddings(), torch.autograd.grad(loss(), click.embeddings()), radius=radius, steps=5, loss=loss
        ):
            found.append(click.logits(x[rows]).detach())
    return auc(torch.cat(found).numpy(), y.numpy())


def town_parts() -> Parts:
    """Impressions of the town, split by time 7:1:2."""
    rules = Rules()
    world = plan_world(seed=7, num_clips=440, num_users=2000, rules=rules)
    log, _ = simulate(world, rules, seed=7, num_events=60_000, durations_ms_V=np.full(440, 4500))
    clicks = log.filter(pl.col("kind") == "click").select("slate", "item", clicked=pl.lit(1.0))
    shown = (
        log.filter(pl.col("kind") == "impression").join(clicks, on=["slate", "item"], how="left").sort("timestamp_ms")
    )
    users, items = shown["user"].to_numpy(), shown["item"].to_numpy()
    profiles = draw_profiles(world, rules, seed=7)
    columns = [users, items, world.topics_V[items], shown["position"].to_numpy()]
    columns += [np.unique(values, return_inverse=True)[1][users] for values in profiles.values()]
    starts = np.cumsum([0] + [int(one.max()) + 1 for one in columns[:-1]])
    x, y = np.stack(columns, 1) + starts, shown["clicked"].fill_null(0.0).to_numpy().astype(np.float32)
    cuts = [0, int(0.7 * len(y)), int(0.8 * len(y)), len(y)]
    return {name: (y[a:b], x[a:b]) for name, a, b in zip(("train", "valid", "test"), cuts, cuts[1:], strict=False)}


def frappe_parts(folder: Path) -> Parts:
    """The tables as they are given."""
    names = {"train": "train_redrawn_negatives", "valid": "valid", "test": "test"}
    tables = {name: pl.read_csv(folder / f"{file}.csv.gz") for name, file in names.items()}
    return {
        name: (one["label"].to_numpy().astype(np.float32), one.drop("label").to_numpy().astype(np.int64))
        for name, one in tables.items()
    }


def compare(arguments: argparse.Namespace) -> None:
    """A row per way of training, means over the seeds."""
    parts = town_parts() if arguments.set == "town" else frappe_parts(arguments.frappe)
    print({name: (len(y), round(float(y.mean()), 4)) for name, (y, _) in parts.items()})
    print(
        f"| way | AUC valid | AUC {arguments.part} | under attack | lost | calibration | examples/CPU-s |\n|---|---|---|---|---|---|---|"
    )
    for way in arguments.ways:
        found = []
        for seed in range(arguments.seeds):
            click = Click(parts, seed=seed)
            options = FitOptions(
                "auc",
                batch_size=512,
                learning_rate=2e-3,
                weight_decay=arguments.weight_decay,
                max_epochs=arguments.epochs,
                adversarial_radius=arguments.radius,
                adversarial_weight=arguments.weight,
                **WAYS[way],
            )
            started = time.process_time()
            report = fit(click, options, seed=seed)
            seconds = time.process_time() - started
            with torch.inference_mode():
                logits = click.logits(click.parts[arguments.part][1])
            y = click.parts[arguments.part][0].numpy()
            clean, hit = auc(logits.numpy(), y), attacked_auc(click, arguments.part, arguments.attack)
            error = calibration_error(torch.sigmoid(logits).numpy(), y)
            speed = report.epochs * click.num_examples / seconds
            found.append((report.metrics["auc"], clean, hit, clean - hit, error, speed))
        means = np.mean(found, axis=0)
        print(f"| {way} | " + " | ".join(f"{one:.4f}" for one in means[:5]) + f" | {means[5]:.0f} |", flush=True)


def compare_updates(rows: int) -> None:
    """Time of an update of a large table, dense and by row."""
    random = np.random.default_rng(0)
    x, y = random.integers(0, rows, (60_000, 10)), random.integers(0, 2, 60_000).astype(np.float32)
    parts = {"train": (y, x), "valid": (y[:100], x[:100])}
    for sparse in (False, True):
        click = Click(parts, seed=0, sparse=sparse)
        started = time.process_time()
        report = fit(click, FitOptions("auc", batch_size=1000, max_epochs=1))
        print(
            f"{rows} rows, sparse={sparse}: {1000 * (time.process_time() - started) / report.updates:.1f} CPU-ms an update"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--set", choices=("town", "frappe"), default="town")
    parser.add_argument("--frappe", type=Path)
    parser.add_argument("--ways", nargs="+", default=list(WAYS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--radius", type=float, default=0.33)
    parser.add_argument("--attack", type=float, default=0.1)
    parser.add_argument("--weight", type=float, default=1.0, help="of the loss under attack in training")
    parser.add_argument("--part", choices=("valid", "test"), default="test")
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--table", type=int, help="rows of a table to be updated")
    given = parser.parse_args()
    if given.table:
        compare_updates(given.table)
    else:
        compare(given)
