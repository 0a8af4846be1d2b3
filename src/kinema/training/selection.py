"""What validation decides: the epoch, the do-no-harm gates, the weights of the branches.

Shape suffixes: C cases, V catalogue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kinema.flm.binding import bind
from kinema.flm.config import FLMConfig
from kinema.flm.imputation import smoothing
from kinema.flm.likeness import Liken
from kinema.flm.mixture import Mixture
from kinema.flm.network import FLMNetwork
from kinema.flm.scorer import Scorer
from kinema.store.splits import Cases, blocked_items
from kinema.training.blending import fit_mixture, likeliest_scale
from kinema.training.calibration import affordable, best_bonus, even_bonus, fit_cold
from kinema.training.likeness import is_clear
from kinema.training.preparation import Prepared
from kinema.training.rehearsal import Asked, Rehearsal, branch_logits
from kinema.training.validation import gains, ndcg, ndcg_per_case, sample_cases

_LOOK_CELLS: Final = 24_000_000
_GLANCE_CELLS: Final = 8_000_000
_BLEND_CELLS: Final = 12_000_000
_FEWEST_COLD: Final = 30
"""Cold targets in validation from which on they decide how high cold items stand."""
_UNDATED: Final = int(np.iinfo(np.int64).min)
_FOUND_AT: Final = 30
"""Places in which an item counts as found, the more the higher. What is found in the ten of a slate is what matters, but validation
has only some dozen such cold items: with some more places and a discount the level varies less, and is hardly another."""
_KEPT_PROMISE: Final = 0.9
"""How often a cold item is found where a pretended one was found once: the content of a pretended one has been trained on."""
_FACTORS: Final = (4.0, 2.0, 0.5, 0.25)
_TOP_FITS: Final = 2
_TOP_PLACES: Final = 30
_FEWEST_TOP: Final = 100
_LEAST_GAIN: Final = 0.002
_QUERY_DECAYS: Final = (0.6, 0.75, 0.85, 0.95, 1.0)
_SHRINKAGES: Final = (0.0, 1.0, 5.0, 20.0)
_MEMORY_CELLS: Final = 12_000_000
_MEMORY_WEIGHTS: Final = (0.0, 0.25, 0.5, 1.0, 2.0)


def default_weights(config: FLMConfig, prepared: Prepared) -> dict[str, float]:
    """Weights of the branches where nothing has been chosen yet; only branches the model has."""
    weights = {"sequential": 1.0} if config.weight_sequence else {}
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
        # Items that come out over time are cold because they are fresh, which no pretence with old ones can stand for.
        self._dated = published_ms_V is not None and bool((published_ms_V > _UNDATED).any())
        num_items = prepared.train.num_items
        self._cases = sample_cases(valid, num_items=num_items, max_cells=_LOOK_CELLS, seed=seed)
        self._blocked_CV = blocked_items(self._cases, published_ms_V=published_ms_V)
        profiles = prepared.profiles
        self._profiles_CP = None if profiles is None else profiles.values_UP[self._cases.users_C]
        if config.use_memory:
            self._choose_memory()
        self._memory_CV = self._memory_scores(self._cases) if config.use_memory else None
        # Looks while training are many and only tell epochs apart; what they choose by is drawn evenly from the cases.
        self._glance = self._evenly(_GLANCE_CELLS)

    def _evenly(self, cells: int) -> NDArray[np.int64]:
        """Rows of cases, evenly drawn, whose scores stay below so many cells."""
        few = min(len(self._cases), max(1, cells // self._prepared.train.num_items))
        return np.linspace(0, len(self._cases) - 1, few).round().astype(np.int64)

    def _choose_memory(self) -> None:
        """How far back a query reaches, and how much items lean on their content neighbours, differ from log to log.

        Some sessions drift, some users never change; some catalogues are described well, others not.
        """
        memory = self._prepared.memory
        part = self._evenly(_MEMORY_CELLS)
        cases, blocked_CV = self._cases.take(part), self._blocked_CV[part]

        def choose(name: str, values: tuple[float, ...]) -> None:
            found = {}
            for value in sorted({getattr(memory, name), *values}):
                setattr(memory, name, value)
                found[value] = ndcg(self._memory_scores(cases), cases, blocked_CV)
            setattr(memory, name, max(found, key=lambda value: (found[value], -value)))

        choose("query_decay", _QUERY_DECAYS)
        if self._prepared.neighbours[1].any():
            choose("shrinkage", _SHRINKAGES)

    def _memory_scores(self, cases: Cases) -> NDArray[np.float32]:
        """The memory with content neighbours standing in."""
        prepared = self._prepared
        smoothing_VV = smoothing(prepared.counts_V, *prepared.neighbours, shrinkage=prepared.memory.shrinkage)
        return prepared.memory.scores(cases.histories, smoothing_VV=smoothing_VV)

    def look(self, network: FLMNetwork) -> dict[str, float]:
        """NDCG@10 of the leading branch (`FLMConfig.leading`), alone and with the memory at its best weight.

        Args:
            network: In evaluation mode.

        Returns:
            Its name, ``with_memory`` and ``memory_weight``.
        """
        rows = self._glance
        cases, blocked_CV = self._cases.take(rows), self._blocked_CV[rows]
        profiles_CP = None if self._profiles_CP is None else self._profiles_CP[rows]
        logits = self._leading(network, cases, profiles_CP)
        alone = ndcg(logits, cases, blocked_CV)
        if self._memory_CV is None:
            return {self._config.leading: alone, "with_memory": alone, "memory_weight": 0.0}
        memory_CV = self._memory_CV[rows]
        tried = {weight: ndcg(logits + weight * memory_CV, cases, blocked_CV) for weight in _MEMORY_WEIGHTS[1:]}
        tried[0.0] = alone
        weight = max(tried, key=lambda one: (tried[one], -one))
        return {self._config.leading: alone, "with_memory": tried[weight], "memory_weight": weight}

    def glanced(self, network: FLMNetwork) -> tuple[NDArray[np.integer], dict[str, NDArray[np.float64]]]:
        """What `look` says, case by case.

        Args:
            network: In evaluation mode.

        Returns:
            Users of the cases that are looked at, and of each the leading branch's name and ``with_memory``.
        """
        rows = self._glance
        cases, blocked_CV = self._cases.take(rows), self._blocked_CV[rows]
        logits = self._leading(network, cases, None if self._profiles_CP is None else self._profiles_CP[rows])
        found = {self._config.leading: ndcg_per_case(logits, cases, blocked_CV)}
        if self._memory_CV is not None:
            logits = logits + self.look(network)["memory_weight"] * self._memory_CV[rows]
        return cases.users_C, found | {"with_memory": ndcg_per_case(logits, cases, blocked_CV)}

    def choose(self, network: FLMNetwork) -> tuple[Mixture, Liken | None, dict[str, Any]]:
        """Close modalities that do harm, then weigh the branches.

        Args:
            network: In evaluation mode; its gates are set.

        Returns:
            The mixture, what finds neighbours, and what was found on the way.
        """
        gates = self._close_gates(network)
        part = self._evenly(_BLEND_CELLS)
        profiles_CP = None if self._profiles_CP is None else self._profiles_CP[part]
        asked = Asked(self._cases.take(part), self._blocked_CV[part], profiles_CP)
        rehearsal = Rehearsal(self._prepared, self._config, self._seed, asked)
        known_by = _forget_useless(network, gates, rehearsal)
        liken = rehearsal.learn_likeness(network)
        scorer = self._scorer(network, fresh=liken is not None or not all(known_by.values()), liken=liken)
        start = default_weights(self._config, self._prepared)
        logits = branch_logits(scorer, self._cases, self._profiles_CP, tuple(start))
        parts = {name: one[part] for name, one in logits.items()}
        mixture = fit_mixture(parts, asked.cases, asked.blocked_CV, start=start)
        mixture = self._refine(self._look_at_the_top(mixture, logits), logits)
        mixture = self._calibrate(network, mixture, part, rehearsal)
        mixture = self._level(mixture, logits)
        lengths_C = self._cases.histories.lengths
        found = {name: self._ndcg(one) for name, one in logits.items()}
        found["fused"] = self._ndcg(mixture.blend(logits, lengths_C, self._prepared.counts_V == 0))
        typical = mixture.weights(np.array([np.median(lengths_C)]).astype(np.int64))[0]
        weights = dict(zip(mixture.branches, typical.round(4).tolist(), strict=True))
        return (
            mixture,
            liken,
            {
                "gates": gates,
                "known_by": known_by,
                **({"likeness": liken.as_dict()} if liken else {}),
                "validation": _rounded(found),
                "weights": weights,
                "cold_ratios": dict(zip(mixture.branches, mixture.cold_ratios_A.round(4).tolist(), strict=False)),
                "cold_bonus": round(mixture.cold_bonus, 4),
                "memory_query_decay": self._prepared.memory.query_decay,
                "memory_shrinkage": self._prepared.memory.shrinkage,
            },
        )

    def _look_at_the_top(self, mixture: Mixture, logits: Mapping[str, NDArray[np.float32]]) -> Mixture:
        """Fit again among the items that stand at the top, where a slate is decided, if that helps.

        Cases whose target is not among them have no say: no weight brings it up.
        """
        lengths_C = self._cases.histories.lengths
        best = self._ndcg(mixture.blend(logits, lengths_C))
        fitted = mixture
        for _ in range(_TOP_FITS):
            open_CV = np.where(self._blocked_CV, -np.inf, fitted.blend(logits, lengths_C))
            places = min(_TOP_PLACES, open_CV.shape[1])
            top_CV = open_CV >= np.partition(open_CV, -places, axis=1)[:, -places][:, None]
            reached_C = np.add.reduceat(
                top_CV[np.repeat(np.arange(len(self._cases)), self._cases.targets.lengths), self._cases.targets.items],
                self._cases.targets.offsets[:-1],
            )
            rows = np.flatnonzero(reached_C == self._cases.targets.lengths)
            if len(rows) < _FEWEST_TOP:
                return mixture
            typical = fitted.weights(np.array([np.median(lengths_C)]).astype(np.int64))[0]
            start = {name: max(float(one), 1e-3) for name, one in zip(fitted.branches, typical, strict=True)}
            parts = {name: one[rows] for name, one in logits.items()}
            fitted = fit_mixture(parts, self._cases.take(rows), ~top_CV[rows], start=start)
        return fitted if self._ndcg(fitted.blend(logits, lengths_C)) > best * (1 + _LEAST_GAIN) else mixture

    def _refine(self, mixture: Mixture, logits: Mapping[str, NDArray[np.float32]]) -> Mixture:
        """Move one weight at a time while NDCG on validation rises: likelihood looks at the whole list, a slate at its top.

        Few steps and few values: a finer search would fit the noise of the validation cases.
        """
        lengths_C = self._cases.histories.lengths
        scores_CV = mixture.blend(logits, lengths_C)
        best = self._ndcg(scores_CV)
        for a in np.argsort(-mixture.weights(np.array([10]))[0]).tolist():
            part_CV = mixture.weights(lengths_C)[:, a, None] * logits[mixture.branches[a]]
            for factor in _FACTORS:
                tried_CV = scores_CV + np.float32(factor - 1) * part_CV
                value = self._ndcg(tried_CV)
                if value > best * (1 + _LEAST_GAIN):
                    factors_A = np.ones(len(mixture.branches))
                    factors_A[a] = factor
                    best, mixture, scores_CV = value, mixture.scaled(factors_A), tried_CV
                    part_CV *= np.float32(factor)
        scale = likeliest_scale(scores_CV, self._cases, self._blocked_CV)
        return mixture.scaled(np.full(len(mixture.branches), scale))

    def _close_gates(self, network: FLMNetwork) -> dict[str, bool]:
        """Drop one modality at a time beside the ID vectors; what validation is clearly better without stays closed.

        Clearly: by more than two standard errors of the paired difference. A few cases would else close a good gate by chance.
        """
        names = self._prepared.content.names
        gates = dict.fromkeys(names, True)
        if not names:
            return gates
        best_C = self._values(network)
        for m, name in enumerate(names):
            if not self._config.use_ids and sum(gates.values()) == 1:
                break
            network.tower.open_M[m] = 0
            without_C = self._values(network)
            gain_C = without_C - best_C
            if is_clear(gain_C):
                best_C, gates[name] = without_C, False
            else:
                network.tower.open_M[m] = 1
        return gates

    def _calibrate(
        self, network: FLMNetwork, mixture: Mixture, part: NDArray[np.int64], rehearsal: Rehearsal
    ) -> Mixture:
        """Serve some warm items as cold ones and see how the branches must count for them, and how high they must stand."""
        cases, blocked_CV = self._cases.take(part), self._blocked_CV[part]
        pretences = rehearsal.pretences(network, mixture)
        if not pretences:
            return replace(mixture, cold_bonus=mixture.cold_bonus - self._config.cold_discount)
        mixture = fit_cold(mixture, pretences, cases, blocked_CV)
        asked = [(one.logits, one.cold_V, cases, blocked_CV) for one in pretences]
        return self._raised(mixture, asked, least=-self._config.cold_discount, bounded=False)

    def _values(self, network: FLMNetwork) -> NDArray[np.float64]:
        """NDCG@10 per case of the sequential branch with the memory at its best weight."""
        logits = self._leading(network, self._cases, self._profiles_CP)
        if self._memory_CV is not None:
            logits = logits + self.look(network)["memory_weight"] * self._memory_CV
        return ndcg_per_case(logits, self._cases, self._blocked_CV)

    def _level(self, mixture: Mixture, logits: Mapping[str, NDArray[np.float32]]) -> Mixture:
        """How high cold items stand where validation has asked for some; else as the pretences have it."""
        cold_V, cases = self._prepared.counts_V == 0, self._cases
        if np.count_nonzero(cold_V[cases.targets.items]) < _FEWEST_COLD:
            return mixture
        mixture = replace(mixture, cold_bonus=0.0)
        scores_CV = mixture.blend(logits, cases.histories.lengths, cold_V)
        least = best_bonus(lambda bonus: self._ndcg(scores_CV + (bonus * cold_V).astype(np.float32)))
        return self._raised(mixture, [(logits, cold_V, cases, self._blocked_CV)], least=least, bounded=True)

    def _raised(
        self,
        mixture: Mixture,
        asked: Sequence[tuple[Mapping[str, NDArray[np.float32]], NDArray[np.bool_], Cases, NDArray[np.bool_]]],
        *,
        least: float,
        bounded: bool,
    ) -> Mixture:
        """Cold items raised by at least ``least``, and until they are found as well as the configuration wants.

        Pretended ones must be found a little more often. Where ``bounded``, because these are true cases, it may cost no more of NDCG over all of them than
        the share of their targets that are cold.
        """
        scored = [
            (mixture.blend(logits, cases.histories.lengths, cold_V), cold_V, cases, blocked_CV)
            for logits, cold_V, cases, blocked_CV in asked
        ]

        def rates(bonus: float) -> tuple[float, float]:
            found, total = np.zeros(2), np.zeros(2)
            for scores_CV, cold_V, cases, blocked_CV in scored:
                gain_T = gains(scores_CV + (bonus * cold_V).astype(np.float32), cases, blocked_CV, k=_FOUND_AT)
                for place, cold_T in enumerate((~cold_V[cases.targets.items], cold_V[cases.targets.items])):
                    found[place] += gain_T[cold_T].sum()
                    total[place] += np.count_nonzero(cold_T)
            warm, cold = found / np.maximum(total, 1)
            return float(warm), float(cold) * (1.0 if bounded else _KEPT_PROMISE)

        def value(bonus: float) -> float:
            found = [
                ndcg(scores_CV + (bonus * cold_V).astype(np.float32), cases, blocked_CV)
                for scores_CV, cold_V, cases, blocked_CV in scored
            ]
            return float(np.mean(found))

        bonus = even_bonus(rates, share=0.0 if self._dated else self._config.cold_share, least=least)
        if bounded and bonus > least:
            cold_T = np.concatenate([cold_V[cases.targets.items] for _, cold_V, cases, _ in scored])
            bonus = affordable(value, least=least, wanted=bonus, most_lost=float(cold_T.mean()))
        return replace(mixture, cold_bonus=mixture.cold_bonus + bonus)

    def _leading(
        self, network: FLMNetwork, cases: Cases, profiles_CP: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Logits of the leading branch alone."""
        leading = self._config.leading
        return branch_logits(self._scorer(network, fresh=False), cases, profiles_CP, (leading,))[leading]

    def _scorer(self, network: FLMNetwork, *, fresh: bool, liken: Liken | None = None) -> Scorer:
        prepared = self._prepared
        return bind(
            network,
            config=self._config,
            mixture=Mixture.from_weights({self._config.leading: 1.0}),
            memory=prepared.memory,
            content=prepared.content,
            counts_V=prepared.counts_V,
            popularity_V=prepared.popularity_V,
            neighbours=None if fresh else prepared.neighbours,
            liken=liken,
        )

    def _ndcg(self, scores_CV: NDArray[np.float32]) -> float:
        return ndcg(scores_CV, self._cases, self._blocked_CV)


def _rounded(found: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 5) for name, value in found.items()}


def _forget_useless(network: FLMNetwork, gates: Mapping[str, bool], rehearsal: Rehearsal) -> dict[str, bool]:
    """Modalities that unwatched items are known by: all but those whose gate is closed and that such items are clearly better without.

    What disturbs beside an ID vector may be all there is to an item that nobody has watched.
    """
    known_by = dict.fromkeys(gates, True)
    for m, (name, is_open) in enumerate(gates.items()):
        if not is_open:
            with_it = rehearsal.among_cold(network)
            network.tower.known_by_M[m] = 0
            gain = rehearsal.among_cold(network) - with_it
            known_by[name] = not is_clear(gain)
            network.tower.known_by_M[m] = float(known_by[name])
    return known_by
