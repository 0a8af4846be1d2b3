"""From one catalogue to another: what of a model carries over.

Item numbers mean nothing in another catalogue, so ID vectors, log-odds, counts and memory stay behind. What reads
content and histories (projections, gates, Transformer, positions, small maps) speaks of encoders' vectors, which are the
same everywhere, and goes along.

Shape suffixes: V items, E encoder width, D width.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy import sparse
from torch import Tensor, nn

from kinema.errors import ConfigError
from kinema.flm.config import SIZES, FLMConfig
from kinema.flm.memory import ItemMemory
from kinema.flm.mixture import Mixture
from kinema.flm.model import FLM
from kinema.flm.network import FLMNetwork
from kinema.flm.whitening import Whitening
from kinema.store.features import ModalityFeatures

INHERITED: Final = ("d_model", "num_blocks", "block", "num_heads", "max_length", "time_bias", "temperature")
"""Settings that the carried parameters have grown up with."""
_MODALITY_MAPS: Final = ("projections", "modality_heads", "decoders")


@dataclass(frozen=True)
class Match:
    """Which modalities of a source serve a new catalogue.

    Attributes:
        kept: Both have them, from the same encoder.
        new: The catalogue has them and the source cannot read them -> why.
        absent: The source reads them and the catalogue lacks them.
    """

    kept: tuple[str, ...]
    new: Mapping[str, str]
    absent: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON values, for a report."""
        return {"kept": list(self.kept), "new": dict(self.new), "absent": list(self.absent)}


def match_modalities(source: FLM, features: Mapping[str, ModalityFeatures], *, same_items: bool = False) -> Match:
    """Compare modalities and encoders.

    Args:
        source: A model of another catalogue.
        features: Modality -> features of this one; those that no item has do not count.
        same_items: The source is an earlier model of this catalogue: its items carry over, whatever is known of content.

    Returns:
        The match.

    Raises:
        ConfigError: They have nothing in common, so nothing would carry over.
    """
    here = {name: one for name, one in sorted(features.items()) if one.present_V.any()}
    reasons = {name: _why_not(source, one) for name, one in here.items()}
    kept = tuple(name for name, reason in reasons.items() if not reason)
    if not kept and not same_items:
        known = ", ".join(f"{name} of {_encoder(source.encoders.get(name, ''))}" for name in source.whitenings)
        found = ", ".join(f"{name} of {_encoder(one.encoder)}" for name, one in here.items())
        raise ConfigError(
            f"source and catalogue must share a modality and its encoder: the source reads {known or 'none'}, "
            f"the catalogue has {found or 'none'}; set the same [encoders] as the source's project, run: kinema extract"
        )
    new = {name: reason for name, reason in reasons.items() if reason}
    return Match(kept, new, tuple(name for name in source.whitenings if name not in here))


def _why_not(source: FLM, one: ModalityFeatures) -> str:
    if one.name not in source.whitenings:
        return "the source does not know it"
    theirs = source.encoders.get(one.name, "")
    if theirs != one.encoder:
        return f"encoder {_encoder(one.encoder)}, the source's is {_encoder(theirs)}"
    width = len(source.whitenings[one.name].mean_E)
    if width != one.vectors_VD.shape[1]:
        return f"{one.vectors_VD.shape[1]} numbers wide, the source's is {width}"
    return ""


def _encoder(fingerprint: str) -> str:
    return fingerprint or "an unnamed encoder"


def inherited(source: FLM, explicit: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a model that starts from a source.

    Args:
        source: The model.
        explicit: What the user has set; the temperature may differ, shapes may not.

    Returns:
        All settings to build with: the user's, and the source's where the user has set none.

    Raises:
        ConfigError: An explicit setting gives the parameters another shape.
    """
    fixed = {name: value for name, value in explicit.items() if value is not None}
    wanted = SIZES.get(str(fixed.get("size")), {}) | fixed
    found = {name: getattr(source.config, name) for name in INHERITED}
    for name in INHERITED:
        if name != "temperature" and wanted.get(name, found[name]) != found[name]:
            raise ConfigError(
                f"flm.{name} must be {found[name]} as in the source, is {wanted[name]}; take it (or flm.size) out of [flm] in "
                "kinema.toml, or pretrain without --from"
            )
    return found | fixed


def shared_parameters(
    network: FLMNetwork, modalities: Sequence[str], profile_columns: Sequence[str]
) -> dict[str, Tensor]:
    """Everything in a network that belongs to no single item, by names that do not depend on the catalogue.

    Args:
        network: A network.
        modalities: Its modalities in the order of its item tower.
        profile_columns: Its profile columns in order.

    Returns:
        Name -> a view of the parameter: writing into it changes the network.
    """
    tower, encoder = network.tower, network.encoder
    found: dict[str, Tensor] = {}
    for m, modality in enumerate(modalities):
        start = start_of(modality)
        found[f"{start}gate_offset"] = tower.gate_offset_M.detach()[m]
        found[f"{start}gate_slope"] = tower.gate_slope_M.detach()[m]
        for kind, layers in zip(
            _MODALITY_MAPS, (tower.projections, network.modality_heads, network.decoders), strict=True
        ):
            found |= {f"{start}{kind}/{part}": one.detach() for part, one in layers[m].named_parameters()}
    if isinstance(encoder.profile, nn.Linear):
        weight_DP = encoder.profile.weight.detach()
        found |= {f"profile/{column}": weight_DP[:, place] for place, column in enumerate(profile_columns)}
        found["profile_bias"] = encoder.profile.bias.detach()
    own = {f"encoder.profile.{part}" for part in ("weight", "bias")}
    for name, one in network.named_parameters():
        if name.startswith(("encoder.", "follow.", "gather.")) and name not in own:
            found[name] = one.detach()
    return found


def start_of(modality: str) -> str:
    """What the names of a modality's parameters start with."""
    return f"modality/{modality}/"


def shared_of(model: FLM) -> dict[str, Tensor]:
    """`shared_parameters` of a model."""
    return shared_parameters(model.network, tuple(model.whitenings), model.profile_columns)


def theta_fingerprint(model: FLM) -> str:
    """Short hash of everything of a model that can carry over: its parameters but for the items', maps and encoders."""
    arrays = {name: one.numpy() for name, one in shared_of(model).items()}
    for name, one in model.whitenings.items():
        arrays |= one.arrays(name)
    return hash_arrays(arrays, [*INHERITED, *(str(getattr(model.config, name)) for name in INHERITED), *_pairs(model)])


def _pairs(model: FLM) -> list[str]:
    return [f"{name}={encoder}" for name, encoder in sorted(model.encoders.items())]


def kept_whitenings(source: FLM, match: Match) -> dict[str, Whitening]:
    """The source's maps of the modalities that carry over; its projections live in their space."""
    return {name: source.whitenings[name] for name in match.kept}


def carry_over(
    network: FLMNetwork, source: FLM, *, kept: Sequence[str], modalities: Sequence[str], profile_columns: Sequence[str]
) -> tuple[str, ...]:
    """Fill a fresh network with what a source knows.

    Args:
        network: Of the settings `inherited` gave; changed in place.
        source: The model.
        kept: Modalities that carry over; others of the network stay as they were made.
        modalities: The network's, in the order of its item tower.
        profile_columns: The network's; those the source has by the same name carry over.

    Returns:
        The profile columns that carried over.
    """
    theirs = shared_of(source)
    columns = tuple(one for one in profile_columns if f"profile/{one}" in theirs)
    left = tuple(start_of(name) for name in modalities if name not in kept)
    for name, mine in shared_parameters(network, modalities, profile_columns).items():
        if name in theirs and not name.startswith(left) and (name != "profile_bias" or columns):
            mine.copy_(theirs[name])
    return columns


def carry_items(network: FLMNetwork, source: FLM) -> str:
    """Fill the items' own vectors and log-odds from an earlier model of the same catalogue.

    Args:
        network: Its first items are the source's; changed in place.
        source: The model.

    Returns:
        Hash of what was carried over.
    """
    mine, theirs = network.tower, source.network.tower
    known = min(mine.num_ids, theirs.num_ids)
    found = {"ids": theirs.ids_VD.detach()[:known], "bias": theirs.bias_V.detach()[:known]}
    mine.ids_VD.detach()[:known] = found["ids"]
    mine.bias_V.detach()[:known] = found["bias"]
    return hash_arrays({name: one.numpy() for name, one in found.items()}, [])


def without_log(
    *,
    config: FLMConfig,
    network: FLMNetwork,
    item_ids: Sequence[str],
    whitenings: Mapping[str, Whitening],
    encoders: Mapping[str, str],
    seed: int,
    report: Mapping[str, Any],
) -> FLM:
    """A model that knows content only: nothing is counted, and content alone is asked."""
    num_items = len(item_ids)
    counts_VV = sparse.csr_matrix((num_items, num_items), dtype=np.float32)
    return FLM(
        config=config,
        network=network,
        item_ids=tuple(item_ids),
        whitenings=whitenings,
        encoders=encoders,
        counts_V=np.zeros(num_items, dtype=np.int64),
        popularity_V=np.zeros(num_items, dtype=np.float32),
        memory=ItemMemory(counts_VV, np.zeros(num_items, dtype=np.float32)),
        mixture=Mixture.from_weights({"content": 1.0}),
        seed=seed,
        report=report,
    )


def hash_arrays(arrays: Mapping[str, np.ndarray[Any, Any]], texts: Sequence[str]) -> str:
    """Short hash of named arrays and texts."""
    digest = hashlib.sha256("\n".join(texts).encode())
    for name in sorted(arrays):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()[:16]
