"""Biased matrix factorisation of scikit-surprise on our folds. Runs in the peer's environment, so it knows nothing of Kinema.

Reads ``train.npz`` and ``valid.npz`` (``users``, ``items``, ``values``) and ``test.npz`` (``users``, ``items``); writes
``told.npz``, a float32 array of test ratings per model, and ``log.json``. `SVD` is chosen from a grid by the squared error on
validation and then trained on both; `SVDpp`, which reads histories and is slow, has the library's own settings.

    python surprise_rating.py --exchange FOLDER --out FOLDER --seed 0
"""

import argparse
import itertools
import json
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from surprise import SVD, Dataset, Reader, SVDpp, Trainset

GRID = {"n_factors": [50, 100], "n_epochs": [20, 40], "lr_all": [0.005], "reg_all": [0.02, 0.06, 0.1]}


def trainset(*parts: dict[str, NDArray[Any]]) -> Trainset:
    """Ratings as the library wants them."""
    columns = [[part[name].tolist() for name in ("users", "items", "values")] for part in parts]
    rows = [row for column in columns for row in zip(*column, strict=True)]
    return Dataset(Reader(rating_scale=(1, 5))).construct_trainset([(*row, None) for row in rows])


def tell(model: Any, asked: dict[str, NDArray[Any]]) -> NDArray[np.float32]:
    """Clipped to the scale, as the library does."""
    pairs = zip(asked["users"].tolist(), asked["items"].tolist(), strict=True)
    return np.array([model.predict(user, item).est for user, item in pairs], dtype=np.float32)


def main() -> None:
    """Choose, train, tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--exchange", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    order = parser.parse_args()
    started = time.perf_counter()
    train, valid, test = (dict(np.load(order.exchange / f"{name}.npz")) for name in ("train", "valid", "test"))
    some, everything = trainset(train), trainset(train, valid)
    tried = []
    for values in itertools.product(*GRID.values()):
        settings = dict(zip(GRID, values, strict=True))
        told = tell(SVD(random_state=order.seed, **settings).fit(some), valid)
        tried.append({**settings, "mse": float(np.mean((told - valid["values"]) ** 2))})
    best = min(tried, key=lambda one: one["mse"])
    chosen = {name: best[name] for name in GRID}
    models = {
        "SVD": SVD(random_state=order.seed),
        "SVD, chosen": SVD(random_state=order.seed, **chosen),
        "SVD++": SVDpp(random_state=order.seed, cache_ratings=True),
    }
    told = {name: tell(model.fit(everything), test) for name, model in models.items()}
    np.savez(order.out / "told.npz", **told)
    log = {
        "package": "scikit-surprise",
        "version": metadata.version("scikit-surprise"),
        "seed": order.seed,
        "chosen": best,
        "tried": tried,
        "wall_seconds": time.perf_counter() - started,
    }
    (order.out / "log.json").write_text(json.dumps(log, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
