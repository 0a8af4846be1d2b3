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
        "bikes.mp4": "bicycle on a city street",
        "shot_change.mp4": "alarm clock",
        "carphone_pristine.mp4": "man with a bow tie sitting in a car",
    }
    clips = [squares(data_dir / "clips" / "real" / path, cnn.frame_side) for path in queries]
    vectors = np.stack([cnn.encode(frames).mean(0) for frames in clips])
    text = load_text_encoder("packaged:minilm")
    words = picture_words(cnn.class_probabilities_of_vectors(vectors), name_vectors(text))
    assert (text.encode_query_text(list(queries.values())) @ words.T).argmax(axis=1).tolist() == [0, 1, 2]
    tie = class_probabilities(cnn, clips[2]).mean(0)
    assert {name for name, _ in predicted_names(tie)} == {"bow tie", "suit", "Windsor tie"}


def test_probabilities_are_those_of_the_network_and_do_not_depend_on_the_batch(cnn):
    batch = np.random.default_rng(0).integers(0, 256, (9, 160, 160, 3), dtype=np.uint8)
    probabilities = class_probabilities(cnn, batch)
    assert probabilities.shape == (9, 1000)
    assert probabilities.sum(axis=1) == pytest.approx(1.0, abs=1e-5)
    alone = np.concatenate([class_probabilities(cnn, one[None]) for one in batch])
    assert probabilities == pytest.approx(alone, abs=1e-5)
    assert class_probabilities(cnn, batch[:0]).shape == (0, 1000)


def test_vectors_made_before_still_name_the_class(cnn, data_dir):
    frames = squares(data_dir / "clips" / "real" / "carphone_pristine.mp4", cnn.frame_side)
    seen = class_probabilities(cnn, frames).mean(0)
    recalled = cnn.class_probabilities_of_vectors(cnn.encode(frames).mean(0, keepdims=True))
    assert recalled.shape == (1, 1000)
    assert recalled.sum() == pytest.approx(1.0, abs=1e-5)
    assert recalled.max() < seen.max()
    assert {name for name, _ in predicted_names(recalled[0])} == {name for name, _ in predicted_names(seen)}


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
        ConfigError, match=r"words for pictures need the packaged network with its classifier, .* has none"
    ):
        class_probabilities(encoder, np.zeros((1, 32, 32, 3), dtype=np.uint8))
