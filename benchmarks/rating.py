"""Ratings of MovieLens-100K on its five fixed folds: biased matrix factorisation, ours and scikit-surprise's, and the neural model.

    python benchmarks/rating.py [--folds 1 2 3 4 5] [--no-peer] [--no-texts] [--again "neural, IDs"]

Of each ``u<k>.base`` a tenth, drawn with ``derive_seed(0, "ml-100k/u<k>")``, is validation; settings and epochs are chosen by the
squared error there, then the model is trained on the whole base, and the test fold is asked once. Results are merged into
``results/rating.json`` entry by entry, so a run that is stopped goes on where it was; ``results/rating.md`` is the table.

Shape suffixes: N ratings, U users, V items.
"""

import argparse
import itertools
import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from kinema.threads import set_thread_policy

set_thread_policy()

import numpy as np  # noqa: E402  # the thread policy must come before the numeric libraries
from numpy.typing import NDArray  # noqa: E402

from datasets import CACHE, data_root  # noqa: E402
from kinema.errors import KinemaError  # noqa: E402
from kinema.evaluation.environment import run_facts  # noqa: E402
from kinema.metrics.regression import interval_coverage, interval_width  # noqa: E402
from kinema.seeds import generator  # noqa: E402
from kinema.steps.rating import TrainedRating, retrain_rating, train_rating  # noqa: E402
from kinema.tasks.rating import RatingConfig, SideFeatures, rating_errors  # noqa: E402
from kinema.tasks.rating_data import Ratings  # noqa: E402
from kinema.training.fitting import FitOptions  # noqa: E402
from peering import RATING_PEERS, PeerError, environment  # noqa: E402

RESULT: Final = Path(__file__).parent / "results" / "rating.json"
SIZES: Final = (943, 1682)
FACTORS: Final = FitOptions(metric="mse", batch_size=1024, learning_rate=5e-3, max_epochs=60, patience=3)
NEURAL: Final = FitOptions(metric="mse", batch_size=4096, learning_rate=2e-3, max_epochs=40, patience=3)
ABSOLUTE: Final = FitOptions(metric="mae", batch_size=4096, learning_rate=2e-3, max_epochs=40, patience=3)
_NEURAL: Final[dict[str, Any]] = {"dropout": 0.5, "forget": 0.3, "l2": 0.01}
"""Found by trials on the validation part of u1; the other folds take them as they are."""
Grid = dict[str, list[Any]]
VARIANTS: Final[dict[str, tuple[str, FitOptions, dict[str, Any], Grid]]] = {
    "biased MF": ("none", FACTORS, {"model": "factors"}, {"width": [64], "l2": [0.07, 0.1, 0.14]}),
    "neural, IDs": ("none", NEURAL, _NEURAL, {}),
    "neural, IDs + user fields + genres and year": ("fields", NEURAL, _NEURAL, {}),
    "the same, absolute error": ("fields", ABSOLUTE, _NEURAL | {"loss": "mae"}, {}),
    "the same, quantile heads": ("fields", NEURAL, _NEURAL | {"interval": "quantile"}, {}),
    "the same, and titles": ("texts", NEURAL, _NEURAL, {}),
}
"""Name -> features, how it is trained, fixed settings, and the grid that validation chooses from."""


def read_ratings(path: Path) -> Ratings:
    """One file of GroupLens."""
    rows = np.loadtxt(path, dtype=np.int64, usecols=(0, 1, 2))
    return Ratings(rows[:, 0] - 1, rows[:, 1] - 1, rows[:, 2].astype(np.float32), *SIZES)


def fold(folder: Path, number: int) -> tuple[Ratings, Ratings, Ratings, Ratings]:
    """Training, validation, both, test."""
    base = read_ratings(folder / f"u{number}.base")
    order = generator(0, f"ml-100k/u{number}").permutation(len(base))
    cut = len(base) // 10
    return (
        base.take(np.sort(order[cut:])),
        base.take(np.sort(order[:cut])),
        base,
        read_ratings(folder / f"u{number}.test"),
    )


def one_hot(values: list[Any]) -> NDArray[np.float32]:
    """A column per value."""
    known = sorted(set(values))
    return np.eye(len(known), dtype=np.float32)[[known.index(one) for one in values]]


def side_features(folder: Path, *, use_texts: bool) -> dict[str, SideFeatures]:
    """Fields of users, genres and years of films, and vectors of their titles."""
    users = [line.split("|") for line in (folder / "u.user").read_text(encoding="latin-1").splitlines()]
    films = [line.split("|") for line in (folder / "u.item").read_text(encoding="latin-1").splitlines()]
    ages = np.array([int(row[1]) for row in users])
    age_groups = np.digitize(ages, [18, 25, 35, 45, 50, 56]).tolist()
    users_UA = np.hstack(
        [
            ((ages - ages.mean()) / ages.std())[:, None],
            *(one_hot(one) for one in (age_groups, [r[2] for r in users], [r[3] for r in users])),
        ]
    ).astype(np.float32)
    years = np.array([int(row[2][-4:]) if row[2] else 1995 for row in films])
    decades = np.digitize(years, [1960, 1980, 1990]).tolist()
    genres = np.array([[int(mark) for mark in row[5:]] for row in films], dtype=np.float32)
    items_VE = np.hstack([genres, ((years - 1990) / 10)[:, None], one_hot(decades)]).astype(np.float32)
    found = {"none": SideFeatures(), "fields": SideFeatures(users_UA, items_VE)}
    if use_texts:
        names = (folder / "u.genre").read_text(encoding="latin-1").split()
        genre_names = [name.split("|")[0] for name in names]
        told = [", ".join(n for n, mark in zip(genre_names, row[5:], strict=True) if mark == "1") for row in films]
        texts = [f"{row[1]}. {some}" for row, some in zip(films, told, strict=True)]
        found["texts"] = SideFeatures(users_UA, np.hstack([items_VE, title_vectors(texts)]))
    return found


def title_vectors(texts: list[str]) -> NDArray[np.float32]:
    """The 32 main directions of MiniLM's vectors, of deviation 1 together in each row's mean square."""
    from kinema.encoders.text import load_text_encoder  # noqa: PLC0415  # only where texts are asked for

    vectors_VD = load_text_encoder("packaged:minilm").encode(texts)
    vectors_VD -= vectors_VD.mean(axis=0)
    left_VD, sizes_D, _ = np.linalg.svd(vectors_VD, full_matrices=False)
    kept_VE = left_VD[:, :32] * sizes_D[:32]
    return (kept_VE / np.sqrt((kept_VE**2).mean())).astype(np.float32) * np.float32(0.5)


def run_variant(
    name: str, parts: tuple[Ratings, Ratings, Ratings, Ratings], features: Mapping[str, SideFeatures]
) -> dict[str, Any]:
    """Choose on validation, train on the whole base, ask the test fold."""
    train, valid, base, test = parts
    told_of, options, fixed, grid = VARIANTS[name]
    started, known = time.perf_counter(), features[told_of]
    tried: list[tuple[float, RatingConfig, TrainedRating]] = []
    for values in itertools.product(*grid.values()):
        config = RatingConfig(**fixed, **dict(zip(grid, values, strict=True)))
        found = train_rating(train, valid, config, options, features=known)
        tried.append((found.report.metrics[options.metric], config, found))
    _, config, first = min(tried, key=lambda one: one[0])
    model = retrain_rating(first, base, options)
    low_N, high_N = model.interval(test.users_N, test.items_N)
    return {
        **rating_errors(model.predict(test.users_N, test.items_N), test.values_N),
        "coverage": interval_coverage(low_N, high_N, test.values_N),
        "width": interval_width(low_N, high_N),
        "valid": dict(first.report.metrics),
        "chosen": {key: getattr(config, key) for key in grid} | {"epochs": first.report.best_epoch},
        "seconds": round(time.perf_counter() - started, 1),
    }


def run_peer(number: int, parts: tuple[Ratings, Ratings, Ratings, Ratings]) -> dict[str, dict[str, Any]]:
    """scikit-surprise in an environment of its own."""
    train, valid, _, test = parts
    folder = CACHE / "rating" / f"u{number}"
    folder.mkdir(parents=True, exist_ok=True)
    for name, one in (("train", train), ("valid", valid)):
        np.savez(folder / f"{name}.npz", users=one.users_N, items=one.items_N, values=one.values_N)
    np.savez(folder / "test.npz", users=test.users_N, items=test.items_N)
    script = Path(__file__).parent / "peers" / RATING_PEERS["surprise"]
    command = [
        str(environment("surprise")),
        str(script),
        "--exchange",
        str(folder),
        "--out",
        str(folder),
        "--seed",
        "0",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise PeerError(f"peer 'surprise' must end with code 0, ended with {done.returncode}: {done.stderr[-500:]}")
    log = json.loads((folder / "log.json").read_text(encoding="utf-8"))
    with np.load(folder / "told.npz") as told:
        return {
            f"{log['package']} {name}": rating_errors(told[name], test.values_N)
            | {"chosen": log["chosen"] if "chosen" in name else {}, "version": log["version"]}
            for name in told.files
        }


def write_table(results: Mapping[str, Any], path: Path) -> None:
    """Means over folds, and each fold's squared error."""
    lines = [
        "# Ratings of MovieLens-100K, folds u1..u5",
        "",
        results["protocol"],
        "",
        "| model | MSE | RMSE | MAE | RMSE of u1..u5 | 90 % interval holds | width |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, folds in results["models"].items():
        rows = [folds[key] for key in sorted(folds)]
        means = {key: np.mean([row[key] for row in rows]) for key in ("mse", "rmse", "mae")}
        each = ", ".join(f"{row['rmse']:.4f}" for row in rows)
        held = [
            f"{np.mean([row[key] for row in rows]):.3f}" if key in rows[0] else "-" for key in ("coverage", "width")
        ]
        lines.append(
            f"| {name}{'' if len(rows) == 5 else f' ({len(rows)} folds)'} | {means['mse']:.4f} | {means['rmse']:.4f} | "
            f"{means['mae']:.4f} | {each} | {held[0]} | {held[1]} |"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    """Run what is missing."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--folds", nargs="*", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--no-peer", action="store_true")
    parser.add_argument("--no-texts", action="store_true")
    parser.add_argument("--again", nargs="*", default=[], help="models to measure again")
    order = parser.parse_args()
    folder = data_root() / "ml-100k"
    results = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {"models": {}}
    results["protocol"] = (
        "A tenth of each base, drawn with a published seed, is validation; settings and epochs are chosen there, then the model "
        "is trained on the whole base. Seed 0. Values are clipped to 1..5. Means over folds."
    )
    results["facts"] = run_facts(command="python benchmarks/rating.py", seed=0)
    features = side_features(folder, use_texts=not order.no_texts)
    wanted = [name for name, (told_of, *_) in VARIANTS.items() if told_of in features]

    def keep(name: str, number: int, entry: Mapping[str, Any]) -> None:
        results["models"].setdefault(name, {})[f"u{number}"] = entry
        RESULT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        write_table(results, RESULT.with_suffix(".md"))
        print(f"u{number} {name}: RMSE {entry['rmse']:.4f}, MAE {entry['mae']:.4f}", flush=True)

    for name, number in itertools.product(wanted, order.folds):
        if name in order.again or f"u{number}" not in results["models"].get(name, {}):
            keep(name, number, run_variant(name, fold(folder, number), features))
    for number in () if order.no_peer else order.folds:
        if f"u{number}" in results["models"].get("scikit-surprise SVD", {}):
            continue
        try:
            for name, entry in run_peer(number, fold(folder, number)).items():
                keep(name, number, entry)
        except (KinemaError, OSError) as error:
            print(f"left out: {error}", flush=True)


if __name__ == "__main__":
    main()
