"""A model of another catalogue put to use on this one without any training.

Shape suffixes: V catalogue.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import torch

from kinema.errors import DataError
from kinema.flm.config import FLMConfig
from kinema.flm.mixture import Mixture
from kinema.flm.model import FLM
from kinema.flm.network import FLMNetwork
from kinema.flm.sharing import carry_over, kept_whitenings, match_modalities, theta_fingerprint, without_log
from kinema.seeds import generator
from kinema.store.cuts import shuffled_ties
from kinema.store.features import ModalityFeatures
from kinema.store.histories import Histories
from kinema.training.preparation import fit_memory, recent_popularity

_ORDER_FREE: Final = {"content": 0.5, "collaborative": 0.5}
"""Both read the sum of what was watched. The Transformer has grown up with ID vectors and is at a loss without them: on two
planted catalogues it put .37 of its ten best right where these put .56 (docs/transfer.md)."""
_WITH_LOG: Final = {"imputed_memory": 0.5, "popularity": 0.05}


def bind_source(
    source: FLM,
    *,
    features: Mapping[str, ModalityFeatures],
    item_ids: Sequence[str],
    seed: int = 0,
) -> FLM:
    """Zero-shot: the content path of a source, over the items of this catalogue.

    Nothing is trained and nothing is chosen on this catalogue's log. Users are answered by the sum of what they watched.

    Args:
        source: The model.
        features: Modality -> features with one row per item.
        item_ids: Ids of the catalogue in number order.
        seed: Kept with the model.

    Returns:
        A model without ID vectors. Modalities it cannot read are left out; gates that validation closed in the source
        stay closed, unless none would be open.

    Raises:
        ConfigError: No modality has the source's encoder.
        DataError: Features have another number of rows than there are items.
    """
    match = match_modalities(source, features)
    for name in match.kept:
        if len(features[name].vectors_VD) != len(item_ids):
            raise DataError(
                f"features '{name}' must have {len(item_ids)} rows, have {len(features[name].vectors_VD)}; run: kinema extract"
            )
    config = source.config.with_changes(use_ids=False, use_content=True, use_profiles=False)
    whitenings = kept_whitenings(source, match)
    with torch.random.fork_rng(devices=[]):
        network = FLMNetwork.reading(whitenings, config, num_items=len(item_ids), profile_width=0)
    carry_over(network, source, kept=match.kept, modalities=match.kept, profile_columns=())
    theirs = dict(zip(source.whitenings, source.network.tower.known_by_M.tolist(), strict=True))
    if any(theirs[name] for name in match.kept):
        network.tower.known_by_M.copy_(torch.tensor([theirs[name] for name in match.kept]))
        network.tower.open_M.copy_(network.tower.known_by_M)
    transfer = {
        "source": theta_fingerprint(source),
        **match.as_dict(),
        "profile_columns": [],
        "zero_shot": True,
    }
    model = without_log(
        config=config,
        network=network.eval(),
        item_ids=item_ids,
        whitenings=whitenings,
        encoders={name: source.encoders.get(name, "") for name in match.kept},
        seed=seed,
        report={"curve": [], "transfer": transfer},
    )
    return replace(model, mixture=Mixture.from_weights(_ORDER_FREE))


def count_log(model: FLM, log: Histories, *, seed: int) -> FLM:
    """Give a model that was not trained on a log the memory and the popularity of it; neither needs a gradient.

    Args:
        model: From `bind_source` or `kinema.training.catalogue.pretrain_catalogue`.
        log: Histories over its catalogue; without any interaction the model stays as it is.
        seed: Orders events of one moment.
    """
    counted: dict[str, Any] = {"interactions": len(log.items), "items": int((log.item_counts() > 0).sum())}
    report = {**model.report, "counted": counted}
    if not len(log.items):
        return replace(model, report=report)
    weights = dict(zip(model.mixture.branches, model.mixture.weights(log.lengths[:1])[0].tolist(), strict=True))
    added = {name: one for name, one in _WITH_LOG.items() if model.config.use_memory or name != "imputed_memory"}
    return replace(
        model,
        counts_V=log.item_counts(),
        popularity_V=recent_popularity(log),
        memory=fit_memory(shuffled_ties(log, generator(seed, "ties")), model.config),
        mixture=Mixture.from_weights(weights | added),
        report=report,
    )


def stood_in_by_content(config: FLMConfig, train: Histories) -> FLMConfig:
    """The configuration for a start from a source, on a log that may be short.

    A cold item borrows its vector from warm neighbours by raw content. Where fewer than half of the items are warm, what
    the source knows about content says more than a few far neighbours: then no item borrows, and each begins with what
    the source makes of its content. On two planted catalogues with 360 events the order-free branch put .63 and .53 of
    its ten best right that way, .36 and .30 with borrowing (docs/transfer.md).

    Args:
        config: As wanted.
        train: Training histories.
    """
    counts_V = train.item_counts()
    if 2 * int((counts_V >= config.imputation_min_events).sum()) >= len(counts_V):
        return config
    return config.with_changes(
        imputation_min_events=max(config.imputation_min_events, int(counts_V.max(initial=0)) + 1)
    )
