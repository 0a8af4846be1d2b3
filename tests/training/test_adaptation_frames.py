"""An image encoder learns which frames belong to which title: CLIP by its own towers, others against frozen vectors."""

import numpy as np
import pytest
import torch

from kinema.encoders.cnn import load_network, save_network
from kinema.encoders.vision import load_frame_encoder
from kinema.errors import ConfigError, StaleArtifactError
from kinema.testing.clips import render_clip
from kinema.training.adaptation import clips as clips_module
from kinema.training.adaptation.clips import sample_clips
from kinema.training.adaptation.eyes import load_eye
from kinema.training.adaptation.frames import MatchingLesson
from kinema.training.adaptation.lessons import Schedule, fit, train_mode
from tiny_encoders import TOPICS, save_clip, save_vit, topic_items, topic_picture

pytestmark = pytest.mark.usefixtures("one_thread")

CNN = "packaged:efficientnet-lite0"
NUM_ITEMS = 24
SCHEDULE = Schedule(epochs=8, batch_size=8, learning_rate=3e-3, max_seconds=None, seed=0)
PICTURES = np.stack([[topic_picture(item, seed=at) for at in range(2)] for item in range(NUM_ITEMS)])
TITLES = [row["title"] for row in topic_items(NUM_ITEMS)]
VECTORS = np.eye(TOPICS, dtype=np.float32)[np.arange(NUM_ITEMS) % TOPICS]
VECTORS = np.concatenate([VECTORS, 0.1 * np.random.default_rng(0).normal(size=(NUM_ITEMS, 4))], axis=1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    place = tmp_path_factory.mktemp("frames")
    return {"clip": save_clip(place / "clip"), "vit": save_vit(place / "vit"), "cnn": CNN}


def lesson_of(name, *, method="lora", titles=TITLES, vectors=VECTORS):
    return MatchingLesson(
        load_eye(name),
        pictures=PICTURES,
        rows=np.arange(NUM_ITEMS),
        titles=titles,
        title_vectors_ME=None if vectors is None else vectors.astype(np.float32),
        method=method,
        rank=2,
    )


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("kind", ["clip", "vit"])
def test_a_transformer_learns_and_is_saved_as_a_folder_like_any_other(folders, tmp_path, kind, method):
    lesson = lesson_of(folders[kind], method=method)
    assert lesson.own_text_tower is (kind == "clip")
    place = fit(lesson, schedule=SCHEDULE, run="r")
    assert place.curve[-1]["losses"]["matching"] < place.curve[0]["losses"]["matching"]
    assert lesson.save(tmp_path, base=kind) > 0
    base, adapted = load_frame_encoder(folders[kind]), load_frame_encoder(str(tmp_path))
    assert adapted.fingerprint != base.fingerprint
    assert (adapted.width, adapted.frame_side) == (base.width, base.frame_side)
    assert np.abs(adapted.encode(PICTURES[0]) - base.encode(PICTURES[0])).max() > 1e-3


def test_the_packaged_network_learns_and_is_saved_with_its_architecture(tmp_path):
    lesson = lesson_of(CNN)
    fit(lesson, schedule=Schedule(epochs=1, batch_size=8, learning_rate=3e-3, max_seconds=None, seed=0), run="r")
    lesson.save(tmp_path, base=CNN)
    base, adapted = load_frame_encoder(CNN, frame_side=32), load_frame_encoder(str(tmp_path), frame_side=32)
    assert adapted.fingerprint != base.fingerprint
    assert np.abs(adapted.encode(PICTURES[0]) - base.encode(PICTURES[0])).max() > 1e-3
    assert load_frame_encoder(str(tmp_path)).frame_side == 160


def test_an_unchanged_network_is_the_same_encoder_after_saving(tmp_path):
    load_eye(CNN).save(tmp_path)
    assert load_frame_encoder(str(tmp_path)).fingerprint == load_frame_encoder(CNN).fingerprint


def test_weights_of_another_network_are_refused(tmp_path):
    save_network(torch.nn.Linear(2, 2), tmp_path, architecture="efficientnet-lite0")
    with pytest.raises(StaleArtifactError, match="must be those of efficientnet-lite0, are others"):
        load_network(str(tmp_path))


def test_what_the_eye_sees_is_the_encoders_first_part(folders):
    with torch.inference_mode():
        seen = load_eye(folders["vit"]).see(PICTURES[0])
    seen = torch.nn.functional.normalize(seen, dim=1).numpy()
    assert load_frame_encoder(folders["vit"]).encode(PICTURES[0])[:, : seen.shape[1]] == pytest.approx(seen, abs=1e-5)


def test_batch_norms_keep_their_statistics():
    network = load_eye(CNN).network
    train_mode(network)
    assert network._blocks[0].training
    assert not network._bn1.training


def test_items_with_the_same_title_are_not_told_apart(folders):
    torch.manual_seed(0)
    lesson = lesson_of(folders["clip"], titles=["same"] * NUM_ITEMS)
    assert float(lesson.losses(np.arange(8))["matching"].detach()) == 0.0


def test_an_eye_that_cannot_read_needs_vectors_of_the_titles(folders):
    with pytest.raises(ConfigError, match="without a text tower needs vectors of the titles, has none"):
        lesson_of(folders["vit"], vectors=None)


def sample(files, folder, **changes):
    options = {"frame_side": 32, "num_frames": 3, "max_seconds": 9.0, "max_pixels": 1 << 20, "workers": 0}
    return sample_clips(files, folder=folder, **options | changes)


def test_limits_of_one_clip_reach_the_decoding_processes(tmp_path, monkeypatch):
    seen = {}

    def read(requests, **limits):
        seen.update(limits, decode_seconds=[one.decode_seconds for one in requests])
        return iter(())

    monkeypatch.setattr(clips_module, "read_clips", read)
    with pytest.raises(ValueError, match="zip"):
        sample([("a.avi", tmp_path / "a.avi")], tmp_path / "kept", clip_timeout_s=7.0, clip_memory_mb=99, workers=1)
    assert seen == {"num_workers": 1, "timeout_s": 7.0, "memory_mb": 99, "decode_seconds": [3.5]}


def test_decoded_frames_are_kept_and_a_killed_run_goes_on(tmp_path, monkeypatch):
    files = [(f"{name}.avi", render_clip(tmp_path / f"{name}.avi", seconds=0.5, seed=name)) for name in range(3)]
    (tmp_path / "bad.avi").write_bytes(b"no clip")
    files.insert(1, ("bad.avi", tmp_path / "bad.avi"))
    whole = sample(files, tmp_path / "whole")
    assert whole.usable_M.tolist() == [True, False, True, True]
    assert whole.pictures_MTSS3.shape == (4, 3, 32, 32, 3)
    monkeypatch.setattr(clips_module, "_FLUSH_CLIPS", 1)

    def cut(done, total, note=""):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sample(files, tmp_path / "cut", progress=cut)
    told = []
    again = sample(files, tmp_path / "cut", progress=lambda *one: told.append(one))
    assert [one[:2] for one in told] == [(1, 2), (2, 2)]
    assert np.array_equal(again.pictures_MTSS3, whole.pictures_MTSS3)
    assert np.array_equal(again.usable_M, whole.usable_M)
    (tmp_path / "cut" / "frames.npy").write_bytes(b"damaged")
    assert np.array_equal(sample(files, tmp_path / "cut").pictures_MTSS3, whole.pictures_MTSS3)


def test_a_short_clip_repeats_its_frames(tmp_path):
    files = [("a.avi", render_clip(tmp_path / "a.avi", seconds=2 / 12))]
    pictures = sample(files, tmp_path / "out", num_frames=5).pictures_MTSS3[0]
    assert len(np.unique(pictures.reshape(5, -1), axis=0)) == 2
