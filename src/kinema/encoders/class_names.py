"""Words for pictures without CLIP: what an ImageNet classifier sees, said in the space of the text encoder.

The classifier's most likely classes weight the text encoder's vectors of their names. A query is then compared with them as
with any text. This finds what ImageNet has a class for, such as drums, parks and clocks, and little else; an answer that
rests on it names the classes.

Shape suffixes: N pictures or clips, C classes, D width of a text vector, K classes that count.
"""

from functools import lru_cache
from importlib.resources import files
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from kinema.errors import ConfigError

NAMES_FILE: Final = "imagenet_classes.txt"
TOP_CLASSES: Final = 10


class Classifier(Protocol):
    """What is needed of an image network: `kinema.encoders.cnn.CnnFrameEncoder` has it."""

    name: str

    def class_probabilities(self, frames_NHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """float32 [N, 1000], rows add up to 1."""


class TextVectors(Protocol):
    """What is needed of a text encoder."""

    def encode(self, texts: list[str]) -> NDArray[np.float32]:
        """float32 [N, D], unit rows."""


@lru_cache(maxsize=1)
def class_names() -> tuple[str, ...]:
    """The names of the 1000 classes of ImageNet, in the order of classifiers: WordNet's words, with commas between them.

    Source:
        Russakovsky et al., ImageNet Large Scale Visual Recognition Challenge, IJCV 2015; Princeton University, WordNet 3.0.

    Example:
        >>> class_names()[409]
        'analog clock'
    """
    text = files("kinema.encoders").joinpath(NAMES_FILE).read_text(encoding="utf-8")
    return tuple(line.split("\t")[1] for line in text.splitlines() if line and not line.startswith("#"))


def class_probabilities(classifier: object, frames_NHW3: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What the classes of ImageNet have to do with pictures.

    Args:
        classifier: A frame encoder; only the packaged network has the classifier it was trained with.
        frames_NHW3: uint8 [N, side, side, 3].

    Returns:
        float32 [N, 1000], rows add up to 1.

    Raises:
        ConfigError: The frame encoder has no classifier, or these are not pictures.
    """
    classify = getattr(classifier, "class_probabilities", None)
    if classify is None:
        raise ConfigError(
            f"words for pictures need the packaged network with its classifier, '{getattr(classifier, 'name', '?')}' has none; "
            "set frames to packaged:efficientnet-lite0, or to CLIP or SigLIP, which understand texts"
        )
    probabilities_NC: NDArray[np.float32] = classify(frames_NHW3)
    return probabilities_NC


def name_vectors(text: TextVectors) -> NDArray[np.float32]:
    """The text encoder's vectors of the class names; a few seconds, so ask once.

    Args:
        text: A text encoder.

    Returns:
        float32 [1000, D], unit rows.
    """
    return text.encode([f"a video of {name.split(',')[0]}" for name in class_names()])


def picture_words(
    probabilities_NC: NDArray[np.float32], name_vectors_CD: NDArray[np.float32], *, top: int = TOP_CLASSES
) -> NDArray[np.float32]:
    """Where pictures or clips lie among texts.

    Args:
        probabilities_NC: float32 [N, C], of pictures, or their mean over the frames of each clip. Those that
            `kinema.encoders.cnn.CnnFrameEncoder.class_probabilities_of_vectors` takes from stored vectors serve better.
        name_vectors_CD: float32 [C, D], see `name_vectors`.
        top: K, how many of the most likely classes count, 1..C.

    Returns:
        float32 [N, D], unit rows, comparable with the text encoder's query vectors by their dot product.

    Raises:
        ConfigError: ``top`` is out of range.

    Example:
        >>> picture_words(np.array([[0.6, 0.4, 0.0]]), np.eye(3, 2, dtype=np.float32), top=1).tolist()
        [[1.0, 0.0]]
    """
    num_classes = probabilities_NC.shape[1]
    if not 1 <= top <= num_classes:
        raise ConfigError(f"top of picture words must be in 1..{num_classes}, got {top}")
    least_N1 = np.partition(probabilities_NC, -top, axis=1)[:, [-top]]
    vectors_ND = np.where(probabilities_NC >= least_N1, probabilities_NC, 0.0) @ name_vectors_CD
    norms_N1 = np.linalg.norm(vectors_ND, axis=1, keepdims=True)
    return np.asarray(vectors_ND / np.maximum(norms_N1, 1e-12), dtype=np.float32)


def predicted_names(probabilities_C: NDArray[np.float32], *, num: int = 3) -> list[tuple[str, float]]:
    """The most likely classes of one picture or clip, for an answer that says what it rests on.

    Args:
        probabilities_C: float32 [1000].
        num: How many.

    Returns:
        (first word of the class, probability), most likely first.

    Example:
        >>> probabilities = np.zeros(1000, dtype=np.float32)
        >>> probabilities[[409, 292]] = 0.75, 0.25
        >>> predicted_names(probabilities, num=2)
        [('analog clock', 0.75), ('tiger', 0.25)]
    """
    places = np.argsort(-probabilities_C, kind="stable")[:num]
    return [(class_names()[place].split(",")[0], float(probabilities_C[place])) for place in places]
