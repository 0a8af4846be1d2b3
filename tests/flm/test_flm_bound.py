"""What binding computes of each item is kept: a grown catalogue is bound for its new items only, and scores as if bound anew."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from kinema.flm import model as flm_model
from kinema.flm.bound import BoundFile, features_digest, later_features
from kinema.flm.config import FLMConfig
from kinema.flm.imputation import content_neighbours
from kinema.flm.likeness import Liken, Likeness, Weight
from kinema.store.features import HeldTokens, ModalityFeatures, ModalityTokens
from kinema.store.histories import Histories
from kinema.store.tokens import RaggedTokens, TokenShards
from kinema.training.loop import pretrain

pytestmark = pytest.mark.usefixtures("one_thread")

NUM_TRAINED, NUM_ITEMS, WIDTH = 20, 24, 8
LOG = Histories.from_lists([[(user + step * 3) % NUM_TRAINED for step in range(5)] for user in range(20)], NUM_TRAINED)
ASKED = Histories.from_lists([[0, 3, 6], [1], []], NUM_TRAINED)
CONFIG = FLMConfig(d_model=8, num_blocks=1, max_length=6, max_epochs=1, evaluate_every=1)


def features(num_items=NUM_ITEMS):
    made = {}
    for place, name in enumerate(("text", "frames")):
        random = np.random.default_rng(place)
        lengths = random.integers(0, 4, size=NUM_ITEMS)
        offsets = np.concatenate([[0], np.cumsum(lengths)])[: num_items + 1]
        tokens_MD = random.normal(size=(lengths.sum(), WIDTH)).astype(np.float16)[: offsets[-1]]
        times_M = np.concatenate([np.arange(one) for one in lengths])[: offsets[-1]].astype(np.int64)
        vectors = random.normal(size=(NUM_ITEMS, WIDTH)).astype(np.float32)[:num_items]
        ones = np.ones(num_items, dtype=np.float32)
        tokens = HeldTokens(RaggedTokens(tokens_MD, times_M, offsets, ones)) if name == "frames" else None
        made[name] = ModalityFeatures(name, vectors, ones > 0, ones, "made", tokens)
    return made


@pytest.fixture(scope="module")
def model():
    ids = [f"v{item}" for item in range(NUM_TRAINED)]
    made = pretrain(
        train=LOG, valid=None, features=features(NUM_TRAINED), profiles=None, item_ids=ids, config=CONFIG, seed=3
    )
    torch.manual_seed(0)
    weights = {"text": Weight(0.5, 0.7), "frames": Weight(1.0, 2.0)}
    return replace(made, liken=Liken(Likeness.reading(made.whitenings, d_model=8).eval(), weights))


@pytest.mark.parametrize("num_kept", [NUM_TRAINED, NUM_TRAINED + 1, NUM_ITEMS])
def test_a_grown_catalogue_scores_as_if_bound_anew(model, tmp_path, monkeypatch, num_kept):
    keep = BoundFile(tmp_path / "bound" / "items.safetensors", "m1")
    model.serve(features(num_kept), num_kept, keep=keep)
    written = keep.path.stat().st_mtime_ns
    seen = []
    whiten = flm_model.whitened_content
    monkeypatch.setattr(flm_model, "whitened_content", lambda *given: seen.append(given[2]) or whiten(*given))
    anew, grown = model.serve(features(), NUM_ITEMS), model.serve(features(), NUM_ITEMS, keep=keep)
    assert seen == [NUM_ITEMS, NUM_ITEMS - num_kept][: 1 + (num_kept < NUM_ITEMS)]
    assert grown.score(ASKED) == pytest.approx(anew.score(ASKED), abs=2e-5)
    assert grown.item_vectors_VD == pytest.approx(anew.item_vectors_VD, abs=1e-6)
    assert grown.content_joint_VD == pytest.approx(anew.content_joint_VD, abs=1e-6)
    assert keep.path.stat().st_mtime_ns == written


def test_what_was_made_of_other_features_or_by_another_model_is_not_used(model, tmp_path):
    keep = BoundFile(tmp_path / "items.safetensors", "m1")
    model.serve(features(), NUM_ITEMS, keep=keep)
    assert len(keep.read(features())) == NUM_ITEMS
    assert BoundFile(keep.path, "m2").read(features()) is None
    changed = features()
    changed["text"].vectors_VD[2] += 1
    assert keep.read(changed) is None
    assert keep.read(features(NUM_TRAINED)) is None
    model.serve(changed, NUM_ITEMS, keep=keep)
    assert keep.read(changed) is not None


def test_a_damaged_file_is_made_again_and_a_place_that_cannot_be_written_costs_time_only(model, tmp_path):
    keep = BoundFile(tmp_path / "items.safetensors", "m1")
    keep.path.write_bytes(b"\x10")
    scores = model.serve(features(), NUM_ITEMS, keep=keep).score(ASKED)
    assert keep.read(features()) is not None
    (tmp_path / "file").write_text("no folder")
    nowhere = BoundFile(tmp_path / "file" / "items.safetensors", "m1")
    assert (model.serve(features(), NUM_ITEMS, keep=nowhere).score(ASKED) == scores).all()


def test_features_of_later_items_have_their_own_tokens(tmp_path):
    all_of, later = features()["frames"].tokens, later_features(features(), 21)["frames"]
    assert later.tokens.lengths().tolist() == all_of.lengths()[21:].tolist()
    assert np.array_equal(later.tokens.get([2, 0]).tokens_MD, all_of.get([23, 21]).tokens_MD)
    assert len(later.vectors_VD) == len(later.present_V) == 3
    shards = TokenShards(tmp_path)
    shards.append(
        ["a", "b"], [np.ones((1, 2), np.float16), np.ones((3, 2), np.float16)], [np.arange(1), np.arange(3)], [1, 1]
    )
    kept = replace(features()["frames"], tokens=ModalityTokens("frames", ("a", "b"), shards, "made"))
    assert later_features({"frames": kept}, 1)["frames"].tokens.lengths().tolist() == [3]


def test_the_digest_is_of_the_first_items_only():
    assert features_digest(features(), NUM_TRAINED) == features_digest(features(NUM_TRAINED), NUM_TRAINED)
    assert features_digest(features(NUM_TRAINED), NUM_ITEMS) is None


def test_neighbours_of_later_items_are_those_of_all():
    random = np.random.default_rng(0)
    content = random.normal(size=(30, 4)).astype(np.float32)
    content /= np.linalg.norm(content, axis=1, keepdims=True)
    warm = np.arange(30) < 20
    whole, part = (content_neighbours(content, warm, num_neighbours=3, start=start) for start in (0, 25))
    assert np.array_equal(whole[0][25:], part[0])
    assert whole[1][25:] == pytest.approx(part[1], abs=1e-6)
