"""The request path on a real FLM, trained for a few steps on a world where every user has one subject."""

import numpy as np
import pytest
from small_world import removed_adds_up

from kinema.flm import config
from kinema.recommend.catalogue import Catalogue
from kinema.recommend.model import Memory, Scorer
from kinema.recommend.pipeline import Recommender
from kinema.schema import Item, Request
from kinema.store.features import ModalityFeatures, Profiles
from kinema.store.histories import Histories
from kinema.training import loop

NUM_SUBJECTS, PER_SUBJECT, NUM_USERS = 4, 12, 80
NUM_WARM = NUM_SUBJECTS * PER_SUBJECT
NUM_ITEMS = NUM_WARM + NUM_SUBJECTS
SUBJECTS = np.concatenate([np.repeat(np.arange(NUM_SUBJECTS), PER_SUBJECT), np.arange(NUM_SUBJECTS)])


def modality(name, rng):
    vectors = np.eye(NUM_SUBJECTS)[SUBJECTS] @ rng.normal(size=(NUM_SUBJECTS, 16)) + 0.3 * rng.normal(
        size=(NUM_ITEMS, 16)
    )
    present = np.ones(NUM_ITEMS, dtype=bool)
    present[3] = name != "frames"
    vectors[~present] = 0
    return ModalityFeatures(name, vectors.astype(np.float32), present, present.astype(np.float32), "made")


@pytest.fixture(scope="module")
def world():
    """Log, profiles and a recommender around a trained model; the last four items are new and were never watched."""
    rng = np.random.default_rng(7)
    tastes = rng.integers(0, NUM_SUBJECTS, NUM_USERS)
    log = Histories.from_lists(
        [rng.permutation(np.flatnonzero(SUBJECTS[:NUM_WARM] == taste))[:7].tolist() for taste in tastes], NUM_WARM
    )
    profiles = Profiles(
        np.eye(NUM_SUBJECTS, dtype=np.float32)[tastes], tuple(f"likes={subject}" for subject in range(NUM_SUBJECTS))
    )
    features = {name: modality(name, rng) for name in ("text", "frames")}
    trained_on = {
        name: ModalityFeatures(
            name, one.vectors_VD[:NUM_WARM], one.present_V[:NUM_WARM], one.quality_V[:NUM_WARM], one.encoder
        )
        for name, one in features.items()
    }
    ids = [f"v{item}" for item in range(NUM_ITEMS)]
    model = loop.pretrain(
        train=log,
        valid=None,
        features=trained_on,
        profiles=profiles,
        item_ids=ids[:NUM_WARM],
        config=config.FLMConfig(max_epochs=25),
        seed=1,
    )
    scorer = model.serve(features, NUM_ITEMS)
    catalogue = Catalogue.of([Item(one, title=f"clip {one}") for one in ids])
    return log, tastes, profiles, scorer, Recommender(catalogue=catalogue, scorer=scorer, diversity=0.0)


def subjects(slate):
    return [int(SUBJECTS[int(item.id[1:])]) for item in slate.items]


def test_the_scorer_is_what_the_request_path_expects(world):
    scorer: Scorer = world[3]
    memory: Memory = scorer.memory
    assert scorer.item_vectors_VD.shape[0] == len(scorer.popularity_V) == NUM_ITEMS
    assert len(memory.neighbours(0, 5)[0]) <= 5


def test_a_history_of_one_subject_is_answered_with_that_subject(world):
    log, tastes, _, _, recommender = world
    right = []
    for user in range(20):
        slate = recommender.recommend(Request(f"u{user}", num_items=5), history=log.take([user]))
        right.append(np.mean(np.array(subjects(slate)[:3]) == tastes[user]))
        assert slate.notice == ""
        assert removed_adds_up(slate.trace)
        assert not {item.id for item in slate.items} & {f"v{item}" for item in log.of(user)}
    assert np.mean(right) > 0.8


def test_reasons_rest_on_the_model_s_own_numbers(world):
    log, _, _, scorer, recommender = world
    slate = recommender.recommend(Request("u0", num_items=10), history=log.take([0]))
    kinds = {item.evidence["kind"] for item in slate.items}
    assert kinds <= {"content", "memory", "popularity", "model", "rest"}
    for item in slate.items:
        if item.evidence["kind"] == "content":
            rows = scorer.content_VD[item.evidence["modality"]]
            cosine = rows[int(item.id[1:])] @ rows[int(item.evidence["item"][1:])]
            assert item.evidence["cosine"] == pytest.approx(float(cosine), abs=1e-3)
            assert int(item.evidence["item"][1:]) in log.of(0)


def test_a_new_item_reaches_the_users_of_its_subject(world):
    log, tastes, profiles, _, recommender = world
    audience = recommender.audience(
        f"v{NUM_WARM + 2}",
        10,
        user_ids=[str(user) for user in range(NUM_USERS)],
        histories=log,
        profiles_UP=profiles.values_UP,
    )
    assert sum(tastes[int(member.user)] == 2 for member in audience.members) >= 9


def test_new_items_and_warm_items_are_similar_to_their_subject(world):
    recommender = world[4]
    for item in (0, NUM_WARM + 1):
        assert subjects(recommender.similar(f"v{item}", 6)).count(SUBJECTS[item]) >= 5


def test_a_profile_alone_and_nothing_at_all_are_answered(world):
    _, _, profiles, _, recommender = world
    empty = Histories.from_lists([[]], NUM_ITEMS)
    known = recommender.recommend(Request("u", num_items=5), history=empty, profile_P=profiles.values_UP[0])
    nobody = recommender.recommend(Request("nobody", num_items=5))
    assert "items that suit the profile" in known.notice
    assert "is unknown: popular and new items" in nobody.notice
    assert len(known.items) == len(nobody.items) == 5


def test_an_item_without_frames_is_never_said_to_look_like_anything(world):
    recommender = world[4]
    slate = recommender.similar("v0", NUM_ITEMS - 1)
    bare = next(item for item in slate.items if item.id == "v3")
    assert "frames" not in {bare.evidence.get("modality"), *bare.evidence.get("also", {})}


def test_a_user_read_once_gives_the_vector_and_the_scores_of_two_readings(world):
    log, _, profiles, scorer, _ = world
    for user in range(5):
        history, profile = log.take([user]), profiles.values_UP[user]
        reading = scorer.read(history, profile, moment_ms=7)
        moments = np.array([7])
        np.testing.assert_allclose(
            reading.vector, scorer.encode(history, profile[None], moments_C=moments)[0], atol=1e-5
        )
        everything = scorer.score(history, profile[None], moments_C=moments)[0]
        np.testing.assert_allclose(reading.scores_of(np.arange(NUM_ITEMS)), everything, rtol=1e-5, atol=1e-5)


def test_a_user_who_comes_again_is_not_read_again_until_something_is_new(world, monkeypatch):
    log, _, profiles, scorer, _ = world
    read = []
    states = scorer._states_of_one
    monkeypatch.setattr(scorer, "_states_of_one", lambda *given: read.append(1) or states(*given))
    monkeypatch.setattr("kinema.flm.scorer._MOST_READ", 2)
    scorer._kept.clear()
    profile = profiles.values_UP[0]
    asked = [(log.take([0]), None), (log.take([0]), None), (log.take([0]), profile), (log.take([1]), None)]
    for history, row in [*asked, asked[0]]:
        found = scorer.read(history, row, moment_ms=1)
        expected = scorer.encode(history, None if row is None else row[None])[0]
        np.testing.assert_allclose(found.vector, expected, atol=1e-5)
    assert len(read) == 4
