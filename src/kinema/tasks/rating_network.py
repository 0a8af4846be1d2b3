"""Networks that tell a rating: biased matrix factorisation, and factors that see histories, features and their product.

Shape suffixes: B ratings asked for, R different rows among them, O rows of the other side (or outputs), U users, V items,
A numbers per user, E numbers per item, D width. Outputs are the value, then its lower and upper quantile.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.nn import functional

from kinema.flm.draws import Draws
from kinema.tasks.rating_data import RatedBy

_START = 0.05


class _SparseProduct(torch.autograd.Function):
    """scipy's product, several times as fast as embedding bags with weights, whose gradient is slow."""

    @staticmethod
    def forward(ctx: Any, dense_OD: Tensor, matrix_RO: sparse.csr_matrix) -> Tensor:
        """See `sparse_product`."""
        ctx.matrix_RO = matrix_RO
        return torch.from_numpy(matrix_RO @ dense_OD.detach().numpy())

    @staticmethod
    def backward(ctx: Any, upstream_RD: Tensor) -> tuple[Tensor, None]:
        """The transposed product."""
        return torch.from_numpy(ctx.matrix_RO.T @ upstream_RD.numpy()), None


def sparse_product(matrix_RO: sparse.csr_matrix, dense_OD: Tensor) -> Tensor:
    """A constant sparse matrix times a table that learns.

    Example:
        >>> sparse_product(sparse.csr_matrix(np.array([[0.0, 2.0]], dtype=np.float32)), torch.tensor([[1.0], [3.0]]))
        tensor([[6.]])
    """
    product_RD: Tensor = _SparseProduct.apply(dense_OD, matrix_RO)  # type: ignore[no-untyped-call]  # torch leaves it untyped
    return product_RD


class BiasedFactors(nn.Module):
    """``mean + b_u + b_i + p_u . q_i``.

    Args:
        num_users: U.
        num_items: V.
        width: Of the factors.
        mean: Of the training ratings.

    Source: Koren, Bell and Volinsky, Matrix factorization techniques for recommender systems, Computer 2009.
    """

    mean: Tensor

    def __init__(self, num_users: int, num_items: int, *, width: int, mean: float) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(num_users, width), nn.Embedding(num_items, width)
        self.user_bias, self.item_bias = nn.Embedding(num_users, 1), nn.Embedding(num_items, 1)
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=_START)
        for table in (self.user_bias, self.item_bias):
            nn.init.zeros_(table.weight)
        self.register_buffer("mean", torch.tensor(mean))

    def forward(
        self,
        users_B: Tensor,
        items_B: Tensor,
        *,
        own_B: Tensor | None = None,  # noqa: ARG002  # only networks with histories have to take it out
        draws: Draws | None = None,  # noqa: ARG002  # nothing is dropped
    ) -> tuple[Tensor, Tensor]:
        """float32 [B, 1] and the mean of the squared numbers used, per rating, that L2 weighs."""
        users_BD, items_BD = self.users(users_B), self.items(items_B)
        biases_B2 = torch.cat([self.user_bias(users_B), self.item_bias(items_B)], dim=1)
        values_B = self.mean + biases_B2.sum(dim=1) + (users_BD * items_BD).sum(dim=1)
        squares = (users_BD.square().sum() + items_BD.square().sum() + biases_B2.square().sum()) / max(len(users_B), 1)
        return values_B.unsqueeze(1), squares


class RatingSide(nn.Module):
    """Vectors of users or of items: an ID, features, and the history without the rating that is asked for.

    The history is what SVD++ adds: which others were met, and how far their values lay from what is usual.

    Args:
        history: Of this side.
        features: float32 [rows, A], or None.
        width: D.
        forget: Share of the other side that histories go without in a training step: what is told must not hang on few.
        dropout: On the vector of the ID.

    Attributes:
        num_rows: U or V.
    """

    features: Tensor | None

    def __init__(
        self,
        history: RatedBy,
        features: NDArray[np.float32] | None,
        *,
        width: int,
        forget: float = 0.0,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self._forget, self._dropout = forget, dropout
        self.num_rows, num_others = len(history.offsets) - 1, len(history.usual)
        self.history = history
        self.ids, self.bias = nn.Embedding(self.num_rows, width), nn.Embedding(self.num_rows, 1)
        self.met = nn.Embedding(num_others, width)
        self.valued = nn.Embedding(num_others, width)
        for table in (self.ids, self.met, self.valued):
            nn.init.normal_(table.weight, std=_START)
        nn.init.zeros_(self.bias.weight)
        self.register_buffer("features", None if features is None else torch.from_numpy(features), persistent=False)
        self.described = None if features is None else nn.Linear(features.shape[1], width)

    def forward(
        self, rows_B: Tensor, others_B: Tensor, own_B: Tensor | None, draws: Draws | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Vectors of some rows.

        Args:
            rows_B: int64, rows of this side.
            others_B: int64, of the other side: the rating that is asked for.
            own_B: Its value where it stands in the history; None where it does not.
            draws: Of what is forgotten and dropped; None leaves both out.

        Returns:
            float32 [B, D], the vector; float32 [B, 3], the bias, the mean gap of the history, the log of its length;
            float32 [B], squares for L2.
        """
        rows, places_B = np.unique(rows_B.numpy(), return_inverse=True)
        spread_B, usual = torch.from_numpy(places_B), torch.from_numpy(self.history.usual)
        tables = torch.cat([self.met.weight, self.valued.weight], dim=1)
        if draws is not None and self._forget:
            tables = tables * (draws.kept((len(tables), 1), self._forget) / (1 - self._forget))
        valued = tables[:, self.met.embedding_dim :]
        met_B, valued_B = sparse_product(self.history.met[rows], tables)[spread_B].chunk(2, dim=1)
        gaps_B = sparse_product(self.history.gaps[rows], valued)[spread_B]
        count_B = torch.from_numpy(self.history.counts)[rows_B]
        sum_B = torch.from_numpy(self.history.sums)[rows_B]
        if own_B is not None:
            own_gap_B = own_B - usual[others_B]
            own_met_B, own_valued_B = tables[others_B].chunk(2, dim=1)
            met_B, valued_B = met_B - own_met_B, valued_B - own_valued_B
            gaps_B = gaps_B - own_gap_B.unsqueeze(1) * own_valued_B
            count_B, sum_B = count_B - 1, sum_B - own_gap_B
        mean_gap_B = sum_B / (count_B + 5.0)
        scale_B1 = count_B.clamp(min=1.0).rsqrt().unsqueeze(1)
        seen_B1 = (count_B > 0).to(scale_B1.dtype).unsqueeze(1)
        ids_B = self.ids(rows_B) * seen_B1
        if draws is not None:
            ids_B = draws.dropout(ids_B, self._dropout)
        vector_B = ids_B + scale_B1 * (met_B + gaps_B - mean_gap_B.unsqueeze(1) * valued_B)
        if self.described is not None and self.features is not None:
            vector_B = vector_B + self.described(self.features[rows_B])
        bias_B1 = self.bias(rows_B) * seen_B1
        known_B3 = torch.cat([bias_B1, mean_gap_B.unsqueeze(1), count_B.log1p().unsqueeze(1)], dim=1)
        squares_B = vector_B.square().sum(dim=1) + bias_B1.square().sum(dim=1)
        return vector_B, known_B3, squares_B


class NeuralRating(nn.Module):
    """Both sides' vectors: their product, and what a small network reads from them and from the product.

    Args:
        users: Their side.
        items: Their side.
        mean: Of the training ratings.
        width: D.
        hidden: Width of the small network.
        num_outputs: 1, or 3 with both quantiles.
        dropout: On what the small network reads.
    """

    mean: Tensor

    def __init__(
        self,
        users: RatingSide,
        items: RatingSide,
        *,
        mean: float,
        width: int,
        hidden: int,
        num_outputs: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.users, self.items, self._dropout = users, items, dropout
        self.read = nn.Linear(3 * width + 4, hidden)
        self.head = nn.Linear(hidden, num_outputs)
        self.gaps = nn.Parameter(torch.ones(2))
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.register_buffer("mean", torch.tensor(mean))

    def forward(
        self, users_B: Tensor, items_B: Tensor, *, own_B: Tensor | None = None, draws: Draws | None = None
    ) -> tuple[Tensor, Tensor]:
        """Tell ratings.

        Args:
            users_B: int64.
            items_B: int64.
            own_B: The values themselves where they are among the histories, so that they can be taken out; else None.
            draws: Of dropout; None leaves it out.

        Returns:
            float32 [B, O] and the mean of the squared numbers used, per rating.
        """
        users_BD, of_user_B3, user_squares_B = self.users(users_B, items_B, own_B, draws)
        items_BD, of_item_B3, item_squares_B = self.items(items_B, users_B, own_B, draws)
        product_BD = users_BD * items_BD
        read_B = torch.cat([product_BD, users_BD, items_BD, of_user_B3[:, 1:], of_item_B3[:, 1:]], dim=1)
        if draws is not None:
            read_B = draws.dropout(read_B, self._dropout)
        hidden_B = functional.relu(self.read(read_B))
        if draws is not None:
            hidden_B = draws.dropout(hidden_B, self._dropout)
        linear_B = self.mean + of_user_B3[:, 0] + of_item_B3[:, 0] + product_BD.sum(dim=1)
        linear_B = linear_B + self.gaps[0] * of_user_B3[:, 1] + self.gaps[1] * of_item_B3[:, 1]
        return linear_B.unsqueeze(1) + self.head(hidden_B), (user_squares_B + item_squares_B).mean()
