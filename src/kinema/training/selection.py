"""What validation decides: the epoch, the do-no-harm gates, the weights of the branches.

Shape suffixes: C cases, V catalogue.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.flm.config import FLMConfig
from kinema.flm.mixture import Mixture
from kinema.flm.model import bind
from kinema.flm.network import FLMNetwork
from kinema.flm.scorer import Scorer
from kinema.seeds import derive_seed
from kinema.store.splits import Cases, blocked_items
from kinema.training.blending import fit_mixture, likeliest_scale
from kinema.training.calibration import Pretence, fit_cold, forget, pretended_cold
from kinema.training.preparation import Prepared
from kinema.training.validation import ndcg, sample_cases

_LOOK_CELLS: Final = 8_000_000
_BLEND_CELLS: Final = 4_000_000
_PRETENDED_SHARE: Final = 0.2
_PRETENCES: Final = 4
_FACTORS: Final = (4.0, 2.0, 0.5, 0.25)
_LEAST_GAIN: Final = 0.002
_QUERY_DECAYS: Final = (0.6, 0.75, 0.85, 0.95, 1.0)
_MEMORY_WEIGHTS: Final = (0.0, 0.25, 0.5, 1.0, 2.0)


def default_weights(config: FLMConfig, prepared: Prepared) -> dict[str, float]:
    """Weights of the branches where nothing has been chosen yet; only branches the model has."""
    weights = {"sequential": 1.0}
    if config.weight_collab:
        weights["collaborative"] = 0.1
    if prepared.content.names:
        weights["content"] = 0.1
    if config.use_memory:
        weights["imputed_memory"] = 0.5
    return weights | {"popularity": 0.05}


class Selection:
    """Validation cases with everything needed to score them.

    Args:
        prepared: Of the run.
        config: Of the run.
        valid: Validation cases; a sample is looked at where they are many.
        published_ms_V: When each item became available; None where nothing is known.
        seed: Of the run.
    """

    def __init__(
        self,
        prepared: Prepared,
        *,
        config: FLMConfig,
        valid: Cases,
        published_ms_V: NDArray[np.int64] | None,
        seed: int,
    ) -> None:
        self._prepared = prepared
        self._config = config
        self._seed = seed
        num_items = prepared.train.num_items
        self._cases = sample_cases(valid, num_items=num_items, max_cells=_LOOK_CELLS, seed=seed)
        self._blocked_CV = blocked_items(self._cases, published_ms_V=published_ms_V)
        profiles = prepared.profiles
        self._profiles_CP = None if profiles is None else profiles.values_UP[self._cases.users_C]
        if config.use_memory:
            prepared.memory.query_decay = self._choose_query_decay()
        self._memory_CV = prepared.memory.scores(self._cases.histories) if config.use_memory else None

    def _choose_query_decay(self) -> float:
        """How far back a taste reaches differs from log to log: some sessions drift, some users never change."""
        memory = self._prepared.memory
        found = {}
        for decay in sorted({memory.query_decay, *_QUERY_DECAYS}):
            memory.query_decay = decay
            found[decay] = self._ndcg(memory.scores(self._cases.histories))
        return max(found, key=lambda decay: (found[decay], -decay))

    def look(self, network: FLMNetwork) -> dict[str, float]:
        """NDCG@10 of the sequential branch, alone and with the memory at its best weight.

        Args:
            network: In evaluation mode.

        Returns:
            ``sequential``, ``with_memory`` and ``memory_weight``.
        """
        logits = self._scorer(network, fresh=False).score(self._cases.histories, self._profiles_CP, branch="sequential")
        alone = self._ndcg(logits)
        if self._memory_CV is None:
            return {"sequential": alone, "with_memory": alone, "memory_weight": 0.0}
        tried = {weight: self._ndcg(logits + weight * self._memory_CV) for weight in _MEMORY_WEIGHTS[1:]} | {0.0: alone}
        weight = max(tried, key=lambda one: (tried[one], -one))
        return {"sequential": alone, "with_memory": tried[weight], "memory_weight": weight}

    def choose(self, network: FLMNetwork) -> tuple[Mixture, dict[str, Any]]:
        """Close modalities that do harm, then weigh the branches.

        Args:
            network: In evaluation mode; its gates are set.

        Returns:
            The mixture, and what was found on the way.
        """
        gates = self._close_gates(network)
        scorer = self._scorer(network, fresh=not all(gates.values()))
        start = default_weights(self._config, self._prepared)
        logits = scorer.branch_logits(self._cases.histories, self._profiles_CP, branches=tuple(start))
        room = max(1, _BLEND_CELLS // self._prepared.train.num_items)
        part = slice(0, room)
        cases = self._cases.take(np.arange(min(room, len(self._cases))))
        parts = {name: one[part] for name, one in logits.items()}
        mixture = fit_mixture(parts, cases, self._blocked_CV[part], start=start)
        mixture = self._refine(mixture, logits)
        mixture = self._calibrate(network, mixture, cases)
        lengths_C = self._cases.histories.lengths
        found = {name: self._ndcg(one) for name, one in logits.items()}
        found["fused"] = self._ndcg(mixture.blend(logits, lengths_C))
        typical = mixture.weights(np.array([np.median(lengths_C)]).astype(np.int64))[0]
        weights = dict(zip(mixture.branches, typical.round(4).tolist(), strict=True))
        return mixture, {
            "gates": gates,
            "validation": _rounded(found),
            "weights": weights,
            "cold_ratios": dict(zip(mixture.branches, mixture.cold_ratios_A.round(4).tolist(), strict=False)),
            "cold_bonus": round(mixture.cold_bonus, 4),
            "memory_query_decay": self._prepared.memory.query_decay,
        }

    def _refine(self, mixture: Mixture, logits: Mapping[str, NDArray[np.float32]]) -> Mixture:
        """Move one weight at a time while NDCG on validation rises: likelihood looks at the whole list, a slate at its top.

        Few steps and few values: a finer search would fit the noise of the validation cases.
        """
        lengths_C = self._cases.histories.lengths
        best = self._ndcg(mixture.blend(logits, lengths_C))
        for a in np.argsort(-mixture.weights(np.array([10]))[0]).tolist():
            for factor in _FACTORS:
                factors_A = np.ones(len(mixture.branches))
                factors_A[a] = factor
                tried = mixture.scaled(factors_A)
                value = self._ndcg(tried.blend(logits, lengths_C))
                if value > best * (1 + _LEAST_GAIN):
                    best, mixture = value, tried
        scale = likeliest_scale(mixture.blend(logits, lengths_C), self._cases, self._blocked_CV)
        return mixture.scaled(np.full(len(mixture.branches), scale))

    def _close_gates(self, network: FLMNetwork) -> dict[str, bool]:
        """Drop one modality at a time; what validation is better without stays closed."""
        names = self._prepared.content.names
        gates = dict.fromkeys(names, True)
        if not names:
            return gates
        best = self.look(network)["with_memory"]
        for m, name in enumerate(names):
            if not self._config.use_ids and sum(gates.values()) == 1:
                break
            network.tower.open_M[m] = 0
            without = self.look(network)["with_memory"]
            if without > best:
                best, gates[name] = without, False
            else:
                network.tower.open_M[m] = 1
        return gates

    def _calibrate(self, network: FLMNetwork, mixture: Mixture, cases: Cases) -> Mixture:
        """Serve some warm items as cold ones and see how the branches must count for them."""
        prepared = self._prepared
        described_V = prepared.neighbours[1].sum(axis=1) > 0
        profiles_CP = None if self._profiles_CP is None else self._profiles_CP[: len(cases)]
        pretences = []
        for draw in range(_PRETENCES):
            cold_V = pretended_cold(
                prepared.counts_V, described_V, share=_PRETENDED_SHARE, seed=derive_seed(self._seed, f"pretence-{draw}")
            )
            if not cold_V[cases.targets.items].any():
                continue
            scorer = bind(
                network,
                config=self._config,
                mixture=mixture,
                memory=forget(prepared.memory, cold_V),
                content=prepared.content,
                counts_V=prepared.counts_V * ~cold_V,
                popularity_V=prepared.popularity_V * ~cold_V,
            )
            logits = scorer.branch_logits(cases.histories, profiles_CP, branches=mixture.branches)
            pretences.append(Pretence(logits, cold_V))
        return fit_cold(mixture, pretences, cases, self._blocked_CV[: len(cases)]) if pretences else mixture

    def _scorer(self, network: FLMNetwork, *, fresh: bool) -> Scorer:
        prepared = self._prepared
        return bind(
            network,
            config=self._config,
            mixture=Mixture.from_weights({"sequential": 1.0}),
            memory=prepared.memory,
            content=prepared.content,
            counts_V=prepared.counts_V,
            popularity_V=prepared.popularity_V,
            neighbours=None if fresh else prepared.neighbours,
        )

    def _ndcg(self, scores_CV: NDArray[np.float32]) -> float:
        return ndcg(scores_CV, self._cases, self._blocked_CV)


def _rounded(found: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in found.items()}
