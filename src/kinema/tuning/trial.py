"""One trial: train a configuration on the training part, and measure what it would serve on validation.

Shape suffixes: C cases, B cases of a batch.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.flm.config import FLMConfig
from kinema.flm.model import FLM
from kinema.metrics.ranking import ndcg
from kinema.metrics.ranks import target_ranks
from kinema.store.features import ModalityFeatures, Profiles
from kinema.store.histories import Histories
from kinema.store.splits import Cases, blocked_items
from kinema.training.loop import pretrain
from kinema.training.validation import sample_cases

_JUDGED_CELLS: Final = 64_000_000
"""Cases times items a trial is judged on. Training looks at an eighth of it while it chooses an epoch; the noise
of a sample that small is larger than most differences between settings."""
_BATCH_CELLS: Final = 4_000_000


class Watch(Protocol):
    """Who watches a trial."""

    def tick(self) -> None:
        """Some work is done."""

    def look(self, share: float, value: float) -> None:
        """Validation was looked at when ``share`` of the training was done; raises to end the trial."""


@dataclass(frozen=True)
class TrialData:
    """What every trial of a search works on.

    Attributes:
        train: Training histories.
        valid: Cases that epochs, gates, blend and settings are chosen on.
        features: Modality -> features.
        profiles: None for none.
        item_ids: In number order.
        published_ms_V: When each item became available; None where nothing is known.
    """

    train: Histories
    valid: Cases
    features: Mapping[str, ModalityFeatures]
    profiles: Profiles | None
    item_ids: Sequence[str]
    published_ms_V: NDArray[np.int64] | None

    def judged(self, seed: int) -> Cases:
        """The cases trials are compared on: all, or a sample where they are many; the same for every trial."""
        return sample_cases(self.valid, num_items=self.train.num_items, max_cells=_JUDGED_CELLS, seed=seed)


def run_trial(data: TrialData, config: FLMConfig, *, seed: int, watch: Watch) -> NDArray[np.float64]:
    """Train and measure one configuration.

    Args:
        data: Of the search.
        config: What is trained.
        seed: Of the training, the same for every trial.
        watch: May end the trial early by raising.

    Returns:
        float64 [C], NDCG@10 of the fused scores for each of ``data.judged(seed)``.
    """
    features = data.features if config.use_content else {}
    profiles = data.profiles if config.use_profiles else None
    model = pretrain(
        train=data.train,
        valid=data.valid,
        features=features,
        profiles=profiles,
        item_ids=data.item_ids,
        published_ms_V=data.published_ms_V,
        config=config,
        seed=seed,
        on_look=_looker(config, watch),
        progress=lambda done, total, note="": watch.tick(),  # noqa: ARG005  # the signature of Progress
    )
    return fused_gains(model, data.judged(seed), features, profiles, data.published_ms_V)


def fused_gains(
    model: FLM,
    cases: Cases,
    features: Mapping[str, ModalityFeatures],
    profiles: Profiles | None,
    published_ms_V: NDArray[np.int64] | None,
) -> NDArray[np.float64]:
    """NDCG@10 of the fused scores per case, float64 [C], over the whole catalogue less what each user has seen."""
    num_items = cases.targets.num_items
    scorer = model.serve(features, num_items)
    size = max(1, _BATCH_CELLS // num_items)
    gains = []
    for start in range(0, len(cases), size):
        batch = cases.take(np.arange(start, min(start + size, len(cases))))
        profiles_BP = None if profiles is None else profiles.values_UP[batch.users_C]
        ranks_T = target_ranks(
            scorer.score(batch.histories, profiles_BP, moments_C=batch.timestamps_ms_C),
            rows_T=np.repeat(np.arange(len(batch)), batch.targets.lengths),
            items_T=batch.targets.items,
            blocked_CV=blocked_items(batch, published_ms_V=published_ms_V),
        )
        gains.append(ndcg(ranks_T, batch.targets.offsets, k=10))
    return np.concatenate(gains)


def _looker(config: FLMConfig, watch: Watch) -> Callable[[Mapping[str, Any]], None]:
    """Looks as shares of the whole training: a wide model has done fewer epochs of it than a narrow one by then."""

    def look(entry: Mapping[str, Any]) -> None:
        share = entry["epoch"] / config.max_epochs
        if config.max_seconds:
            share = max(share, entry["seconds"] / config.max_seconds)
        watch.look(min(share, 1.0), entry["validation"]["with_memory"])

    return look
