"""How fast torch-rechub trains DeepFM and DIN on our rows. Runs in the peer's environment, so it knows nothing of Kinema.

Reads ``rows.npz``: ``labels`` [N], ``single`` [N, F] with rows from 0 within each field, ``sizes`` [F]; for DIN also ``seen`` [N, L], 0
where there is nothing, which shares the vectors of the last single field. Writes ``log.json``: seconds of each epoch, once with the
library's own data loader (``shipped``) and once with batches that lie ready as tensors (``ready``), the first epoch of each left out.

    python rechub_click.py --exchange FOLDER --out FOLDER --model deepfm --batch 4096 --epochs 3
"""

import argparse
import json
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_rechub.basic.features import SequenceFeature, SparseFeature
from torch_rechub.models.ranking import DIN, DeepFM
from torch_rechub.trainers import CTRTrainer
from torch_rechub.utils.data import DataGenerator

WIDTH, HIDDEN, DROPOUT, ATTENTION = 10, [400, 400, 400], 0.2, [32, 16]


def build(name: str, sizes: list[int]) -> torch.nn.Module:
    """The library's model with the sizes of ours."""
    features = [SparseFeature(f"f{place}", vocab_size=size, embed_dim=WIDTH) for place, size in enumerate(sizes)]
    deep: dict[str, Any] = {"dims": HIDDEN, "dropout": DROPOUT}
    if name == "deepfm":
        return DeepFM(features, features, {**deep, "activation": "relu"})
    target = features[-1]
    seen = SequenceFeature(
        "seen", vocab_size=sizes[-1], embed_dim=WIDTH, pooling="concat", shared_with=target.name, padding_idx=0
    )
    return DIN(features[:-1], [seen], [target], deep, {"dims": ATTENTION, "activation": "prelu"})


def main() -> None:
    """Train some epochs each way and write how long they took."""
    parser = argparse.ArgumentParser()
    for name in ("--exchange", "--out"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--model", choices=["deepfm", "din"], required=True)
    parser.add_argument("--started", type=float, default=0.0)
    for name in ("--batch", "--epochs", "--seed"):
        parser.add_argument(name, type=int, required=True)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    with np.load(options.exchange / "rows.npz") as arrays:
        rows = {name: arrays[name] for name in arrays.files}
    features = {f"f{place}": rows["single"][:, place] for place in range(rows["single"].shape[1])}
    if options.model == "din":
        features["seen"] = rows["seen"]
    labels = rows["labels"].astype(np.float32)
    shipped, _, _ = DataGenerator(features, labels).generate_dataloader(
        x_val=features, y_val=labels, x_test=features, y_test=labels, batch_size=options.batch
    )
    order = np.random.default_rng(options.seed).permutation(len(labels))
    ready = [
        ({name: torch.from_numpy(one[part]) for name, one in features.items()}, torch.from_numpy(labels[part]))
        for start in range(0, len(order), options.batch)
        for part in [order[start : start + options.batch]]
    ]
    told: dict[str, Any] = {"package": "torch-rechub", "version": metadata.version("torch-rechub"), "seconds": {}}
    for way, batches in (("shipped", shipped), ("ready", ready)):
        trainer = CTRTrainer(
            build(options.model, rows["sizes"].tolist()), optimizer_params={"lr": 1e-3}, model_path=str(options.out)
        )
        told["seconds"][way] = []
        for epoch in range(options.epochs + 1):
            began = time.perf_counter()
            loss = trainer.train_one_epoch(batches)
            if epoch:
                told["seconds"][way].append(time.perf_counter() - began)
            told[f"{way} loss"] = loss
    (options.out / "log.json").write_text(json.dumps(told), encoding="utf-8")


if __name__ == "__main__":
    main()
