"""Warm items served as if nobody had watched them: what can be learnt about cold items before there are any.

Shape suffixes: C cases, V catalogue, D width.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.flm.binding import bind
from kinema.flm.config import FLMConfig
from kinema.flm.likeness import Liken, Likeness, Weight
from kinema.flm.mixture import Mixture
from kinema.flm.network import FLMNetwork
from kinema.flm.scorer import Scorer
from kinema.seeds import derive_seed
from kinema.store.splits import Cases
from kinema.training.calibration import Pretence, forget, pretended_cold
from kinema.training.likeness import behaviour_of, teach_likeness, weigh_modalities
from kinema.training.preparation import Prepared
from kinema.training.validation import ndcg_per_case

_SHARE: Final = 0.2
_DRAWS: Final = 4
_TRIED_CELLS: Final = 1_000_000_000
"""Cosines between items that the search for weights of modalities may cost in each draw."""


@dataclass(frozen=True)
class Asked:
    """Validation cases as a rehearsal asks them."""

    cases: Cases
    blocked_CV: NDArray[np.bool_]
    profiles_CP: NDArray[np.float32] | None


class Rehearsal:
    """A few draws of items that are served as cold ones.

    Args:
        prepared: Of the run.
        config: Of the run.
        seed: Of the run.
        asked: Validation cases; draws without a cold target among theirs are left out.
    """

    def __init__(self, prepared: Prepared, config: FLMConfig, seed: int, asked: Asked) -> None:
        self._prepared, self._config, self._seed, self._asked = prepared, config, seed, asked
        described_V = prepared.neighbours[1].sum(axis=1) > 0
        if not config.use_imputation:
            described_V = prepared.content.described.numpy()
        drawn = [
            pretended_cold(prepared.counts_V, described_V, share=_SHARE, seed=derive_seed(seed, f"pretence-{draw}"))
            for draw in range(_DRAWS)
        ]
        self._cold = [one for one in drawn if one[asked.cases.targets.items].any()]
        self._likens: list[Liken | None] = [None] * len(self._cold)

    def among_cold(self, network: FLMNetwork) -> NDArray[np.float64]:
        """NDCG@10 of the leading branch among the items that are served as cold ones, one number per draw and case that asks for one."""
        found = [self._among_cold(network, cold_V, None) for cold_V in self._cold]
        return np.concatenate(found) if found else np.zeros(0)

    def learn_likeness(self, network: FLMNetwork) -> Liken | None:
        """Teach what items are like, where moments are at hand, and choose how much each modality says of it.

        It is what clearly lifts NDCG@10 among items that are served as cold ones. In each draw those are not taught on.

        Args:
            network: In evaluation mode.

        Returns:
            The likeness taught on all items with enough events; None where raw content, all modalities alike, is as good.
        """
        if not self._prepared.content.moments or not self._config.use_ids or not self._cold:
            return None
        trials = [self._teach(network, ~cold_V) for cold_V in self._cold]
        if any(one is None for one in trials):
            return None
        content = self._prepared.content
        start = {
            name: Weight(float(known))
            for name, known in zip(content.names, network.tower.known_by_M.tolist(), strict=True)
        }
        likens = [Liken(one, start, one.rows(content)) for one in trials if one is not None]

        def told(weights: Mapping[str, Weight]) -> NDArray[np.float64]:
            asked = zip(self._cold, likens, strict=True)
            return np.concatenate(
                [self._among_cold(network, one, replace(each, weights=weights)) for one, each in asked]
            )

        weights = weigh_modalities(told, start, tries=_TRIED_CELLS // content.num_items**2)
        whole = None if weights == start else self._teach(network, np.ones(len(self._cold[0]), dtype=bool))
        if whole is None:
            return None
        self._likens = [replace(one, weights=weights) for one in likens]
        return Liken(whole, weights)

    def pretences(self, network: FLMNetwork, mixture: Mixture) -> list[Pretence]:
        """What the branches say in each draw."""
        cases, profiles_CP = self._asked.cases, self._asked.profiles_CP
        return [
            Pretence(
                branch_logits(self._scorer(network, mixture, cold_V, liken), cases, profiles_CP, mixture.branches),
                cold_V,
            )
            for cold_V, liken in zip(self._cold, self._likens, strict=True)
        ]

    def _teach(self, network: FLMNetwork, allowed_V: NDArray[np.bool_]) -> Likeness | None:
        prepared = self._prepared
        taught_V = allowed_V & (prepared.counts_V >= self._config.imputation_min_events)
        return teach_likeness(
            prepared.whitenings,
            prepared.content,
            behaviour_of(network.tower.ids_VD),
            taught_V,
            config=self._config,
            seed=self._seed,
        )

    def _among_cold(self, network: FLMNetwork, cold_V: NDArray[np.bool_], liken: Liken | None) -> NDArray[np.float64]:
        """NDCG@10 of the leading branch among the cold items, for cases that ask for one of them."""
        cases = self._asked.cases
        wanted_T = cold_V[cases.targets.items]
        rows = np.flatnonzero(
            np.add.reduceat(wanted_T.astype(np.int64), cases.targets.offsets[:-1]) == cases.targets.lengths
        )
        asked = cases.take(rows)
        profiles_CP = None if self._asked.profiles_CP is None else self._asked.profiles_CP[rows]
        leading = self._config.leading
        scorer = self._scorer(network, Mixture.from_weights({leading: 1.0}), cold_V, liken)
        logits_CV = branch_logits(scorer, asked, profiles_CP, (leading,))[leading]
        return ndcg_per_case(logits_CV, asked, self._asked.blocked_CV[rows] | ~cold_V)

    def _scorer(self, network: FLMNetwork, mixture: Mixture, cold_V: NDArray[np.bool_], liken: Liken | None) -> Scorer:
        prepared = self._prepared
        return bind(
            network,
            config=self._config,
            mixture=mixture,
            memory=forget(prepared.memory, cold_V),
            content=prepared.content,
            counts_V=prepared.counts_V * ~cold_V,
            popularity_V=prepared.popularity_V * ~cold_V,
            liken=liken,
        )


def branch_logits(
    scorer: Scorer, cases: Cases, profiles_CP: NDArray[np.float32] | None, branches: Sequence[str]
) -> Mapping[str, NDArray[np.float32]]:
    """Logits of some branches, each case asked at its moment."""
    return scorer.branch_logits(cases.histories, profiles_CP, branches=tuple(branches), moments_C=cases.timestamps_ms_C)
