"""The ladder of weaker answers, and what is said on each rung."""

import numpy as np
import pytest
from small_world import NOW, POPULARITY, history, world_catalogue, world_content, world_items, world_scorer

from kinema.recommend.catalogue import Catalogue
from kinema.recommend.coldstart import Footing, footing_of, read_user, user_vector
from kinema.recommend.fallback import TRUST, length_notices, system_notices, user_notices
from kinema.recommend.pipeline import Recommender
from kinema.retrieval.popularity import count_segments, decayed_counts
from kinema.schema import Item, Request
from kinema.store.features import Profiles
from kinema.store.histories import Histories

ASK = Request("u1", num_items=3, timestamp_ms=NOW)


def ids(slate):
    return [item.id for item in slate.items]


def with_model(**parts):
    return Recommender(catalogue=world_catalogue(), scorer=world_scorer(), **parts)


def test_a_history_outranks_a_profile_and_a_profile_outranks_nothing():
    profile = np.float32([1, 0])
    assert footing_of(history(0), profile) is Footing.HISTORY
    assert footing_of(history(), profile) is Footing.PROFILE
    assert footing_of(history(), None) is Footing.NOTHING
    assert footing_of(history(), np.float32([np.nan, 1])) is Footing.NOTHING


def test_every_rung_trusts_popularity_so_every_slate_can_be_filled():
    assert all(trust["popularity"] > 0 for trust in TRUST.values())


def test_a_known_user_with_a_history_needs_no_notice():
    slate = with_model().recommend(ASK, history=history(0))
    assert slate.notice == ""


def test_an_unknown_user_gets_what_is_popular_and_is_told():
    slate = with_model().recommend(ASK)
    assert ids(slate)[0] == "v3"
    assert slate.notice == "user 'u1' is unknown: popular and new items"


def test_an_unknown_user_also_gets_what_is_new():
    recommender = with_model(diversity=0.0)
    slate = recommender.recommend(Request("u1", num_items=6, timestamp_ms=NOW))
    assert "fresh" in slate.items[ids(slate).index("v5")].sources


def test_a_known_user_without_interactions_is_told_so():
    slate = with_model().recommend(ASK, history=history())
    assert slate.notice == "user 'u1' has no interactions yet: popular and new items"


def test_a_profile_without_interactions_is_read_by_the_model():
    likes_water = world_scorer().item_vectors_VD[2]
    slate = with_model(diversity=0.0).recommend(ASK, history=history(), profile_P=likes_water)
    assert ids(slate)[0] == "v2"
    assert "flm" in slate.items[0].sources
    assert slate.notice == "user 'u1' has no interactions yet: items that suit the profile"


def test_a_profile_of_zeros_is_no_profile():
    slate = with_model().recommend(ASK, history=history(), profile_P=np.zeros(3, dtype=np.float32))
    assert slate.notice.endswith("popular and new items")


def test_a_damaged_profile_is_ignored():
    slate = with_model().recommend(ASK, history=history(0), profile_P=np.float32([np.nan, 1]))
    assert ids(slate) == ids(with_model().recommend(ASK, history=history(0)))


def test_the_segment_of_an_unknown_user_decides_what_is_popular():
    log = Histories.from_lists([[4], [4], [3], [3], [3]], 6)
    profiles = Profiles(np.float32([[1, 0], [1, 0], [0, 1], [0, 1], [0, 1]]), ("country=de", "country=fr"))
    recommender = Recommender(
        catalogue=world_catalogue(),
        popularity_V=decayed_counts(log),
        segments=count_segments(log, profiles, prior=1.0),
        diversity=0.0,
    )
    slate = recommender.recommend(ASK, profile_P=np.float32([1, 0]))
    assert ids(slate)[0] == "v4"
    assert slate.items[0].reason == "popular with people like you"


def test_without_a_model_content_and_popularity_answer_and_the_remedy_is_named():
    recommender = Recommender(catalogue=world_catalogue(), content=world_content(), popularity_V=POPULARITY)
    slate = recommender.recommend(ASK, history=history(0))
    assert set(ids(slate)) & {"v1", "v2", "v5"}
    assert slate.notice == "no model yet: ranked by content and popularity; run: kinema pretrain"


def test_without_features_and_model_popularity_answers_and_both_remedies_are_named():
    slate = Recommender(catalogue=world_catalogue(), popularity_V=POPULARITY).recommend(ASK, history=history(0))
    assert ids(slate) == ["v3", "v4", "v5"]
    assert "run: kinema extract" in slate.notice
    assert "no model yet: ranked by popularity; run: kinema pretrain" in slate.notice


def test_a_memory_answers_without_a_model():
    recommender = Recommender(
        catalogue=world_catalogue(), memory=world_scorer().memory, popularity_V=np.ones(6), diversity=0.0
    )
    slate = recommender.recommend(ASK, history=history(0))
    assert ids(slate)[0] == "v4"
    assert "memory" in slate.items[0].sources


def test_an_empty_catalogue_is_an_empty_slate_with_a_notice():
    slate = Recommender(catalogue=Catalogue.of([])).recommend(ASK)
    assert slate.items == ()
    assert slate.notice == "the catalogue is empty; run: kinema ingest"


def test_a_user_who_has_seen_everything_is_told():
    slate = with_model().recommend(ASK, history=history(0, 1, 2, 3, 4, 5))
    assert slate.items == ()
    assert slate.notice == "only 0 of 3 items: of the others 6 seen"


def test_a_slate_longer_than_the_catalogue_is_as_long_as_it_can_be():
    slate = with_model().recommend(Request("u1", num_items=1000, timestamp_ms=NOW), history=history(0))
    assert len(slate.items) == 5
    assert slate.notice == "only 5 of 1000 items: of the others 1 seen"


def test_an_empty_log_still_fills_the_slate():
    slate = Recommender(catalogue=world_catalogue()).recommend(ASK)
    assert len(slate.items) == 3


@pytest.mark.parametrize("broken", ["items", "logits", "user"])
def test_a_model_that_returns_nan_never_breaks_the_slate(broken):
    scorer = world_scorer()
    if broken == "items":
        scorer.item_vectors_VD = scorer.item_vectors_VD.copy()
        scorer.item_vectors_VD[1] = np.nan
    elif broken == "logits":
        scorer.score = lambda histories, profiles=None, **_: np.full((1, 6), np.nan, dtype=np.float32)
    else:
        scorer.encode = lambda histories, profiles=None, **_: np.full((1, 6), np.nan, dtype=np.float32)
        scorer.score = lambda histories, profiles=None, **_: np.zeros((1, 6), dtype=np.float32)
    slate = Recommender(catalogue=world_catalogue(), scorer=scorer).recommend(
        Request("u1", num_items=6, timestamp_ms=NOW), history=history(0)
    )
    assert sorted(ids(slate)) == ["v1", "v2", "v3", "v4", "v5"]
    assert all(np.isfinite(item.score) for item in slate.items)
    assert ("damaged vectors (not finite), taken as absent: 1" in slate.notice) == (broken == "items")


def test_nobody_gets_a_user_vector_without_a_model_or_without_anything_known():
    assert user_vector(read_user(None, history(0), None, 0)) is None
    assert user_vector(read_user(world_scorer(), history(), None, 0)) is None
    assert user_vector(read_user(world_scorer(), history(0), None, 0)).shape == (6,)


def test_notices_are_silent_where_nothing_is_wrong():
    assert system_notices(has_model=True, has_content=True, num_damaged=0) == []
    assert user_notices("u1", Footing.HISTORY, known=True) == []
    assert length_notices(found=3, wanted=3, removed={"seen": 1}) == []
    assert [one.text for one in length_notices(found=1, wanted=2, removed={"seen": 0})] == [
        "only 1 of 2 items: there are no more"
    ]


def test_a_catalogue_where_all_is_hidden_says_so():
    items = [Item(item.id, hidden=True) for item in world_items()]
    slate = Recommender(catalogue=Catalogue.of(items), scorer=world_scorer()).recommend(ASK, history=history(0))
    assert (slate.items, slate.notice) == ((), "only 0 of 3 items: of the others 6 hidden")
