"""DeepFM and DCN-v2 of torch-rechub on our rows. Runs in the peer's environment, so it knows nothing of Kinema.

Reads ``rows.npz``: ``sizes`` [F], and for train and valid ``<part>_single`` [N, F] with rows from 0 within each field and
``<part>_labels`` [N]; of test the rows alone. Each setting of the grid trains with the library's own trainer until AUC on validation gains no
more for two epochs; writes ``log.json`` and ``told.npz``: the best setting's probabilities for valid and test.

    python rechub_quality.py --exchange FOLDER --out FOLDER --model deepfm --seed 0 --chosen -1
"""

import argparse
import copy
import json
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch_rechub.basic.features import SparseFeature
from torch_rechub.models.ranking import DCNv2, DeepFM
from torch_rechub.trainers import CTRTrainer

WIDTH, BATCH, PATIENCE, MOST = 10, 4096, 2, 40
DEEP: dict[str, Any] = {"dims": [400, 400, 400], "dropout": 0.2, "activation": "relu"}
GRID = (
    {"weight_decay": 1e-5, "embedding_l2": 0.0},
    {"weight_decay": 0.0, "embedding_l2": 0.005},
    {"weight_decay": 0.0, "embedding_l2": 0.05},
)
"""The library's default, and the L2 on vectors that our own networks were given on this set."""


class Batches:
    """Rows in a new order each time, as the trainer wants them."""

    def __init__(self, single: NDArray[np.int64], labels: NDArray[np.float32], seed: int) -> None:
        self.single, self.labels = torch.from_numpy(single), torch.from_numpy(labels)
        self.random = torch.Generator().manual_seed(seed)

    def __len__(self) -> int:
        return (len(self.labels) + BATCH - 1) // BATCH

    def __iter__(self) -> Iterator[tuple[dict[str, torch.Tensor], torch.Tensor]]:
        for rows in torch.randperm(len(self.labels), generator=self.random).split(BATCH):
            yield named(self.single[rows]), self.labels[rows]


def named(single: torch.Tensor) -> dict[str, torch.Tensor]:
    """Columns by the names of the fields."""
    return {f"f{place}": single[:, place] for place in range(single.shape[1])}


def probabilities(model: torch.nn.Module, single: NDArray[np.int64]) -> NDArray[np.float32]:
    """Of a click."""
    model.eval()
    with torch.inference_mode():
        parts = [model(named(part)) for part in torch.from_numpy(single).split(8192)]
    told: NDArray[np.float32] = torch.cat(parts).numpy()
    return told


def train(name: str, rows: dict[str, NDArray[Any]], setting: dict[str, float], seed: int, out: Path) -> Any:
    """The best model by validation, its AUC and its epochs."""
    torch.manual_seed(seed)
    fields = [SparseFeature(f"f{place}", int(size), WIDTH) for place, size in enumerate(rows["sizes"])]
    model = DeepFM(fields, fields, DEEP) if name == "deepfm" else DCNv2(fields, 3, DEEP, use_low_rank_mixture=False)
    trainer = CTRTrainer(
        model,
        optimizer_params={"lr": 1e-3, "weight_decay": setting["weight_decay"]},
        regularization_params={"embedding_l2": setting["embedding_l2"]},
        model_path=str(out),
    )
    batches = Batches(rows["train_single"], rows["train_labels"], seed)
    best, kept, since, epochs = 0.0, None, 0, 0
    while since < PATIENCE and epochs < MOST:
        trainer.train_one_epoch(batches)
        epochs += 1
        auc = float(roc_auc_score(rows["valid_labels"], probabilities(model, rows["valid_single"])))
        since = 0 if auc > best else since + 1
        if auc > best:
            best, kept = auc, copy.deepcopy(model.state_dict())
    model.load_state_dict(kept)
    return model, best, epochs


def main() -> None:
    """Try the grid, or train the setting that was chosen, and tell."""
    parser = argparse.ArgumentParser()
    for name in ("--exchange", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--model", choices=["deepfm", "dcn"], required=True)
    parser.add_argument("--started", type=float, default=0.0)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--chosen", type=int, default=-1, help="Place in the grid; -1 tries all of it.")
    options = parser.parse_args()
    began = time.perf_counter()
    with np.load(options.exchange / "rows.npz") as arrays:
        rows = {name: arrays[name] for name in arrays.files}
    tried, best, model = [], -1.0, None
    for place in range(len(GRID)) if options.chosen < 0 else [options.chosen]:
        found, auc, epochs = train(options.model, rows, GRID[place], options.seed, options.out)
        tried.append({"place": place, **GRID[place], "valid_auc": auc, "epochs": epochs})
        if auc > best:
            best, model = auc, found
    told = {part: probabilities(model, rows[f"{part}_single"]) for part in ("valid", "test")}
    np.savez(options.out / "told.npz", **told)
    log = {"version": metadata.version("torch-rechub"), "tried": tried, "seconds": time.perf_counter() - began}
    (options.out / "log.json").write_text(json.dumps(log), encoding="utf-8")


if __name__ == "__main__":
    main()
