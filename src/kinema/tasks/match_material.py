"""Where two towers begin before anything is learnt.

A query in words starts where its encoder puts it, an item where its text stands; what is seen, moves and sounds starts where it best
foretells the texts of the catalogue. So training begins at the plain encoder's cosine.

Shape suffixes: V items, N rows, D width of a modality, R directions kept of it, E width of the space.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError, DataError
from kinema.store.features import ModalityFeatures
from kinema.tasks.towers import PLAIN, Carrier, Tower, directions, standard, unit

_RIDGE: Final = 0.1
_FORETOLD: Final = 0.3
"""What a foretold text counts beside the text itself when training begins."""
_MOST_ROWS: Final = 20_000


@dataclass(frozen=True)
class MatchConfig:
    """What defines a matcher.

    Attributes:
        directions: Kept of each modality but text, >= 1: as many as there are items would let each be learnt by heart.
        width: Of the space where items are matched with items, >= 1; with words it is that of the text encoder.
        temperature: Cosines are divided by it, > 0.
        forget_text: How often an item is shown without its text in training, in [0, 1), so that those without one are found.
        stay: Weight of the squared distance that the maps have moved from where they started, >= 0.
    """

    directions: int = 64
    width: int = 128
    temperature: float = 0.05
    forget_text: float = 0.3
    stay: float = 0.003

    def __post_init__(self) -> None:
        """Refuse what is out of range."""
        fits = min(self.directions, self.width) >= 1 and self.temperature > 0 and self.stay >= 0
        if not fits or not 0 <= self.forget_text < 1:
            raise ConfigError(
                "a matcher needs directions >= 1, width >= 1, temperature > 0, stay >= 0 and forget_text in [0, 1), got "
                f"{self.directions}, {self.width}, {self.temperature:g}, {self.stay:g} and {self.forget_text:g}"
            )


@dataclass(frozen=True)
class Material:
    """What a tower reads, computed once.

    Attributes:
        tower: Its start; a map of R directions and what follows, joined.
        bases: Modality -> float32 [D, R]; None where all columns are kept.
        inputs: Modality -> float32 [V, R], zero rows where an item has none.
    """

    tower: Tower
    bases: Mapping[str, NDArray[np.float32] | None]
    inputs: Mapping[str, NDArray[np.float32]]

    def maps(self) -> dict[str, NDArray[np.float32]]:
        """Modality -> float32 [R, E], where training begins."""
        return {
            name: one.map_DE if (basis := self.bases[name]) is None else basis.T @ one.map_DE
            for name, one in self.tower.carriers.items()
        }

    def learnt(self, maps: Mapping[str, NDArray[np.float32]]) -> Tower:
        """The tower with other maps."""
        return Tower(
            {
                name: replace(one, map_DE=maps[name] if (basis := self.bases[name]) is None else basis @ maps[name])
                for name, one in self.tower.carriers.items()
            }
        )


def words_material(
    features: Mapping[str, ModalityFeatures], among_V: NDArray[np.bool_], config: MatchConfig
) -> Material:
    """Where items start that words ask for: in the text encoder's space.

    Args:
        features: Of the catalogue, with ``text``.
        among_V: Items that are learnt from.
        config: What is learnt.
    """
    text = features["text"]
    carriers, bases, inputs = {}, {}, {}
    for name, one in _usable(features, among_V).items():
        plain, basis = _begin(one, among_V, config)
        rows_VR = _inputs(plain, one, basis)
        if name in PLAIN:
            width = text.vectors_VD.shape[1]
            start_RE = (
                np.eye(width, dtype=np.float32) if name == "text" else _FORETOLD * np.eye(width, dtype=np.float32)
            )
        else:
            both_V = among_V & one.present_V & text.present_V
            start_RE = _FORETOLD * _foretold(rows_VR[both_V], unit(text.vectors_VD[both_V]))
        start_DE = start_RE if basis is None else basis @ start_RE
        carriers[name] = replace(plain, map_DE=np.asarray(start_DE, dtype=np.float32))
        bases[name], inputs[name] = basis, rows_VR
    return Material(Tower(carriers), bases, inputs)


def items_material(
    features: Mapping[str, ModalityFeatures], among_V: NDArray[np.bool_], config: MatchConfig
) -> Material:
    """Where items start that other items ask for: the directions in which all modalities together differ most."""
    begun = {name: (one, *_begin(one, among_V, config)) for name, one in _usable(features, among_V).items()}
    inputs = {name: _inputs(plain, one, basis) for name, (one, plain, basis) in begun.items()}
    joined_VR = np.concatenate(list(inputs.values()), axis=1)
    start_RE = directions(_some(joined_VR[among_V]), config.width)
    edges = np.cumsum([one.shape[1] for one in inputs.values()])[:-1]
    carriers, bases = {}, {}
    for (name, (_, plain, basis)), part_RE in zip(begun.items(), np.split(start_RE, edges), strict=True):
        carriers[name] = replace(plain, map_DE=part_RE if basis is None else basis @ part_RE)
        bases[name] = basis
    return Material(Tower(carriers), bases, inputs)


def _usable(features: Mapping[str, ModalityFeatures], among_V: NDArray[np.bool_]) -> dict[str, ModalityFeatures]:
    found = {name: one for name, one in features.items() if (one.present_V & among_V).any()}
    if not found:
        raise DataError("items that are learnt from must have content, none has any; run: kinema extract")
    return found


def _begin(
    one: ModalityFeatures, among_V: NDArray[np.bool_], config: MatchConfig
) -> tuple[Carrier, NDArray[np.float32] | None]:
    """A modality without its map, and the directions of it that are kept."""
    vectors_ND = _some(one.vectors_VD[among_V & one.present_V])
    mean_D, scale_D = standard(vectors_ND, plain=one.name in PLAIN)
    plain = Carrier(mean_D, scale_D, np.zeros((len(mean_D), 0), dtype=np.float32))
    return plain, None if one.name in PLAIN else directions(plain.inputs(vectors_ND), config.directions)


def _inputs(plain: Carrier, one: ModalityFeatures, basis: NDArray[np.float32] | None) -> NDArray[np.float32]:
    rows_VD = np.where(one.present_V[:, None], plain.inputs(one.vectors_VD), np.float32(0))
    return rows_VD if basis is None else rows_VD @ basis


def _some(rows_ND: NDArray[np.float32]) -> NDArray[np.float32]:
    """Evenly spread rows of a large table."""
    return rows_ND if len(rows_ND) <= _MOST_ROWS else rows_ND[np.linspace(0, len(rows_ND) - 1, _MOST_ROWS).astype(int)]


def _foretold(inputs_NR: NDArray[np.float32], texts_NE: NDArray[np.float32]) -> NDArray[np.float32]:
    """float32 [R, E], the ridge regression of texts on something else; zeros where there is nothing to go by."""
    if not len(inputs_NR):
        return np.zeros((inputs_NR.shape[1], texts_NE.shape[1]), dtype=np.float32)
    x_NR = inputs_NR.astype(np.float64)
    gram_RR = x_NR.T @ x_NR
    gram_RR += _RIDGE * np.trace(gram_RR) / len(gram_RR) * np.eye(len(gram_RR))
    return np.linalg.solve(gram_RR, x_NR.T @ texts_NE).astype(np.float32)
