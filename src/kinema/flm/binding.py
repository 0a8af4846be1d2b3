"""Binding: what a model makes of a catalogue's items, computed once and handed to a scorer.

Shape suffixes: V catalogue, D width, E content width, J neighbours, M modalities, R rows.
"""

import numpy as np
import torch
from numpy.typing import NDArray

from kinema.flm.bound import BoundItems
from kinema.flm.config import FLMConfig
from kinema.flm.fusion import ItemContent
from kinema.flm.imputation import Borrowed, content_neighbours, impute, smoothing
from kinema.flm.likeness import Liken
from kinema.flm.memory import ItemMemory
from kinema.flm.mixture import Mixture
from kinema.flm.network import FLMNetwork
from kinema.flm.scorer import Scorer
from kinema.flm.whitening import unit_rows


def bind(
    network: FLMNetwork,
    *,
    config: FLMConfig,
    mixture: Mixture,
    memory: ItemMemory,
    content: ItemContent,
    counts_V: NDArray[np.int64],
    popularity_V: NDArray[np.float32],
    neighbours: tuple[NDArray[np.int64], NDArray[np.float32]] | None = None,
    liken: Liken | None = None,
) -> Scorer:
    """Compute every item vector once and hand them to a scorer.

    Args:
        network: In evaluation mode.
        config: Of the model.
        mixture: Weights of the branches.
        memory: Over the same catalogue.
        content: Whitened features of the catalogue.
        counts_V: Training interactions per item.
        popularity_V: Recency-weighted training interactions per item.
        neighbours: From `nearest_warm`, where they are at hand already.
        liken: Finds neighbours; None where raw content does.
    """
    bound = bound_items(network, config=config, content=content, counts_V=counts_V, neighbours=neighbours, liken=liken)
    return scorer_of(
        bound,
        network,
        config=config,
        mixture=mixture,
        memory=memory,
        counts_V=counts_V,
        popularity_V=popularity_V,
    )


@torch.inference_mode()
def bound_items(
    network: FLMNetwork,
    *,
    config: FLMConfig,
    content: ItemContent,
    counts_V: NDArray[np.int64],
    neighbours: tuple[NDArray[np.int64], NDArray[np.float32]] | None = None,
    liken: Liken | None = None,
    before: BoundItems | None = None,
) -> BoundItems:
    """What the model makes of each item.

    Args:
        network: In evaluation mode.
        config: Of the model.
        content: Whitened features of the catalogue, or of the items behind those of ``before``.
        counts_V: Training interactions per item of the whole catalogue.
        neighbours: Of the whole catalogue, where they are at hand already.
        liken: Finds neighbours; None where raw content does.
        before: What was made of the first items, among them all that have an ID vector; None for nothing.

    Returns:
        All items, those of ``before`` first.
    """
    new_R = torch.arange(content.num_items)
    no_ids_RD = None if before is None else torch.zeros(content.num_items, config.d_model)
    own, by_content = network.tower(new_R, content, ids_RD=no_ids_RD)
    joint_VE = joint_content(content, network.tower.known_by_M)
    alike_VE = joint_VE if liken is None else liken.alike(content)
    if neighbours is None:
        start = 0 if before is None else len(before)
        all_VE = alike_VE if before is None else np.concatenate([before.alike_VE, alike_VE])
        neighbours = nearest_warm(all_VE, counts_V, config, start=start)
    new = BoundItems(
        white={name: one.numpy() for name, one in zip(content.names, content.vectors, strict=True)},
        own_VD=own.numpy(),
        by_content_VD=by_content.numpy(),
        joint_VE=joint_VE,
        alike_VE=alike_VE,
        neighbours_VJ=neighbours[0],
        weights_VJ=neighbours[1],
    )
    return new if before is None else before.joined(new)


@torch.inference_mode()
def scorer_of(
    bound: BoundItems,
    network: FLMNetwork,
    *,
    config: FLMConfig,
    mixture: Mixture,
    memory: ItemMemory,
    counts_V: NDArray[np.int64],
    popularity_V: NDArray[np.float32],
) -> Scorer:
    """A scorer over bound items; see `bind` for the rest."""
    neighbours_VJ, weights_VJ = bound.neighbours_VJ, bound.weights_VJ
    expected_V = (weights_VJ * popularity_V[neighbours_VJ]).sum(axis=1)
    smoothing_VV = smoothing(counts_V, neighbours_VJ, weights_VJ, shrinkage=config.shrinkage)
    bias_V = network.tower.bias(torch.arange(len(bound))).numpy() * (counts_V > 0)
    # Without IDs content is all there is to an item, and borrowing from warm items would only blur it. With IDs it stands
    # in where there is nobody to borrow from: before the first events of a catalogue.
    alone_V = (counts_V == 0) & (weights_VJ.sum(axis=1) == 0) if config.use_ids else np.ones(len(counts_V), dtype=bool)
    imputed_VD = impute(bound.own_VD, counts_V, neighbours_VJ, weights_VJ, shrinkage=config.shrinkage)
    return Scorer(
        network,
        mixture=mixture,
        memory=memory,
        item_vectors_VD=np.where(alone_V[:, None], bound.by_content_VD, imputed_VD),
        content_vectors_VD=bound.by_content_VD,
        content_VD=bound.white,
        content_joint_VD=bound.joint_VE,
        counts_V=counts_V,
        popularity_V=popularity_V,
        prior_V=np.log1p(np.where(counts_V > 0, popularity_V, expected_V)).astype(np.float32),
        smoothing_VV=smoothing(counts_V, neighbours_VJ, weights_VJ, shrinkage=memory.shrinkage),
        bias_V=np.asarray(smoothing_VV @ bias_V, dtype=np.float32),
        temperature=config.temperature,
        max_length=config.max_length,
        time_bias=config.time_bias,
        borrowed=Borrowed.of(counts_V, neighbours_VJ, weights_VJ, shrinkage=config.shrinkage, applies=config.use_ids),
    )


def joint_content(content: ItemContent, known_by_M: torch.Tensor) -> NDArray[np.float32]:
    """All modalities that items are known by side by side, float32 [V, E], unit rows: what content neighbours are found by."""
    opened = [one.numpy() for one, is_open in zip(content.vectors, known_by_M.tolist(), strict=True) if is_open]
    if not opened:
        return np.zeros((content.num_items, 1), dtype=np.float32)
    return unit_rows(np.concatenate(opened, axis=1))


def nearest_warm(
    joint_VE: NDArray[np.float32], counts_V: NDArray[np.int64], config: FLMConfig, *, start: int = 0
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """`content_neighbours` as the configuration wants them, of the items from ``start`` on; none without imputation."""
    return content_neighbours(
        joint_VE,
        (counts_V >= config.imputation_min_events) & config.use_imputation,
        num_neighbours=config.imputation_neighbours,
        sharpness=config.imputation_sharpness,
        start=start,
    )
