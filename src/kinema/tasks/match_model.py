"""A matcher as it is kept and served: two towers, and what has changed in the text encoder. No torch for the towers.

Shape suffixes: N queries, V items, D width of a vector, E width of the space.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from kinema.artifacts import read_manifest, write_artifact
from kinema.errors import StaleArtifactError
from kinema.store.features import ModalityFeatures
from kinema.tasks.towers import Tower

KIND: Final = "match"
REMEDY: Final = "kinema finetune match"
_FORMAT: Final = 1
_TOWERS: Final = "towers.safetensors"
_CHANGES: Final = "encoder.safetensors"
_REPORT: Final = "report.json"


@dataclass(frozen=True)
class MatchModel:
    """What answers queries in words (``texts``), or items that are asked about (``items``).

    Attributes:
        what: ``texts`` or ``items``.
        ask: The tower of queries; of words it has the one modality ``text``.
        answer: The tower of items.
        encoders: Modality -> fingerprint of what made the vectors it has learnt from.
        changes: Name of a weight of the text encoder -> its low-rank change (``NAME|down``, ``NAME|up``) or the weight itself;
            empty where the encoder did not learn.
        config: What defined it, for the manifest.
        report: What was measured.
    """

    what: str
    ask: Tower
    answer: Tower
    encoders: Mapping[str, str]
    changes: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)

    def items(self, features: Mapping[str, ModalityFeatures]) -> NDArray[np.float32]:
        """float32 [V, E], the items' places, unit rows; zero rows for items without content.

        Raises:
            StaleArtifactError: The vectors come from other encoders than it has learnt from.
        """
        self.check(features)
        return self.answer.rows(features)

    def words(self, vectors_ND: NDArray[np.floating]) -> NDArray[np.float32]:
        """float32 [N, E], the places of queries, from the vectors of the text encoder."""
        return self.ask.carriers["text"].carry(vectors_ND)

    def check(self, features: Mapping[str, ModalityFeatures]) -> None:
        """Refuse the vectors of other encoders; a modality that is not there any more is done without.

        Raises:
            StaleArtifactError: One comes from another encoder.
        """
        for name, known in self.encoders.items():
            if name in features and features[name].encoder != known:
                raise StaleArtifactError(
                    f"the matcher must be given {name} vectors of encoder {known}, which it has learnt from, these are of "
                    f"{features[name].encoder}; run: {REMEDY}"
                )

    def save(self, folder: Path, *, seed: int | None = None) -> None:
        """Write the artefact; one that is there is replaced."""
        config = {"what": self.what, "encoders": dict(self.encoders), **self.config}
        with write_artifact(folder, kind=KIND, format_version=_FORMAT, config=config, seed=seed) as draft:
            save_file(self.ask.arrays("ask") | self.answer.arrays("answer"), draft / _TOWERS)
            if self.changes:
                save_file({name: np.ascontiguousarray(one) for name, one in self.changes.items()}, draft / _CHANGES)
            (draft / _REPORT).write_text(json.dumps(self.report, indent=2) + "\n", encoding="utf-8")

    def told(self, report: Mapping[str, Any]) -> Self:
        """The same with another report."""
        return replace(self, report=report)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read an artefact.

        Raises:
            NotBuiltError: There is none.
            StaleArtifactError: It is of another kind or version, or damaged.
        """
        config = dict(read_manifest(folder, kind=KIND, format_version=_FORMAT, remedy=REMEDY).config)
        arrays = load_file(folder / _TOWERS)
        changes = folder / _CHANGES
        return cls(
            what=config.pop("what"),
            ask=Tower.from_arrays(arrays, "ask"),
            answer=Tower.from_arrays(arrays, "answer"),
            encoders=config.pop("encoders"),
            changes=load_file(changes) if changes.is_file() else {},
            config=config,
            report=json.loads((folder / _REPORT).read_text(encoding="utf-8")),
        )
