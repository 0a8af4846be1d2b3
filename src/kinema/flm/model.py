"""The FLM artefact: everything a trained model needs to be served, saved without pickles.

Shape suffixes: V catalogue, D width, E content width.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from scipy import sparse

from kinema.artifacts import read_manifest, write_artifact
from kinema.errors import DataError, StaleArtifactError
from kinema.flm.binding import bound_items, scorer_of
from kinema.flm.bound import MANY_NEW, BoundFile, BoundItems, later_features
from kinema.flm.config import FLMConfig
from kinema.flm.fusion import ItemContent, content_from
from kinema.flm.likeness import Liken, Likeness, Weight
from kinema.flm.memory import ItemMemory
from kinema.flm.mixture import Mixture
from kinema.flm.moments import padded_moments
from kinema.flm.network import FLMNetwork
from kinema.flm.scorer import Scorer
from kinema.flm.whitening import Whitening
from kinema.store.features import ModalityFeatures

KIND: Final = "flm"
FORMAT_VERSION: Final = 4
_REMEDY: Final = "kinema pretrain"
_LIKENESS: Final = "likeness.safetensors"


@dataclass(frozen=True)
class FLM:
    """A trained model.

    Attributes:
        config: What it was built as.
        network: Parameters, in evaluation mode.
        item_ids: Ids of the training catalogue in number order.
        whitenings: Modality -> fitted map, in the order of the item tower.
        encoders: Modality -> fingerprint of the encoder whose features it was trained on.
        counts_V: int64, training interactions per item.
        popularity_V: float32, recency-weighted training interactions per item.
        memory: Item-item transitions of the training histories; empty when the configuration has it off.
        mixture: Weights of the branches, chosen on validation.
        profile_columns: Columns of the user profiles.
        liken: By which items without events find their neighbours; None where raw content is as good.
        seed: Of the training run.
        report: JSON values: training curve, validation numbers, gates.
    """

    config: FLMConfig
    network: FLMNetwork
    item_ids: tuple[str, ...]
    whitenings: Mapping[str, Whitening]
    encoders: Mapping[str, str]
    counts_V: NDArray[np.int64]
    popularity_V: NDArray[np.float32]
    memory: ItemMemory
    mixture: Mixture
    profile_columns: tuple[str, ...] = ()
    liken: Liken | None = None
    seed: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)

    def serve(
        self, features: Mapping[str, ModalityFeatures], num_items: int, *, keep: BoundFile | None = None
    ) -> Scorer:
        """Bind the model to the current catalogue.

        Items behind the training catalogue are new: they have no ID vector and no events, and get the imputed vector of
        their content.

        Args:
            features: Modality -> features with ``num_items`` rows. Modalities the model was not trained on are not
                read; a missing one counts as absent for every item.
            num_items: V, at least the size of the training catalogue.
            keep: Where what is computed of each item is kept for the next time; None computes it anew.

        Returns:
            A scorer of its own: updates of its memory do not reach the model.

        Raises:
            DataError: The catalogue shrank, or features have another number of rows.
            StaleArtifactError: Features come from another encoder than in training.
        """
        known = len(self.item_ids)
        if num_items < known:
            raise DataError(
                f"catalogue must have at least the {known} items of training, has {num_items}; run: {_REMEDY}"
            )
        for name in self.whitenings:
            self._check_encoder(name, features)
        read = {name: features[name] for name in self.whitenings if name in features}
        counts_V = np.concatenate([self.counts_V, np.zeros(num_items - known, dtype=np.int64)])
        popularity_V = np.concatenate([self.popularity_V, np.zeros(num_items - known, dtype=np.float32)])
        memory = self.memory.copy()
        memory.grow(num_items)
        return scorer_of(
            self._bound(read, counts_V, keep),
            self.network,
            config=self.config,
            mixture=self.mixture,
            memory=memory,
            counts_V=counts_V,
            popularity_V=popularity_V,
        )

    def _bound(
        self, features: Mapping[str, ModalityFeatures], counts_V: NDArray[np.int64], keep: BoundFile | None
    ) -> BoundItems:
        """All items as the model sees them; those that were seen before are read."""
        kept = None if keep is None else keep.read(features)
        start = 0 if kept is None else len(kept)
        if kept is None or not len(self.item_ids) <= start <= len(counts_V):
            kept, start = None, 0
        if kept is not None and start == len(counts_V):
            return kept
        content = whitened_content(later_features(features, start), self.whitenings, len(counts_V) - start)
        bound = bound_items(
            self.network, config=self.config, content=content, counts_V=counts_V, liken=self.liken, before=kept
        )
        if keep is not None and (kept is None or len(counts_V) - start >= MANY_NEW):
            keep.write(bound, features)
        return bound

    def _check_encoder(self, name: str, features: Mapping[str, ModalityFeatures]) -> None:
        trained = self.encoders.get(name, "")
        served = features[name].encoder if name in features else ""
        if trained and served and trained != served:
            raise StaleArtifactError(
                f"features '{name}' must come from encoder {trained} as in training, come from {served}; run: {_REMEDY}"
            )

    def save(self, folder: Path, *, parents: Mapping[str, str] | None = None) -> None:
        """Write the artefact, as a whole or not at all.

        Args:
            folder: Where; an older artefact there is replaced.
            parents: Name -> fingerprint of what the model was trained from.
        """
        config = self.config.as_dict()
        with write_artifact(
            folder, kind=KIND, format_version=FORMAT_VERSION, config=config, seed=self.seed, parents=parents
        ) as draft:
            state = {name: value.contiguous().numpy() for name, value in self.network.state_dict().items()}
            save_file(state, draft / "network.safetensors")
            counts_VV = self.memory.counts
            if self.liken is not None:
                learnt = {name: value.contiguous().numpy() for name, value in self.liken.likeness.state_dict().items()}
                save_file(learnt, draft / _LIKENESS)
            arrays = {
                "counts_V": self.counts_V,
                "popularity_V": self.popularity_V,
                "memory.data": counts_VV.data,
                "memory.indices": counts_VV.indices.astype(np.int32),
                "memory.indptr": counts_VV.indptr.astype(np.int64),
                "memory.totals": self.memory.totals,
                **({} if self.memory.counted_U is None else {"memory.counted": self.memory.counted_U}),
            }
            for name, whitening in self.whitenings.items():
                arrays |= whitening.arrays(name)
            save_file(
                {name: np.ascontiguousarray(value) for name, value in arrays.items()}, draft / "arrays.safetensors"
            )
            facts = {
                "item_ids": self.item_ids,
                "modalities": list(self.whitenings),
                "encoders": dict(self.encoders),
                "profile_columns": self.profile_columns,
                "mixture": self.mixture.as_dict(),
                "memory_query_decay": self.memory.query_decay,
                "memory_shrinkage": self.memory.shrinkage,
                "liken": {} if self.liken is None else self.liken.as_dict(),
                "report": dict(self.report),
            }
            (draft / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an artefact.

        A link is followed once: what it points to may change while files are read.

        Raises:
            NotBuiltError: There is none.
            StaleArtifactError: It is of another kind or version, or damaged.
        """
        folder = folder.resolve()
        manifest = read_manifest(folder, kind=KIND, format_version=FORMAT_VERSION, remedy=_REMEDY)
        config = FLMConfig.from_dict(dict(manifest.config))
        facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
        arrays = load_file(folder / "arrays.safetensors")
        whitenings = {name: Whitening.from_arrays(name, arrays) for name in facts["modalities"]}
        network = FLMNetwork.reading(
            whitenings, config, num_items=len(facts["item_ids"]), profile_width=len(facts["profile_columns"])
        )
        state = load_file(folder / "network.safetensors")
        network.load_state_dict({name: torch.from_numpy(value) for name, value in state.items()})
        network.eval()
        liken = None
        if (folder / _LIKENESS).is_file():
            likeness = Likeness.reading(whitenings, d_model=config.d_model).eval()
            learnt = load_file(folder / _LIKENESS)
            likeness.load_state_dict({name: torch.from_numpy(value) for name, value in learnt.items()})
            liken = Liken(likeness, {name: Weight(**one) for name, one in facts["liken"].items()})
        parts = (arrays["memory.data"], arrays["memory.indices"], arrays["memory.indptr"])
        num_items = len(arrays["memory.totals"])
        memory = ItemMemory(
            sparse.csr_matrix(parts, shape=(num_items, num_items)),
            arrays["memory.totals"],
            window=config.memory_window,
            decay=config.memory_decay,
            query_decay=facts["memory_query_decay"],
            echo=config.memory_echo,
            num_neighbours=config.memory_neighbours,
            shrinkage=facts["memory_shrinkage"],
            counted_U=arrays.get("memory.counted"),
        )
        return cls(
            config=config,
            network=network,
            item_ids=tuple(facts["item_ids"]),
            whitenings=whitenings,
            encoders=facts["encoders"],
            counts_V=arrays["counts_V"],
            popularity_V=arrays["popularity_V"],
            memory=memory,
            mixture=Mixture.from_dict(facts["mixture"]),
            profile_columns=tuple(facts["profile_columns"]),
            liken=liken,
            seed=manifest.seed or 0,
            report=facts["report"],
        )


def whitened_content(
    features: Mapping[str, ModalityFeatures], whitenings: Mapping[str, Whitening], num_items: int
) -> ItemContent:
    """Features through their fitted maps; a missing modality is absent for every item.

    Raises:
        DataError: Features have another number of rows than the catalogue.
    """
    vectors, present, quality, moments = [], [], [], {}
    for name, whitening in whitenings.items():
        one = features.get(name)
        if one is None:
            vectors.append(torch.zeros(num_items, whitening.width))
            present.append(torch.zeros(num_items))
            quality.append(torch.zeros(num_items))
            continue
        if len(one.vectors_VD) != num_items:
            raise DataError(
                f"features '{name}' must have {num_items} rows, have {len(one.vectors_VD)}; run: kinema extract"
            )
        white_VW = whitening.apply(one.vectors_VD) * one.present_V[:, None]
        vectors.append(torch.from_numpy(white_VW.astype(np.float32)))
        present.append(torch.from_numpy(one.present_V.astype(np.float32)))
        quality.append(torch.from_numpy(one.quality_V.astype(np.float32)))
        if one.tokens is not None and whitening.tokens is not None:
            moments[name] = padded_moments(one.tokens, whitening.tokens, num_items=num_items)
    content = content_from(tuple(whitenings), vectors, present, quality, num_items)
    return replace(content, moments=moments)
