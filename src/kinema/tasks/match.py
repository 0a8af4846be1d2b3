"""Matching: a query and the items that answer it lie near each other. Two towers of linear maps, learnt by contrast.

Shape suffixes: N pairs, B pairs of a step, C cases, T targets, Q queries, V items, D width of a modality, R directions kept of it, E
width of the space.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from kinema.encoders.text_pooling import Pooling, pool_tokens
from kinema.flm.draws import Draws
from kinema.losses.contrastive import in_batch_softmax
from kinema.tasks.match_data import Cases, Pairs, Split
from kinema.tasks.match_material import MatchConfig
from kinema.tasks.match_measures import K, Scores, means, measure
from kinema.tasks.text_tokens import LabelledTexts, parts_by_length

_PART: Final = 32


class Maps(nn.Module):
    """Linear maps of several modalities into one space, summed.

    Args:
        start: Modality -> float32 [R, E].
    """

    def __init__(self, start: Mapping[str, NDArray[np.float32]]) -> None:
        super().__init__()
        self.maps = nn.ParameterDict({name: nn.Parameter(torch.from_numpy(one.copy())) for name, one in start.items()})
        self._start = {name: torch.from_numpy(one.copy()) for name, one in start.items()}

    def forward(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """Unit rows [N, E]."""
        parts = [inputs[name] @ self.maps[name] for name in inputs]
        return functional.normalize(torch.stack(parts).sum(dim=0), dim=1)

    def moved(self) -> Tensor:
        """Squared distance from the start, summed."""
        return torch.stack([(self.maps[name] - one).square().sum() for name, one in self._start.items()]).sum()

    def arrays(self) -> dict[str, NDArray[np.float32]]:
        """Modality -> float32 [R, E]."""
        return {name: one.detach().numpy().copy() for name, one in self.maps.items()}


class MatchNetwork(nn.Module):
    """Both towers, and a text encoder where it learns too.

    Args:
        ask: The tower of queries.
        answer: The tower of items.
        encoder: Of the BERT family; None where vectors of queries are given.
        pooling: How its tokens become one vector.
    """

    def __init__(self, ask: Maps, answer: Maps, encoder: nn.Module | None = None, *, pooling: Pooling = "mean") -> None:
        super().__init__()
        self.ask, self.answer = ask, answer
        self.encoder = encoder
        self.pooling = pooling

    def train(self, mode: bool = True) -> "MatchNetwork":  # noqa: FBT001, FBT002  # torch's signature
        """Dropout of a pre-trained encoder stays off: a few pairs must not fight its noise."""
        super().train(mode)
        if self.encoder is not None:
            self.encoder.eval()
        return self

    def encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Unit rows [B, D] of texts."""
        assert self.encoder is not None
        hidden_BLD = self.encoder(**batch).last_hidden_state
        return functional.normalize(pool_tokens(hidden_BLD, batch["attention_mask"], self.pooling), dim=1)


class MatchLearner:
    """Pairs to learn from, as a `kinema.tasks.task.Learner`.

    Args:
        network: Changed by training.
        pairs: All pairs.
        split: What of them is learnt from and what validation asks.
        ask: Modality -> float32 [Q, R], queries; ``text`` alone for words.
        answer: Modality -> float32 [V, R], items.
        config: What is learnt.
        cropped: Texts of items without what the queries have of them; None for the items' own texts.
        tokens: Of the queries, for an encoder that learns too; labels are not looked at.

    Attributes:
        network: See the class.
        num_examples: Pairs that are learnt from.
    """

    def __init__(
        self,
        network: MatchNetwork,
        pairs: Pairs,
        split: Split,
        *,
        ask: Mapping[str, NDArray[np.float32]],
        answer: Mapping[str, NDArray[np.float32]],
        config: MatchConfig,
        cropped: "Cropped | None" = None,
        tokens: LabelledTexts | None = None,
    ) -> None:
        self.network, self.num_examples = network, len(split.train_N)
        self._pairs, self._split, self._config = pairs, split, config
        self._ask = {name: torch.from_numpy(one) for name, one in ask.items()}
        self._answer = {name: torch.from_numpy(one) for name, one in answer.items()}
        self._cropped = cropped
        self._tokens = tokens
        self._num_items = len(next(iter(answer.values())))
        self._right: Any = pairs.right(self._num_items)
        counts_V = np.bincount(pairs.item_N[split.train_N], minlength=self._num_items)
        self._log_rate_V = torch.from_numpy(np.log(np.maximum(counts_V, 1) / len(split.train_N)).astype(np.float32))

    def loss(self, rows_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        """Contrast within the batch, and how far the maps have moved.

        Queries that were taken from titles are told apart from each other, those from tags from each other: an item that lacks
        its title beside one that lacks its tags would be known by that.
        """
        chosen_B = self._split.train_N[rows_B]
        kinds_Q = self._pairs.kind_Q
        kinds_B = np.zeros(len(chosen_B), dtype=np.int64) if kinds_Q is None else kinds_Q[self._pairs.query_N[chosen_B]]
        stay = self._config.stay * (self.network.ask.moved() + self.network.answer.moved())
        groups = [chosen_B[kinds_B == kind] for kind in np.unique(kinds_B)]
        losses = [self._contrast(one, draws) * (len(one) / len(chosen_B)) for one in groups]
        return torch.stack(losses).sum() + stay

    def _contrast(self, chosen_B: NDArray[np.int64], draws: Draws | None) -> Tensor:
        queries_B, items_B = self._pairs.query_N[chosen_B], self._pairs.item_N[chosen_B]
        inputs = {name: one[items_B] for name, one in self._answer.items()}
        if "text" in inputs and self._pairs.query_items_Q is None:
            if self._cropped is not None:
                inputs["text"] = torch.from_numpy(self._cropped.rests_ND[chosen_B])
            if draws is not None and len(inputs) > 1:
                inputs["text"] = inputs["text"] * self._kept_text(inputs, draws)[:, None]
        return in_batch_softmax(
            self._asked(queries_B),
            self.network.answer(inputs),
            temperature=self._config.temperature,
            also_right_NN=torch.from_numpy(self._right[queries_B][:, items_B].toarray()),
            log_rate_N=self._log_rate_V[items_B],
            weights_N=torch.from_numpy(self._pairs.weight_N[chosen_B]),
        )

    def validate(self) -> Mapping[str, float]:
        """``recall@10``, ``ndcg@10`` and ``mrr``: the mean of what warm and cold items have, and each apart."""
        found: dict[str, float] = {}
        kinds = self._split.cases["valid"]
        per_kind = {
            kind: means(measure(self.scores(cases), cases, num_items=self._num_items)) for kind, cases in kinds.items()
        }
        for name in (f"recall@{K}", f"ndcg@{K}", "mrr"):
            found[name] = float(np.mean([one[name] for one in per_kind.values()]))
            found |= {f"{kind}_{name}": one[name] for kind, one in per_kind.items()}
        return found

    def embeddings(self) -> Sequence[nn.Parameter]:
        """None: there are no tables."""
        return []

    def scores(self, cases: Cases) -> Scores:
        """Cosines of all items with the queries of cases; for `kinema.tasks.match_measures.measure`."""
        with torch.inference_mode():
            asked_CE = self._asked(cases.query_C).numpy()
            if self._cropped is None:
                return cosines(asked_CE, self.network.answer(self._answer).numpy())
            assert self._pairs.kind_Q is not None
            rows = [
                self.network.answer({**self._answer, "text": torch.from_numpy(text_VD)}).numpy()
                for text_VD in self._cropped.bare
            ]
            own = {name: one[cases.items_T] for name, one in self._answer.items()}
            own["text"] = torch.from_numpy(self._cropped.rests_ND[cases.pairs_T])
            own_TE = self.network.answer(own).numpy()
        return cropped_cosines(asked_CE, rows, self._pairs.kind_Q[cases.query_C], cases, own_TE)

    def _asked(self, queries_B: NDArray[np.int64]) -> Tensor:
        if self._tokens is None:
            asked: Tensor = self.network.ask({name: one[queries_B] for name, one in self._ask.items()})
            return asked
        distinct, places_B = np.unique(queries_B, return_inverse=True)
        parts = parts_by_length(self._tokens.lengths_N[distinct], _PART)
        rows = torch.cat([self.network.encode(self._tokens.batch(distinct[part])) for part in parts])
        back = np.argsort(np.concatenate(parts))
        told: Tensor = self.network.ask({"text": rows[torch.from_numpy(back[places_B])]})
        return told

    def _kept_text(self, inputs: Mapping[str, Tensor], draws: Draws) -> Tensor:
        """1 where an item is shown with its text; always where it has nothing else."""
        kept_B = draws.kept((len(inputs["text"]),), self._config.forget_text)
        others_B = torch.stack([one.any(dim=1) for name, one in inputs.items() if name != "text"]).any(dim=0)
        return (kept_B | ~others_B).float()


@dataclass(frozen=True)
class Cropped:
    """Vectors of what items say without a part of their text.

    Attributes:
        rests_ND: float32 [N, D], unit rows, of each pair's item without the query.
        bare: Kind of part -> float32 [V, D], unit rows, of every item without a part of that kind.
    """

    rests_ND: NDArray[np.float32]
    bare: tuple[NDArray[np.float32], ...]


def cosines(asked_CE: NDArray[np.float32], rows_VE: NDArray[np.float32]) -> Scores:
    """Cosines of all items with the queries of cases.

    Args:
        asked_CE: Unit rows, one per case.
        rows_VE: Unit rows, zero rows for items that cannot be compared, which are ranked last.
    """
    there_V = rows_VE.any(axis=1)
    return lambda first, last: np.where(there_V, asked_CE[first:last] @ rows_VE.T, -np.inf)


def cropped_cosines(
    asked_CE: NDArray[np.float32],
    rows: Sequence[NDArray[np.float32]],
    kinds_C: NDArray[np.int64],
    cases: Cases,
    own_TE: NDArray[np.float32],
) -> Scores:
    """`cosines` where the queries were taken from the items' own texts.

    Args:
        asked_CE: Unit rows, one per case.
        rows: Kind -> unit rows [V, E] of the items without a part of that kind.
        kinds_C: Kind of each case's query.
        cases: What is asked.
        own_TE: Unit rows of the targets without the query.
    """

    def block(first: int, last: int) -> NDArray[np.floating]:
        scores_CV = np.empty((last - first, len(rows[0])))
        for kind, rows_VE in enumerate(rows):
            mine = np.flatnonzero(kinds_C[first:last] == kind)
            scores_CV[mine] = np.where(rows_VE.any(axis=1), asked_CE[first + mine] @ rows_VE.T, -np.inf)
        mine = np.flatnonzero((cases.rows_T >= first) & (cases.rows_T < last))
        own_T = np.einsum("te,te->t", asked_CE[cases.rows_T[mine]], own_TE[mine])
        own_T = np.where(own_TE[mine].any(axis=1), own_T, -np.inf)
        scores_CV[cases.rows_T[mine] - first, cases.items_T[mine]] = own_T
        return scores_CV

    return block
