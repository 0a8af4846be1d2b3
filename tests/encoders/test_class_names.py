"""Class names as a bridge from texts to pictures, on real clips."""

import cv2
import numpy as np
import pytest

from kinema.encoders.class_names import (
    class_names,
    class_probabilities,
    name_vectors,
    picture_words,
    predicted_names,
)
from kinema.encoders.text import load_text_encoder
from kinema.encoders.vision import load_frame_encoder
from kinema.errors import ConfigError
from kinema.media.sampling import sample_frames
from tiny_encoders import save_vit


@pytest.fixture(scope="module")
def cnn():
    return load_frame_encoder("packaged:efficientnet-lite0")


def test_the_thousand_names_are_in_the_order_of_classifiers():
    names = class_names()
    assert len(names) == 1000
    assert [names[place].split(",")[0] for place in (0, 1, 207, 409, 541, 671, 999)] == [
        "tench",
        "goldfish",
        "golden retriever",
        "analog clock",
        "drum",
        "mountain bike",
        "toilet tissue",
    ]


def squares(path, side):
    frames = sample_frames(path, num_frames=3, num_pairs=0).array
    return np.stack([cv2.resize(one, (side, side), interpolation=cv2.INTER_AREA) for one in frames])


def test_real_clips_are_found_by_words_for_what_they_show(cnn, data_dir):
    queries = {
        "microvideo/archery.mp4": "archery with bow and arrow",
        "real/shot_change.mp4": "alarm clock",
        "real/carphone_pristine.mp4": "man in a suit with a bow tie",
    }
    probabilities = np.stack(
        [class_probabilities(cnn, squares(data_dir / "clips" / path, cnn.frame_side)).mean(0) for path in queries]
    )
    text = load_text_encoder("packaged:minilm")
    cosines = text.encode_query_text(list(queries.values())) @ picture_words(probabilities, name_vectors(text)).T
    assert cosines.argmax(axis=1).tolist() == [0, 1, 2]
    assert predicted_names(probabilities[0], num=1)[0][0] == "bow"


def test_probabilities_are_those_of_the_network_and_do_not_depend_on_the_batch(cnn):
    batch = np.random.default_rng(0).integers(0, 256, (9, 160, 160, 3), dtype=np.uint8)
    probabilities = class_probabilities(cnn, batch)
    assert probabilities.shape == (9, 1000)
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    alone = np.concatenate([class_probabilities(cnn, one[None]) for one in batch])
    assert probabilities == pytest.approx(alone, abs=1e-5)
    assert class_probabilities(cnn, batch[:0]).shape == (0, 1000)


def test_vectors_made_before_still_name_the_class(cnn, data_dir):
    frames = squares(data_dir / "clips" / "microvideo" / "archery.mp4", cnn.frame_side)
    seen = class_probabilities(cnn, frames).mean(0)
    recalled = cnn.class_probabilities_of_vectors(cnn.encode(frames).mean(0, keepdims=True))
    assert recalled.shape == (1, 1000)
    assert predicted_names(recalled[0], num=1)[0][0] == predicted_names(seen, num=1)[0][0]


def test_only_the_likeliest_classes_count():
    vectors = np.eye(4, dtype=np.float32)
    words = picture_words(np.array([[0.1, 0.5, 0.1, 0.3], [0.0, 0.0, 1.0, 0.0]], dtype=np.float32), vectors, top=2)
    assert words[0] == pytest.approx(np.array([0, 0.5, 0, 0.3]) / np.hypot(0.5, 0.3))
    assert words[1] == pytest.approx([0, 0, 1, 0])
    with pytest.raises(ConfigError, match=r"top of picture words must be in 1..4, got 5"):
        picture_words(np.ones((1, 4), dtype=np.float32), vectors, top=5)


def test_a_network_without_a_classifier_is_refused(tmp_path):
    encoder = load_frame_encoder(save_vit(tmp_path))
    with pytest.raises(
        ConfigError, match="words for pictures need the packaged network with its classifier, .* has none"
    ):
        class_probabilities(encoder, np.zeros((1, 32, 32, 3), dtype=np.uint8))
