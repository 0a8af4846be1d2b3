"""Two tasks so small that training them takes a moment."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Line:
    """y = 2 x1 - x2, learnt by a linear layer."""

    def __init__(self, *, scale=1.0):
        torch.manual_seed(0)
        random = np.random.default_rng(0)
        self.network = nn.Linear(2, 1)
        self.x_N2 = torch.from_numpy(random.normal(size=(200, 2)).astype(np.float32)) * scale
        self.y_N = self.x_N2 @ torch.tensor([2.0, -1.0])
        self.num_examples = 150

    def loss(self, rows_B, draws):
        return ((self.network(self.x_N2[rows_B]).squeeze(1) - self.y_N[rows_B]) ** 2).mean()

    def validate(self):
        return {"mse": self.loss(np.arange(150, 200), None).item()}

    def embeddings(self):
        return ()


class TasteNetwork(nn.Module):
    def __init__(self, *, sparse, normed, dropout):
        super().__init__()
        self.users = nn.Embedding(20, 4, sparse=sparse)
        self.items = nn.Embedding(15, 4, sparse=sparse)
        self.norm = nn.BatchNorm1d(4) if normed else nn.Identity()
        self.inner = nn.Dropout(dropout)
        self.head = nn.Linear(4, 1)


class Taste:
    """Whether a user likes an item: a planted product of vectors, learnt by tables; `PredictingLearner`."""

    def __init__(self, *, sparse=False, normed=False, dropout=0.2, inner_dropout=0.0, start=0):
        torch.manual_seed(start)
        random = np.random.default_rng(1)
        pairs = np.array([(u, v) for u in range(20) for v in range(15)])
        pairs = random.permutation(pairs)
        true = (random.normal(size=(20, 3))[pairs[:, 0]] * random.normal(size=(15, 3))[pairs[:, 1]]).sum(1)
        self.users_N, self.items_N = (torch.from_numpy(pairs[:, one].copy()) for one in (0, 1))
        self.liked_N = torch.from_numpy((true > 0).astype(np.float32))
        self.num_examples, self.meaning, self.dropout = 220, "chances", dropout
        self.network = TasteNetwork(sparse=sparse, normed=normed, dropout=inner_dropout)

    def predictions(self, rows_B, draws):
        net = self.network
        x_BD = net.inner(net.norm(net.users(self.users_N[rows_B]) * net.items(self.items_N[rows_B])))
        if draws is not None:
            x_BD = draws.dropout(x_BD, self.dropout)
        return net.head(x_BD).squeeze(1)

    def loss_of(self, predictions, rows_B):
        return functional.binary_cross_entropy_with_logits(predictions, self.liked_N[rows_B])

    def loss(self, rows_B, draws):
        return self.loss_of(self.predictions(rows_B, draws), rows_B)

    def validate(self):
        rows = np.arange(220, 300)
        logits = self.predictions(rows, None)
        right = ((logits > 0).float() == self.liked_N[rows]).float().mean().item()
        return {"log_loss": self.loss_of(logits, rows).item(), "accuracy": right}

    def embeddings(self):
        return (self.network.users.weight, self.network.items.weight)
