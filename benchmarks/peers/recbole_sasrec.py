"""SASRec of RecBole on our split: its dataset and its augmentation (one sample per prefix), its loader, its trainer.

The dataset is built from the training histories alone; validation and test histories are scored by its
``full_sort_predict``. Ours is the loop over epochs, because RecBole validates only on samples of its own split.

Defaults are RecBole's own (64 wide, two layers, two heads, cross-entropy over the catalogue, Adam 1e-3), but batches of
512 instead of 2,048 on small sets: on MovieLens-100K the best epoch is then the fourth.
Dropout .5 suits sparse sets such as Beauty; long histories get .2. Histories are cut to 50, RecBole's default: with one
sample per prefix, 200 makes an epoch of MovieLens-1M about five times as long.
"""

import copy
import sys
from collections.abc import Iterator
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import torch
from exchange import Exchange, Journal, Order, Packed, ndcg_at_10, read_exchange, read_order, write_scores
from numpy.typing import NDArray
from recbole.config import Config
from recbole.data.dataset import SequentialDataset
from recbole.data.interaction import Interaction
from recbole.data.utils import get_dataloader
from recbole.model.sequential_recommender.sasrec import SASRec
from recbole.trainer import Trainer
from recbole.utils import init_seed

NAME = "exchange"


def defaults(exchange: Exchange) -> dict[str, Any]:
    """Settings for sparse or dense data."""
    dropout = 0.5 if exchange.mean_length < 20 else 0.2
    return {
        "MAX_ITEM_LIST_LENGTH": 50,
        "hidden_size": 64,
        "inner_size": 256,
        "n_layers": 2,
        "n_heads": 2,
        "hidden_dropout_prob": dropout,
        "attn_dropout_prob": dropout,
        "learning_rate": 1e-3,
        "train_batch_size": 512 if len(exchange.train.items) < 500_000 else 2048,
        "patience": 5,
        "max_epochs": 300,
    }


def configuration(order: Order, settings: dict[str, Any]) -> Config:
    """RecBole's configuration; everything is training data, nothing is left to its own split."""
    given = {name: value for name, value in settings.items() if name not in {"patience", "max_epochs"}}
    # Config reads the command line as well and would take our arguments for its own.
    sys.argv = sys.argv[:1]
    return Config(
        model="SASRec",
        dataset=NAME,
        config_dict={
            **given,
            "data_path": str(order.out),
            "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
            "loss_type": "CE",
            "train_neg_sample_args": None,
            "eval_args": {"split": {"RS": [1.0]}, "group_by": "none", "order": "TO", "mode": "full"},
            "use_gpu": False,
            "seed": order.seed,
            "reproducibility": True,
            "show_progress": False,
            "checkpoint_dir": str(order.out),
        },
    )


def write_atomic_file(folder: Path, train: Packed) -> None:
    """Training interactions as RecBole reads them; the place in the history serves as the time stamp."""
    target = folder / NAME
    target.mkdir(parents=True, exist_ok=True)
    rows = np.stack([train.owners, train.items, train.places], axis=1)
    header = "user_id:token\titem_id:token\ttimestamp:float"
    np.savetxt(target / f"{NAME}.inter", rows, fmt="%d", delimiter="\t", header=header, comments="")


class Timed:
    """A loader that ends where the time is up."""

    def __init__(self, loader: Any, journal: Journal) -> None:
        self.loader = loader
        self.journal = journal

    def __iter__(self) -> Iterator[Any]:
        """Batches."""
        for batch in self.loader:
            yield batch
            if self.journal.out_of_time:
                return


class Sessions:
    """Some histories as RecBole's input, ready to be scored again and again by a model that changes."""

    def __init__(self, histories: Packed, dataset: SequentialDataset, settings: dict[str, Any], num_items: int) -> None:
        tokens_K = np.asarray(dataset.field2id_token["item_id"][1:], dtype=np.int64)
        self.known_K = tokens_K
        self.num_items = num_items
        internal_V = np.zeros(num_items, dtype=np.int64)
        internal_V[tokens_K] = np.arange(1, len(tokens_K) + 1)
        width = settings["MAX_ITEM_LIST_LENGTH"]
        self.sequences = torch.zeros((len(histories), width), dtype=torch.long)
        self.lengths = torch.zeros(len(histories), dtype=torch.long)
        known = histories.only(internal_V > 0)
        for row in range(len(known)):
            items = internal_V[known.of(row)[-width:]]
            self.sequences[row, : len(items)] = torch.from_numpy(items)
            self.lengths[row] = len(items)

    def scorer(self, model: SASRec) -> Any:
        """Scores of a range of rows over our catalogue."""

        def score(start: int, stop: int) -> NDArray[np.float32]:
            lengths_B = self.lengths[start:stop]
            asked = Interaction({"item_id_list": self.sequences[start:stop], "item_length": lengths_B.clamp(min=1)})
            model.eval()
            with torch.no_grad():
                found = model.full_sort_predict(asked).numpy()
            scores_BV = np.full((stop - start, self.num_items), -np.inf, dtype=np.float32)
            scores_BV[:, self.known_K] = found[:, 1:]
            scores_BV[lengths_B.numpy() == 0] = -np.inf
            return scores_BV

        return score


def train(order: Order, exchange: Exchange) -> tuple[SASRec, SequentialDataset, Journal]:
    """Fit on the training histories only and go back to the best epoch."""
    settings = order.chosen(defaults(exchange))
    journal = order.journal("recbole", metadata.version("recbole"), settings)
    write_atomic_file(order.out, exchange.train)
    config = configuration(order, settings)
    init_seed(order.seed, reproducibility=True)
    # One of RecBole's models (sine.py) switches it on for the whole process when the package is imported: 70 % more time.
    torch.autograd.set_detect_anomaly(mode=False)
    (dataset,) = SequentialDataset(config).build()
    loader = get_dataloader(config, "train")(config, dataset, None, shuffle=True)
    model = SASRec(config, dataset)
    trainer = Trainer(config, model)
    sessions = Sessions(exchange.valid, dataset, settings, exchange.num_items)
    validate = partial(_validate, sessions, model, exchange)
    best: dict[str, torch.Tensor] = {}
    while not journal.stop or not best:
        journal.start_epoch()
        trainer._train_epoch(Timed(loader, journal), len(journal.epochs))  # noqa: SLF001 - fit() wants its own split
        if journal.end_epoch(validate):
            best = copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return model, dataset, journal


def _validate(sessions: Sessions, model: SASRec, exchange: Exchange) -> float:
    return ndcg_at_10(sessions.scorer(model), exchange.valid, exchange.valid_targets_C)


def main() -> None:
    """Train, score, write."""
    order = read_order()
    exchange = read_exchange(order.exchange)
    model, dataset, journal = train(order, exchange)
    journal.write(order.out)
    sessions = Sessions(exchange.test, dataset, journal.facts["settings"], exchange.num_items)
    write_scores(order.out, sessions.scorer(model), exchange)


if __name__ == "__main__":
    main()
