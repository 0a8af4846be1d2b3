"""The ways from words to pictures that a project has: what its model has aligned, and the names of what is recognised.

Shape suffixes: C classes, D width, V items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.class_names import class_names, name_vectors, picture_words
from kinema.encoders.text import TextEncoder, load_text_encoder
from kinema.encoders.weights import DEFAULT_FRAMES
from kinema.errors import MissingExtraError
from kinema.retrieval.content_search import Bridge
from kinema.steps.slates import SlateMaker
from kinema.store.features import ModalityFeatures

_NAMES: Final = "class_names"


@dataclass(frozen=True)
class TextQueries:
    """The text encoder of a project, loaded when the first query needs it.

    Attributes:
        place: Its name or folder; empty where the modality is off.
        device: A torch device.
    """

    place: str
    device: str

    @property
    def fingerprint(self) -> str:
        """Of the encoder; empty where the modality is off."""
        return str(_load_text_encoder(self.place, self.device).fingerprint) if self.place else ""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [N, D], unit rows. A text that was just asked for is not encoded again."""
        return np.stack([_encoded(self, text) for text in texts])


@lru_cache(maxsize=1)
def _load_text_encoder(place: str, device: str) -> TextEncoder:
    return load_text_encoder(place, device=device)


@lru_cache(maxsize=64)
def _encoded(queries: TextQueries, text: str) -> NDArray[np.float32]:
    vectors_1D = _load_text_encoder(queries.place, queries.device).encode_query_text([text])
    return np.asarray(vectors_1D[0], dtype=np.float32)


@dataclass(frozen=True)
class Ways:
    """What leads from words to vectors and pictures in a project.

    Attributes:
        queries: What makes vectors of queries.
        frames: Name or folder of the frame encoder.
        artifacts: Folder of the model; vectors of class names are kept there.
        device: A torch device.
    """

    queries: TextQueries
    frames: str
    artifacts: Path
    device: str

    def bridges(self, slates: SlateMaker) -> list[Bridge]:
        """The ways from words to the catalogue's pictures."""
        features = slates.dataset.features
        if not self.queries.place or "frames" not in features or not features["frames"].present_V.any():
            return []
        try:
            found = self._recognised(features["frames"])
        except MissingExtraError:
            return []  # the search says for itself that words are all there is
        if slates.recommender.parts.scorer is not None and "text" in features:
            from kinema.flm.bridges import ModalityBridge  # noqa: PLC0415  # brings torch
            from kinema.flm.model import FLM  # noqa: PLC0415  # the same

            learnt = ModalityBridge.of(FLM.load(self.artifacts / "flm"), features, source="text", target="frames")
            if learnt is not None:
                found.append(Bridge.projection(self.queries.encode, learnt.carry, learnt.rows_VD))
        return found

    def _recognised(self, frames: ModalityFeatures) -> list[Bridge]:
        """By the names of classes; only the packaged network has the classifier it was trained with."""
        if self.frames != DEFAULT_FRAMES:
            return []
        from kinema.encoders.cnn import CnnFrameEncoder  # noqa: PLC0415  # brings torch

        classifier = CnnFrameEncoder.load(self.frames, frame_side=160, device=self.device)
        if frames.vectors_VD.shape[1] != classifier.width:
            return []
        likely_VC = classifier.class_probabilities_of_vectors(frames.vectors_VD)
        words_VD = picture_words(likely_VC, self._name_vectors()) * frames.present_V[:, None]
        return [Bridge.class_names(self.queries.encode, words_VD.astype(np.float32))]

    def _name_vectors(self) -> NDArray[np.float32]:
        """Vectors of the class names, made once per text encoder: a few seconds."""
        place = self.artifacts / "search" / f"{_NAMES}-{fingerprint([self.queries.fingerprint, class_names()])}.npy"
        if not place.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            draft = place.with_name(f".{place.name}")
            with draft.open("wb") as stream:
                np.save(stream, name_vectors(_load_text_encoder(self.queries.place, self.queries.device)))
            draft.replace(place)
        vectors_CD: NDArray[np.float32] = np.load(place)
        return vectors_CD
