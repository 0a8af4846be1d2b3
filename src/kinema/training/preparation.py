"""What is computed once before training: whitened content, item memory, popularity, content neighbours.

Shape suffixes: V catalogue, J neighbours, N interactions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse

from kinema.errors import DataError
from kinema.flm.binding import joint_content, nearest_warm
from kinema.flm.config import FLMConfig
from kinema.flm.fusion import ItemContent
from kinema.flm.memory import ItemMemory
from kinema.flm.model import whitened_content
from kinema.flm.moments import fit_moments
from kinema.flm.whitening import Whitening
from kinema.seeds import generator
from kinema.store.cuts import shuffled_ties
from kinema.store.features import ModalityFeatures, Profiles
from kinema.store.histories import Histories

_HALF_LIFE_SHARE: Final = 0.1
"""An event counts half as popularity when it is older than this share of the log's time span."""


@dataclass(frozen=True)
class Prepared:
    """Fixed inputs of a training run.

    Attributes:
        train: Training histories.
        profiles: User profiles; None for none.
        whitenings: Modality -> fitted map.
        encoders: Modality -> fingerprint of its encoder.
        content: Whitened features.
        memory: Transitions of ``train``; empty when switched off.
        counts_V: int64, interactions per item.
        popularity_V: float32, recency-weighted interactions per item.
        neighbours: Content-nearest warm items int64 [V, J] and their weights float32 [V, J].
    """

    train: Histories
    profiles: Profiles | None
    whitenings: Mapping[str, Whitening]
    encoders: Mapping[str, str]
    content: ItemContent
    memory: ItemMemory
    counts_V: NDArray[np.int64]
    popularity_V: NDArray[np.float32]
    neighbours: tuple[NDArray[np.int64], NDArray[np.float32]]


def prepare(
    *,
    train: Histories,
    features: Mapping[str, ModalityFeatures],
    profiles: Profiles | None,
    item_ids: Sequence[str],
    config: FLMConfig,
    seed: int = 0,
    given: Mapping[str, Whitening] | None = None,
) -> Prepared:
    """Check that the inputs fit together and compute what training needs; ``seed`` orders events of one moment.

    Whitening maps that are ``given`` are used as they are, the others are fitted here.

    Raises:
        DataError: There is nothing to train on, or sizes do not fit.
    """
    _check(train, features, profiles, item_ids, config)
    used = {name: one for name, one in sorted(features.items()) if config.use_content and one.present_V.any()}
    counts_V = train.item_counts()
    fitting = {name: _fitting_rows(one.present_V, counts_V) for name, one in used.items()}
    kept = {name: one for name, one in (given or {}).items() if name in used}
    fitted = fit_whitenings({name: one for name, one in used.items() if name not in kept}, fitting, config)
    whitenings = {name: (kept | fitted)[name] for name in used}
    content = whitened_content(used, whitenings, train.num_items)
    return Prepared(
        train=train,
        profiles=profiles if config.use_profiles else None,
        whitenings=whitenings,
        encoders={name: one.encoder for name, one in used.items()},
        content=content,
        memory=fit_memory(shuffled_ties(train, generator(seed, "ties")), config),
        counts_V=counts_V,
        popularity_V=recent_popularity(train),
        neighbours=nearest_warm(joint_content(content, torch.ones(len(used))), counts_V, config),
    )


def fit_whitenings(
    features: Mapping[str, ModalityFeatures], fitting: Mapping[str, NDArray[np.bool_]], config: FLMConfig
) -> dict[str, Whitening]:
    """Maps of all modalities, and of their tokens where moments are read.

    Args:
        features: Modality -> features.
        fitting: Modality -> bool [V], the items the maps are fitted on.
        config: Of the run.
    """
    inner = fit_moments(features, fitting) if config.use_moments else {}
    return {
        name: replace(
            Whitening.fit(one.vectors_VD[fitting[name]], max_width=config.whitened_width), tokens=inner.get(name)
        )
        for name, one in features.items()
    }


def fit_memory(train: Histories, config: FLMConfig) -> ItemMemory:
    """The item memory as configured; an empty one when it is switched off."""
    shape = (train.num_items, train.num_items)
    if not config.use_memory:
        return ItemMemory(sparse.csr_matrix(shape, dtype=np.float32), np.zeros(train.num_items, dtype=np.float32))
    return ItemMemory.fit(
        train,
        window=config.memory_window,
        decay=config.memory_decay,
        query_decay=config.memory_query_decay,
        echo=config.memory_echo,
        num_neighbours=config.memory_neighbours,
        shrinkage=config.shrinkage,
    )


def recent_popularity(train: Histories) -> NDArray[np.float32]:
    """Interactions per item, float32 [V], halved for every tenth of the log's time span they are old.

    Example:
        >>> recent_popularity(Histories.from_lists([[0, 1, 1]], num_items=3))[2]
        np.float32(0.0)
    """
    times_N = train.timestamps_ms.astype(np.float64)
    newest = times_N.max(initial=0)
    half_life = max((newest - times_N.min(initial=newest)) * _HALF_LIFE_SHARE, 1.0)
    weights_N = 0.5 ** ((newest - times_N) / half_life)
    return np.bincount(train.items, weights_N, minlength=train.num_items).astype(np.float32)


def _fitting_rows(present_V: NDArray[np.bool_], counts_V: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Items the whitening is fitted on: those with the modality that training sees; all where it sees none."""
    watched_V = present_V & (counts_V > 0)
    return watched_V if watched_V.any() else present_V


def _check(
    train: Histories,
    features: Mapping[str, ModalityFeatures],
    profiles: Profiles | None,
    item_ids: Sequence[str],
    config: FLMConfig,
) -> None:
    if not len(train.items):
        raise DataError("training histories must hold at least one interaction, hold none; run: kinema ingest")
    if len(item_ids) != train.num_items:
        raise DataError(f"item_ids must have one id per item, got {len(item_ids)} for {train.num_items} items")
    for name, one in features.items():
        if len(one.vectors_VD) != train.num_items:
            raise DataError(
                f"features '{name}' must have {train.num_items} rows, have {len(one.vectors_VD)}; run: kinema extract"
            )
    if profiles is not None and len(profiles.values_UP) != train.num_users:
        raise DataError(
            f"profiles must have {train.num_users} rows, have {len(profiles.values_UP)}; run: kinema ingest"
        )
    if not config.use_ids and not any(one.present_V.any() for one in features.values()):
        raise DataError("a model without ids must have content features, there are none; run: kinema extract")
