"""Who should see an item."""

from dataclasses import replace

import numpy as np
import pytest
from small_world import NOW, removed_adds_up, world_catalogue, world_content, world_items, world_scorer

from kinema.errors import DataError, NotBuiltError
from kinema.recommend import audience as audience_module
from kinema.recommend.audience import preferences
from kinema.recommend.pipeline import Recommender
from kinema.store.histories import Histories

USERS = ["otter-fan", "sport-fan", "saw-it", "nobody", "sea-fan"]
LOG = Histories.from_lists([[0, 1], [3], [0, 5], [], [2]], 6)


def with_model(**parts):
    return Recommender(**{
        "catalogue": world_catalogue(), "scorer": world_scorer(), "now_ms": lambda: NOW, **parts
    })  # fmt: skip


def without_model(content):
    return Recommender(catalogue=world_catalogue(), content=content, now_ms=lambda: NOW)


def ask(recommender, item="v5", num_users=10, **more):
    return recommender.audience(item, num_users, **{"user_ids": USERS, "histories": LOG, **more})


def names(audience):
    return [member.user for member in audience.members]


@pytest.mark.parametrize("recommender", [with_model(), without_model(world_content())], ids=["model", "content"])
def test_a_new_otter_clip_is_for_the_otter_fan_and_not_for_those_who_saw_it(recommender):
    audience = ask(recommender)
    assert names(audience)[0] == "otter-fan"
    assert set(names(audience)) == {"otter-fan", "sport-fan", "sea-fan"}
    assert [member.position for member in audience.members] == [0, 1, 2]
    assert audience.trace[0].detail["removed"] == {"seen": 1, "unknown": 1}
    assert removed_adds_up(audience.trace)
    assert "only 3 of 10 users: of the others 1 seen, 1 unknown" in audience.notice


def test_the_reason_names_what_the_user_watched():
    first = ask(with_model(), num_users=1).members[0]
    assert first.reason.endswith("', which they watched")
    assert first.evidence["item"] in {"v0", "v1"}
    assert "days_old" not in first.evidence


def test_popularity_is_no_reason_for_a_user():
    members = ask(with_model(), item="v3").members
    assert not any("popular" in member.reason for member in members)


def test_a_user_without_history_is_reached_through_the_profile():
    profiles = np.zeros((5, 6), dtype=np.float32)
    profiles[3] = world_scorer().item_vectors_VD[5]
    audience = ask(with_model(), profiles_UP=profiles)
    assert names(audience)[:2] == ["otter-fan", "nobody"]
    assert audience.members[1].reason == "suits this user as a whole, no single video stands out"


def test_vectors_made_before_choose_whom_the_model_looks_at(monkeypatch):
    monkeypatch.setattr(audience_module, "POOL", 1)
    vectors = np.zeros((5, 6), dtype=np.float32)
    vectors[4] = world_scorer().item_vectors_VD[5]
    found = ask(with_model(), num_users=1, user_vectors_UD=vectors)
    assert found.trace[1].num_out == 2
    assert found.trace[1].detail["removed"] == {"far from the item": 1}
    assert names(found) == ["otter-fan"]


def test_a_user_whose_items_all_score_high_is_not_in_every_audience():
    generous, choosy = [90, 91, 90, 91, 90, 90.0], [0, 0, 0, 0, 0, 5.0]
    scorer = world_scorer()
    scorer.score = lambda histories, profiles=None: np.array([generous, choosy])
    found = preferences(scorer, 5, Histories.from_lists([[0], [2]], 6), None)
    assert found[1] > 2
    assert found[0] < 0


def test_a_preference_that_is_not_finite_counts_as_none():
    scorer = world_scorer()
    scorer.score = lambda histories, profiles=None: np.full((histories.num_users, 6), np.nan)
    assert preferences(scorer, 5, LOG, None).tolist() == [0.0] * 5


def test_a_damaged_user_vector_is_no_member():
    vectors = np.full((5, 6), 0.1, dtype=np.float32)
    vectors[0] = np.nan
    assert "otter-fan" not in names(ask(with_model(), user_vectors_UD=vectors))


def test_an_item_that_nobody_sees_yet_is_announced():
    items = world_items()
    items[5] = replace(items[5], hidden=True)
    items[2] = replace(items[2], published_at=NOW + 1)
    recommender = with_model(catalogue=world_catalogue(items))
    assert ask(recommender).notice.startswith("the item is hidden: nobody is shown it yet")
    assert ask(recommender, item="v2").notice.startswith("the item is not published yet")


def test_without_model_and_content_there_is_nothing_to_compare_with():
    with pytest.raises(
        NotBuiltError, match=r"audience of item 'v4' needs its content or a model that knows it, .* pretrain"
    ):
        ask(without_model(world_content()), item="v4")


def test_a_log_without_any_interaction_is_an_empty_audience():
    audience = without_model(world_content()).audience(
        "v5", 3, user_ids=["a", "b"], histories=Histories.from_lists([[], []], 6)
    )
    assert audience.members == ()
    assert "only 0 of 3 users: of the others 2 unknown" in audience.notice


@pytest.mark.parametrize("wrong", ["user_ids", "profiles_UP", "user_vectors_UD"])
def test_users_that_do_not_fit_together_are_refused(wrong):
    with pytest.raises(DataError, match=rf"{wrong} must have one row per history \(5\), got 2"):
        ask(with_model(), **{wrong: np.zeros((2, 6), dtype=np.float32)})


def test_unknown_items_and_lengths_out_of_range_are_refused():
    with pytest.raises(DataError, match="unknown item 'v55', did you mean 'v5'"):
        ask(with_model(), item="v55")
    with pytest.raises(DataError, match=r"num_users must be a whole number in 1..1000, got 1001"):
        ask(with_model(), num_users=1001)
