"""FLM made ready for `kinema finetune next`, and made whole again for serving.

`artifacts/next/model` is an FLM like any other, with what was learnt in its weights. Adapters and a prefix cannot be part of
weights: then the model holds the weights as they were, its report names the delta, and that is put on when it is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import NotBuiltError, StaleArtifactError
from kinema.flm.config import FLMConfig
from kinema.flm.model import FLM
from kinema.flm.transfer import copied
from kinema.steps.slates import NEXT
from kinema.store.features import ModalityFeatures
from kinema.store.histories import Histories
from kinema.tasks.next_item import NextNetwork
from kinema.training.parameter_choice import Method
from kinema.training.parameter_delta import put_on
from kinema.training.preparation import fit_memory, recent_popularity
from kinema.training.transfer import bind_source, count_log, stood_in_by_content

FOLDER: Final = "next"
MODEL: Final = "model"
DELTAS: Final = "deltas"
LEARN: Final[dict[str, Method]] = {
    "full": "full",
    "frozen": "frozen",
    "top": "top",
    "lora": "lora",
    "adapters": "adapter",
    "prefix": "prefix",
}
"""What a user calls it -> what `kinema.training.parameter_choice` does."""
BESIDE: Final = ("adapters", "prefix")
"""Choices whose delta stays beside the weights."""


@dataclass(frozen=True)
class Start:
    """What fine-tuning begins with.

    Attributes:
        zero_shot: The source over this catalogue, with memory and popularity of the training part; nothing is trained.
        network: A copy of its network with vectors of the items' own.
        config: Of the model that will come of it.
    """

    zero_shot: FLM
    network: NextNetwork
    config: FLMConfig


def start_from_own(
    source: FLM, *, features: Mapping[str, ModalityFeatures], item_ids: Sequence[str], train: Histories
) -> Start:
    """The project's own model learns on; its item vectors are kept, those of later items start at zero.

    Raises:
        StaleArtifactError: The model knows other items or other modalities than there are.
    """
    if list(source.item_ids) != list(item_ids[: len(source.item_ids)]):
        raise StaleArtifactError(
            f"the model must know the first {len(source.item_ids)} items of this store, knows others; run: kinema pretrain"
        )
    here = sorted(name for name, one in features.items() if one.present_V.any())
    if source.config.use_content and here != list(source.whitenings):
        raise StaleArtifactError(
            f"the model must read the modalities of the catalogue ({', '.join(here) or 'none'}), reads "
            f"{', '.join(source.whitenings) or 'none'}; run: kinema pretrain"
        )
    config = source.config.with_changes(use_ids=True)
    memory = fit_memory(train, config)
    memory.query_decay, memory.shrinkage = source.memory.query_decay, source.memory.shrinkage
    zero_shot = replace(
        source,
        item_ids=tuple(item_ids),
        counts_V=train.item_counts(),
        popularity_V=recent_popularity(train),
        memory=memory,
    )
    blank_V = _blank(source, features, len(item_ids))
    return Start(zero_shot, NextNetwork(copied(source), num_items=len(item_ids), blank_V=blank_V), config)


def start_from_other(
    source: FLM, *, features: Mapping[str, ModalityFeatures], item_ids: Sequence[str], train: Histories, seed: int
) -> Start:
    """A model of another catalogue: its content path is kept, its items' vectors are dropped, new ones start at zero.

    Raises:
        ConfigError: No modality has the source's encoder.
    """
    bound = bind_source(source, features=features, item_ids=item_ids, seed=seed)
    blank_V = _blank(bound, features, len(item_ids))
    network = NextNetwork(copied(bound), num_items=len(item_ids), blank_V=blank_V, seed=seed)
    config = stood_in_by_content(bound.config.with_changes(use_ids=True), train)
    return Start(count_log(bound, train, seed=seed), network, config)


def _blank(model: FLM, features: Mapping[str, ModalityFeatures], num_items: int) -> NDArray[np.bool_]:
    """Items without any modality that the model reads, bool [V]."""
    blank_V = np.ones(num_items, dtype=np.bool_)
    for name in model.whitenings:
        if name in features:
            blank_V &= ~features[name].present_V
    return blank_V


def completed(model: FLM, folder: Path) -> FLM:
    """A model with the delta that its report names put on; one that has it in its weights as it is.

    Args:
        model: From a folder that `kinema finetune next` wrote.
        folder: That folder; deltas lie beside it.

    Raises:
        NotBuiltError: The delta is gone.
        StaleArtifactError: It is one of other weights.
    """
    name = model.report[NEXT]["put_on"]
    if not name:
        return model
    delta = folder.parent / DELTAS / name
    if not delta.is_dir():
        raise NotBuiltError(
            f"the model in '{folder.parent.name}' needs its delta '{name}', it is gone; run: kinema finetune next"
        )
    network = NextNetwork(model.network, num_items=len(model.item_ids))
    put_on(network, delta)
    return replace(model, network=network.flm.eval())
