"""SASRec of RecTools on our split: its data loading, its model, its training loop (Lightning), its full softmax.

Ours is only what a user of RecTools writes: a callback that validates after each epoch with RecTools' own inference,
keeps the best weights and stops. RecTools' own validation step computes logits for every place of every history; using it
would make the peer slower, not better.

Defaults follow the configurations that the authors of RecTools published for leave-one-out (eSASRec, arXiv:2508.06450,
github.com/blondered/transformer_benchmark): 256 factors and one block on the short histories of Beauty, 64 factors and
two blocks on MovieLens-1M. They use 256 sampled negatives there (``"loss": "sampled_softmax"``); the default here is
RecTools' own, the full softmax.
"""

import copy
import logging
import warnings
from functools import partial
from importlib import metadata
from typing import Any

import numpy as np
import pandas as pd
import pytorch_lightning as lightning
import torch
from exchange import Exchange, Journal, Order, Packed, ndcg_at_10, read_exchange, read_order, write_scores
from numpy.typing import NDArray
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel


def defaults(exchange: Exchange) -> dict[str, Any]:
    """Settings for short or long histories."""
    short = exchange.mean_length < 20
    return {
        "session_max_len": 50 if short else 200,
        "n_factors": 256 if short else 64,
        "n_blocks": 1 if short else 2,
        "n_heads": 1,
        "dropout_rate": 0.2 if short else 0.1,
        "loss": "softmax",
        "n_negatives": 256,
        "lr": 1e-3,
        # A sample is a user: at 128 an epoch of MovieLens-100K would have eight steps.
        "batch_size": 128 if len(exchange.train) >= 4000 else 32,
        "patience": 5,
        "max_epochs": 200,
    }


def as_dataset(histories: Packed) -> Dataset:
    """Interactions as RecTools wants them; the place in the history serves as the date."""
    frame = pd.DataFrame(
        {
            Columns.User: histories.owners,
            Columns.Item: histories.items,
            Columns.Weight: 1.0,
            Columns.Datetime: pd.to_datetime(histories.places, unit="s"),
        }
    )
    return Dataset.construct(frame)


class Sessions:
    """Some histories, ready to be scored again and again by a model that changes."""

    def __init__(self, histories: Packed, preparator: Any, num_items: int) -> None:
        dataset = as_dataset(histories)
        rows = np.unique(histories.owners)
        with warnings.catch_warnings():
            # It warns of users without a known item; they get no scores here.
            warnings.simplefilter("ignore")
            asked = preparator.transform_dataset_u2i(dataset, rows)
        self.loader = preparator.get_dataloader_recommend(asked, 512)
        self.rows = asked.user_id_map.external_ids.astype(np.int64)
        self.known_K = preparator.get_known_item_ids().astype(np.int64)
        self.internal_K = preparator.get_known_items_sorted_internal_ids()
        self.shape = (len(histories), num_items)

    def encode(self, module: Any) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.bool_]]:
        """Vectors of all rows and of the known items, and which rows have one."""
        users, items_KD = module._get_user_item_embeddings(self.loader, "cpu")  # noqa: SLF001 - no public way to all scores
        users_CD = np.zeros((self.shape[0], users.shape[1]), dtype=np.float32)
        users_CD[self.rows] = users.numpy()
        has_C = np.zeros(self.shape[0], dtype=bool)
        has_C[self.rows] = True
        return users_CD, items_KD.numpy()[self.internal_K], has_C

    def scorer(self, module: Any) -> Any:
        """Scores of a range of rows over our catalogue."""
        users_CD, items_KD, has_C = self.encode(module)

        def score(start: int, stop: int) -> NDArray[np.float32]:
            scores_BV = np.full((stop - start, self.shape[1]), -np.inf, dtype=np.float32)
            scores_BV[:, self.known_K] = users_CD[start:stop] @ items_KD.T
            scores_BV[~has_C[start:stop]] = -np.inf
            return scores_BV

        return score


class Watch(lightning.Callback):
    """Validates after each epoch, keeps the best weights, stops."""

    def __init__(self, journal: Journal, exchange: Exchange) -> None:
        self.journal = journal
        self.exchange = exchange
        self.sessions: Sessions | None = None
        self.best: dict[str, torch.Tensor] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "Watch":
        """RecTools copies its trainer before it trains; the journal must stay the one we hold."""
        return self

    def on_train_epoch_start(self, _trainer: Any, module: Any) -> None:
        """Start the clock of the epoch."""
        if self.sessions is None:
            self.sessions = Sessions(self.exchange.valid, module.data_preparator, self.exchange.num_items)
        module.train()
        self.journal.start_epoch()

    def on_train_batch_end(self, trainer: Any, *_rest: Any) -> None:
        """Stop within an epoch that is too long for the budget."""
        trainer.should_stop |= self.journal.out_of_time

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        """Validate."""
        assert self.sessions is not None
        validate = partial(self.validate, module)
        if self.journal.end_epoch(validate):
            self.best = copy.deepcopy(module.torch_model.state_dict())
        trainer.should_stop |= bool(self.journal.stop)

    def validate(self, module: Any) -> float:
        """NDCG@10 over the full catalogue."""
        assert self.sessions is not None
        return ndcg_at_10(self.sessions.scorer(module), self.exchange.valid, self.exchange.valid_targets_C)


def train(order: Order, exchange: Exchange) -> tuple[SASRecModel, Journal]:
    """Fit on the training histories only and go back to the best epoch."""
    settings = order.chosen(defaults(exchange))
    journal = order.journal("rectools", metadata.version("rectools"), settings)
    watch = Watch(journal, exchange)
    lightning.seed_everything(order.seed, verbose=False)
    model = SASRecModel(
        **{name: value for name, value in settings.items() if name not in {"patience", "max_epochs"}},
        recommend_torch_device="cpu",
    )
    # Its documented way to another trainer; `get_trainer_func` would have to be importable by name.
    model._trainer = lightning.Trainer(  # noqa: SLF001
        max_epochs=settings["max_epochs"],
        accelerator="cpu",
        callbacks=[watch],
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        logger=False,
    )
    model.fit(as_dataset(exchange.train))
    model.torch_model.load_state_dict(watch.best)
    return model, journal


def main() -> None:
    """Train, score, write."""
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="pytorch_lightning")
    order = read_order()
    exchange = read_exchange(order.exchange)
    model, journal = train(order, exchange)
    journal.write(order.out)
    sessions = Sessions(exchange.test, model.data_preparator, exchange.num_items)
    write_scores(order.out, sessions.scorer(model.lightning_model), exchange)


if __name__ == "__main__":
    main()
