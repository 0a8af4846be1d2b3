"""iALS of implicit on our split, its settings chosen on validation from a small grid.

The user's vector is computed again from the history of each case, validation item included for the test, so that the
factorisation knows as much as the sequence models do. An "epoch" of the journal is one setting after so many sweeps.
"""

import itertools
from importlib import metadata
from typing import Any

import numpy as np
from exchange import Exchange, Journal, Order, Packed, ndcg_at_10, read_exchange, read_order, write_scores
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

DEFAULTS: dict[str, Any] = {
    "factors": [64, 128, 256],
    "regularization": [1.0, 10.0],
    "alpha": [3.0, 20.0],
    "sweeps": [8, 16],
    "patience": 1000,
    "max_epochs": 1000,
}


def as_matrix(histories: Packed, num_items: int) -> csr_matrix:
    """Binary matrix of rows and items."""
    values = np.ones(len(histories.items), dtype=np.float32)
    return csr_matrix((values, histories.items, histories.offsets), shape=(len(histories), num_items))


class Scorer:
    """Users' vectors solved from their histories, times the items' vectors."""

    def __init__(self, model: AlternatingLeastSquares, histories: Packed, known_V: NDArray[np.bool_]) -> None:
        matrix = as_matrix(histories, len(known_V))
        self.users_CD = model.recalculate_user(np.arange(len(histories)), matrix)
        self.items_VD = model.item_factors
        self.known_V = known_V
        self.has_C = np.diff(histories.offsets) > 0

    def __call__(self, start: int, stop: int) -> NDArray[np.float32]:
        """Scores of a range of rows."""
        scores_BV: NDArray[np.float32] = self.users_CD[start:stop] @ self.items_VD.T
        scores_BV[:, ~self.known_V] = -np.inf
        scores_BV[~self.has_C[start:stop]] = -np.inf
        return scores_BV


def train(order: Order, exchange: Exchange) -> tuple[Scorer, Journal]:
    """Try the grid; return the test scorer of the best setting."""
    settings = order.chosen(DEFAULTS)
    journal = order.journal("implicit", metadata.version("implicit"), settings)
    matrix, known_V = as_matrix(exchange.train, exchange.num_items), exchange.known_items()
    best: Scorer | None = None
    grid = itertools.product(settings["factors"], settings["regularization"], settings["alpha"])
    for factors, regularization, alpha in grid:
        model = AlternatingLeastSquares(
            factors=factors,
            regularization=regularization,
            alpha=alpha,
            num_threads=order.threads,
            random_state=order.seed,
        )
        done = 0
        for sweeps in settings["sweeps"]:
            journal.start_epoch()
            # A second call goes on from the vectors of the first.
            model.iterations = sweeps - done
            model.fit(matrix, show_progress=False)
            done = sweeps
            notes = {"factors": factors, "regularization": regularization, "alpha": alpha, "sweeps": sweeps}
            valid = Scorer(model, exchange.valid, known_V)
            if journal.end_epoch(
                lambda scorer=valid: ndcg_at_10(scorer, exchange.valid, exchange.valid_targets_C), **notes
            ):
                best = Scorer(model, exchange.test, known_V)
                best.items_VD = best.items_VD.copy()
            if journal.stop:
                break
        if journal.stop:
            break
    assert best is not None
    return best, journal


def main() -> None:
    """Train, score, write."""
    order = read_order()
    exchange = read_exchange(order.exchange)
    # implicit asks for it: the threads of its own solver and those of BLAS would fight.
    with threadpool_limits(1, "blas"):
        best, journal = train(order, exchange)
    journal.write(order.out)
    write_scores(order.out, best, exchange)


if __name__ == "__main__":
    main()
