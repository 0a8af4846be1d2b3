"""The ways from words to pictures that a project has.

A space that both share; or else what its model has aligned, and the names of what is recognised.

Shape suffixes: C classes, D width, V items.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from kinema.artifacts import fingerprint
from kinema.encoders.class_names import class_names, name_vectors, picture_words
from kinema.encoders.frames import FrameTokens
from kinema.encoders.text import TextEncoder, load_text_encoder
from kinema.encoders.weights import DEFAULT_FRAMES, cnn_architecture
from kinema.errors import ConfigError, MissingExtraError
from kinema.media.sampling import Mode
from kinema.retrieval.content_search import Bridge
from kinema.steps.query_media import frames_fingerprint
from kinema.steps.slates import SlateMaker
from kinema.store.features import ModalityFeatures

if TYPE_CHECKING:
    from kinema.encoders.shared_space import SharedSpace

_NAMES: Final = "class_names"
_NO_SPACE: Final = (
    "pictures are not searched for the words: the frame encoder shares no space with words and names nothing it sees"
)
_POOLED: Final = (
    "pictures are not searched for the words: [encoders.pooling.frames] makes vectors that words have no part in"
)
_OTHER_FRAMES: Final = (
    "pictures are not searched for the words: the frames vectors come from another encoder or other media settings than "
    "kinema.toml names; run: kinema extract"
)


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
        return str(load_query_encoder(self.place, self.device).fingerprint) if self.place else ""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32 [N, D], unit rows. A text that was just asked for is not encoded again."""
        return np.stack([_encoded(self, text) for text in texts])

    def encode_many(self, texts: Sequence[str], *, as_items: bool = False) -> NDArray[np.float32]:
        """float32 [N, D], unit rows, in batches; as items where they are texts of items rather than queries."""
        encoder = load_query_encoder(self.place, self.device)
        return encoder.encode(texts) if as_items else encoder.encode_query_text(texts)


@lru_cache(maxsize=1)
def load_query_encoder(place: str, device: str) -> TextEncoder:
    """The text encoder of a project, kept as long as the process lives."""
    return load_text_encoder(place, device=device)


@lru_cache(maxsize=64)
def _encoded(queries: TextQueries, text: str) -> NDArray[np.float32]:
    vectors_1D = load_query_encoder(queries.place, queries.device).encode_query_text([text])
    return np.asarray(vectors_1D[0], dtype=np.float32)


@lru_cache(maxsize=1)
def _load_shared_space(place: str, device: str) -> "SharedSpace | None":
    """Both halves of the frame encoder; None where it does not read."""
    if cnn_architecture(place):
        return None
    from kinema.encoders.shared_space import has_shared_space, load_shared_space  # noqa: PLC0415  # brings torch

    return load_shared_space(place, device=device) if has_shared_space(place) else None


@dataclass(frozen=True)
class Bridges:
    """What was found.

    Attributes:
        found: The ways.
        notice: Why there is none; empty where there is one, or nothing to say.
    """

    found: tuple[Bridge, ...] = ()
    notice: str = ""


@dataclass(frozen=True)
class Ways:
    """What leads from words to vectors and pictures in a project.

    Attributes:
        queries: What makes vectors of queries.
        frames: Name or folder of the frame encoder.
        artifacts: Folder of the model; vectors of class names are kept there.
        device: A torch device.
        num_frames: Frames per clip in the settings.
        max_seconds: How much of each clip is looked at in the settings.
        sampling: Which frames are taken in the settings.
        is_pooled: Frames have a pooling of their own in the settings: what was learnt of single pictures does not read their vectors.
    """

    queries: TextQueries
    frames: str
    artifacts: Path
    device: str
    num_frames: int
    max_seconds: float
    sampling: Mode = "even"
    is_pooled: bool = False

    def bridges(self, slates: SlateMaker) -> Bridges:
        """The ways from words to the catalogue's pictures.

        A space that the frame encoder shares with words is all that is needed where there is one. Without, pictures are
        reached by what the model has aligned and by the names of what is recognised.
        """
        frames = slates.dataset.features.get("frames")
        if not self.frames or frames is None or not frames.present_V.any():
            return Bridges()
        try:
            space = None if self.is_pooled else _load_shared_space(self.frames, self.device)
            return self._through_text(slates, frames) if space is None else self._shared(space, frames)
        except MissingExtraError:
            return Bridges()  # the search says for itself that words are all there is
        except ConfigError as error:
            return Bridges(notice=f"pictures are not searched for the words: {error}")

    def _shared(self, space: "SharedSpace", frames: ModalityFeatures) -> Bridges:
        """The pictures' places are the last columns of the vectors that are there."""
        tokens = FrameTokens(space.pictures, num_frames=self.num_frames)
        if frames_fingerprint(tokens, max_seconds=self.max_seconds, sampling=self.sampling) != frames.encoder:
            return Bridges(notice=_OTHER_FRAMES)
        pictures_VD = frames.vectors_VD[:, -space.width :] * frames.present_V[:, None]
        return Bridges((Bridge.shared(space, pictures_VD.astype(np.float32)),))

    def _through_text(self, slates: SlateMaker, frames: ModalityFeatures) -> Bridges:
        """By the names of classes and through the model; both start from the text encoder's vectors."""
        why = _POOLED if self.is_pooled else _NO_SPACE
        if not self.queries.place:
            return Bridges(notice=f"{why}, and there is no text encoder")
        features, found = slates.dataset.features, self._recognised(frames)
        has_model = slates.recommender.parts.scorer is not None
        if has_model and "text" in features:
            from kinema.flm.bridges import ModalityBridge  # noqa: PLC0415  # brings torch
            from kinema.flm.model import FLM  # noqa: PLC0415  # the same

            learnt = ModalityBridge.of(FLM.load(self.artifacts / "flm"), features, source="text", target="frames")
            if learnt is not None:
                found.append(Bridge.projection(self.queries.encode, learnt.carry, learnt.rows_VD))
        lacking = (
            "the model has not aligned them" if has_model else "no model has aligned them yet; run: kinema pretrain"
        )
        return Bridges(tuple(found), "" if found else f"{why}, and {lacking}")

    def _recognised(self, frames: ModalityFeatures) -> list[Bridge]:
        """By the names of classes; only the packaged network has the classifier it was trained with."""
        if self.frames != DEFAULT_FRAMES or self.is_pooled:
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
            draft = place.with_name(f".{place.name}.{token_hex(8)}")  # others may be making the same
            with draft.open("wb") as stream:
                np.save(stream, name_vectors(load_query_encoder(self.queries.place, self.queries.device)))
            draft.replace(place)
        vectors_CD: NDArray[np.float32] = np.load(place)
        return vectors_CD
